package image

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// TestRequestsWaitForWhatARestartedWorkerPublishesAgain asks a server that has just started for what it may have published
// in an earlier life.
func TestRequestsWaitForWhatARestartedWorkerPublishesAgain(t *testing.T) {
	token := strings.Repeat("ab", 16)
	offer := Offer{Node: nodeID, Name: "disk", Data: []byte("content"), Token: token}
	for name, c := range map[string]struct {
		path string
		// meanwhile happens while the request waits, if it does.
		meanwhile func(*testing.T, *Server)
		status    int
		// waits is how long the request takes.
		waits time.Duration
	}{
		"it comes": {token + "/disk", func(t *testing.T, s *Server) { publish(t, s, offer) }, http.StatusOK, time.Second},
		"other things come": {token + "/disk", func(t *testing.T, s *Server) { publish(t, s, Offer{Name: "boot.iso"}) },
			http.StatusNotFound, 30 * time.Second},
		"nothing comes":     {token + "/disk", func(*testing.T, *Server) {}, http.StatusNotFound, 30 * time.Second},
		"it was taken back": {strings.Repeat("cd", 16) + "/disk", func(*testing.T, *Server) {}, http.StatusNotFound, 0},
		"no such path":      {"favicon.ico", func(*testing.T, *Server) {}, http.StatusNotFound, 0},
		"the server closes": {token + "/disk", func(t *testing.T, s *Server) {
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}, http.StatusNotFound, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewServer(ServerConfig{BaseURL: "http://images.example"}, zerolog.Nop())
				s.recall.begin(time.Now(), 30*time.Second)
				publish(t, s, Offer{Name: "old", Token: strings.Repeat("cd", 16)})
				s.Withdraw(nodeID, "old")
				go func() {
					time.Sleep(time.Second)
					c.meanwhile(t, s)
				}()
				began, w := time.Now(), httptest.NewRecorder()
				s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, pathPrefix+c.path, nil))
				if took := time.Since(began); w.Code != c.status || took != c.waits {
					t.Errorf("%d after %s, want %d after %s", w.Code, took, c.status, c.waits)
				}
				synctest.Wait()
				time.Sleep(2 * time.Second)
			})
		})
	}
}

// TestUnknownPathsAreRefusedAtOnceLater asks when the time in which things come back is over.
func TestUnknownPathsAreRefusedAtOnceLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(ServerConfig{BaseURL: "http://images.example"}, zerolog.Nop())
		s.recall.begin(time.Now(), 30*time.Second)
		time.Sleep(30 * time.Second)
		began, w := time.Now(), httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, pathPrefix+strings.Repeat("ab", 16)+"/disk", nil))
		if took := time.Since(began); w.Code != http.StatusNotFound || took != 0 {
			t.Errorf("%d after %s", w.Code, took)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
