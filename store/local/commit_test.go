package local

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestACommitIsAllOrNothing(t *testing.T) {
	d := open(t, testPath(t), Options{})
	accept(t, d, "call", true)
	must(t, d.Put("node", "attempts", 1))
	must(t, d.Put("old", "key", 1))

	step := func(tx *transaction) error {
		return errors.Join(
			tx.put("node", "attempts", []byte("2")),
			tx.forget("old"),
			tx.append(Event{ID: "end"}, Event{ID: "progress", Volatile: true}),
			tx.finish("call"),
		)
	}
	state := func(d *DB) string {
		var n int
		_, err := d.Get("node", "attempts", &n)
		must(t, err)
		old, err := d.Get("old", "key", new(int))
		must(t, err)
		calls, err := d.Pending()
		must(t, err)
		events, err := d.Peek(0, 9)
		must(t, err)
		return fmt.Sprintf("attempts %d, old %v, %d calls, events %q", n, old, len(calls), ids(events))
	}
	before := "attempts 1, old true, 1 calls, events \"\""
	after := `attempts 2, old false, 0 calls, events "end progress"`

	refused := errors.New("refused")
	if err := d.commit(func(tx *transaction) error { return errors.Join(step(tx), refused) }); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	for _, d := range []*DB{d, crashed(t, d)} {
		if got := state(d); got != before {
			t.Errorf("after a failure: %s", got)
		}
	}
	must(t, d.commit(step))
	if got := state(d); got != after {
		t.Errorf("got %s", got)
	}
	if got, want := state(crashed(t, d)), strings.Replace(after, " progress", "", 1); got != want {
		t.Errorf("after a crash: %s", got)
	}
	accept(t, d, "call", false)
}

// One change that fails or panics harms none of those that share its commit.
func TestChangesDoNotHarmEachOther(t *testing.T) {
	d := open(t, testPath(t), Options{})
	refused := errors.New("refused")
	var all sync.WaitGroup
	for i := range 60 {
		node := fmt.Sprint("node ", i)
		all.Go(func() {
			defer func() {
				if p := recover(); (p != nil) != (i%3 == 2) {
					t.Errorf("change %d: recovered %v", i, p)
				}
			}()
			err := d.commit(func(tx *transaction) error {
				if err := tx.put(node, "key", []byte(fmt.Sprint(i))); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return refused
				case 2:
					panic("a bug of the caller")
				}
				return nil
			})
			if (i%3 == 1) != errors.Is(err, refused) {
				t.Errorf("change %d: %v", i, err)
			}
		})
	}
	all.Wait()
	for _, d := range []*DB{d, crashed(t, d)} {
		for i := range 60 {
			var got int
			ok, err := d.Get(fmt.Sprint("node ", i), "key", &got)
			if ok != (i%3 == 0) || err != nil {
				t.Errorf("change %d: %v, %v", i, ok, err)
			}
		}
	}
}

func TestWhichFailuresAreFinal(t *testing.T) {
	for _, c := range []struct {
		err   error
		final bool
	}{
		{&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, false},
		{syscall.EDQUOT, false},
		{syscall.EIO, true}, // of fsync: the next one would lie
		{fmt.Errorf("%w: page 7 freed twice", ErrCorrupt), true},
	} {
		d := open(t, testPath(t), Options{})
		if err := d.commitFailed(c.err); !errors.Is(err, c.err) || !strings.Contains(err.Error(), d.path) {
			t.Errorf("%v became %v", c.err, err)
		}
		if err := d.Put("node", "key", 1); (err != nil) != c.final || (c.final && !errors.Is(err, c.err)) {
			t.Errorf("after %v: %v", c.err, err)
		}
	}
}

// TestKilled kills a process that writes, at a random instant, again and again: whatever it had acknowledged must be
// there, whatever it had taken back must be gone.
func TestKilled(t *testing.T) {
	path := testPath(t)
	acknowledged := map[string]bool{}
	for round := range 6 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
		cmd.Env = append(os.Environ(), "LOCAL_TEST_FILE="+path, fmt.Sprint("LOCAL_TEST_ROUND=", round))
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if word, rest, _ := strings.Cut(lines.Text(), " "); word == "ack" {
				acknowledged[rest] = true
			}
			if n == 100+round*37 {
				must(t, cmd.Process.Kill())
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}

		d, err := Open(path, Options{})
		must(t, err)
		calls, err := d.Pending()
		must(t, err)
		pending := map[string]bool{}
		for _, c := range calls {
			pending[c.ID] = true
		}
		events, err := d.Peek(0, 1<<20)
		must(t, err)
		published := map[string]bool{}
		for _, e := range events {
			published[e.ID] = true
		}
		stale := map[string]bool{}
		for _, l := range d.Stale() {
			stale[l.Node] = true
			must(t, d.Drop(l.Holder))
		}
		for what := range acknowledged {
			kind, id, _ := strings.Cut(what, " ")
			finished := acknowledged["finished "+id]
			switch {
			case kind == "accepted" && !finished:
				// The kill may have come between the commit and the word of it: then the event is there as well.
				if !pending[id] && !published[id] {
					t.Errorf("accepted call %s is lost", id)
				}
			case kind == "locked" && !finished && strings.HasPrefix(id, fmt.Sprint(round, "-")):
				if !stale[id] && !published[id] {
					t.Errorf("lock %s is forgotten", id)
				}
			case kind == "finished":
				if pending[id] || stale[id] || !published[id] {
					t.Errorf("finished %s: pending %v, locked %v, event %v", id, pending[id], stale[id], published[id])
				}
			}
			if fresh, err := d.Accept(Call{ID: id, Body: nil, At: time.Now()}); fresh || err != nil {
				t.Errorf("call %s would run twice: %v, %v", id, fresh, err)
			}
		}
		must(t, d.Close())
	}
	if len(acknowledged) < 600 {
		t.Errorf("only %d acknowledgements seen", len(acknowledged))
	}
}

// TestKilledChild is the process that TestKilled kills; by itself it does nothing.
func TestKilledChild(t *testing.T) {
	path := os.Getenv("LOCAL_TEST_FILE")
	if path == "" {
		return
	}
	d := open(t, path, Options{})
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", os.Getenv("LOCAL_TEST_ROUND"), worker, i)
				accept(t, d, id, true)
				say("ack accepted %s", id)
				l := lock(t, d, Lock{Node: id})
				say("ack locked %s", id)
				must(t, d.Append(Event{ID: id}))
				must(t, d.Unlock(l.Holder))
				must(t, d.Finish(id))
				say("ack finished %s", id)
			}
		})
	}
	all.Wait()
}

// say writes a line in one call, so that a kill cannot cut it in two.
func say(format string, args ...any) {
	_, _ = io.WriteString(os.Stdout, fmt.Sprintf(format+"\n", args...))
}
