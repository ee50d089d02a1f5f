package image

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func TestReport(t *testing.T) {
	qcow2, err := os.ReadFile(qcow2Of(t, mbrDisk(1<<16)))
	if err != nil {
		t.Fatal(err)
	}
	glance := newFakeGlance(t)
	glance.add(imageID, qcow2, map[string]any{"disk_format": "qcow2"})
	glance.add(nodeID, qcow2, map[string]any{"disk_format": "raw", "kernel_id": "k", "ramdisk_id": "r"})
	cfg := testConfig(t, glance)
	s := newTestService(t, cfg)
	file := writeFile(t, filepath.Join(cfg.File.AllowedPaths[0], "big"), mbrDisk(PrefixSize+4096))
	listing := httptest.NewServer(http.FileServer(http.Dir(t.TempDir())))
	defer listing.Close()

	tests := []struct {
		name, href string
		instance   store.Dict
		kind       Kind
		format     Format
		size       int64
		problem    string
	}{
		{"whole disk", imageID, nil, WholeDisk, FormatQCOW2, 1 << 16, ""},
		{"lies", nodeID, nil, Partition, FormatQCOW2, 1 << 16, "declared as raw but its contents are qcow2"},
		{"file", "file://" + file, store.Dict{"image_disk_format": "raw", "image_source": "ignored"}, WholeDisk, FormatRaw, PrefixSize + 4096, ""},
		{"file with kernel", "file://" + file, store.Dict{"kernel": "k"}, Partition, FormatRaw, PrefixSize + 4096, ""},
		{"directory", listing.URL + "/", nil, "", "", 0, ""},
	}
	for _, tt := range tests {
		r, err := s.Report(t.Context(), Ref{Href: tt.href}, tt.instance)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if r.Decision.Kind != tt.kind || r.Decision.Reason == "" || r.Inspection.Format != tt.format || r.Inspection.VirtualSize != tt.size {
			t.Errorf("%s: %+v", tt.name, r)
		}
		if (tt.problem == "") != (r.Problem == nil) || r.Problem != nil && !strings.Contains(r.Problem.Error(), tt.problem) {
			t.Errorf("%s: problem %v", tt.name, r.Problem)
		}
	}
	glance.truncate = true
	_, err = s.Report(t.Context(), Ref{Href: imageID}, nil)
	wantKind(t, err, store.ImageDownloadFailed, "before the whole image had arrived")
	_, err = s.Report(t.Context(), Ref{Href: "99999999-2222-3333-4444-555555555555"}, nil)
	wantKind(t, err, store.ImageNotFound)
	_, err = s.Report(t.Context(), Ref{Href: "nonsense"}, nil)
	wantKind(t, err, store.ImageRefValidationFailed)
}
