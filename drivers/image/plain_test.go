package image

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// folder is Plain over the names that a test allows.
type folder struct {
	dir  string
	told chan Snapshot
}

func (f folder) Find(urlPath, peer string) (PlainFile, bool) {
	if urlPath != "/boot.ipxe" || !strings.HasPrefix(peer, "127.0.0.1:") {
		return PlainFile{}, false
	}
	file, err := os.Open(filepath.Join(f.dir, urlPath))
	if err != nil {
		return PlainFile{}, false
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return PlainFile{}, false
	}
	return PlainFile{Content: file, Size: info.Size(), Modified: info.ModTime(), OnProgress: func(s Snapshot) { f.told <- s }}, true
}

func TestFilesUnderPlainNames(t *testing.T) {
	content := bytes.Repeat([]byte("#!ipxe\n"), 1000)
	f := folder{dir: t.TempDir(), told: make(chan Snapshot, 10)}
	writeFile(t, filepath.Join(f.dir, "boot.ipxe"), content)
	s := newTestServer(t, ServerConfig{StallTimeout: time.Minute, Plain: f})
	base := strings.TrimSuffix(publish(t, s, Offer{Name: "disk", Data: []byte("x")}).URL, "/disk")
	base = base[:strings.Index(base, pathPrefix)]

	status, header, body := request(t, http.MethodGet, base+"/boot.ipxe")
	if status != http.StatusOK || !bytes.Equal(body, content) {
		t.Errorf("status %d, %d bytes", status, len(body))
	}
	if at := <-f.told; at.Done != int64(len(content)) || at.Total != at.Done {
		t.Errorf("told %+v", at)
	}
	status, _, body = request(t, http.MethodGet, base+"/boot.ipxe", "Range", "bytes=7-12")
	if status != http.StatusPartialContent || string(body) != "#!ipxe" {
		t.Errorf("a range: status %d, %q", status, body)
	}
	<-f.told
	if status, _, _ := request(t, http.MethodGet, base+"/boot.ipxe", "If-None-Match", header.Get("ETag")); status != http.StatusNotModified {
		t.Errorf("what the client has already: status %d", status)
	}
	if status, header, _ := request(t, http.MethodHead, base+"/boot.ipxe"); status != http.StatusOK || header.Get("Content-Length") != "7000" {
		t.Errorf("HEAD: status %d, length %s", status, header.Get("Content-Length"))
	}
	for _, c := range []struct{ method, path string }{{http.MethodPut, "/boot.ipxe"}, {http.MethodGet, "/"}, {http.MethodGet, "/other"},
		{http.MethodGet, "/images/boot.ipxe"}} {
		if status, _, _ := request(t, c.method, base+c.path); status != http.StatusNotFound {
			t.Errorf("%s %s: status %d", c.method, c.path, status)
		}
	}
}
