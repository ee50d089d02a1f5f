package conductor

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// lease is when this worker's row in conductors was last renewed. A worker that could not renew it stops acting on
// hardware by itself, before its peers may take its nodes over.
type lease struct {
	renewed atomic.Int64 // unix nanoseconds
}

// leaseMargin is the part of heartbeat_timeout after which a worker that could not renew its row stops acting: a peer
// waits for the whole of it, and the two clocks and the statement under way need room between.
const leaseMargin = 0.75

func (l *lease) renew(at time.Time) { l.renewed.Store(at.UnixNano()) }

func (l *lease) age(now time.Time) time.Duration { return now.Sub(time.Unix(0, l.renewed.Load())) }

// mayAct tells whether hardware may be touched and nodes reserved.
func (c *Conductor) mayAct() error {
	limit := time.Duration(float64(c.cfg.HeartbeatTimeout) * leaseMargin)
	if age := c.lease.age(c.now()); age > limit {
		return store.Errorf(store.TemporaryFailure, "Conductor %s could not renew its registration for %s and does not act "+
			"until it can", c.cfg.Host, age.Round(time.Second))
	}
	return nil
}

// keepAlive renews the row until ctx ends. It has a deadline of its own for each attempt: a database that hangs must not
// keep a worker from noticing that it is no longer seen.
func (c *Conductor) keepAlive(ctx context.Context) {
	ticker := time.NewTicker(c.cfg.HeartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		began := c.now()
		attempt, cancel := context.WithTimeout(ctx, c.cfg.HeartbeatInterval)
		err := c.signOfLife(attempt)
		cancel()
		if err != nil {
			c.log.Error().Err(err).Dur("age", c.lease.age(c.now())).Msg("Renewing the conductor's registration failed")
			continue
		}
		c.lease.renew(began)
	}
}

func (c *Conductor) signOfLife(ctx context.Context) error {
	c.leaving.mu.Lock()
	defer c.leaving.mu.Unlock()
	return c.db.Touch(ctx, c.cfg.Host, !c.leaving.begun.Load())
}
