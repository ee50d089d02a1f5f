package conductor

import (
	"net/http"
	"sync"
	"time"
)

// feed tells those who follow this worker at the operators' address what happens, as it happens and whether or not there
// is a broker. Nothing is kept for them, and nobody waits for one who is slow: he misses what does not fit any more.
type feed struct {
	mu        sync.Mutex
	followers map[chan []byte]bool
}

// feedLength is how many events a follower may be behind.
const feedLength = 1024

func (f *feed) follow() (events <-chan []byte, leave func()) {
	ch := make(chan []byte, feedLength)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followers[ch] = true
	return ch, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.followers, ch)
	}
}

func (f *feed) followed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.followers) > 0
}

func (f *feed) tell(event []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ch := range f.followers {
		select {
		case ch <- event:
		default:
		}
	}
}

// followerTimeout is how long a follower may take to read what he is sent.
const followerTimeout = 10 * time.Second

// serveEvents writes events, one notification of oslo a line, until the follower goes.
func (c *Conductor) serveEvents(w http.ResponseWriter, r *http.Request) {
	events, leave := c.feed.follow()
	defer leave()
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	send := func(text []byte) error {
		if err := control.SetWriteDeadline(time.Now().Add(followerTimeout)); err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
		return control.Flush()
	}
	for err := send(nil); err == nil; {
		select {
		case event := <-events:
			err = send(append(event[:len(event):len(event)], '\n'))
		case <-r.Context().Done():
			return
		}
	}
}
