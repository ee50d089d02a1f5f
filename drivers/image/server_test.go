package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func newTestServer(t *testing.T, cfg ServerConfig) *Server {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s := NewServer(cfg, zerolog.Nop())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

func publish(t *testing.T, s *Server, offer Offer) Publication {
	t.Helper()
	if offer.Node == "" {
		offer.Node = nodeID
	}
	p, err := s.Publish(offer)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// request sends a request and returns the status, headers and body.
func request(t *testing.T, method, url string, headers ...string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, body
}

func TestServerServesUntilWithdrawn(t *testing.T) {
	disk := mbrDisk(3 << 20)
	path := writeFile(t, filepath.Join(t.TempDir(), "disk"), disk)
	s := newTestServer(t, ServerConfig{StallTimeout: time.Minute})
	p := publish(t, s, Offer{Name: "disk", Path: path})
	iso := publish(t, s, Offer{Name: "boot.iso", Data: []byte("0123456789")})
	if p.Token == iso.Token || len(p.Token) != 32 || !strings.HasSuffix(iso.URL, "/boot.iso") {
		t.Errorf("%+v and %+v", p, iso)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, Supply{Publication: p}); strings.Contains(text, p.Token) {
			t.Errorf("%s tells the token: %s", verb, text)
		}
	}
	status, header, body := request(t, http.MethodHead, p.URL)
	if status != 200 || header.Get("Content-Length") != itoa(len(disk)) || header.Get("Accept-Ranges") != "bytes" || len(body) != 0 {
		t.Errorf("HEAD: %d %v", status, header)
	}
	status, _, body = request(t, http.MethodGet, p.URL)
	if status != 200 || !bytes.Equal(body, disk) {
		t.Errorf("GET: %d, %d bytes", status, len(body))
	}
	status, header, body = request(t, http.MethodGet, iso.URL, "Range", "bytes=3-5")
	if status != 206 || string(body) != "345" || header.Get("Content-Range") != "bytes 3-5/10" {
		t.Errorf("Range: %d %v %q", status, header, body)
	}
	if status, _, _ = request(t, http.MethodGet, iso.URL, "Range", "bytes=50-"); status != 416 {
		t.Errorf("Range beyond the end: %d", status)
	}
	if status, _, body = request(t, http.MethodGet, iso.URL, "Range", "bytes=0-0,9-9"); status != 206 || !bytes.Contains(body, []byte("9")) {
		t.Errorf("two ranges: %d", status)
	}
	if status, header, _ = request(t, http.MethodPut, iso.URL); status != 405 || header.Get("Allow") != "GET, HEAD" {
		t.Errorf("PUT: %d", status)
	}

	base := strings.TrimSuffix(p.URL, "/"+p.Token+"/disk")
	for _, url := range []string{base, base + "/", base + "/" + p.Token, base + "/" + p.Token + "/", base + "/" + p.Token + "/boot.iso",
		base + "/" + strings.Repeat("0", 32) + "/disk", base + "/" + p.Token + "/disk/x", strings.TrimSuffix(base, "/images")} {
		if status, _, _ := request(t, http.MethodGet, url); status != 404 {
			t.Errorf("GET %s: %d", url, status)
		}
	}

	s.Withdraw("somebody else")
	s.Withdraw(nodeID, "disk")
	if status, _, _ := request(t, http.MethodGet, p.URL); status != 404 {
		t.Errorf("withdrawn: %d", status)
	}
	if status, _, _ := request(t, http.MethodGet, iso.URL); status != 200 {
		t.Errorf("not withdrawn: %d", status)
	}
	s.Withdraw(nodeID)
	if status, _, _ := request(t, http.MethodGet, iso.URL); status != 404 {
		t.Errorf("withdrawn: %d", status)
	}
}

func TestServerCounts(t *testing.T) {
	disk := mbrDisk(4 << 20)
	path := writeFile(t, filepath.Join(t.TempDir(), "disk"), disk)
	s := newTestServer(t, ServerConfig{StallTimeout: time.Minute})
	var mu sync.Mutex
	var reports []Snapshot
	p := publish(t, s, Offer{Name: "disk", Path: path, OnProgress: func(x Snapshot) {
		mu.Lock()
		defer mu.Unlock()
		reports = append(reports, x)
	}})
	last := func() Snapshot {
		mu.Lock()
		defer mu.Unlock()
		if len(reports) == 0 {
			return Snapshot{}
		}
		return reports[len(reports)-1]
	}
	for _, ask := range []struct {
		verb, span string
		done       int64
	}{
		{http.MethodGet, "bytes=0-1048575", 1 << 20},
		{http.MethodGet, "bytes=1048576-", 4 << 20},
		{http.MethodHead, "bytes=0-0", 4 << 20},
		{http.MethodGet, "bytes=5-9", 4 << 20},
		{http.MethodGet, "bytes=0-99", 100}, // the node starts again
	} {
		request(t, ask.verb, p.URL, "Range", ask.span)
		waitFor(t, ask.span, func() bool { return last() == Snapshot{Phase: PhaseServe, Done: ask.done, Total: 4 << 20} })
	}
}

func TestServerCutsOnWithdrawAndStall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Truncate(1<<30), file.Close()); err != nil {
		t.Fatal(err)
	}
	for name, stall := range map[string]time.Duration{"withdraw": time.Hour, "stall": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			s := newTestServer(t, ServerConfig{StallTimeout: stall})
			p := publish(t, s, Offer{Name: "disk", Path: path})
			resp, err := http.Get(p.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if name == "withdraw" {
				s.Withdraw(nodeID)
			} else {
				// Reading nothing until the server has given up: its Close waits for transfers.
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := s.http.Shutdown(ctx); err != nil {
					t.Fatalf("the stalled transfer goes on: %v", err)
				}
			}
			n, err := io.Copy(io.Discard, resp.Body)
			if err == nil {
				t.Errorf("all %d bytes arrived", n)
			}
		})
	}
}

func TestServerRepublishes(t *testing.T) {
	s := newTestServer(t, ServerConfig{BaseURL: "http://images.example:80/"})
	token := strings.Repeat("ab", 16)
	p := publish(t, s, Offer{Name: "disk", Data: []byte("old"), Token: token})
	if p.URL != "http://images.example:80/images/"+token+"/disk" {
		t.Errorf("URL %s", p.URL)
	}
	get := func(token string) (int, string) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/images/"+token+"/disk", nil))
		return w.Code, w.Body.String()
	}
	publish(t, s, Offer{Name: "disk", Data: []byte("new"), Token: token})
	if code, body := get(token); code != 200 || body != "new" {
		t.Errorf("got %d %q", code, body)
	}
	again := publish(t, s, Offer{Name: "disk", Data: []byte("newer")})
	if code, _ := get(token); code != 404 {
		t.Errorf("the old URL answers %d", code)
	}
	if code, body := get(again.Token); code != 200 || body != "newer" {
		t.Errorf("got %d %q", code, body)
	}
	for name, offer := range map[string]Offer{
		"token of another node": {Node: "x", Name: "disk", Token: again.Token},
		"short token":           {Node: nodeID, Name: "disk", Token: "abc"},
		"name with a slash":     {Node: nodeID, Name: "a/b"},
		"hidden name":           {Node: nodeID, Name: ".."},
		"no node":               {Name: "disk"},
		"missing file":          {Node: nodeID, Name: "disk", Path: "/does/not/exist"},
		"directory":             {Node: nodeID, Name: "disk", Path: t.TempDir()},
	} {
		if _, err := s.Publish(offer); err == nil {
			t.Errorf("%s: published", name)
		} else if strings.Contains(err.Error(), again.Token) {
			t.Errorf("%s: the error tells the token: %v", name, err)
		}
	}
	if _, err := NewServer(ServerConfig{}, zerolog.Nop()).Publish(Offer{Node: nodeID, Name: "x"}); err == nil {
		t.Error("published without an address")
	}
}

func TestServerLosesItsFile(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "x"), []byte("x"))
	s := newTestServer(t, ServerConfig{})
	p := publish(t, s, Offer{Name: "disk", Path: path})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if status, _, body := request(t, http.MethodGet, p.URL); status != 500 || strings.Contains(string(body), path) {
		t.Errorf("got %d %q", status, body)
	}
}

func TestServerLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := NewServer(ServerConfig{Listen: "127.0.0.1:0"}, zerolog.Nop())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := publish(t, s, Offer{Name: "disk", Data: []byte("x")})
	request(t, http.MethodGet, p.URL)
	http.DefaultClient.CloseIdleConnections()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := NewServer(ServerConfig{}, zerolog.Nop()).Close(t.Context()); err != nil {
		t.Errorf("closing a server that never started: %v", err)
	}
}

// A request that announces a body and sends none does not keep its connection for ever.
func TestServerWaitsForNoBody(t *testing.T) {
	s := newTestServer(t, ServerConfig{StallTimeout: time.Hour, HeaderTimeout: 500 * time.Millisecond})
	p := publish(t, s, Offer{Name: "disk", Data: []byte("content")})
	at, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\n\r\n", at.Path, at.Host)
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(answer), "content") {
		t.Errorf("answered %q, and then %v", answer, err)
	}
}
