package sql

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// outage is what all operations together know about whether the database is to be had.
type outage struct {
	mu    sync.Mutex
	since time.Time // zero while there is none
	err   error
	// writing tells that an operation which writes met it. A read that succeeds does not end it then: a server that is read
	// only, or has a full disk, answers reads.
	writing bool
	over    chan struct{} // closed at its end
}

// met notes an attempt that failed because the database is away. The first one is told in the log.
func (o *outage) met(log zerolog.Logger, what string, writing bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err, o.writing = err, o.writing || writing
	if !o.since.IsZero() {
		return
	}
	// The clock of outages is the machine's, as waits are; Config.Now only stamps rows.
	o.since, o.over = time.Now(), make(chan struct{})
	log.Warn().Err(err).Str("operation", what).Msg("The database is away; waiting for it")
}

// worked notes an operation that succeeded.
func (o *outage) worked(log zerolog.Logger, writing bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() || o.writing && !writing {
		return
	}
	log.Info().Dur("away", time.Since(o.since)).Msg("The database is back")
	close(o.over)
	o.since, o.err, o.writing = time.Time{}, nil, false
}

func (o *outage) current() (since time.Time, over <-chan struct{}, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.since, o.over, o.err
}

// Away tells since when the database has not been to be had, and why. The time is zero while it is there.
func (db *DB) Away() (since time.Time, reason error) {
	since, _, reason = db.outage.current()
	return since, reason
}

// Await returns at once while the database is there. Otherwise it waits until it is back, for limit at most, and then fails
// with TemporaryFailure.
func (db *DB) Await(ctx context.Context, limit time.Duration) error {
	since, over, reason := db.outage.current()
	if since.IsZero() {
		return nil
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return unreachable(reason)
	}
}

func unreachable(reason error) error {
	return store.Errorf(store.TemporaryFailure, "The database cannot be reached, please retry later: %w", reason)
}
