package image

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func openMedia(t *testing.T, dir string, server *Server) *Media {
	t.Helper()
	service, err := New(DefaultConfig(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Close)
	m, err := OpenMedia(dir, service, server, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAttachedImagesAreServedUntilTheyAreWithdrawn(t *testing.T) {
	source := httptest.NewServer(http.FileServer(http.Dir(t.TempDir())))
	t.Cleanup(source.Close)
	files := t.TempDir()
	source.Config.Handler = http.FileServer(http.Dir(files))
	for name, content := range map[string]string{"a.iso": "one", "b.iso": "two"} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir, server := t.TempDir(), newTestServer(t, ServerConfig{})
	m := openMedia(t, dir, server)
	first, err := m.Publish(t.Context(), nodeID, "cdrom.iso", source.URL+"/a.iso")
	if err != nil {
		t.Fatal(err)
	}
	url, err := m.Publish(t.Context(), nodeID, "cdrom.iso", source.URL+"/b.iso")
	if err != nil || !strings.HasSuffix(url, "/cdrom.iso") {
		t.Fatalf("%s, %v", url, err)
	}
	if status, _, body := request(t, http.MethodGet, url); status != 200 || string(body) != "two" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := request(t, http.MethodGet, first); status == 200 {
		t.Error("the image before is still served")
	}
	// A worker that was started anew serves it again, at the same address.
	again := newTestServer(t, ServerConfig{})
	after := openMedia(t, dir, again)
	_, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	where := again.base + "/" + path
	if status, _, body := request(t, http.MethodGet, where); status != 200 || string(body) != "two" {
		t.Errorf("after a restart: %d %s", status, body)
	}
	if err := after.Withdraw(nodeID, "cdrom.iso", "floppy.img"); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := request(t, http.MethodGet, where); status == 200 {
		t.Error("served after it was withdrawn")
	}
	if left, err := os.ReadDir(filepath.Join(dir, nodeID)); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if err := after.Withdraw("../..", "x"); err == nil {
		t.Error("withdrew the image of no node")
	}
}

func TestAnImageThatCannotBeFetchedIsNotServed(t *testing.T) {
	source := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(source.Close)
	dir := t.TempDir()
	m := openMedia(t, dir, newTestServer(t, ServerConfig{}))
	if url, err := m.Publish(t.Context(), nodeID, "cdrom.iso", source.URL+"/none"); err == nil {
		t.Errorf("served at %s", url)
	}
	if left, err := os.ReadDir(filepath.Join(dir, nodeID)); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	// A copy whose URL was lost goes at the next start.
	lost := filepath.Join(dir, nodeID, "lost.iso"+tokenSuffix)
	if err := os.WriteFile(lost, []byte("not a token"), 0o600); err != nil {
		t.Fatal(err)
	}
	openMedia(t, dir, newTestServer(t, ServerConfig{}))
	if _, err := os.Stat(lost); err == nil {
		t.Error("what can't be served is kept")
	}
}

func TestImagesAreCheckedBeforeTheyAreServed(t *testing.T) {
	files := t.TempDir()
	if err := os.WriteFile(filepath.Join(files, "bios.bin"), []byte("firmware"), 0o600); err != nil {
		t.Fatal(err)
	}
	source := httptest.NewServer(http.FileServer(http.Dir(files)))
	t.Cleanup(source.Close)
	dir := t.TempDir()
	m := openMedia(t, dir, newTestServer(t, ServerConfig{}))
	bad := errors.New("bad")
	_, err := m.PublishChecked(t.Context(), nodeID, "bios.bin", source.URL+"/bios.bin", func(string) error { return bad })
	if left, _ := os.ReadDir(filepath.Join(dir, nodeID)); !errors.Is(err, bad) || len(left) != 0 {
		t.Errorf("%v, left %v", err, left)
	}
	url, err := m.PublishChecked(t.Context(), nodeID, "bios.bin", source.URL+"/bios.bin", func(file string) error {
		if text, err := os.ReadFile(file); err != nil || string(text) != "firmware" {
			t.Errorf("%s, %v", text, err)
		}
		return nil
	})
	if status, _, _ := request(t, http.MethodGet, url); err != nil || status != 200 {
		t.Errorf("%v, status %d", err, status)
	}
	for range 2 {
		if err := m.WithdrawAll(nodeID); err != nil {
			t.Error(err)
		}
	}
	if status, _, _ := request(t, http.MethodGet, url); status == 200 {
		t.Error("served after all was withdrawn")
	}
}
