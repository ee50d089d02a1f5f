package conductor

import (
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// stepTolerance is how far the wall clock may move against the uptime before it counts as set. NTP's slewing stays far below.
const stepTolerance = 10 * time.Second

// clockOffset is the wall clock against the uptime.
func (c *Conductor) clockOffset() time.Duration {
	return time.Duration(c.now().UnixNano()) - c.uptime()
}

// clockStep is by how much the wall clock was set since this worker started, 0 when it was not. Rows of the shared database
// are stamped by wall clocks, and a clock that was set makes what others stamped look older or newer than it is.
func (c *Conductor) clockStep() time.Duration {
	step := c.clockOffset() - c.startOffset
	if step.Abs() < stepTolerance {
		return 0
	}
	return step
}

// waitLimit is how long a node may wait by its row's time: longer after the clock was set forward, so that nobody's wait ends
// for that.
func (c *Conductor) waitLimit(limit time.Duration) time.Duration {
	return limit + max(0, c.clockStep())
}

// witness remembers since when, by the uptime, each peer's row has been as it is.
type witness struct {
	mu   sync.Mutex
	seen map[string]sighting
}

type sighting struct {
	row   time.Time // updated_at
	since time.Duration
}

// unchanged is for how long a peer's row has been seen as it is.
func (w *witness) unchanged(peer store.Conductor, uptime time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, known := w.seen[peer.Hostname]
	if !known || !s.row.Equal(peer.UpdatedAt) {
		if w.seen == nil {
			w.seen = map[string]sighting{}
		}
		s = sighting{peer.UpdatedAt, uptime}
		w.seen[peer.Hostname] = s
	}
	return uptime - s.since
}
