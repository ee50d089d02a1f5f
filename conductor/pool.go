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
	return &pool{size: size, reserved: size * reservedPercent / 100}
}

// errNoWorker is what callers are told when the pool is full.
func errNoWorker() error {
	return store.Errorf(store.NoFreeConductorWorker,
		"Requested action cannot be performed due to lack of free conductor workers.")
}

// Start runs work on a goroutine of its own, or fails with NoFreeConductorWorker at once. The context outlives the RPC
// that asked for the work; it ends when the worker stops.
func (p *pool) Start(ctx context.Context, work func(context.Context)) error {
	return p.start(ctx, p.size, work)
}

// StartUnreserved is Start for heartbeats and the like: it leaves the reserved part free.
func (p *pool) StartUnreserved(ctx context.Context, work func(context.Context)) error {
	return p.start(ctx, p.size-p.reserved, work)
}

func (p *pool) start(ctx context.Context, limit int, work func(context.Context)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
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

// Close refuses new work and waits until what runs has ended.
func (p *pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.running.Wait()
}
