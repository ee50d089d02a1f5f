package local

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// Moment is something that happened to a node, for people to read later. It holds no secrets.
type Moment struct {
	At time.Time `json:"at"`
	// Kind groups what is alike, Text says what happened and Result what came of it.
	Kind   string `json:"kind"`
	Text   string `json:"text"`
	Result string `json:"result,omitempty"`
	Failed bool   `json:"failed,omitempty"`
	// Turn marks what a person looks for first: a change of state, a step, an error. What is not a turn is told once for
	// each stretch between two turns, with how often it happened and when it last did.
	Turn  bool      `json:"turn,omitempty"`
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
}

func (m Moment) like(o Moment) bool {
	return m.Kind == o.Kind && m.Text == o.Text && m.Failed == o.Failed && m.Turn == o.Turn
}

const (
	// timelineLength is how many moments of a node are kept.
	timelineLength = 300
	// stretchLength is how many moments since the last turn are told apart from new ones.
	stretchLength = 48
	// timelineEvery is how often what is new is written. Nobody waits for it: what happened in the last second before a
	// crash is lost unless something else was committed meanwhile.
	timelineEvery = time.Second
	// repeatsEvery is how often it is written that something happened again.
	repeatsEvery = 30 * time.Second
	// lift is how many moments travel with a commit that somebody waits for.
	lift = 16
	// timelineKeep is how long the timeline of a node is kept to which nothing happens.
	timelineKeep = 60 * 24 * time.Hour
)

// timelines are the newest moments of each node, and which of them are not on disk yet.
type timelines struct {
	mu    sync.Mutex
	nodes map[string][]*entry
	// waiting are the nodes with something to write, in the order in which it happened.
	waiting []string
	// fresh counts the moments that are not on disk at all.
	fresh int
	// repeats is when repetitions were last written.
	repeats time.Time
	stopped chan struct{}
}

// entry is a moment and where it stands in the node's bucket; 0 is nowhere yet.
type entry struct {
	Moment
	number uint64
	dirty  bool
	// fresh entries are counted in timelines.fresh.
	fresh bool
}

// Note adds a moment to a node's timeline. It costs no commit: it is on disk with the next one, or about a second later.
func (d *DB) Note(node string, m Moment) {
	if d.readOnly || node == "" {
		return
	}
	t := &d.timelines
	t.mu.Lock()
	defer t.mu.Unlock()
	m.Count, m.Last = 1, m.At
	entries := t.nodes[node]
	queued := slices.ContainsFunc(entries, func(e *entry) bool { return e.dirty })
	if e := again(entries, m); e != nil {
		e.Count, e.Last, e.Result, e.dirty = e.Count+1, m.At, m.Result, true
	} else {
		e := &entry{Moment: m, dirty: true}
		t.nodes[node] = append(room(entries, m), e)
		t.setFresh(e, true)
	}
	if !queued {
		t.waiting = append(t.waiting, node)
	}
}

// again finds the moment that m repeats: the same turn just before, or anything alike since the last turn.
func again(entries []*entry, m Moment) *entry {
	for _, e := range slices.Backward(entries) {
		if e.like(m) {
			return e
		}
		if m.Turn || e.Turn {
			break
		}
	}
	return nil
}

// room forgets entries that are on disk and that nothing is added to any more: those before a turn, and the oldest of a
// long stretch.
func room(entries []*entry, m Moment) []*entry {
	over := len(entries) + 1 - stretchLength
	if m.Turn {
		over = len(entries)
	}
	return slices.DeleteFunc(entries, func(e *entry) bool {
		over--
		return over >= 0 && e.number != 0 && !e.dirty
	})
}

// Timeline returns what is known of a node, oldest first.
func (d *DB) Timeline(node string) ([]Moment, error) {
	var moments []Moment
	err := d.view(func(tx *bbolt.Tx) error {
		moments = nil
		b := tx.Bucket(timelineBucket)
		if b == nil || b.Bucket([]byte(node)) == nil {
			return nil
		}
		return b.Bucket([]byte(node)).ForEach(func(k, v []byte) error {
			var m Moment
			if err := json.Unmarshal(v, &m); err != nil {
				return fmt.Errorf("%w: moment %d: %w", ErrCorrupt, number(k), err)
			}
			moments = append(moments, m)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the timeline of node %s: %w", node, err)
	}
	t := &d.timelines
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.nodes[node] {
		i := slices.IndexFunc(moments, func(m Moment) bool { return m.like(e.Moment) && m.At.Equal(e.At) })
		if i >= 0 {
			moments[i] = e.Moment
		} else {
			moments = append(moments, e.Moment)
		}
	}
	return moments, nil
}

// carried is a moment on its way to the disk, as it was when the commit began.
type carried struct {
	node  string
	entry *entry
	value Moment
}

// carryTimelines writes up to most moments together with what a transaction commits anyway.
func (tx *transaction) carryTimelines(most int) error {
	load := tx.db.timelines.load(most)
	if len(load) == 0 {
		return nil
	}
	tx.failed = append(tx.failed, func() { tx.db.timelines.putBack(load) })
	for _, c := range load {
		n, err := tx.writeMoment(c)
		if err != nil {
			return fmt.Errorf("writing to the timeline of node %s: %w", c.node, err)
		}
		tx.after = append(tx.after, func() { tx.db.timelines.landed(c.entry, n) })
	}
	return nil
}

// load takes moments that wait to be written, those of one node together.
func (t *timelines) load(most int) []carried {
	t.mu.Lock()
	defer t.mu.Unlock()
	var load []carried
	for len(t.waiting) > 0 && len(load) < most {
		node := t.waiting[0]
		t.waiting = t.waiting[1:]
		for _, e := range t.nodes[node] {
			if e.dirty {
				e.dirty = false
				load = append(load, carried{node, e, e.Moment})
				t.setFresh(e, false)
			}
		}
	}
	return load
}

// setFresh notes whether an entry is not on disk at all and has yet to be carried there.
func (t *timelines) setFresh(e *entry, fresh bool) {
	switch {
	case fresh && !e.fresh:
		t.fresh++
	case !fresh && e.fresh:
		t.fresh--
	}
	e.fresh = fresh
}

// putBack is load undone, because the commit failed. What was forgotten meanwhile stays so.
func (t *timelines) putBack(load []carried) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range load {
		if !slices.Contains(t.nodes[c.node], c.entry) {
			continue
		}
		c.entry.dirty = true
		t.setFresh(c.entry, c.entry.number == 0)
		if !slices.Contains(t.waiting, c.node) {
			t.waiting = append(t.waiting, c.node)
		}
	}
}

func (t *timelines) landed(e *entry, n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.number = n
}

// writeMoment puts a moment in its place, a new one at the end; the oldest gives way. Numbers follow each other without
// a gap.
func (tx *transaction) writeMoment(c carried) (uint64, error) {
	b, err := tx.bolt.Bucket(timelineBucket).CreateBucketIfNotExists([]byte(c.node))
	if err != nil {
		return 0, err
	}
	n := c.entry.number
	if n == 0 {
		if n, err = b.NextSequence(); err != nil {
			return 0, err
		}
		if n > timelineLength {
			if err := b.Delete(numberKey(n - timelineLength)); err != nil {
				return 0, err
			}
		}
	} else if n+timelineLength <= b.Sequence() {
		return n, nil
	}
	value, err := json.Marshal(c.value)
	if err != nil {
		return 0, err
	}
	return n, b.Put(numberKey(n), value)
}

// keepTimelines writes what nobody else's commit has taken along, until the file is closed.
func (d *DB) keepTimelines() {
	defer close(d.timelines.stopped)
	ticker := time.NewTicker(timelineEvery)
	defer ticker.Stop()
	for {
		select {
		case <-d.closing:
			return
		case <-ticker.C:
		}
		if d.timelines.due(d.options.Now()) {
			if err := d.writeTimelines(); err != nil {
				d.options.Log.Debug().Err(err).Msg("could not write what happened to nodes")
			}
		}
	}
}

func (t *timelines) due(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fresh == 0 && (len(t.waiting) == 0 || now.Sub(t.repeats) < repeatsEvery) {
		return false
	}
	t.repeats = now
	return true
}

// writeTimelines puts everything on disk that is not there yet.
func (d *DB) writeTimelines() error {
	return d.commit(func(tx *transaction) error {
		tx.lift = maxGroup * lift
		return nil
	})
}

// forget drops what is not on disk yet of a node.
func (t *timelines) forget(node string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.nodes[node] {
		t.setFresh(e, false)
	}
	delete(t.nodes, node)
	t.waiting = slices.DeleteFunc(t.waiting, func(other string) bool { return other == node })
}

func (tx *transaction) forgetTimeline(node string) error {
	b := tx.bolt.Bucket(timelineBucket)
	if b.Bucket([]byte(node)) == nil {
		return nil
	}
	return b.DeleteBucket([]byte(node))
}

// makeTimelines adds what files of earlier versions lack, and forgets nodes of which nothing was heard for long: they may
// have moved to another worker.
func (d *DB) makeTimelines(tx *bbolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists(timelineBucket)
	if err != nil {
		return err
	}
	var old [][]byte
	err = b.ForEachBucket(func(node []byte) error {
		_, v := b.Bucket(node).Cursor().Last()
		var newest Moment
		if json.Unmarshal(v, &newest) != nil || d.options.Now().Sub(newest.Last) > timelineKeep {
			old = append(old, slices.Clone(node))
		}
		return nil
	})
	for _, node := range old {
		if err == nil {
			err = b.DeleteBucket(node)
		}
	}
	return err
}
