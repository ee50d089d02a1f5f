package image

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

func TestHTTPShowAndDownload(t *testing.T) {
	body := bytes.Repeat([]byte("disk"), 1000)
	modified := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/disk.img":
			if r.Header.Get("Accept-Encoding") != "" {
				t.Errorf("asked for an encoding that changes the bytes: %v", r.Header)
			}
			w.Header().Set("Cache-Control", "private, no-store")
			http.ServeContent(w, r, "", modified, bytes.NewReader(body))
		case "/moved":
			http.Redirect(w, r, "/disk.img", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/chunked":
			w.(http.Flusher).Flush()
		case "/basic":
			if user, pass, _ := r.BasicAuth(); user != "u" || pass != "p" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		case "/forbidden":
			w.WriteHeader(http.StatusForbidden)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/short":
			w.Header().Set("Content-Length", "100")
			w.Write(body[:40])
		default:
			http.NotFound(w, r)
		}
	}))
	defer web.Close()
	s := newTestService(t, testConfig(t, nil))

	meta, err := s.Show(t.Context(), Ref{Href: web.URL + "/disk.img"})
	if err != nil || meta.Size != 4000 || !meta.UpdatedAt.Equal(modified) || !meta.NoCache || meta.Location != "" {
		t.Errorf("got %+v, %v", meta, err)
	}
	meta, err = s.Show(t.Context(), Ref{Href: web.URL + "/moved"})
	if err != nil || meta.Location != web.URL+"/disk.img" || meta.Size != 4000 {
		t.Errorf("redirected: got %+v, %v", meta, err)
	}
	var got bytes.Buffer
	var progress Progress
	n, err := s.Download(t.Context(), Ref{Href: web.URL + "/moved"}, &got, &progress)
	if err != nil || n != 4000 || !bytes.Equal(got.Bytes(), body) {
		t.Errorf("downloaded %d bytes: %v", n, err)
	}
	if p := progress.Snapshot(); p.Done != 4000 || p.Total != 4000 {
		t.Errorf("progress %+v", p)
	}

	for path, text := range map[string]string{
		"/gone":      "failed, reason: Got HTTP code 404 instead of 200 in response to HEAD request.",
		"/forbidden": "Got HTTP code 403 instead of 200 in response to HEAD request.",
		"/broken":    "Got HTTP code 500 instead of 200 in response to HEAD request.",
		"/chunked":   "Cannot determine image size as there is no Content-Length header",
		"/loop":      "redirects",
	} {
		_, err := s.Show(t.Context(), Ref{Href: web.URL + path})
		wantKind(t, err, store.ImageRefValidationFailed, "Validation of image href "+web.URL+path, text)
	}
	_, err = s.Download(t.Context(), Ref{Href: web.URL + "/forbidden"}, &got, nil)
	wantKind(t, err, store.ImageRefValidationFailed, "Got HTTP code 403 instead of 200 in response to GET request.")
	_, err = s.Download(t.Context(), Ref{Href: web.URL + "/short"}, &got, nil)
	wantKind(t, err, store.ImageDownloadFailed, "before the whole image had arrived")

	cfg := testConfig(t, nil)
	cfg.HTTP.Credentials = Credentials{User: "u", Password: "p", AnyHost: true}
	if _, err := newTestService(t, cfg).Download(t.Context(), Ref{Href: web.URL + "/basic"}, &got, nil); err != nil {
		t.Errorf("with basic credentials: %v", err)
	}
}

func TestHTTPErrorsKeepSecrets(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	secret := strings.Replace(web.URL, "http://", "http://user:hunter2@", 1) + "/disk?temp_url_sig=hunter2"
	s := newTestService(t, testConfig(t, nil))
	_, gone := s.Show(t.Context(), Ref{Href: secret})
	web.Close()
	_, down := s.Show(t.Context(), Ref{Href: secret})
	_, get := s.Download(t.Context(), Ref{Href: secret}, &bytes.Buffer{}, nil)
	_, bad := s.Show(t.Context(), Ref{Href: "http://user:hunter2@host:port/x"})
	for _, err := range []error{gone, down, get, bad} {
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error tells a secret, or there is none: %v", err)
		}
	}
	wantKind(t, down, store.ImageRefValidationFailed, "connection refused")
	wantKind(t, get, store.ImageDownloadFailed, "/disk?...")
}

func TestHTTPVerifiesCertificates(t *testing.T) {
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "0")
	}))
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	defer web.Close()
	show := func(change func(*HTTPConfig)) error {
		cfg := testConfig(t, nil)
		change(&cfg.HTTP)
		_, err := newTestService(t, cfg).Show(t.Context(), Ref{Href: web.URL + "/x"})
		return err
	}
	wantKind(t, show(func(*HTTPConfig) {}), store.ImageRefValidationFailed, "certificate")
	if err := show(func(c *HTTPConfig) { c.Verify = false }); err != nil {
		t.Errorf("without verification: %v", err)
	}
	ca := writeFile(t, filepath.Join(t.TempDir(), "ca.pem"), certPEM(web))
	if err := show(func(c *HTTPConfig) { c.CAFile = ca }); err != nil {
		t.Errorf("with the CA: %v", err)
	}
}

func certPEM(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

func TestDownloadStalls(t *testing.T) {
	quiet := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write([]byte("some"))
		w.(http.Flusher).Flush()
		<-quiet
	}))
	defer web.Close()
	defer close(quiet)
	cfg := testConfig(t, nil)
	cfg.HTTP.Timeout = 500 * time.Millisecond
	_, err := newTestService(t, cfg).Download(t.Context(), Ref{Href: web.URL + "/x"}, &bytes.Buffer{}, nil)
	wantKind(t, err, store.ImageDownloadFailed, "no byte arrived for too long")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = newTestService(t, cfg).Download(ctx, Ref{Href: web.URL + "/x"}, &bytes.Buffer{}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}
