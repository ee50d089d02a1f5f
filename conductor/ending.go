package conductor

import (
	"context"
	"sync"
	"time"
)

// Ending is how a worker ends.
type Ending int

const (
	// Stop takes no more requests, leaves running flows where their rows say they are, and is gone within seconds. Peers go
	// on with the flows at once, or this worker at its next start.
	Stop Ending = iota
	// StopRegistered is Stop by one that will be back within heartbeat_timeout: its row stays online, so neither ironic-api
	// nor the hash ring moves its nodes.
	StopRegistered
	// Drain leaves the hash ring and lets what runs come to its end first, for DrainTimeout at most.
	Drain
)

func (e Ending) String() string { return [...]string{"stop", "stop, staying registered", "drain"}[e] }

// ending is what was asked for.
type ending struct {
	mu    sync.Mutex
	how   Ending
	asked chan struct{}
	// patience ends when one that drains is told to stop.
	patience context.Context
	hurry    context.CancelFunc

	view DrainView
}

// DrainView is what operators see of a worker that drains.
type DrainView struct {
	// Doing says what is waited for.
	Doing string `json:"doing"`
	// AtWork counts the flows and other work that run; Readers the nodes that read a boot ISO or an image from here.
	AtWork  int `json:"at_work"`
	Readers int `json:"readers"`
	// Until is when it stops whatever is left; zero is never.
	Until time.Time `json:"until"`
}

func newEnding() *ending {
	e := &ending{asked: make(chan struct{})}
	e.patience, e.hurry = context.WithCancel(context.Background())
	return e
}

// End asks the worker to end. One that drains is hurried by the other ways to end; nothing slows down one that stops.
func (c *Conductor) End(how Ending) {
	e := c.ending
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.asked:
		if how != Drain {
			e.hurry()
		}
	default:
		e.how = how
		close(e.asked)
	}
}

// way is how the worker was asked to end; ok tells whether it was.
func (e *ending) way() (how Ending, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.asked:
		return e.how, true
	default:
		return Stop, false
	}
}

// show notes how a drain stands.
func (e *ending) show(change func(*DrainView)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.view)
}

// draining is how a drain stands, nil when there is none.
func (c *Conductor) draining() *DrainView {
	e := c.ending
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.view.Doing == "" {
		return nil
	}
	v := e.view
	v.AtWork = c.pool.Busy()
	return &v
}
