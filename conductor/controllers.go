package conductor

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// controllers asks the machines' controllers what periodic work wants to know: one node at a time of those that share a
// controller, and many controllers at once. Dead controllers hold up nobody but their own nodes, and no later round either.
type controllers struct {
	// places are for those who work. Whoever waits for an answer lends its place to the next node: so slow controllers make
	// more nodes be asked at once, and a busy processor or database does not. lent bounds that.
	places, lent *semaphore.Weighted
	// doubtful are the places of nodes whose controllers may well not answer.
	doubtful *semaphore.Weighted

	mu sync.Mutex
	// queues are the errands behind the one that a controller is asked for, by controller.
	queues map[string][]errand
	// underWay are the nodes of all errands.
	underWay map[string]bool
}

// waitersPerPlace bounds those who wait for an answer: each costs a goroutine and a connection.
const waitersPerPlace = 64

// patience is how long an answer may take before the place is lent.
const patience = 100 * time.Millisecond

func newControllers(places int) *controllers {
	places = max(1, places)
	waiters := int64(places * waitersPerPlace)
	return &controllers{places: semaphore.NewWeighted(int64(places)), lent: semaphore.NewWeighted(waiters),
		doubtful: semaphore.NewWeighted(waiters), queues: map[string][]errand{}, underWay: map[string]bool{}}
}

// errand is what is to be asked for one node.
type errand struct {
	ctx      context.Context
	node     string
	doubtful bool
	run      func(context.Context, *place)
}

// controllerOf names what a node's power is asked at. A node whose interface knows of no controller stands for itself.
func (c *Conductor) controllerOf(n *store.Node) string {
	if power, ok := c.hardware.Interface(n, drivers.TypePower).(drivers.Controlled); ok {
		if name := power.Controller(n); name != "" {
			return name
		}
	}
	return n.UUID
}

// visit runs an errand as soon as there is a place for it, and returns then; an errand at a controller that is being asked
// waits behind. A node that an earlier round is not done with is left to that. The error is that of the errand's context.
func (c *Conductor) visit(controller string, e errand) error {
	if !c.controllers.begin(controller, e) {
		return nil
	}
	p := &place{of: c.controllers}
	err := p.take(e)
	c.background.Go(func() {
		defer p.leave()
		for more := true; more; e, more = c.controllers.next(controller, e) {
			if p.take(e) == nil {
				e.run(e.ctx, p)
			}
		}
	})
	return err
}

// begin notes an errand; it tells whether the controller is free for it now.
func (s *controllers) begin(controller string, e errand) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.underWay[e.node] {
		return false
	}
	s.underWay[e.node] = true
	queue, busy := s.queues[controller]
	if busy {
		s.queues[controller] = append(queue, e)
		return false
	}
	s.queues[controller] = nil
	return true
}

// next ends an errand and returns the one behind it.
func (s *controllers) next(controller string, ended errand) (e errand, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.underWay, ended.node)
	queue := s.queues[controller]
	if len(queue) == 0 {
		delete(s.queues, controller)
		return errand{}, false
	}
	s.queues[controller] = queue[1:]
	return queue[0], true
}

// asked is how many controllers are being asked.
func (s *controllers) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queues)
}

// place is what an errand runs on. It belongs to one goroutine.
type place struct {
	of *controllers
	// held is the kind of place that is held; nil is none.
	held *semaphore.Weighted
}

// take waits for a place of the kind that an errand needs.
func (p *place) take(e errand) error {
	kind := p.of.places
	if e.doubtful {
		kind = p.of.doubtful
	}
	if p.held == kind {
		return nil
	}
	p.leave()
	if err := kind.Acquire(e.ctx, 1); err != nil {
		return err
	}
	p.held = kind
	return nil
}

func (p *place) leave() {
	if p.held != nil {
		p.held.Release(1)
		p.held = nil
	}
}

// whileAsking asks a controller. When the answer takes long, a place among those who work is lent, and taken again after it;
// when ctx ends before, the errand ends without a place.
func (p *place) whileAsking(ctx context.Context, ask func()) {
	if p.held != p.of.places {
		ask()
		return
	}
	l := &loan{of: p.of}
	timer := time.AfterFunc(patience, l.begin)
	// Also when asking panics, which is contained further up: a place that is lent must not be given back twice.
	defer func() {
		timer.Stop()
		if l.end() && p.held.Acquire(ctx, 1) != nil {
			p.held = nil
		}
	}()
	ask()
}

// loan is a place that may be lent once.
type loan struct {
	of *controllers

	mu           sync.Mutex
	begun, ended bool
}

func (l *loan) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended && l.of.lent.TryAcquire(1) {
		l.begun = true
		l.of.places.Release(1)
	}
}

// end tells whether the place was lent.
func (l *loan) end() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun {
		l.of.lent.Release(1)
	}
	l.ended = true
	return l.begun
}
