package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

const (
	// maxCallID is the longest id that is accepted, in bytes. oslo sends 32.
	maxCallID = 255
	// rememberMin is how many finished ids are kept whatever their age.
	rememberMin = 4096
	// forgetAtOnce bounds what one commit prunes.
	forgetAtOnce = 1024
)

var (
	// ErrCallID marks a call whose id is missing or too long to be remembered.
	ErrCallID = errors.New("unusable call id")
	// ErrUnknownCall is returned when a call finishes that was never accepted, or long ago.
	ErrUnknownCall = errors.New("call is not in the inbox")
)

// Call is an accepted RPC call.
type Call struct {
	ID string    `json:"id"` // the _unique_id of oslo.messaging, or one made up
	At time.Time `json:"at"` // when it was accepted
	// Form is how Body is written, in the words of whoever accepted it.
	Form string `json:"form,omitempty"`
	Body []byte `json:"-"`
}

// inbox is what is known about calls without asking the disk: each pending one and those that finished lately.
type inbox struct {
	mu       sync.Mutex
	calls    map[string]*callState
	finished int // among calls
	// oldest is a time before which no call finished: pruning need not look at the disk until it comes of age.
	oldest time.Time
}

type callState struct {
	number  uint64        // in the calls bucket; 0 once finished
	written chan struct{} // closed when it is known whether the call is durable; nil when that was long ago
	err     error         // why it is not; set before written is closed
}

func (in *inbox) load(tx *bbolt.Tx) error {
	err := tx.Bucket(callsBucket).ForEach(func(k, v []byte) error {
		call, err := decodeCall(v)
		if err != nil {
			return fmt.Errorf("%w: call %d in the inbox: %w", ErrCorrupt, number(k), err)
		}
		in.calls[call.ID] = &callState{number: number(k)}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Bucket(finishedBucket).ForEach(func(k, v []byte) error {
		call, err := decodeCall(v)
		if err != nil {
			return fmt.Errorf("%w: finished call %d: %w", ErrCorrupt, number(k), err)
		}
		in.calls[call.ID] = &callState{}
		in.finished++
		return nil
	})
}

// Accept puts a call into the inbox. When it returns fresh, the call is durable and this worker's to run, so its message
// may be acknowledged. When it returns false without an error, a call of this id was accepted before, is durable, and
// the message is a redelivery to be acknowledged and dropped. After an error nothing is known to be accepted: the
// message must not be acknowledged, unless the error is ErrCallID, with which it never will be.
func (d *DB) Accept(call Call) (fresh bool, err error) {
	id := call.ID
	if id == "" || len(id) > maxCallID {
		return false, fmt.Errorf("accepting a call: %w: %d bytes long, not 1 to %d", ErrCallID, len(id), maxCallID)
	}
	call.At = call.At.UTC()
	header, err := json.Marshal(call)
	if err != nil {
		return false, fmt.Errorf("accepting call %s: %w", id, err)
	}
	known, state := d.inbox.claim(id)
	if known {
		if state.written != nil {
			<-state.written
		}
		return false, state.err
	}
	value := frame(header, call.Body)
	err = d.commit(func(tx *transaction) error {
		b := tx.bolt.Bucket(callsBucket)
		n, err := b.NextSequence()
		if err != nil {
			return err
		}
		state.number = n
		return b.Put(numberKey(n), value)
	})
	if err != nil {
		state.err = fmt.Errorf("accepting call %s: %w", id, err)
		d.inbox.disown(id)
	}
	close(state.written)
	return err == nil, state.err
}

// claim says whether the id is known, and claims it for the caller when it is not.
func (in *inbox) claim(id string) (known bool, state *callState) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if state, known = in.calls[id]; known {
		return true, state
	}
	state = &callState{written: make(chan struct{})}
	in.calls[id] = state
	return false, state
}

func (in *inbox) disown(id string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.calls, id)
}

// Finish takes a call out of the inbox and remembers its id, so that it never runs again. Finishing twice is no error.
func (d *DB) Finish(id string) error {
	return d.commit(func(tx *transaction) error { return tx.finish(id) })
}

func (tx *transaction) finish(id string) error {
	in := &tx.db.inbox
	in.mu.Lock()
	state, known := in.calls[id]
	in.mu.Unlock()
	if !known {
		return fmt.Errorf("finishing call %s: %w", id, ErrUnknownCall)
	}
	calls, finished := tx.bolt.Bucket(callsBucket), tx.bolt.Bucket(finishedBucket)
	k := numberKey(state.number)
	if state.number == 0 || calls.Get(k) == nil {
		return nil
	}
	value, err := json.Marshal(Call{ID: id, At: tx.db.options.Now().UTC()})
	if err == nil {
		err = calls.Delete(k)
	}
	var n uint64
	if err == nil {
		n, err = finished.NextSequence()
	}
	if err == nil {
		err = finished.Put(numberKey(n), frame(value, nil))
	}
	if err != nil {
		return fmt.Errorf("finishing call %s: %w", id, err)
	}
	tx.after = append(tx.after, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.calls[id] = &callState{}
		in.finished++
	})
	return nil
}

// Pending returns the calls that were accepted and have not finished, in the order in which they were accepted. After a
// restart they are the work to take up again.
func (d *DB) Pending() ([]Call, error) {
	var calls []Call
	err := d.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(callsBucket).ForEach(func(k, v []byte) error {
			call, err := decodeCall(v)
			if err != nil {
				return fmt.Errorf("%w: call %d: %w", ErrCorrupt, number(k), err)
			}
			call.Body = slices.Clone(call.Body)
			calls = append(calls, call)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the inbox: %w", err)
	}
	return calls, nil
}

// forgetFinished prunes the ids of finished calls in passing: those beyond the bound, and those that are older than
// asked for and not among the newest few thousand. It goes by the order in which calls finished, not by the clock.
func (tx *transaction) forgetFinished() error {
	in, o := &tx.db.inbox, &tx.db.options
	in.mu.Lock()
	count, oldest := in.finished, in.oldest
	in.mu.Unlock()
	cutoff := o.Now().Add(-o.RememberFor)
	if count <= min(rememberMin, o.RememberMax) || (count <= o.RememberMax && oldest.After(cutoff)) {
		return nil
	}
	b := tx.bolt.Bucket(finishedBucket)
	var keys [][]byte
	var ids []string
	c := b.Cursor()
	for k, v := c.First(); k != nil && len(keys) < forgetAtOnce; k, v = c.Next() {
		call, err := decodeCall(v)
		if err != nil {
			return fmt.Errorf("%w: finished call %d: %w", ErrCorrupt, number(k), err)
		}
		left := count - len(keys)
		if left <= o.RememberMax && (left <= rememberMin || call.At.After(cutoff)) {
			oldest = call.At
			break
		}
		keys, ids = append(keys, bytes.Clone(k)), append(ids, call.ID)
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return fmt.Errorf("forgetting finished calls: %w", err)
		}
	}
	tx.after = append(tx.after, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		for _, id := range ids {
			delete(in.calls, id)
		}
		in.finished -= len(ids)
		in.oldest = oldest
	})
	return nil
}

// decodeCall reads a framed call. Its body lies within v.
func decodeCall(v []byte) (Call, error) {
	header, body, _ := bytes.Cut(v, []byte{'\n'})
	var call Call
	if err := json.Unmarshal(header, &call); err != nil {
		return Call{}, err
	}
	call.Body = body
	return call, nil
}
