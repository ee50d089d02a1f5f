package image

import (
	"math"
	"sync"
	"time"
)

// Phase says what is being done to an image's bytes.
type Phase string

// The phases of making an image ready.
const (
	PhaseWaiting  Phase = "waiting"
	PhaseDownload Phase = "download"
	PhaseConvert  Phase = "convert"
	PhaseHash     Phase = "hash"
)

// Snapshot is the state of a Progress at one moment.
type Snapshot struct {
	Phase Phase
	// Done and Total are bytes; Total is 0 when not known.
	Done, Total int64
	// Rate is bytes per second, averaged over the last seconds.
	Rate float64
}

// Percent is 0 to 100, and 0 when the total is not known.
func (s Snapshot) Percent() float64 {
	if s.Total <= 0 {
		return 0
	}
	return min(100, 100*float64(s.Done)/float64(s.Total))
}

// ETA is the time left at the current rate. ok is false when it cannot be told.
func (s Snapshot) ETA() (left time.Duration, ok bool) {
	if s.Total <= 0 || s.Rate <= 0 {
		return 0, false
	}
	seconds := float64(max(0, s.Total-s.Done)) / s.Rate
	if seconds > math.MaxInt32 {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// Progress counts bytes. All methods may be called from any goroutine; a nil Progress counts nothing.
type Progress struct {
	mu      sync.Mutex
	current Snapshot
	mark    time.Time // when rate was last computed
	marked  int64     // Done at that time
}

// rateWindow is how much time a rate sample spans.
const rateWindow = 500 * time.Millisecond

// Begin starts a phase at zero. total is 0 when it is not known.
func (p *Progress) Begin(phase Phase, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = Snapshot{Phase: phase, Total: max(0, total)}
	p.mark, p.marked = time.Now(), 0
}

// Add counts n more bytes.
func (p *Progress) Add(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(p.current.Done + n)
}

// Set moves to done bytes.
func (p *Progress) Set(done int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(done)
}

func (p *Progress) set(done int64) {
	p.current.Done = done
	now := time.Now()
	if done < p.marked {
		p.mark, p.marked, p.current.Rate = now, done, 0
		return
	}
	elapsed := now.Sub(p.mark)
	if elapsed < rateWindow {
		return
	}
	sample := float64(done-p.marked) / elapsed.Seconds()
	if p.current.Rate == 0 {
		p.current.Rate = sample
	} else {
		p.current.Rate += 0.3 * (sample - p.current.Rate)
	}
	p.mark, p.marked = now, done
}

// Snapshot returns the state now.
func (p *Progress) Snapshot() Snapshot {
	if p == nil {
		return Snapshot{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

// Write counts, so that a Progress can stand in an io.MultiWriter.
func (p *Progress) Write(b []byte) (int, error) {
	p.Add(int64(len(b)))
	return len(b), nil
}
