package image_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// A real glance-api hands over a real qcow2, which arrives as the raw disk that it was made of.
func TestRealGlance(t *testing.T) {
	l := lab.NewForTest(t, lab.Options{})
	if err := l.StartGlance(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	disk := bytes.Repeat([]byte("a disk of an operating system   "), 1<<15)
	raw, qcow2 := filepath.Join(dir, "raw"), filepath.Join(dir, "qcow2")
	if err := os.WriteFile(raw, disk, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	id := upload(t, l.GlanceURL, qcow2)

	cfg := image.DefaultConfig()
	cfg.Glance.AuthType, cfg.Glance.EndpointOverride = keystone.AuthNone, l.GlanceURL
	cfg.Cache.MasterDir, cfg.Cache.ImagesDir = filepath.Join(dir, "master"), filepath.Join(dir, "images")
	cfg.Server.Listen = "127.0.0.1:0"
	depot, err := image.OpenDepot(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := depot.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	ref := image.Ref{Href: id}
	report, err := depot.Report(t.Context(), ref, nil)
	if err != nil || report.Decision.Kind != image.WholeDisk || report.Problem != nil || report.Inspection.Format != image.FormatQCOW2 {
		t.Errorf("report %+v, %v", report, err)
	}
	meta := report.Metadata
	if meta.HashAlgo != "sha512" || len(meta.HashValue) != 128 || len(meta.Checksum) != 32 || meta.Size == 0 || meta.UpdatedAt.IsZero() {
		t.Errorf("metadata %+v", meta)
	}
	got, err := depot.Cache.Fetch(t.Context(), image.FetchRequest{Ref: ref, Owner: "node", Name: "disk", ForceRaw: true})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(got.Path)
	if err != nil || !bytes.Equal(data, disk) || got.HashAlgo != "sha512" || got.HashValue == meta.HashValue {
		t.Errorf("fetched %d bytes, %+v, %v", len(data), got, err)
	}
	_, err = depot.Show(t.Context(), image.Ref{Href: "99999999-2222-3333-4444-555555555555"})
	if store.KindOf(err) != store.ImageNotFound {
		t.Errorf("missing image: %v", err)
	}
}

// upload creates a whole-disk image. Without Keystone it belongs to nobody and is not public.
func upload(t *testing.T, glance, path string) string {
	t.Helper()
	send := func(method, url, contentType string, body []byte, into any) {
		req, err := http.NewRequestWithContext(t.Context(), method, glance+url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			text, _ := io.ReadAll(resp.Body)
			err = fmt.Errorf("%s %s: %s %s", method, url, resp.Status, text)
		} else if into != nil {
			err = errors.Join(err, json.NewDecoder(resp.Body).Decode(into))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var created struct{ ID string }
	send(http.MethodPost, "/v2/images", "application/json",
		[]byte(`{"name": "disk", "disk_format": "qcow2", "container_format": "bare"}`), &created)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	send(http.MethodPut, "/v2/images/"+created.ID+"/file", "application/octet-stream", data, nil)
	return created.ID
}
