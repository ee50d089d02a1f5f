package conductor

import (
	"context"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
)

// working is the context that background work runs under. It ends when the worker has to be gone, and also when its lease
// lapses: hardware is then left alone, flows stop where they are, and whoever may act goes on with them (resume.go). A lease
// that was renewed after that begins another one.
type working struct {
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
	over   bool
}

// working returns the present context. A lease that was renewed a moment ago begins it anew.
func (c *Conductor) working() context.Context {
	w := &c.work
	if c.mayAct() == nil {
		w.begin(c.workCtx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ctx
}

// begin makes work possible (again) until parent ends.
func (w *working) begin(parent context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx == nil || w.ctx.Err() != nil && !w.over {
		w.ctx, w.cancel = context.WithCancel(parent)
	}
}

// cut ends the present work; it tells whether there was any.
func (w *working) cut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		return false
	}
	w.cancel()
	return true
}

// acting returns ctx for asking a locked node's hardware while a caller waits: it ends with background work too when the lease
// lapses, and its cause then says why. When the worker stops it has a moment longer. However many BMCs are slow, other
// requests are taken meanwhile.
func (c *Conductor) acting(ctx context.Context) (context.Context, func()) {
	messaging.StandAside(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.working(), func() {
		if err := c.mayAct(); err != nil {
			cancel(err)
		}
	})
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// end cuts the work short for good.
func (w *working) end() {
	w.cut()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

// leasePoll is how often a worker whose lease has lapsed looks whether it was renewed, leaseLook how often one looks whether
// it has lapsed: a timer alone would stand still while the machine is suspended.
const leasePoll, leaseLook = 200 * time.Millisecond, time.Second

// watchLease cuts work short when the lease lapses, and lets it begin again when it was renewed, until ctx ends.
func (c *Conductor) watchLease(ctx context.Context) {
	for {
		left := c.lapse() - c.lease.age(c.uptime())
		if err := c.mayAct(); err == nil {
			c.work.begin(c.workCtx)
		} else if c.work.cut() {
			c.log.Error().Err(err).Msg("The registration could not be renewed in time; running work is left where it is")
		}
		if drivers.Pause(ctx, min(max(left, leasePoll), leaseLook)) != nil {
			return
		}
	}
}
