package wholeworker

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// gate holds somebody up at a place that a test chose.
type gate struct {
	once    sync.Once
	reached chan struct{}
	open    chan struct{}
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

// pass returns when the gate is open or the request is over.
func (g *gate) pass(r *http.Request) {
	g.once.Do(func() { close(g.reached) })
	select {
	case <-g.open:
	case <-r.Context().Done():
	}
}

// awaitReached waits until somebody stands before the gate.
func (g *gate) awaitReached(t *testing.T) {
	t.Helper()
	select {
	case <-g.reached:
	case <-time.After(settleTime):
		t.Fatal("nobody came to the gate")
	}
}

// serveGated serves a file with a gate in its middle.
func serveGated(path string, g *gate) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		content, err := os.ReadFile(path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		if r.Method == http.MethodHead {
			return
		}
		half := len(content) / 2
		_, _ = w.Write(content[:half]) // the reader may have gone
		_ = http.NewResponseController(w).Flush()
		g.pass(r)
		_, _ = w.Write(content[half:])
	}
}

// gated is a proxy before a service that holds every request up at a gate, which can be changed.
type gated struct {
	proxy *httputil.ReverseProxy
	mu    sync.Mutex
	gate  *gate
}

func newGated(t *testing.T, service string) *gated {
	t.Helper()
	target, err := url.Parse(service)
	must(t, err)
	return &gated{proxy: httputil.NewSingleHostReverseProxy(target)}
}

func (p *gated) set(g *gate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = g
}

func (p *gated) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	g := p.gate
	p.mu.Unlock()
	if g != nil {
		g.pass(r)
	}
	p.proxy.ServeHTTP(w, r)
}
