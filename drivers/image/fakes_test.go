package image

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

const (
	imageID = "11111111-2222-3333-4444-555555555555"
	nodeID  = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
)

// fakeGlance answers like the Image service, version 2, and counts downloads.
type fakeGlance struct {
	*httptest.Server
	mu        sync.Mutex
	images    map[string]map[string]any
	data      map[string][]byte
	fail      []int // status codes to answer next
	downloads int
	headers   []http.Header
	truncate  bool
	hold      chan struct{} // when set, downloads wait for it
}

func newFakeGlance(t *testing.T) *fakeGlance {
	t.Helper()
	g := &fakeGlance{images: map[string]map[string]any{}, data: map[string][]byte{}}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

// add makes an image known; fields override the defaults.
func (g *fakeGlance) add(id string, data []byte, fields map[string]any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	image := map[string]any{"id": id, "status": "active", "visibility": "public", "size": len(data),
		"disk_format": "raw", "container_format": "bare", "min_disk": 3, "min_ram": 512,
		"tags": []string{"a"}, "updated_at": "2026-01-02T03:04:05Z", "file": "/v2/images/" + id + "/file"}
	for k, v := range fields {
		image[k] = v
	}
	g.images[id], g.data[id] = image, data
}

func (g *fakeGlance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.headers = append(g.headers, r.Header.Clone())
	id, file := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v2/images/"), "/file")
	image, data, truncate, hold := g.images[id], g.data[id], g.truncate, g.hold
	status := 0
	if len(g.fail) > 0 {
		status, g.fail = g.fail[0], g.fail[1:]
	} else if image == nil {
		status = http.StatusNotFound
	}
	if file && status == 0 {
		g.downloads++
	}
	g.mu.Unlock()
	switch {
	case status != 0:
		http.Error(w, "no", status)
	case !file:
		json.NewEncoder(w).Encode(image)
	case len(data) == 0:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Length", itoa(len(data)))
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done():
				return
			}
		}
		if truncate {
			data = data[:len(data)/2]
		}
		w.Write(data)
	}
}

func (g *fakeGlance) downloadCount() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.downloads
}

func itoa(n int) string { return string(json.RawMessage(mustJSON(n))) }

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// testConfig is a configuration on temporary directories, with a Glance without Keystone when g is not nil.
func testConfig(t *testing.T, g *fakeGlance) Config {
	t.Helper()
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.OutageLimit = 0
	cfg.Glance.AuthType = keystone.AuthNone
	cfg.Glance.EndpointOverride = "http://127.0.0.1:1"
	if g != nil {
		cfg.Glance.EndpointOverride = g.URL
	}
	cfg.Cache.MasterDir = filepath.Join(dir, "master")
	cfg.Cache.ImagesDir = filepath.Join(dir, "images")
	cfg.File.AllowedPaths = []string{dir}
	cfg.Server.Listen = "127.0.0.1:0"
	cfg.Convert.RequiredMemory = 0
	cfg.Convert.SyncBetweenTries = false
	return cfg
}

func newTestService(t *testing.T, cfg Config) *Service {
	t.Helper()
	s, err := New(cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	s.glance.pause = time.Millisecond
	t.Cleanup(s.Close)
	return s
}

func wantKind(t *testing.T, err error, kind store.Kind, parts ...string) {
	t.Helper()
	if store.KindOf(err) != kind {
		t.Fatalf("error %v has the kind %q, want %q", err, store.KindOf(err), kind)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

// run executes a program of the test machine, such as qemu-img.
func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// mbrDisk is a small raw disk with one partition in an MBR.
func mbrDisk(size int) []byte {
	disk := make([]byte, size)
	for i := range disk {
		disk[i] = byte(i * 7 / 3)
	}
	clear(disk[:512])
	copy(disk[446:], []byte{0x80, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 100, 0, 0, 0})
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

func writeFile(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
