package conductor

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// lease is when this worker's row in conductors was last renewed. A worker that could not renew it stops acting on
// hardware by itself, before its peers may take its nodes over.
//
// It is measured by Parts.Uptime: whoever sets the wall clock, by hours and in either direction, neither ends a lease nor
// prolongs it.
type lease struct {
	renewed atomic.Int64 // an uptime, from before the statement was sent
	// lost tells that a later process of the same host name has registered. There is no way back.
	lost atomic.Bool
	// lapses counts the renewals that came too late.
	lapses atomic.Int64
}

// leaseMargin is the part of heartbeat_timeout after which a worker that could not renew its row stops acting: a peer
// waits for the whole of it, and the two clocks and the statement under way need room between.
const leaseMargin = 0.75

func (l *lease) renew(uptime time.Duration) { l.renewed.Store(int64(uptime)) }

func (l *lease) age(uptime time.Duration) time.Duration {
	return uptime - time.Duration(l.renewed.Load())
}

// uptime is the machine's CLOCK_BOOTTIME. Unlike CLOCK_MONOTONIC, by which Go compares times, it goes on while the machine
// is suspended, and peers take over.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		// The kernel has had this clock for longer than Go has supported it.
		panic(err)
	}
	return time.Duration(t.Nano())
}

// lapse is the age at which a worker stops acting.
func (c *Conductor) lapse() time.Duration {
	return time.Duration(float64(c.cfg.HeartbeatTimeout) * leaseMargin)
}

// mayAct tells whether hardware may be touched and nodes reserved.
func (c *Conductor) mayAct() error {
	if c.lease.lost.Load() {
		return store.Errorf(store.TemporaryFailure, "Conductor %s was started anew elsewhere, and this run of it does nothing "+
			"more", c.cfg.Host)
	}
	if age := c.lease.age(c.uptime()); age > c.lapse() {
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
		began := c.uptime()
		attempt, cancel := context.WithTimeout(ctx, min(c.cfg.HeartbeatInterval, c.lapse()/beatAttempts))
		err := c.renew(attempt)
		cancel()
		if errors.Is(err, sql.ErrReplaced) {
			// Ending the process would be worse: who restarts it would fence the one that has just begun.
			c.log.Error().Err(err).Msg("This run of the conductor lets go of everything; end it")
			return
		}
		if err != nil {
			pause = min(c.cfg.HeartbeatInterval, beatPause)
			c.log.Error().Err(err).Dur("age", c.lease.age(c.uptime())).Msg("Renewing the conductor's registration failed")
			continue
		}
		pause = c.cfg.HeartbeatInterval - min(c.cfg.HeartbeatInterval, c.uptime()-began)
	}
}

// renew renews the row once, and the lease with it. ErrReplaced ends the lease for good.
func (c *Conductor) renew(ctx context.Context) error {
	began := c.uptime()
	err := c.signOfLife(ctx)
	if errors.Is(err, sql.ErrReplaced) {
		c.lease.lost.Store(true)
	}
	if err == nil {
		if c.mayAct() != nil {
			c.lease.lapses.Add(1)
		}
		c.lease.renew(began)
	}
	return err
}

func (c *Conductor) signOfLife(ctx context.Context) error {
	c.leaving.mu.Lock()
	defer c.leaving.mu.Unlock()
	return c.db.Touch(ctx, c.cfg.Host, !c.leaving.begun.Load())
}
