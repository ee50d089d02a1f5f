package local

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// Locked is the error of an exclusive lock that somebody else has.
type Locked struct {
	Node   string
	Holder Lock
}

// Error names the holder: what for and since when.
func (e *Locked) Error() string {
	text := fmt.Sprintf("node %s is locked for %q since %s", e.Node, e.Holder.Purpose, e.Holder.Since.UTC().Format(time.RFC3339))
	if e.Holder.RequestID != "" {
		text += " by request " + e.Holder.RequestID
	}
	return text
}

// lockTable answers conflicts from memory. An exclusive lock is there before it is on disk and leaves it after, so two
// callers never both believe that they have it.
//
// Exclusive locks are durable because hardware is changed under them: after a crash the record says which nodes were
// being worked on, and keeps others off until that is settled. A shared lock hinders nobody, as ironic's does not: it
// shows to operators who reads a node and for what. A crash ends every reader, so it never touches the disk.
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
// is good for nothing but to be dropped. It needs mu.
func (t *lockTable) find(holder string, stale bool) (*Lock, error) {
	l, ok := t.holders[holder]
	if !ok || (!stale && l.Epoch != t.epoch) {
		return nil, ErrNotHeld
	}
	if stale && l.Epoch == t.epoch {
		return nil, &Locked{Node: l.Node, Holder: *l}
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

// TryLock takes the lock of a node, or fails at once with *Locked. One may hold it exclusively, while any number hold it
// shared; an exclusive lock is durable when TryLock returns. Node, Shared, Purpose and RequestID are the caller's, the
// rest is filled in; the Holder returned is what the other methods want.
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
	if err := d.commit(func(tx *transaction) error { return tx.recordLock(l.Holder) }); err != nil {
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
	if other := t.exclusive(l.Node); other != nil && !l.Shared {
		return Lock{}, &Locked{Node: l.Node, Holder: *other}
	}
	t.count++
	l.Holder, l.Epoch, l.Since = fmt.Sprintf("%d-%d", t.epoch, t.count), t.epoch, now
	t.add(&l)
	return l, nil
}

// exclusive returns the exclusive lock of a node, nil when it has none. It needs mu.
func (t *lockTable) exclusive(node string) *Lock {
	for _, l := range t.nodes[node] {
		if !l.Shared {
			return l
		}
	}
	return nil
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
	if err := d.commit(func(tx *transaction) error { return tx.eraseLock(l) }); err != nil {
		return fmt.Errorf("removing the record of the lock of node %s: %w", l.Node, err)
	}
	return nil
}

// Upgrade makes a shared lock exclusive, for a new purpose if one is given, and fails with *Locked, changing nothing,
// when somebody else has it exclusively. It is durable when Upgrade returns. Upgrading an exclusive lock does nothing.
func (d *DB) Upgrade(holder, purpose string) error {
	before, err := d.locks.upgrade(holder, purpose)
	if err != nil {
		return fmt.Errorf("upgrading a lock: %w", err)
	}
	if !before.Shared {
		return nil
	}
	if err := d.commit(func(tx *transaction) error { return tx.recordLock(holder) }); err != nil {
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
	before = *l
	if l.Shared {
		if other := t.exclusive(l.Node); other != nil {
			return Lock{}, &Locked{Node: l.Node, Holder: *other}
		}
		l.Shared, l.Purpose = false, cmp.Or(purpose, l.Purpose)
	}
	return before, nil
}

// Downgrade makes an exclusive lock shared, as it was before an Upgrade whose reservation in the shared database was not
// to be had. The node is free for others when it returns, even with an error: that only says that the record could not be
// removed, and will be found stale after a restart.
func (d *DB) Downgrade(holder string) error {
	l, err := d.locks.get(holder)
	if err != nil {
		return fmt.Errorf("downgrading a lock: %w", err)
	}
	defer d.locks.change(holder, func(l *Lock) { l.Shared = true })
	if err := d.commit(func(tx *transaction) error { return tx.eraseLock(l) }); err != nil {
		return fmt.Errorf("removing the record of the lock of node %s: %w", l.Node, err)
	}
	return nil
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
// dropped.
func (d *DB) Stale() []Lock {
	return slices.DeleteFunc(d.Locks(), func(l Lock) bool { return l.Epoch >= d.epoch })
}

// Drop removes a stale lock whose work is settled. It refuses, with *Locked, to remove one of this run.
func (d *DB) Drop(holder string) error {
	d.locks.mu.Lock()
	l, err := d.locks.find(holder, true)
	d.locks.mu.Unlock()
	if err == nil {
		// Nobody edits a stale lock, so it may be read here.
		err = d.commit(func(tx *transaction) error { return tx.eraseLock(*l) })
	}
	if err != nil {
		return fmt.Errorf("dropping a stale lock: %w", err)
	}
	d.locks.release(holder)
	return nil
}

// recordLock writes the lock of a holder that is in the table.
func (tx *transaction) recordLock(holder string) error {
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
func (tx *transaction) eraseLock(l Lock) error {
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
