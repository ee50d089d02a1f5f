package image

import (
	"sync"
)

// Phase says what is being done to an image's bytes.
type Phase string

// The phases of making an image ready.
const (
	PhaseWaiting  Phase = "waiting"
	PhaseDownload Phase = "download"
	PhaseConvert  Phase = "convert"
	PhaseHash     Phase = "hash"
	// PhaseAway is the wait for a place that holds images and is away.
	PhaseAway Phase = "away"
)

// Snapshot is the state of a Progress at one moment.
type Snapshot struct {
	Phase Phase
	// Done and Total are bytes; Total is 0 when not known.
	Done, Total int64
}

// Progress counts bytes. All methods may be called from any goroutine; a nil Progress counts nothing.
type Progress struct {
	mu      sync.Mutex
	current Snapshot
}

// Begin starts a phase at zero. total is 0 when it is not known.
func (p *Progress) Begin(phase Phase, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = Snapshot{Phase: phase, Total: max(0, total)}
}

// Turn changes the phase and leaves the count as it is.
func (p *Progress) Turn(phase Phase) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current.Phase = phase
}

// Add counts n more bytes.
func (p *Progress) Add(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current.Done += n
}

// Set moves to done bytes.
func (p *Progress) Set(done int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current.Done = done
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
