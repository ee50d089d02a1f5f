package conductor

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// lease is when this worker's row in conductors was last renewed. A worker that could not renew it stops acting on
// hardware by itself, before its peers may take its nodes over.
type lease struct {
	renewed atomic.Pointer[time.Time] // from before the statement was sent
}

// leaseMargin is the part of heartbeat_timeout after which a worker that could not renew its row stops acting: a peer
// waits for the whole of it, and the two clocks and the statement under way need room between.
const leaseMargin = 0.75

func (l *lease) renew(at time.Time) { l.renewed.Store(&at) }

// age is the time since the lease was renewed, by the worse of two clocks: the monotonic one, which nobody sets, and the
// wall clock, which goes on while a virtual machine is paused, and by which peers judge the row.
func (l *lease) age(now time.Time) time.Duration {
	renewed := l.renewed.Load()
	if renewed == nil {
		renewed = &time.Time{}
	}
	return max(now.Sub(*renewed), now.Round(0).Sub(renewed.Round(0)))
}

// lapse is the age at which a worker stops acting.
func (c *Conductor) lapse() time.Duration {
	return time.Duration(float64(c.cfg.HeartbeatTimeout) * leaseMargin)
}

// mayAct tells whether hardware may be touched and nodes reserved.
func (c *Conductor) mayAct() error {
	if age := c.lease.age(c.now()); age > c.lapse() {
		return store.Errorf(store.TemporaryFailure, "Conductor %s could not renew its registration for %s and does not act "+
			"until it can", c.cfg.Host, age.Round(time.Second))
	}
	return nil
}

// beatAttempts is how many attempts to renew the row must fit between two renewals and the lapse.
const beatAttempts = 3

// beatPause is the pause after an attempt that failed.
const beatPause = time.Second

// keepAlive renews the row until ctx ends. Each attempt has a deadline of its own: a database that hangs must not keep a
// worker from trying again on a fresh connection, nor from noticing that it is no longer seen.
func (c *Conductor) keepAlive(ctx context.Context) {
	pause := c.cfg.HeartbeatInterval
	for drivers.Pause(ctx, pause) == nil {
		began := c.now()
		attempt, cancel := context.WithTimeout(ctx, min(c.cfg.HeartbeatInterval, c.lapse()/beatAttempts))
		err := c.signOfLife(attempt)
		cancel()
		if err != nil {
			pause = min(c.cfg.HeartbeatInterval, beatPause)
			c.log.Error().Err(err).Dur("age", c.lease.age(c.now())).Msg("Renewing the conductor's registration failed")
			continue
		}
		c.lease.renew(began)
		pause = c.cfg.HeartbeatInterval - min(c.cfg.HeartbeatInterval, c.now().Sub(began))
	}
}

func (c *Conductor) signOfLife(ctx context.Context) error {
	c.leaving.mu.Lock()
	defer c.leaving.mu.Unlock()
	return c.db.Touch(ctx, c.cfg.Host, !c.leaving.begun.Load())
}
