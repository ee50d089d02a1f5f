package image

import (
	"context"
	"strings"
	"time"
)

// recall is the time after the start of a server in which it does not know yet what an earlier run of the worker has
// published. Machines and agents go on fetching meanwhile, and take a 404 for the end: ironic-python-agent fails its
// command and a BMC its boot. So they wait until their file is there again.
type recall struct {
	until time.Time
	// withdrawn are the tokens that were taken back meanwhile: for those nobody waits.
	withdrawn map[string]bool
	// published is closed and replaced whenever something is published, ended when the server closes.
	published, ended chan struct{}
}

func newRecall() recall {
	return recall{withdrawn: map[string]bool{}, published: make(chan struct{}), ended: make(chan struct{})}
}

// begin starts the time.
func (r *recall) begin(now time.Time, length time.Duration) { r.until = now.Add(length) }

func (r *recall) publish(token string) {
	delete(r.withdrawn, token)
	close(r.published)
	r.published = make(chan struct{})
}

func (r *recall) withdraw(token string, now time.Time) {
	if now.Before(r.until) {
		r.withdrawn[token] = true
	}
}

// end lets nobody wait any more.
func (r *recall) end() {
	select {
	case <-r.ended:
	default:
		close(r.ended)
	}
}

// await finds what is published at a path, and waits for it while it may still come.
func (s *Server) await(ctx context.Context, urlPath string) *publication {
	rest, _ := strings.CutPrefix(urlPath, pathPrefix)
	token, _, _ := strings.Cut(rest, "/")
	for {
		s.mu.Lock()
		wait, published := time.Until(s.recall.until), s.recall.published
		known := !safeToken.MatchString(token) || s.recall.withdrawn[token]
		s.mu.Unlock()
		if p := s.lookup(urlPath); p != nil || known || wait <= 0 {
			return p
		}
		timer := time.NewTimer(wait)
		select {
		case <-published:
		case <-timer.C:
		case <-s.recall.ended:
			timer.Stop()
			return nil
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}
