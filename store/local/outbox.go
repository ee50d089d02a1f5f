package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
)

// Event is a message to publish.
type Event struct {
	// Seq is its place among all events, given by Append. It grows; numbers may be missing.
	Seq   uint64 `json:"-"`
	ID    string `json:"id"`   // message id, the same each time it is published
	Node  string `json:"node"` // UUID
	Topic string `json:"topic"`
	// Droppable events, of progress, go first when the outbox is full.
	Droppable bool `json:"droppable,omitempty"`
	// Volatile events live in memory only: they cost no commit and die with the process.
	Volatile bool   `json:"-"`
	Body     []byte `json:"-"`
}

// OutboxStats is what an operator wants to know about the outbox.
type OutboxStats struct {
	Durable  int    // events on disk
	Volatile int    // events in memory
	Dropped  uint64 // events given up since Open because the outbox was full
}

// outbox keeps the order of all events and the volatile ones; bodies of durable ones stay on disk.
type outbox struct {
	mu        sync.Mutex
	next      uint64        // number of the next event
	hold      uint64        // lowest number in the commit under way, 0 when there is none
	wake      chan struct{} // closed when there may be more to see
	volatile  []Event       // in order
	droppable []uint64      // durable ones, in order
	durable   int
	dropped   uint64
}

func (o *outbox) load(tx *bbolt.Tx) error {
	b := tx.Bucket(outboxBucket)
	o.next = b.Sequence() + 1
	return b.ForEach(func(k, v []byte) error {
		e, err := decodeEvent(k, v)
		if err != nil {
			return err
		}
		o.durable++
		if e.Droppable {
			o.droppable = append(o.droppable, e.Seq)
		}
		return nil
	})
}

// Append adds events to the outbox, in order. They are durable when it returns, except volatile ones.
func (d *DB) Append(events ...Event) error {
	if d.readOnly {
		return ErrReadOnly
	}
	if !slices.ContainsFunc(events, func(e Event) bool { return !e.Volatile }) {
		d.outbox.addVolatile(d.options.VolatileMax, events)
		return nil
	}
	return d.commit(func(tx *transaction) error { return tx.append(events...) })
}

func (tx *transaction) append(events ...Event) error {
	o, b := &tx.db.outbox, tx.bolt.Bucket(outboxBucket)
	for _, e := range events {
		e.Seq = o.take()
		if e.Volatile {
			tx.after = append(tx.after, func() { o.insertVolatile(tx.db.options.VolatileMax, e) })
			continue
		}
		header, err := json.Marshal(e)
		if err == nil {
			err = b.Put(numberKey(e.Seq), frame(header, e.Body))
		}
		if err == nil {
			// Kept so that numbers still grow when a restart finds the outbox empty.
			err = b.SetSequence(e.Seq)
		}
		if err != nil {
			return fmt.Errorf("adding event %s of node %s to the outbox: %w", e.ID, e.Node, err)
		}
		tx.appended++
		tx.after = append(tx.after, func() { o.addDurable(e) })
	}
	return nil
}

// take hands out a number within a commit. Until the commit is over no event from there on is shown, so that none
// appears behind a reader that has passed it.
func (o *outbox) take() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.next
	o.next++
	if o.hold == 0 {
		o.hold = n
	}
	return n
}

// reveal ends what take began.
func (o *outbox) reveal() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hold != 0 {
		o.hold = 0
		o.wakeReaders()
	}
}

func (o *outbox) wakeReaders() {
	close(o.wake)
	o.wake = make(chan struct{})
}

func (o *outbox) addDurable(e Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.durable++
	if e.Droppable {
		o.droppable = append(o.droppable, e.Seq)
	}
}

// addVolatile numbers and adds events outside of a commit.
func (o *outbox) addVolatile(limit int, events []Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range events {
		e.Seq = o.next
		o.next++
		o.volatile = append(o.volatile, e)
	}
	o.trimVolatile(limit)
	o.wakeReaders()
}

// insertVolatile adds an event that was numbered in a commit; others may have been added since.
func (o *outbox) insertVolatile(limit int, e Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i, _ := slices.BinarySearchFunc(o.volatile, e.Seq, bySeq)
	o.volatile = slices.Insert(o.volatile, i, e)
	o.trimVolatile(limit)
}

func (o *outbox) trimVolatile(limit int) {
	for len(o.volatile) > limit {
		o.volatile[0] = Event{}
		o.volatile = o.volatile[1:]
		o.dropped++
	}
}

func bySeq(e Event, seq uint64) int {
	switch {
	case e.Seq < seq:
		return -1
	case e.Seq > seq:
		return 1
	}
	return 0
}

// Next waits until there are events after number after, and returns up to n of them in order. A publisher starts at 0,
// goes on from the last Seq that it has seen, deletes what the broker confirmed, and starts at 0 again after an error
// or a restart, publishing what is still there once more.
func (d *DB) Next(ctx context.Context, after uint64, n int) ([]Event, error) {
	for {
		d.outbox.mu.Lock()
		wake := d.outbox.wake
		d.outbox.mu.Unlock()
		events, err := d.Peek(after, n)
		if err != nil || len(events) > 0 {
			return events, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for events: %w", ctx.Err())
		case <-d.closed:
			return nil, ErrClosed
		}
	}
}

// Peek is Next without waiting: it returns nothing when there is nothing.
func (d *DB) Peek(after uint64, n int) ([]Event, error) {
	if n < 1 {
		return nil, errors.New("reading the outbox: asked for less than one event")
	}
	if after == math.MaxUint64 {
		return nil, nil
	}
	volatile, end := d.outbox.visible(after)
	var events []Event
	err := d.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(outboxBucket).Cursor()
		for k, v := c.Seek(numberKey(after + 1)); k != nil && number(k) < end && len(events) < n; k, v = c.Next() {
			e, err := decodeEvent(k, v)
			if err != nil {
				return err
			}
			e.Body = slices.Clone(e.Body)
			events = append(events, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", err)
	}
	if len(volatile) > 0 {
		events = append(events, volatile...)
		slices.SortFunc(events, func(a, b Event) int { return bySeq(a, b.Seq) })
	}
	return events[:min(n, len(events))], nil
}

// visible returns the volatile events after a number that may be shown, and the number from which on nothing may be.
func (o *outbox) visible(after uint64) (volatile []Event, end uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	end = o.next
	if o.hold != 0 {
		end = o.hold
	}
	from, _ := slices.BinarySearchFunc(o.volatile, after+1, bySeq)
	to, _ := slices.BinarySearchFunc(o.volatile, end, bySeq)
	if from < to {
		volatile = slices.Clone(o.volatile[from:to])
	}
	return volatile, end
}

// Delete removes events that the broker confirmed. Those that are gone already do not matter.
func (d *DB) Delete(seqs ...uint64) error {
	if d.readOnly {
		return ErrReadOnly
	}
	durable := d.outbox.deleteVolatile(seqs)
	if len(durable) == 0 {
		return nil
	}
	if err := d.commit(func(tx *transaction) error { return tx.deleteEvents(durable) }); err != nil {
		return fmt.Errorf("deleting %d events from the outbox: %w", len(durable), err)
	}
	return nil
}

// deleteVolatile removes the volatile ones and returns the others.
func (o *outbox) deleteVolatile(seqs []uint64) (others []uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, seq := range seqs {
		if i, found := slices.BinarySearchFunc(o.volatile, seq, bySeq); found {
			o.volatile = slices.Delete(o.volatile, i, i+1)
		} else {
			others = append(others, seq)
		}
	}
	return others
}

func (tx *transaction) deleteEvents(seqs []uint64) error {
	b := tx.bolt.Bucket(outboxBucket)
	var gone []uint64
	for _, seq := range seqs {
		k := numberKey(seq)
		if b.Get(k) == nil {
			continue
		}
		if err := b.Delete(k); err != nil {
			return err
		}
		gone = append(gone, seq)
	}
	o := &tx.db.outbox
	tx.appended -= len(gone)
	tx.after = append(tx.after, func() { o.removeDurable(gone, false) })
	return nil
}

func (o *outbox) removeDurable(seqs []uint64, dropped bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.durable -= len(seqs)
	if dropped {
		o.dropped += uint64(len(seqs))
	}
	for _, seq := range seqs {
		if i, found := slices.BinarySearch(o.droppable, seq); found {
			o.droppable = slices.Delete(o.droppable, i, i+1)
		}
	}
}

// trimOutbox keeps the outbox within its bound, at the end of a transaction that added to it.
func (tx *transaction) trimOutbox() error {
	o := &tx.db.outbox
	o.mu.Lock()
	excess := o.durable + tx.appended - tx.db.options.OutboxMax
	candidates := slices.Clone(o.droppable[:min(max(excess, 0), len(o.droppable))])
	o.mu.Unlock()
	if excess <= 0 || tx.appended <= 0 {
		return nil
	}
	b := tx.bolt.Bucket(outboxBucket)
	var victims []uint64
	for _, seq := range candidates {
		if b.Get(numberKey(seq)) != nil {
			victims = append(victims, seq)
		}
	}
	c := b.Cursor()
	for k, _ := c.First(); k != nil && len(victims) < excess; k, _ = c.Next() {
		if !slices.Contains(candidates, number(k)) {
			victims = append(victims, number(k))
		}
	}
	for _, seq := range victims {
		if err := b.Delete(numberKey(seq)); err != nil {
			return fmt.Errorf("dropping events from a full outbox: %w", err)
		}
	}
	tx.after = append(tx.after, func() {
		o.removeDurable(victims, true)
		tx.db.options.Log.Warn().Int("events", len(victims)).Msg("the outbox is full: dropped the oldest events")
	})
	return nil
}

// Outbox returns how full the outbox is.
func (d *DB) Outbox() OutboxStats {
	o := &d.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	return OutboxStats{Durable: o.durable, Volatile: len(o.volatile), Dropped: o.dropped}
}

// decodeEvent reads a framed event. Its body lies within v.
func decodeEvent(k, v []byte) (Event, error) {
	header, body, _ := bytes.Cut(v, []byte{'\n'})
	var e Event
	if err := json.Unmarshal(header, &e); err != nil {
		return Event{}, fmt.Errorf("%w: event %d in the outbox: %w", ErrCorrupt, number(k), err)
	}
	e.Seq, e.Body = number(k), body
	return e, nil
}
