package local

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// ErrNotHeld is returned for a holder that holds nothing (any more).
var ErrNotHeld = errors.New("lock is not held")

// Lock is a node lock, or the request for one.
type Lock struct {
	Node      string    `json:"node"` // UUID
	Shared    bool      `json:"shared,omitempty"`
	Holder    string    `json:"holder"`               // given by TryLock; never the same twice
	Purpose   string    `json:"purpose"`              // for people: "provisioning", "power sync"
	RequestID string    `json:"request_id,omitempty"` // of the API request
	Since     time.Time `json:"since"`
	Epoch     uint64    `json:"epoch"` // of the run of the worker that took it
}

// Locked is the error of a lock that somebody else has.
type Locked struct {
	Node    string
	Holders []Lock
}

// Error names the holders: what for and since when.
func (e *Locked) Error() string {
	holders := make([]string, len(e.Holders))
	for i, l := range e.Holders {
		kind := "exclusively"
		if l.Shared {
			kind = "shared"
		}
		holders[i] = fmt.Sprintf("%s for %q since %s", kind, l.Purpose, l.Since.UTC().Format(time.RFC3339))
		if l.RequestID != "" {
			holders[i] += " by request " + l.RequestID
		}
	}
	return fmt.Sprintf("node %s is locked: %s", e.Node, strings.Join(holders, "; "))
}

// lockTable answers conflicts from memory. An exclusive lock is there before it is on disk and leaves it after, so two
// callers never both believe that they have it.
//
// Exclusive locks are durable because hardware is changed under them: after a crash the record says which nodes were
// being worked on, and keeps others off until that is settled. Shared locks only keep the readers of this process apart
// from its writers; a crash ends every reader, so they never touch the disk.
type lockTable struct {
	mu      sync.Mutex
	nodes   map[string][]*Lock
	holders map[string]*Lock
	epoch   uint64
	count   uint64 // of locks taken in this epoch
}

func (t *lockTable) load(tx *bbolt.Tx) error {
	return tx.Bucket(locksBucket).ForEach(func(k, v []byte) error {
		l, err := decodeLock(v)
		if err != nil {
			return fmt.Errorf("%w: lock of node %s: %w", ErrCorrupt, k, err)
		}
		t.add(&l)
		return nil
	})
}

// add and remove need mu, or nobody else around.
func (t *lockTable) add(l *Lock) {
	t.nodes[l.Node] = append(t.nodes[l.Node], l)
	t.holders[l.Holder] = l
}

func (t *lockTable) remove(l *Lock) {
	delete(t.holders, l.Holder)
	rest := slices.DeleteFunc(t.nodes[l.Node], func(other *Lock) bool { return other == l })
	if len(rest) == 0 {
		delete(t.nodes, l.Node)
		return
	}
	t.nodes[l.Node] = rest
}

// get returns the lock of a holder in this run of the worker, as it is now.
func (t *lockTable) get(holder string) (Lock, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, err := t.find(holder, false)
	if err != nil {
		return Lock{}, err
	}
	return *l, nil
}

// find returns the lock of a holder that is alive or, when stale is set, of one that died in an earlier run. A stale lock
// is good for nothing but to be reclaimed or dropped. It needs mu.
func (t *lockTable) find(holder string, stale bool) (*Lock, error) {
	l, ok := t.holders[holder]
	if !ok || (!stale && l.Epoch != t.epoch) {
		return nil, ErrNotHeld
	}
	if stale && l.Epoch == t.epoch {
		return nil, t.locked([]*Lock{l})
	}
	return l, nil
}

// release takes the lock of a holder out of the table, if it is there.
func (t *lockTable) release(holder string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l, ok := t.holders[holder]; ok {
		t.remove(l)
	}
}

// change edits the lock of a holder, if it is there.
func (t *lockTable) change(holder string, edit func(*Lock)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l, ok := t.holders[holder]; ok {
		edit(l)
	}
}

// TryLock takes the lock of a node, or fails at once with *Locked. Many may hold it shared, or one exclusively; an
// exclusive lock is durable when TryLock returns. Node, Shared, Purpose and RequestID are the caller's, the rest is
// filled in; the Holder returned is what the other methods want.
func (d *DB) TryLock(want Lock) (Lock, error) {
	if d.readOnly {
		return Lock{}, ErrReadOnly
	}
	if want.Node == "" {
		return Lock{}, errors.New("locking a node: no node is named")
	}
	l, err := d.locks.reserve(want, d.options.Now().UTC())
	if err != nil || l.Shared {
		return l, err
	}
	if err := d.commit(func(tx *Tx) error { return tx.recordLock(l.Holder) }); err != nil {
		// The record may have reached the disk all the same. The next lock of this node overwrites it; otherwise a
		// restart finds it stale, with no reservation in the shared database beside it.
		d.locks.release(l.Holder)
		return Lock{}, fmt.Errorf("recording the lock of node %s: %w", want.Node, err)
	}
	return l, nil
}

// reserve enters a lock into the table unless it conflicts.
func (t *lockTable) reserve(l Lock, now time.Time) (Lock, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if others := t.nodes[l.Node]; len(others) > 0 && (!l.Shared || !others[0].Shared) {
		return Lock{}, t.locked(others)
	}
	t.sign(&l)
	l.Since = now
	t.add(&l)
	return l, nil
}

// sign makes a lock one of this run. It needs mu.
func (t *lockTable) sign(l *Lock) {
	t.count++
	l.Holder, l.Epoch = fmt.Sprintf("%d-%d", t.epoch, t.count), t.epoch
}

func (t *lockTable) locked(holders []*Lock) *Locked {
	err := &Locked{Node: holders[0].Node}
	for _, l := range holders {
		err.Holders = append(err.Holders, *l)
	}
	return err
}

// Unlock gives a lock up. The node is free for others when it returns, even with an error: that only says that the
// record of an exclusive lock could not be removed, and will be found stale after a restart. The reservation in the
// shared database must have been given up before.
func (d *DB) Unlock(holder string) error {
	l, err := d.locks.get(holder)
	if err != nil {
		return fmt.Errorf("unlocking: %w", err)
	}
	defer d.locks.release(holder)
	if l.Shared {
		return nil
	}
	if err := d.commit(func(tx *Tx) error { return tx.eraseLock(l) }); err != nil {
		return fmt.Errorf("removing the record of the lock of node %s: %w", l.Node, err)
	}
	return nil
}

// Upgrade makes a shared lock exclusive, for a new purpose if one is given, and fails with *Locked, changing nothing,
// when there are other holders. It is durable when Upgrade returns. Upgrading an exclusive lock does nothing.
func (d *DB) Upgrade(holder, purpose string) error {
	before, err := d.locks.upgrade(holder, purpose)
	if err != nil {
		return fmt.Errorf("upgrading a lock: %w", err)
	}
	if !before.Shared {
		return nil
	}
	if err := d.commit(func(tx *Tx) error { return tx.recordLock(holder) }); err != nil {
		d.locks.change(holder, func(l *Lock) { *l = before })
		return fmt.Errorf("recording the lock of node %s: %w", before.Node, err)
	}
	return nil
}

func (t *lockTable) upgrade(holder, purpose string) (before Lock, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, err := t.find(holder, false)
	if err != nil {
		return Lock{}, err
	}
	others := slices.DeleteFunc(slices.Clone(t.nodes[l.Node]), func(other *Lock) bool { return other == l })
	if len(others) > 0 {
		return Lock{}, t.locked(others)
	}
	before = *l
	if l.Shared {
		l.Shared, l.Purpose = false, cmp.Or(purpose, l.Purpose)
	}
	return before, nil
}

// Downgrade makes an exclusive lock shared. The reservation in the shared database must have been given up before. After
// an error the lock is still exclusive.
func (d *DB) Downgrade(holder string) error {
	return d.commit(func(tx *Tx) error { return tx.Downgrade(holder) })
}

// Locks returns every lock, by node and then by age, those that a crash left included.
func (d *DB) Locks() []Lock {
	d.locks.mu.Lock()
	defer d.locks.mu.Unlock()
	all := make([]Lock, 0, len(d.locks.holders))
	for _, l := range d.locks.holders {
		all = append(all, *l)
	}
	slices.SortFunc(all, func(a, b Lock) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), a.Since.Compare(b.Since), cmp.Compare(a.Holder, b.Holder))
	})
	return all
}

// Stale returns the locks that earlier runs of the worker held when they died. Each keeps its node locked until it is
// either reclaimed, to go on with the work, or dropped.
func (d *DB) Stale() []Lock {
	return slices.DeleteFunc(d.Locks(), func(l Lock) bool { return l.Epoch >= d.epoch })
}

// Reclaim takes a stale lock over: it has a new holder and the present epoch when Reclaim returns, durably, and its old
// purpose, request and time. Of two that try, one gets it.
func (d *DB) Reclaim(holder string) (Lock, error) {
	before, l, err := d.locks.reclaim(holder)
	if err != nil {
		return Lock{}, fmt.Errorf("reclaiming a lock: %w", err)
	}
	if err := d.commit(func(tx *Tx) error { return tx.recordLock(l.Holder) }); err != nil {
		d.locks.replace(l.Holder, before)
		return Lock{}, fmt.Errorf("recording the lock of node %s: %w", l.Node, err)
	}
	return l, nil
}

func (t *lockTable) reclaim(holder string) (before, after Lock, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, err := t.find(holder, true)
	if err != nil {
		return before, after, err
	}
	before, after = *l, *l
	t.sign(&after)
	t.remove(l)
	t.add(&after)
	return before, after, nil
}

func (t *lockTable) replace(holder string, by Lock) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l, ok := t.holders[holder]; ok {
		t.remove(l)
		t.add(&by)
	}
}

// Drop removes a stale lock whose work is settled. It refuses, with *Locked, to remove one of this run.
func (d *DB) Drop(holder string) error {
	d.locks.mu.Lock()
	l, err := d.locks.find(holder, true)
	d.locks.mu.Unlock()
	if err == nil {
		// Nobody edits a stale lock, so it may be read here.
		err = d.commit(func(tx *Tx) error { return tx.eraseLock(*l) })
	}
	if err != nil {
		return fmt.Errorf("dropping a stale lock: %w", err)
	}
	d.locks.release(holder)
	return nil
}

// Unlock gives a lock up within a transaction, for instance together with the result and the events of the work. Unlike
// DB.Unlock it leaves the lock held when the transaction fails.
//
// Taking a lock has no such form, since nothing may be written about a node before its lock is held.
func (tx *Tx) Unlock(holder string) error {
	t := &tx.db.locks
	l, err := t.get(holder)
	if err != nil {
		return fmt.Errorf("unlocking: %w", err)
	}
	if err := tx.eraseLock(l); err != nil {
		return fmt.Errorf("removing the record of the lock of node %s: %w", l.Node, err)
	}
	tx.after = append(tx.after, func() { t.release(holder) })
	return nil
}

// Downgrade is DB.Downgrade within a transaction.
func (tx *Tx) Downgrade(holder string) error {
	t := &tx.db.locks
	l, err := t.get(holder)
	if err != nil {
		return fmt.Errorf("downgrading a lock: %w", err)
	}
	if err := tx.eraseLock(l); err != nil {
		return fmt.Errorf("removing the record of the lock of node %s: %w", l.Node, err)
	}
	tx.after = append(tx.after, func() { t.change(holder, func(l *Lock) { l.Shared = true }) })
	return nil
}

// recordLock writes the lock of a holder that is in the table.
func (tx *Tx) recordLock(holder string) error {
	l, err := tx.db.locks.get(holder)
	if err != nil {
		return err
	}
	value, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return tx.bolt.Bucket(locksBucket).Put([]byte(l.Node), value)
}

// eraseLock removes the record of a lock, but not that of somebody who took the node since.
func (tx *Tx) eraseLock(l Lock) error {
	b := tx.bolt.Bucket(locksBucket)
	value := b.Get([]byte(l.Node))
	if value == nil {
		return nil
	}
	if recorded, err := decodeLock(value); err == nil && recorded.Holder != l.Holder {
		return nil
	}
	return b.Delete([]byte(l.Node))
}

func decodeLock(v []byte) (Lock, error) {
	var l Lock
	err := json.Unmarshal(v, &l)
	return l, err
}
