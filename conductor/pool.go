package conductor

import (
	"context"
	"sync"

	"github.com/ironmaster/ironmaster/store"
)

// pool runs background work on at most size goroutines and refuses more, as ironic's executor does (rpc.md §8). A part of
// it is reserved for what users ask: heartbeats may not use that part.
type pool struct {
	mu       sync.Mutex
	size     int
	reserved int
	busy     int
	closed   bool
	running  sync.WaitGroup
}

func newPool(size, reservedPercent int) *pool {
	p := &pool{}
	p.resize(size, reservedPercent)
	return p
}

// resize changes how much is done at once from now on.
func (p *pool) resize(size, reservedPercent int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size, p.reserved = size, size*reservedPercent/100
}

// errNoWorker is what callers are told when the pool is full.
func errNoWorker() error {
	return store.Errorf(store.NoFreeConductorWorker,
		"Requested action cannot be performed due to lack of free conductor workers.")
}

// Start runs work on a goroutine of its own, or fails with NoFreeConductorWorker at once. The context outlives the RPC
// that asked for the work; it ends when the worker stops.
func (p *pool) Start(ctx context.Context, work func(context.Context)) error {
	return p.start(ctx, false, work)
}

// StartUnreserved is Start for heartbeats and the like: it leaves the reserved part free.
func (p *pool) StartUnreserved(ctx context.Context, work func(context.Context)) error {
	return p.start(ctx, true, work)
}

func (p *pool) start(ctx context.Context, leaveReserve bool, work func(context.Context)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := p.size
	if leaveReserve {
		limit -= p.reserved
	}
	if p.closed || p.busy >= limit {
		return errNoWorker()
	}
	p.busy++
	p.running.Go(func() {
		defer p.done()
		work(ctx)
	})
	return nil
}

func (p *pool) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
}

// Busy returns how many goroutines are at work.
func (p *pool) Busy() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy
}

// Drain refuses new work and waits until what runs has ended, or ctx has; it tells how much still runs.
func (p *pool) Drain(ctx context.Context) (left int) {
	p.refuse()
	idle := make(chan struct{})
	go func() {
		p.running.Wait() // as whoever closes the pool does next
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	return p.Busy()
}

// Close refuses new work and waits until what runs has ended.
func (p *pool) Close() {
	p.refuse()
	p.running.Wait()
}

func (p *pool) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}
