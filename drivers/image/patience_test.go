package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// fickle stands before a handler of files, and fails as it is told, one request after the other.
type fickle struct {
	next http.Handler

	mu     sync.Mutex
	script []string
	ranges []string // the header of each GET
}

// What a fickle server does to a request.
const (
	cutHalf = "cut it after half of the body"
	refuse  = "answer 503"
	whole   = "ignore the range"
	healthy = "serve it"
)

func (f *fickle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		f.next.ServeHTTP(w, r)
		return
	}
	f.mu.Lock()
	f.ranges = append(f.ranges, r.Header.Get("Range"))
	do := healthy
	if len(f.script) > 0 {
		do, f.script = f.script[0], f.script[1:]
	}
	f.mu.Unlock()
	switch do {
	case refuse:
		http.Error(w, "not now", http.StatusServiceUnavailable)
	case cutHalf:
		f.next.ServeHTTP(&halving{w}, r)
	case whole:
		r.Header.Del("Range")
		f.next.ServeHTTP(w, r)
	default:
		f.next.ServeHTTP(w, r)
	}
}

// halving lets half of the first write of a body through and breaks the connection.
type halving struct{ http.ResponseWriter }

func (h *halving) Write(p []byte) (int, error) {
	_, _ = h.ResponseWriter.Write(p[:len(p)/2])
	panic(http.ErrAbortHandler)
}

func patientConfig(t *testing.T) Config {
	cfg := testConfig(t, nil)
	cfg.OutageLimit = time.Minute
	return cfg
}

// A download that is cut goes on where it was, as far as the server can send the rest and still has the same file.
func TestCutDownloadsGoOn(t *testing.T) {
	disk := mbrDisk(1 << 20)
	sum := sha256.Sum256(disk)
	for name, c := range map[string]struct {
		script []string
		etag   string
		ranges []string
	}{
		"cut twice":             {[]string{cutHalf, cutHalf}, `"1"`, []string{"", "some", "some"}},
		"away after a cut":      {[]string{cutHalf, refuse, refuse}, `"1"`, []string{"", "some", "some", "some"}},
		"away before":           {[]string{refuse, refuse}, `"1"`, []string{"", "", ""}},
		"cannot send parts":     {[]string{cutHalf, whole}, `"1"`, []string{"", "some"}},
		"has no name for bytes": {[]string{cutHalf}, "", []string{"", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fickle{script: c.script, next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("ETag", c.etag)
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(disk))
			})}
			web := httptest.NewServer(f)
			defer web.Close()
			s := newTestService(t, patientConfig(t))
			cache := openTestCache(t, s)
			got, err := cache.Fetch(t.Context(), FetchRequest{Ref: Ref{Href: web.URL + "/disk"}, Owner: nodeID, Name: "disk",
				Checksum: Checksum{"sha256", hex.EncodeToString(sum[:])}})
			if err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(got.Path); err != nil || !bytes.Equal(data, disk) {
				t.Errorf("the file has %d bytes, which are not the image's: %v", len(data), err)
			}
			if len(f.ranges) != len(c.ranges) {
				t.Fatalf("asked for %q, want %q", f.ranges, c.ranges)
			}
			for i, want := range c.ranges {
				if (want == "") != (f.ranges[i] == "") {
					t.Errorf("request %d asked for %q, want %q", i, f.ranges[i], want)
				}
			}
			if away := s.Away(); len(away) > 0 {
				t.Errorf("still away: %v", away)
			}
		})
	}
}

func openTestCache(t *testing.T, s *Service) *Cache {
	t.Helper()
	c, err := OpenCache(s, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// A file that changed while its download was cut is fetched anew, not stitched together.
func TestCutDownloadOfAnotherVersion(t *testing.T) {
	one, two := mbrDisk(1<<20), mbrDisk(1<<20)
	copy(two[600:], strings.Repeat("another", 1000))
	served := one
	f := &fickle{script: []string{cutHalf}}
	f.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.Sum256(served)
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
		data := served
		if r.Method == http.MethodGet {
			served = two
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
	web := httptest.NewServer(f)
	defer web.Close()
	cache := openTestCache(t, newTestService(t, patientConfig(t)))
	got, err := cache.Fetch(t.Context(), FetchRequest{Ref: Ref{Href: web.URL + "/disk"}, Owner: nodeID, Name: "disk"})
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(got.Path); err != nil || !bytes.Equal(data, two) {
		t.Errorf("the file has %d bytes, which are not the new image's: %v", len(data), err)
	}
}

// What waiting does not mend is not waited for, and waiting has an end.
func TestPatienceHasLimits(t *testing.T) {
	answer := func(status int) string {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(web.Close)
		return web.URL + "/disk"
	}
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()
	s := newTestService(t, patientConfig(t))
	for name, href := range map[string]string{"missing": answer(404), "forbidden": answer(403), "untrusted": tls.URL} {
		if _, err := (Patient{s}).Show(t.Context(), Ref{Href: href}); store.KindOf(err) != store.ImageRefValidationFailed {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := patientConfig(t)
	cfg.OutageLimit = 20 * time.Millisecond
	_, err := Patient{newTestService(t, cfg)}.Show(t.Context(), Ref{Href: answer(503)})
	wantKind(t, err, store.ImageRefValidationFailed, "Got HTTP code 503", "waited")
	// Keystone and Glance likewise.
	cfg.Glance = DefaultConfig().Glance
	cfg.Glance.AuthURL, cfg.Glance.UserID, cfg.Glance.Password = "http://127.0.0.1:1", "u", "hunter2"
	_, err = Patient{newTestService(t, cfg)}.Show(t.Context(), Ref{Href: imageID})
	wantKind(t, err, "KeystoneFailure", "connection refused", "waited")
}

// While somebody waits, the service tells for whom, since when and why.
func TestAwayIsTold(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	defer web.Close()
	s := newTestService(t, patientConfig(t))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	before := time.Now()
	go func() {
		_, err := Patient{s}.Show(ctx, Ref{Href: web.URL + "/disk"})
		ended <- err
	}()
	waitFor(t, "somebody who waits", func() bool { return len(s.Away()) == 1 })
	a := s.Away()[0]
	if !strings.HasSuffix(web.URL, a.Service) || a.Since.Before(before) || !strings.Contains(a.Reason.Error(), "503") {
		t.Errorf("away is %+v", a)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
	if away := s.Away(); len(away) > 0 {
		t.Errorf("still away: %v", away)
	}
}
