package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

func openDepot(t *testing.T, dir string) *image.Depot {
	t.Helper()
	cfg := image.DefaultConfig()
	cfg.Cache.MasterDir, cfg.Cache.ImagesDir = filepath.Join(dir, "master"), filepath.Join(dir, "images")
	cfg.File.AllowedPaths = []string{dir}
	cfg.Server.Listen = "127.0.0.1:0"
	depot, err := image.OpenDepot(t.Context(), cfg, zerologNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = depot.Close(context.WithoutCancel(t.Context())) })
	return depot
}

func fetch(t *testing.T, url string) (int, []byte) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, content
}

// A file image goes through the whole of Prepare and out of the depot's server, survives a restart at its URL, and is gone
// when it was withdrawn.
func TestDepotServesResumesAndWithdraws(t *testing.T) {
	dir := t.TempDir()
	content := bytes.Repeat([]byte("root file system "), 1<<12)
	sum := sha256.Sum256(content)
	source := filepath.Join(dir, "disk.raw")
	if err := os.WriteFile(source, content, 0o600); err != nil {
		t.Fatal(err)
	}
	n := deployNode()
	n.UUID = "9a33eafa-bfb6-5985-b0b0-0f387cb9c570"
	n.InstanceInfo = store.Dict{"image_source": "file://" + source, "image_disk_format": "raw",
		"image_checksum": hex.EncodeToString(sum[:])}
	g := newRig(t, quick(), n)
	g.deploy.serve = NewDepot(openDepot(t, dir))
	if err := g.deploy.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	url := n.InstanceInfo.String("image_url")
	if status, got := fetch(t, url); status != 200 || !bytes.Equal(got, content) {
		t.Errorf("status %d, %d bytes", status, len(got))
	}

	for deadline := time.Now().Add(time.Minute); !g.worker.said("writing the image"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody was told that the node takes its image")
		}
	}

	restarted := openDepot(t, dir)
	g.deploy.serve = NewDepot(restarted)
	if err := g.deploy.TakeOver(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	// The URL is the first server's, which is still there; the path is the same on the second one.
	atRestarted := func() *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		restarted.Server.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodHead, url, nil))
		return answer
	}
	if got := atRestarted(); got.Code != 200 || got.Header().Get("Content-Length") != strconv.Itoa(len(content)) {
		t.Fatalf("after a restart: status %d, %v", got.Code, got.Header())
	}
	if err := g.deploy.CleanUp(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	if got := atRestarted(); got.Code != 404 {
		t.Errorf("after the clean-up: status %d", got.Code)
	}
	if err := g.deploy.TakeOver(t.Context(), g.task); err != nil || atRestarted().Code != 404 {
		t.Errorf("published again after the clean-up: %v", err)
	}
}

func TestDepotRefusesAWrongChecksum(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "disk.raw")
	if err := os.WriteFile(source, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	n := deployNode()
	n.InstanceInfo = store.Dict{"image_source": "file://" + source, "image_disk_format": "raw",
		"image_os_hash_algo": "sha256", "image_os_hash_value": hex.EncodeToString(make([]byte, 32))}
	g := newRig(t, quick(), n)
	g.deploy.serve = NewDepot(openDepot(t, dir))
	if err := g.deploy.Prepare(t.Context(), g.task); store.KindOf(err) != store.ImageChecksumError {
		t.Error(err)
	}
	if len(g.calls) != 0 {
		t.Errorf("the ramdisk was prepared for a bad image: %v", g.calls)
	}
}
