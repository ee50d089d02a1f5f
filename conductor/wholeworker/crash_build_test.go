package wholeworker

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// buildCrashable builds the program with its failpoints once for all tests.
var buildCrashable = sync.OnceValues(func() (string, error) {
	files, err := sourceFiles()
	if err != nil {
		return "", err
	}
	key, err := contentOf(files)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "ironmaster-lab")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	built := filepath.Join(dir, "ironmaster-crashable-"+key)
	now := time.Now()
	if os.Chtimes(built, now, now) == nil {
		return built, nil
	}
	fresh := fmt.Sprintf("%s.%d", built, os.Getpid())
	if err := buildInCopy(files, fresh); err != nil {
		return "", err
	}
	old, _ := filepath.Glob(filepath.Join(dir, "ironmaster-crashable-*"))
	for _, file := range old {
		// Another checkout's tests may be starting workers from theirs.
		if info, err := os.Stat(file); err == nil && now.Sub(info.ModTime()) > crashableKept {
			_ = os.Remove(file)
		}
	}
	return built, os.Rename(fresh, built)
})

// crashableKept is how long after its last use a program with failpoints is kept: longer than the matrix takes.
const crashableKept = 12 * time.Hour

func contentOf(files []string) (string, error) {
	hash := sha256.New()
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(top, file))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n", file, len(content))
		hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// buildInCopy turns the failpoints on in a copy of the sources, which stay as they are.
func buildInCopy(files []string, output string) error {
	dir, err := os.MkdirTemp("", "crashable-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	words := []string{"tool", "gofail", "enable"}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(top, file))
		if err != nil {
			return err
		}
		place := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(place, content, 0o644); err != nil {
			return err
		}
		if failpointComment.Match(content) {
			words = append(words, file)
		}
	}
	for _, words := range [][]string{words, {"build", "-o", output, "./cmd/ironmaster"}} {
		command := exec.Command("go", words...)
		command.Dir = dir
		if text, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(words[:2], " "), err, text)
		}
	}
	return nil
}

// crashable is the program with its failpoints.
func crashable(t *testing.T) string {
	t.Helper()
	path, err := buildCrashable()
	must(t, err)
	return path
}
