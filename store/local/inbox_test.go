package local

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func wantPending(t *testing.T, d *DB, ids ...string) {
	t.Helper()
	calls, err := d.Pending()
	must(t, err)
	var got []string
	for _, c := range calls {
		got = append(got, c.ID)
	}
	if !slices.Equal(got, ids) {
		t.Errorf("pending %v, want %v", got, ids)
	}
}

func accept(t testing.TB, d *DB, id string, want bool) {
	t.Helper()
	fresh, err := d.Accept(Call{ID: id, Body: []byte("body of " + id), At: time.Now()})
	if fresh != want || err != nil {
		t.Fatalf("accepting %s: %v, %v; want %v", id, fresh, err, want)
	}
}

func TestCallsRunOnce(t *testing.T) {
	path := testPath(t)
	d := open(t, path, Options{})
	at := time.Date(2026, 11, 22, 10, 0, 0, 123, time.FixedZone("", 3600))
	fresh, err := d.Accept(Call{ID: "z", Body: []byte("{\"a\":\n1}\n"), At: at})
	if !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	accept(t, d, "a", true)
	accept(t, d, "z", false)
	wantPending(t, crashed(t, d), "z", "a")

	must(t, d.Finish("z"))
	must(t, d.Finish("z"))
	accept(t, d, "z", false)
	for _, d := range []*DB{d, crashed(t, d)} {
		wantPending(t, d, "a")
		accept(t, d, "z", false)
		accept(t, d, "a", false)
		must(t, d.Finish("z"))
	}
	must(t, d.Close())
	d = open(t, path, Options{})
	accept(t, d, "b", true)
	wantPending(t, d, "a", "b")
	must(t, d.Finish("a"))
	wantPending(t, crashed(t, d), "b")
}

func TestCallKeepsItsBytes(t *testing.T) {
	d := open(t, testPath(t), Options{})
	at := time.Date(2026, 11, 22, 10, 0, 0, 123, time.FixedZone("", 3600))
	bodies := [][]byte{{}, []byte("\n\n{\"a\":\n1}\n"), bytes.Repeat([]byte{0, 0xff, '\n'}, 10<<20/3)}
	for i, body := range bodies {
		if _, err := d.Accept(Call{ID: fmt.Sprint("id \"\n", i), Body: body, At: at}); err != nil {
			t.Fatal(err)
		}
	}
	calls, err := crashed(t, d).Pending()
	must(t, err)
	for i, body := range bodies {
		if c := calls[i]; c.ID != fmt.Sprint("id \"\n", i) || !c.At.Equal(at) || !bytes.Equal(c.Body, body) {
			t.Errorf("call %d came back as %.40v with %d bytes", i, c.ID, len(c.Body))
		}
	}
}

func TestUnusableCalls(t *testing.T) {
	d := open(t, testPath(t), Options{})
	for _, id := range []string{"", strings.Repeat("x", 10<<20)} {
		if fresh, err := d.Accept(Call{ID: id, Body: nil, At: time.Now()}); fresh || !errors.Is(err, ErrCallID) || len(err.Error()) > 200 {
			t.Errorf("id of %d bytes: %v, %.200v", len(id), fresh, err)
		}
	}
	if err := d.Finish("never seen"); !errors.Is(err, ErrUnknownCall) {
		t.Errorf("finishing an unknown call: %v", err)
	}
	wantPending(t, d)
}

// A failed Accept claims nothing: the redelivered message is fresh.
func TestAcceptAfterFailure(t *testing.T) {
	d := open(t, testPath(t), Options{})
	d.bolt.MaxSize = 1 // as on a full disk
	if fresh, err := d.Accept(Call{ID: "id", Body: make([]byte, 1<<20), At: time.Now()}); fresh || err == nil {
		t.Fatalf("accepted on a full disk: %v, %v", fresh, err)
	}
	d.bolt.MaxSize = 0
	accept(t, d, "id", true)
	wantPending(t, crashed(t, d), "id")
}

func TestFinishedIDsAreForgotten(t *testing.T) {
	var passed atomic.Int64 // read by the writer of timelines, too
	for _, c := range []struct {
		name  string
		o     Options
		calls int
		pass  time.Duration
		known []int // by number
		gone  []int
	}{
		{"young ones stay", Options{RememberFor: time.Hour}, rememberMin + 20, 59 * time.Minute, []int{0}, nil},
		{"old ones go, but the newest stay", Options{RememberFor: time.Hour}, rememberMin + 20, 2 * time.Hour,
			[]int{21, rememberMin}, []int{0, 19}},
		{"the bound is kept", Options{RememberMax: 10}, 20, 0, []int{11, 19}, []int{0, 9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			c.o.Now = func() time.Time { return began.Add(time.Duration(passed.Load())) }
			d := open(t, testPath(t), c.o)
			id := func(i int) string { return fmt.Sprint("call ", i) }
			var all sync.WaitGroup
			for i := range c.calls {
				all.Go(func() { accept(t, d, id(i), true) })
				if i%128 == 0 {
					all.Wait()
				}
			}
			all.Wait()
			must(t, d.commit(func(tx *transaction) error {
				for i := range c.calls {
					if err := tx.finish(id(i)); err != nil {
						return err
					}
				}
				return nil
			}))
			passed.Add(int64(c.pass))
			accept(t, d, "last", true)
			must(t, d.Finish("last"))
			must(t, d.Put("node", "key", "any commit prunes"))
			for _, d := range []*DB{d, crashed(t, d)} {
				for _, i := range c.known {
					accept(t, d, id(i), false)
				}
				for _, i := range c.gone {
					accept(t, d, id(i), true)
				}
			}
		})
	}
}

func TestAcceptConcurrently(t *testing.T) {
	d := open(t, testPath(t), Options{})
	var fresh [20]atomic.Int32
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ok, err := d.Accept(Call{ID: fmt.Sprint(i % 20), Body: nil, At: time.Now()})
			if err != nil {
				t.Error(err)
			}
			if ok {
				fresh[i%20].Add(1)
			}
			calls, err := d.Pending()
			if err != nil || !slices.ContainsFunc(calls, func(c Call) bool { return c.ID == fmt.Sprint(i%20) }) {
				t.Errorf("Accept returned before call %d was durable (%v)", i%20, err)
			}
		})
	}
	all.Wait()
	for id := range fresh {
		if n := fresh[id].Load(); n != 1 {
			t.Errorf("call %d was fresh %d times", id, n)
		}
	}
}

func BenchmarkAcceptFinish(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers, "callers"), func(b *testing.B) {
			d := open(b, testPath(b), Options{})
			body := bytes.Repeat([]byte("x"), 2000)
			b.ReportAllocs()
			var next atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for range callers {
				all.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						id := fmt.Sprintf("%032x", n)
						if _, err := d.Accept(Call{ID: id, Body: body, At: time.Now()}); err != nil {
							b.Error(err)
						}
						if err := d.Finish(id); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}
