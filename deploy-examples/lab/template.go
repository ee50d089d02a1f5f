package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// templateFormat grows when what the templates hold changes, so that older ones are not used.
const templateFormat = "1"

// copyTemplate puts the files of a template at target, which must not exist. The first caller with a key builds the
// template, in a scratch folder below scratch, and leaves it in the cache; others wait for it.
func copyTemplate(ctx context.Context, key, scratch, target string, build func(ctx context.Context, dir string) error) error {
	cache, err := cacheFolder()
	if err != nil {
		return err
	}
	key = templateFormat + "-" + key
	lock, err := os.OpenFile(filepath.Join(cache, key+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("locking template %s: %w", key, err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("locking template %s: %w", key, err)
	}
	template := filepath.Join(cache, key)
	if _, err := os.Stat(template); err != nil {
		if err := buildTemplate(ctx, scratch, template, build); err != nil {
			return fmt.Errorf("building template %s: %w", key, err)
		}
	}
	return copyTree(ctx, template, target)
}

func buildTemplate(ctx context.Context, scratch, template string, build func(context.Context, string) error) error {
	dir, err := os.MkdirTemp(scratch, "t-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if err := build(ctx, dir); err != nil {
		return err
	}
	// A template appears whole or not at all: a copy that was cut short keeps another name.
	partial := template + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := copyTree(ctx, filepath.Join(dir, "data"), partial); err != nil {
		return err
	}
	return os.Rename(partial, template)
}

// copyTree copies a file or folder with modes and owners.
func copyTree(ctx context.Context, from, to string) error {
	if out, err := exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", "-T", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copying %s to %s: %w: %s", from, to, err, out)
	}
	return nil
}

func cacheFolder() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		// Without HOME, as under some CI runners.
		base = filepath.Join(os.TempDir(), fmt.Sprintf("ironmaster-cache-%d", os.Getuid()))
	}
	folder := filepath.Join(base, "ironmaster-lab")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("making the cache folder: %w", err)
	}
	return folder, nil
}
