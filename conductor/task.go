package conductor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
	"github.com/ironmaster/ironmaster/store/sql"
)

// task is one hold on one node: an RPC's, a flow's or a periodic's. It carries the node as read under the lock and what
// is owed when the hold ends: background work that inherits the lock, and the provision_set notification.
//
// Crash windows: between the local lock record and nodes.reservation a crash leaves a record without reservation, which
// the next start drops; between the release of the reservation and that of the record it is the same.
type task struct {
	*drivers.Task
	c       *Conductor
	request oslo.Context
	purpose string
	// wording is how the steps of the request are shown.
	wording wording
	// held names the lock in the worker's file, shared or exclusive as the task is; "" when there is none (any more).
	held string

	// settled tells that the row may still hold an announcement that was made (owed.go).
	settled bool

	// imageReason says why the node's image counts as a whole-disk or a partition image.
	imageReason string

	// background runs after the RPC was answered and inherits the lock; spawnFailed undoes what was done for it when no
	// worker is free.
	background func(context.Context, *task)
	// holdsCall keeps the request in the inbox until the background work is over: work whose cursor is not in the row.
	holdsCall   bool
	spawnFailed func(context.Context, error)
	// leavesReserve has the background work leave the reserved part of the pool free, as that of every task does which only reads.
	leavesReserve bool
	// onceFree is done after the background work, when the node is free again.
	onceFree func(context.Context)
	// announce publishes the change of the provision state that the background work begins with; it waits until a worker
	// was found.
	announce func(context.Context)
}

// records are the locks in the worker's file, reservations those in the shared database. A task takes a node with the one,
// then with the other, and gives them back in the opposite order; tests stop it anywhere between.
type (
	records interface {
		TryLock(want local.Lock) (local.Lock, error)
		Upgrade(holder, purpose string) error
		Downgrade(holder string) error
		Unlock(holder string) error
	}
	reservations interface {
		Reserve(ctx context.Context, ident, tag string) (*store.Node, error)
		Release(ctx context.Context, id int64, tag string) error
	}
)

// lockMode says how a task wants its node.
type lockMode struct {
	purpose string
	// attempts to take the lock; 0 stands for the configured number, forever for no limit.
	attempts int
	// noDriver leaves the node's interfaces unbuilt, for work on the row alone.
	noDriver bool
}

const forever = -1

// lockExclusive reserves the node and reads it under its lock, not before.
func (c *Conductor) lockExclusive(ctx context.Context, rq oslo.Context, ident string, mode lockMode) (*task, error) {
	node, err := c.db.NodeUUID(ctx, ident)
	if err != nil {
		return nil, err
	}
	t := c.newTask(rq, &store.Node{UUID: node}, mode.purpose)
	if err := t.reserve(ctx, mode.attempts); err != nil {
		return nil, err
	}
	if err := c.machine.Knows(t.Node.ProvisionState); err != nil {
		return nil, errors.Join(err, t.release(ctx))
	}
	if !mode.noDriver {
		if err := t.loadHardware(); err != nil {
			return nil, errors.Join(err, t.release(ctx))
		}
	}
	return t, nil
}

// lockShared reads a node without reserving it. Ironic's shared lock hinders nobody, it only names a reader.
func (c *Conductor) lockShared(ctx context.Context, rq oslo.Context, ident, purpose string) (*task, error) {
	node, err := c.db.Peek(ctx, ident)
	if err != nil {
		return nil, err
	}
	return c.share(ctx, rq, node, purpose)
}

// share is lockShared for a node that was read already.
func (c *Conductor) share(ctx context.Context, rq oslo.Context, node *store.Node, purpose string) (*task, error) {
	if err := c.machine.Knows(node.ProvisionState); err != nil {
		return nil, err
	}
	t := c.newTask(rq, node, purpose)
	t.Shared = true
	lock, err := c.records.TryLock(local.Lock{Node: node.UUID, Shared: true, Purpose: purpose, RequestID: t.RequestID})
	if err != nil {
		return nil, err
	}
	t.held = lock.Holder
	if err := t.loadHardware(); err != nil {
		return nil, errors.Join(err, t.release(ctx))
	}
	return t, nil
}

func (c *Conductor) newTask(rq oslo.Context, node *store.Node, purpose string) *task {
	return &task{
		Task: &drivers.Task{
			Node: node, Worker: c, RequestID: rq.RequestID, GlobalRequestID: rq.GlobalRequestID,
			AuthToken: rq.AuthToken, UserID: rq.User, AutomatedClean: c.live().AutomatedClean,
			SystemScope: rq.SystemScope != "", Admin: slices.Contains(rq.Roles, "admin"),
			Log: c.log.With().Str("node", node.UUID).Str("request_id", rq.RequestID).Logger(),
		},
		c: c, request: rq, purpose: purpose,
	}
}

// reserve takes the local record, then nodes.reservation; each attempt that fails leaves things as they were.
func (t *task) reserve(ctx context.Context, attempts int) error {
	if attempts == 0 {
		attempts = t.c.live().NodeLockedRetryAttempts
	}
	for try := 1; ; try++ {
		err := t.tryReserve(ctx)
		if store.KindOf(err) != store.NodeLocked || try == attempts {
			return err
		}
		if err := drivers.Pause(ctx, t.c.live().NodeLockedRetryInterval); err != nil {
			return err
		}
	}
}

func (t *task) tryReserve(ctx context.Context) error {
	lapses := t.c.lease.lapses.Load()
	if err := t.c.mayAct(); err != nil {
		return err
	}
	// gofail: var lockBeforeRecord struct{}
	undo, err := t.takeRecord()
	if err != nil {
		var locked *local.Locked
		if errors.As(err, &locked) {
			return store.NodeLockedBy(t.Node.UUID, t.c.cfg.Host)
		}
		if errors.Is(err, local.ErrFull) {
			err = store.Errorf(store.TemporaryFailure, "Conductor %s has no room on its disk to note the lock of node %s: %w",
				t.c.cfg.Host, t.Node.UUID, err)
		}
		return err
	}
	// gofail: var lockRecorded struct{}
	node, err := t.c.reservations.Reserve(ctx, t.Node.UUID, t.c.cfg.Host)
	if store.KindOf(err) == store.NodeLocked && t.freeOwn(ctx) {
		node, err = t.c.reservations.Reserve(ctx, t.Node.UUID, t.c.cfg.Host)
	}
	if err == nil && t.c.lease.lapses.Load() != lapses {
		// The lease lapsed meanwhile and was renewed: a peer may have taken the node over in between.
		err = errors.Join(store.NodeLockedBy(t.Node.UUID, t.c.cfg.Host), t.c.reservations.Release(ctx, node.ID, t.c.cfg.Host))
	}
	if err != nil {
		if store.KindOf(err) == "" {
			t.c.leftBehind.add(t.Node.UUID)
		}
		return errors.Join(err, undo())
	}
	t.c.leftBehind.remove(t.Node.UUID)
	// gofail: var lockReserved struct{}
	t.Node, t.Shared = node, false
	t.settleOwed(ctx)
	return nil
}

// takeRecord takes the lock in the worker's file: a new one, or a reader's own made exclusive. undo takes it back.
func (t *task) takeRecord() (undo func() error, err error) {
	if t.held != "" {
		return func() error { return t.c.records.Downgrade(t.held) }, t.c.records.Upgrade(t.held, t.purpose)
	}
	lock, err := t.c.records.TryLock(local.Lock{Node: t.Node.UUID, Purpose: t.purpose, RequestID: t.RequestID})
	t.held = lock.Holder
	return t.dropRecord, err
}

func (t *task) dropRecord() error {
	err := t.c.records.Unlock(t.held)
	t.held = ""
	return err
}

// upgrade turns a shared task into an exclusive one; the node is read again.
func (t *task) upgrade(ctx context.Context, purpose string, attempts int) error {
	if !t.Shared {
		return nil
	}
	t.purpose = purpose
	if err := t.reserve(ctx, attempts); err != nil || t.Hardware == nil {
		return err
	}
	// The row was read afresh: what it leaves open is open again.
	return t.loadHardware()
}

// loadHardware builds the interfaces that act for the node.
func (t *task) loadHardware() (err error) {
	t.Hardware, err = t.c.hardwareOf(t.Node)
	return err
}

// release gives the node back: nodes.reservation first, then the local record. It is done even when ctx has ended, since
// a lock left behind would block the node until the next start.
func (t *task) release(ctx context.Context) error {
	if t.held == "" {
		return nil
	}
	if t.Shared {
		return t.dropRecord()
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	if t.settled {
		if err := t.save(ctx); err != nil && !lost(err) {
			t.Log.Warn().Err(err).Msg("An announcement will be made twice")
		}
	}
	// gofail: var lockBeforeRelease struct{}
	err := t.c.reservations.Release(ctx, t.Node.ID, t.c.cfg.Host)
	kind := store.KindOf(err)
	if kind == store.NodeNotFound || kind == store.NodeNotLocked || kind == store.NodeLocked || errors.Is(err, sql.ErrReplaced) {
		// The row is gone, or somebody else took the reservation from us: there is nothing left to give back.
		err = nil
	}
	if err != nil {
		t.c.leftBehind.add(t.Node.UUID)
	}
	// gofail: var lockReservationGone struct{}
	err = errors.Join(err, t.dropRecord())
	// gofail: var lockRecordGone struct{}
	if err != nil {
		t.Log.Error().Err(err).Str("purpose", t.purpose).Msg("Releasing the node failed")
	}
	t.c.beatAgain(t.Node.UUID)
	return err
}

// releaseTimeout is how long a worker that stops goes on trying to leave its nodes in order.
const releaseTimeout = 30 * time.Second

// lingering returns a context for leaving a node in order. While the worker lives it does not end, for a database that is
// away comes back; when the worker stops it ends after releaseTimeout, not at once.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(releaseTimeout):
			cancel()
		case <-out.Done():
		}
	})
	return out, func() { stop(); cancel() }
}

// finish ends the synchronous part of a task. When it succeeded and asked for background work, the lock goes over to a
// worker; otherwise it is released.
func (t *task) finish(ctx context.Context, err error) error {
	if err != nil || t.background == nil {
		return errors.Join(err, t.release(ctx))
	}
	work := t.background
	t.background = nil
	start := t.c.pool.Start
	if t.Shared || t.leavesReserve {
		start = t.c.pool.StartUnreserved
	}
	// The announcement comes first: the worker may be quicker than this goroutine, and its own must follow.
	var call *acceptedCall
	gate := make(chan struct{})
	spawnErr := start(t.c.working(), func(ctx context.Context) {
		<-gate
		t.runBackground(ctx, work)
		if t.holdsCall {
			t.endCall(ctx, call)
		}
	})
	if spawnErr != nil {
		if t.spawnFailed != nil {
			t.spawnFailed(ctx, spawnErr)
		}
		return errors.Join(spawnErr, t.release(ctx))
	}
	defer close(gate)
	if t.announce != nil {
		t.announce(ctx)
	}
	// A flow has its cursor in the row by now and needs the inbox no more: were the entry to outlive the flow, it would
	// begin another one.
	call = t.handCall(ctx)
	if !t.holdsCall {
		t.endCall(context.WithoutCancel(ctx), call)
	}
	return nil
}

// runBackground does work that nobody waits for and releases the node. Work reports its own failures; what is caught here
// is a bug, which fails the flow that it hit.
func (t *task) runBackground(ctx context.Context, work func(context.Context, *task)) {
	defer func() {
		if err := t.release(ctx); err != nil {
			t.Log.Error().Err(err).Msg("A node stays reserved")
		} else if t.onceFree != nil {
			t.onceFree(ctx)
		}
	}()
	ctx = t.overheard(ctx)
	err := contain(t.Log, t.purpose, func() error { work(ctx, t); return nil })
	if err == nil || t.Shared {
		return
	}
	t.record(ctx, historyConductor, fmt.Sprintf("Async execution of %s failed with error: %s", t.purpose, err))
	if store.Unstable(t.Node.ProvisionState) && t.c.machine.Allows(t.Node.ProvisionState, eventFail) {
		t.failEvent(ctx, manualTarget(t.Node))
		return
	}
	_ = t.saveOrLose(ctx)
}

// withNode runs fn on an exclusively locked node and releases or hands on the lock.
func (c *Conductor) withNode(ctx context.Context, rq oslo.Context, ident string, mode lockMode,
	fn func(context.Context, *task) error) error {
	if hasBegun(ctx) {
		return nil
	}
	t, err := c.lockExclusive(ctx, rq, ident, mode)
	if err != nil {
		return err
	}
	return t.run(ctx, fn)
}

// readNode runs fn on a node that is only read.
func (c *Conductor) readNode(ctx context.Context, rq oslo.Context, ident, purpose string,
	fn func(context.Context, *task) error) error {
	t, err := c.lockShared(ctx, rq, ident, purpose)
	if err != nil {
		return err
	}
	return t.run(ctx, fn)
}

// readRow is readNode for a node that was read already.
func (c *Conductor) readRow(ctx context.Context, rq oslo.Context, node *store.Node, purpose string,
	fn func(context.Context, *task) error) error {
	t, err := c.share(ctx, rq, node, purpose)
	if err != nil {
		return err
	}
	return t.run(ctx, fn)
}

func (t *task) run(ctx context.Context, fn func(context.Context, *task) error) error {
	heard := t.overheard(ctx)
	return t.finish(ctx, contain(t.Log, t.purpose, func() error { return fn(heard, t) }))
}

// after asks for background work; undo is called when no worker is free for it.
func (t *task) after(work func(context.Context, *task), undo func(context.Context, error)) {
	t.background, t.spawnFailed = work, undo
}

// save writes the node's changed columns under its reservation.
func (t *task) save(ctx context.Context) error {
	if t.Shared {
		return store.Errorf(store.ExclusiveLockRequired,
			"An exclusive lock is required, but the current context has a shared lock.")
	}
	t.c.shorten(t.Node)
	if err := t.c.db.SaveNode(ctx, t.Node, t.guard()); err != nil {
		return fmt.Errorf("saving node %s: %w", t.Node.UUID, err)
	}
	return nil
}

// shorten cuts the texts of a node that ironic bounds by an option.
func (c *Conductor) shorten(n *store.Node) {
	truncate(&n.LastError, c.live().LogInDBMaxSize)
	if r := n.MaintenanceReason; r != nil {
		short := *r
		truncate(&short, c.live().LogInDBMaxSize)
		n.MaintenanceReason = &short
	}
}

// truncate cuts a text that goes into a column, at a character's boundary.
func truncate(s *string, limit int) {
	if limit <= 0 || len(*s) <= limit {
		return
	}
	cut := limit
	for cut > 0 && (*s)[cut]&0xc0 == 0x80 {
		cut--
	}
	*s = (*s)[:cut]
}
