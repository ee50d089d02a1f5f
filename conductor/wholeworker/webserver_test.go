package wholeworker

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// webServer serves images by name, in health and with the ills of real web servers. What is served under a name can be
// changed, as operators mend things.
type webServer struct {
	server *httptest.Server
	mu     sync.Mutex
	pages  map[string]http.HandlerFunc
}

func startWebServer(t *testing.T) *webServer {
	t.Helper()
	s := &webServer{pages: map[string]http.HandlerFunc{}}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		page := s.pages[r.URL.Path]
		s.mu.Unlock()
		if page == nil {
			http.NotFound(w, r)
			return
		}
		page(w, r)
	}))
	t.Cleanup(s.server.Close)
	return s
}

// put serves a page and returns its URL.
func (s *webServer) put(name string, page http.HandlerFunc) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages["/"+name] = page
	return s.server.URL + "/" + name
}

func serveFile(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) }
}

// counted counts how often a page was fetched.
func counted(page http.HandlerFunc, count *atomic.Int32) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			count.Add(1)
		}
		page(w, r)
	}
}

func answerStatus(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// serveHalf promises a whole file and closes the connection after half of it.
func serveHalf(path string) http.HandlerFunc {
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
		_, _ = w.Write(content[:len(content)/2]) // the reader may have gone
		panic(http.ErrAbortHandler)
	}
}
