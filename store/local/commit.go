package local

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// maxGroup is how many changes share one commit at most.
const maxGroup = 256

// commits lets concurrent changes share the two fsyncs of a commit: while one caller commits, the changes of others
// gather, and whoever comes next takes them all. A lone caller never waits for company, as it would in bbolt's Batch.
type commits struct {
	mu    sync.Mutex
	queue []*change
	lead  chan struct{} // holds one element while somebody commits

	// failed is why no more commits are tried, once the disk has shown that it cannot be trusted. Guarded by lead.
	failed error
	// trouble is why the last commit failed on the disk, nil when it did not.
	trouble atomic.Pointer[error]
}

type change struct {
	fn   func(*transaction) error
	done chan error
}

// errAlone tells a change that it failed in company, and must run alone to learn its own error.
var errAlone = errors.New("run again, alone")

// transaction is going to be committed. It is valid only within the function given to commit.
type transaction struct {
	db     *DB
	bolt   *bbolt.Tx
	after  []func() // what to do in memory once the commit is durable, in order
	failed []func() // what to undo in memory when it is not

	lift int // how many moments of timelines may go along

	appended int // durable events added
}

// commit makes several changes at once: all of them are durable when it returns nil, and none is made when it returns an
// error. fn may run more than once and on another goroutine, together with the changes of others, so it must touch
// nothing but tx and variables that it sets anew each time; it must not call methods of DB.
func (d *DB) commit(fn func(*transaction) error) error {
	if d.readOnly {
		return ErrReadOnly
	}
	c := &change{fn: fn, done: make(chan error, 1)}
	q := &d.commits
	q.mu.Lock()
	q.queue = append(q.queue, c)
	q.mu.Unlock()

	var err error
	select {
	case err = <-c.done:
	case q.lead <- struct{}{}:
		d.commitGroups(c)
		<-q.lead
		err = <-c.done
	}
	if err != errAlone {
		return err
	}
	q.lead <- struct{}{}
	defer func() { <-q.lead }()
	_, err = d.apply([]*change{c}, func(tx *transaction, c *change) error { return c.fn(tx) })
	return err
}

// commitGroups commits what is queued until c is among it.
func (d *DB) commitGroups(c *change) {
	q := &d.commits
	for len(c.done) == 0 {
		q.mu.Lock()
		n := min(len(q.queue), maxGroup)
		group := q.queue[:n:n]
		q.queue = q.queue[n:]
		q.mu.Unlock()
		d.commitGroup(group)
	}
}

// commitGroup commits changes together. One that fails is taken out, since its transaction is lost, and the others run
// again.
func (d *DB) commitGroup(group []*change) {
	for len(group) > 0 {
		failed, err := d.apply(group, inCompany)
		if failed < 0 {
			for _, c := range group {
				c.done <- err
			}
			return
		}
		group[failed].done <- errAlone
		group = append(group[:failed:failed], group[failed+1:]...)
	}
}

// inCompany runs a change on behalf of another goroutine. A panic is that goroutine's to have: the change fails here and
// panics again when it runs alone.
func inCompany(tx *transaction, c *change) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("change panicked: %v", p)
		}
	}()
	return c.fn(tx)
}

// apply runs changes in one transaction and commits it. It returns the index of the change that failed, or -1. The
// caller leads.
func (d *DB) apply(group []*change, run func(*transaction, *change) error) (failed int, err error) {
	if d.commits.failed != nil {
		return -1, d.commits.failed
	}
	btx, err := d.bolt.Begin(true)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return -1, ErrClosed
	}
	if err != nil {
		return -1, fmt.Errorf("beginning a transaction: %w", err)
	}
	defer btx.Rollback()
	defer d.outbox.reveal()

	tx := &transaction{db: d, bolt: btx, lift: lift}
	committed := false
	defer func() {
		if committed {
			return
		}
		for _, f := range tx.failed {
			f()
		}
	}()
	for i, c := range group {
		if err := run(tx, c); err != nil {
			return i, err
		}
	}
	if err := guard(func() error { return errors.Join(tx.forgetFinished(), tx.trimOutbox(), tx.carryTimelines(tx.lift)) }); err != nil {
		return -1, err
	}
	if err := guard(btx.Commit); err != nil {
		err = d.commitFailed(err)
		d.commits.trouble.Store(&err)
		return -1, err
	}
	d.commits.trouble.Store(nil)
	committed = true
	for _, f := range tx.after {
		f()
	}
	return -1, nil
}

// resizeFailed is how bbolt words that the file could not be made longer, which it does before it writes. It gives no error
// number on.
const resizeFailed = "file resize error: "

// commitFailed decides whether a failed commit may be tried again. A full disk fails before anything is overwritten.
// After any other failure, of fsync above all, the kernel may have dropped what it could not write and report success
// the next time, so this process must not write again.
func (d *DB) commitFailed(err error) error {
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) ||
		errors.Is(err, berrors.ErrMaxSizeReached) || strings.Contains(err.Error(), resizeFailed)
	if full {
		return fmt.Errorf("committing to journal %s: %w: %w", d.path, ErrFull, err)
	}
	err = fmt.Errorf("committing to journal %s: %w", d.path, err)
	d.commits.failed = fmt.Errorf("the journal is not written any more until the worker restarts: %w", err)
	return err
}
