package local

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// ids are the ids of events, in order.
func ids(events []Event) string {
	var all []string
	for _, e := range events {
		all = append(all, e.ID)
	}
	return strings.Join(all, " ")
}

func wantEvents(t *testing.T, d *DB, want string) {
	t.Helper()
	events, err := d.Peek(0, math.MaxInt)
	must(t, err)
	if got := ids(events); got != want {
		t.Errorf("outbox holds %q, want %q", got, want)
	}
	if !slices.IsSortedFunc(events, func(a, b Event) int { return bySeq(a, b.Seq) }) {
		t.Error("not in order")
	}
}

func TestEventsKeepTheirOrder(t *testing.T) {
	path := testPath(t)
	d := open(t, path, Options{})
	first := Event{ID: "1", Node: "node", Topic: "info", Droppable: true, Body: []byte("{\n}\n\x00")}
	must(t, d.Append(first, Event{ID: "2"}))
	must(t, d.Append(Event{ID: "3", Volatile: true, Body: []byte("progress")}))
	must(t, d.Append(Event{ID: "4"}, Event{ID: "5", Volatile: true}, Event{ID: "6"}))
	must(t, d.Append(Event{ID: "7", Volatile: true}))
	wantEvents(t, d, "1 2 3 4 5 6 7")

	events, err := d.Peek(0, 3)
	must(t, err)
	if got := ids(events); got != "1 2 3" {
		t.Errorf("first three: %s", got)
	}
	got := events[0]
	if got.Node != "node" || got.Topic != "info" || !got.Droppable || string(got.Body) != string(first.Body) {
		t.Errorf("came back as %+v", got)
	}
	if !events[2].Volatile || string(events[2].Body) != "progress" {
		t.Errorf("came back as %+v", events[2])
	}
	rest, err := d.Peek(events[2].Seq, 9)
	must(t, err)
	if got := ids(rest); got != "4 5 6 7" {
		t.Errorf("after the third: %s", got)
	}
	wantEvents(t, crashed(t, d), "1 2 4 6")

	must(t, d.Delete(events[1].Seq, events[2].Seq, rest[0].Seq, 999))
	must(t, d.Delete(events[1].Seq))
	wantEvents(t, d, "1 5 6 7")
	if s := d.Outbox(); s != (OutboxStats{Durable: 2, Volatile: 2}) {
		t.Errorf("stats %+v", s)
	}
	last := rest[2].Seq
	must(t, d.Delete(events[0].Seq, last))
	must(t, d.Close())
	d = open(t, path, Options{})
	must(t, d.Append(Event{ID: "8"}))
	wantEvents(t, d, "8")
	if events, err = d.Peek(0, 1); err != nil || events[0].Seq <= last {
		t.Errorf("number %d after %d", events[0].Seq, last)
	}
}

func TestFullOutbox(t *testing.T) {
	for _, c := range []struct {
		name   string
		append []string // p droppable, e not, v volatile; one Append each
		want   string
	}{
		{"room", []string{"e0", "p1", "e2"}, "e0 p1 e2"},
		{"progress goes first", []string{"e0", "p1", "p2", "e3"}, "e0 p2 e3"},
		{"then the oldest", []string{"e0", "e1", "p2", "e3 e4 e5"}, "e3 e4 e5"},
		{"even at once", []string{"e0 p1 e2 p3 e4"}, "e2 p3 e4"},
		{"memory has its own bound", []string{"e0", "v1", "e2", "v3", "v4", "e5"}, "e0 e2 v3 v4 e5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := testPath(t)
			o := Options{OutboxMax: 3, VolatileMax: 2}
			d := open(t, path, o)
			total := 0
			for _, group := range c.append {
				var events []Event
				for id := range strings.FieldsSeq(group) {
					events = append(events, Event{ID: id, Droppable: id[0] == 'p', Volatile: id[0] == 'v'})
				}
				total += len(events)
				must(t, d.Append(events...))
			}
			wantEvents(t, d, c.want)
			kept := len(strings.Fields(c.want))
			if s := d.Outbox(); s.Durable+s.Volatile != kept || int(s.Dropped) != total-kept {
				t.Errorf("stats %+v, want %d kept of %d", s, kept, total)
			}
			before := d.Outbox().Durable
			must(t, d.Close())
			if after := open(t, path, o).Outbox().Durable; after != before {
				t.Errorf("%d events after a restart, %d before", after, before)
			}
		})
	}
}

func TestNextWaits(t *testing.T) {
	d := open(t, testPath(t), Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, add := range []Event{{ID: "durable"}, {ID: "volatile", Volatile: true}} {
		var after uint64
		if seen, err := d.Peek(0, 9); err == nil && len(seen) > 0 {
			after = seen[len(seen)-1].Seq
		}
		got := make(chan string)
		go func() {
			events, err := d.Next(ctx, after, 9)
			got <- fmt.Sprint(ids(events), err)
		}()
		must(t, d.Append(add))
		if s := <-got; s != add.ID+"<nil>" {
			t.Errorf("got %s, want %s", s, add.ID)
		}
	}
	cancel()
	if _, err := d.Next(ctx, 99, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := d.Next(context.Background(), 99, 1)
		done <- err
	}()
	must(t, d.Close())
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	for _, n := range []int{0, -1} {
		if _, err := d.Peek(0, n); err == nil {
			t.Errorf("Peek of %d events", n)
		}
	}
}

// A volatile event that is added while an earlier durable one is being committed waits for it: a reader that had passed
// the later number would never come back for the earlier one.
func TestNothingAppearsOutOfOrder(t *testing.T) {
	d := open(t, testPath(t), Options{})
	must(t, d.commit(func(tx *transaction) error {
		must(t, tx.append(Event{ID: "durable"}))
		must(t, d.Append(Event{ID: "volatile", Volatile: true}))
		wantEvents(t, d, "")
		return nil
	}))
	wantEvents(t, d, "durable volatile")

	refused := errors.New("refused")
	err := d.commit(func(tx *transaction) error {
		return errors.Join(tx.append(Event{ID: "never", Volatile: true}, Event{ID: "never"}), refused)
	})
	if !errors.Is(err, refused) {
		t.Error(err)
	}
	must(t, d.Append(Event{ID: "later", Volatile: true}))
	wantEvents(t, d, "durable volatile later")
}

// A reader that goes on from the last number that it saw must meet every event, those of each node in order.
func TestReaderMissesNothing(t *testing.T) {
	const writers, each = 16, 40
	d := open(t, testPath(t), Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				e := Event{ID: fmt.Sprint(i), Node: fmt.Sprint(w), Volatile: (i+w)%3 == 0}
				var err error
				if i%5 == 0 {
					err = d.commit(func(tx *transaction) error { return tx.append(e) })
				} else {
					err = d.Append(e)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := map[string]int{}
	var after uint64
	for seen := 0; seen < writers*each; {
		events, err := d.Next(ctx, after, 7)
		must(t, err)
		var seqs []uint64
		for _, e := range events {
			if e.Seq <= after || e.ID != fmt.Sprint(next[e.Node]) {
				t.Fatalf("event %s of node %s, number %d after %d; expected %d", e.ID, e.Node, e.Seq, after, next[e.Node])
			}
			next[e.Node]++
			after = e.Seq
			seqs = append(seqs, e.Seq)
		}
		seen += len(events)
		must(t, d.Delete(seqs...))
	}
	all.Wait()
	if s := d.Outbox(); s != (OutboxStats{}) {
		t.Errorf("left: %+v", s)
	}
}
