package local

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func lock(t testing.TB, d *DB, want Lock) Lock {
	t.Helper()
	l, err := d.TryLock(want)
	must(t, err)
	return l
}

func TestLockConflicts(t *testing.T) {
	for _, c := range []struct {
		present, wanted string // s shared, x exclusive
		ok              bool
	}{
		{"", "s", true}, {"", "x", true},
		{"s", "s", true}, {"ss", "s", true}, {"s", "x", false}, {"ss", "x", false},
		{"x", "s", false}, {"x", "x", false},
	} {
		t.Run(c.present+"+"+c.wanted, func(t *testing.T) {
			d := open(t, testPath(t), Options{})
			for i, kind := range c.present {
				lock(t, d, Lock{Node: "n", Shared: kind == 's', Purpose: fmt.Sprint("purpose ", i), RequestID: "req-1"})
			}
			before := d.Locks()
			got, err := d.TryLock(Lock{Node: "n", Shared: c.wanted == "s", Purpose: "wanted"})
			if (err == nil) != c.ok {
				t.Fatalf("got %v, %v", got, err)
			}
			lock(t, d, Lock{Node: "another"})
			if c.ok {
				return
			}
			var locked *Locked
			if !errors.As(err, &locked) || locked.Node != "n" || !slices.Equal(locked.Holders, before) {
				t.Errorf("error %#v does not name the holders %v", err, before)
			}
			since := before[0].Since.Format(time.RFC3339)
			for _, part := range []string{"node n is locked", `"purpose 0"`, since, "req-1"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

func TestLockOutlivesACrash(t *testing.T) {
	path := testPath(t)
	d := open(t, path, Options{})
	lock(t, d, Lock{Node: "reader", Shared: true})
	released := lock(t, d, Lock{Node: "released"})
	must(t, d.Unlock(released.Holder))
	downgraded := lock(t, d, Lock{Node: "downgraded"})
	must(t, d.Downgrade(downgraded.Holder))
	upgraded := lock(t, d, Lock{Node: "upgraded", Shared: true, Purpose: "validating"})
	must(t, d.Upgrade(upgraded.Holder, "deploying"))
	held := lock(t, d, Lock{Node: "held", Purpose: "cleaning", RequestID: "req-1"})
	if len(d.Stale()) != 0 {
		t.Errorf("stale: %v", d.Stale())
	}

	after := crashed(t, d)
	stale := after.Stale()
	if len(stale) != 2 || stale[0] != held || stale[1].Node != "upgraded" || stale[1].Purpose != "deploying" {
		t.Fatalf("stale locks %v", stale)
	}
	_, err := after.TryLock(Lock{Node: "held", Shared: true})
	if locked := (*Locked)(nil); !errors.As(err, &locked) || locked.Holders[0] != held {
		t.Errorf("a stale lock gave way: %v", err)
	}
	lock(t, after, Lock{Node: "reader"})

	mine, err := after.Reclaim(held.Holder)
	must(t, err)
	if mine.Epoch != after.Epoch() || mine.Holder == held.Holder || mine.Since != held.Since || mine.Purpose != "cleaning" {
		t.Errorf("reclaimed as %+v", mine)
	}
	if _, err := after.Reclaim(held.Holder); !errors.Is(err, ErrNotHeld) {
		t.Errorf("reclaimed twice: %v", err)
	}
	if _, err := after.Reclaim(mine.Holder); !errors.As(err, new(*Locked)) {
		t.Errorf("reclaimed from a running holder: %v", err)
	}
	if err := after.Drop(mine.Holder); !errors.As(err, new(*Locked)) {
		t.Errorf("dropped from a running holder: %v", err)
	}
	must(t, after.Drop(stale[1].Holder))
	if len(after.Stale()) != 0 {
		t.Errorf("still stale: %v", after.Stale())
	}

	again := crashed(t, after)
	if stale := again.Stale(); len(stale) != 2 || stale[0] != mine || stale[1].Node != "reader" {
		t.Errorf("after a second crash: %v", stale)
	}
	must(t, after.Unlock(mine.Holder))
	if stale := crashed(t, after).Stale(); len(stale) != 1 {
		t.Errorf("a released lock came back: %v", stale)
	}
}

func TestUpgradeNeedsASoleHolder(t *testing.T) {
	d := open(t, testPath(t), Options{})
	one := lock(t, d, Lock{Node: "n", Shared: true, Purpose: "one"})
	two := lock(t, d, Lock{Node: "n", Shared: true, Purpose: "two"})
	err := d.Upgrade(one.Holder, "more")
	if locked := (*Locked)(nil); !errors.As(err, &locked) || len(locked.Holders) != 1 || locked.Holders[0] != two {
		t.Errorf("upgraded beside another: %v", err)
	}
	if got := d.Locks(); !slices.Equal(got, []Lock{one, two}) {
		t.Errorf("a refused upgrade changed %v", got)
	}
	must(t, d.Unlock(two.Holder))
	must(t, d.Upgrade(one.Holder, ""))
	if got := d.Locks(); got[0].Shared || got[0].Purpose != "one" {
		t.Errorf("upgraded to %v", got)
	}
	must(t, d.Upgrade(one.Holder, "ignored"))
	must(t, d.Unlock(one.Holder))
	for name, err := range map[string]error{
		"Unlock": d.Unlock(one.Holder), "Upgrade": d.Upgrade(one.Holder, ""), "Downgrade": d.Downgrade(one.Holder),
		"Drop": d.Drop(one.Holder),
	} {
		if !errors.Is(err, ErrNotHeld) {
			t.Errorf("%s of a released lock: %v", name, err)
		}
	}
	if _, err := d.TryLock(Lock{}); err == nil {
		t.Error("locked no node")
	}
}

// With a disk that takes nothing, no lock is gained and none is kept for ever.
func TestLocksOnAFullDisk(t *testing.T) {
	d := open(t, testPath(t), Options{})
	exclusive := lock(t, d, Lock{Node: "exclusive"})
	shared := lock(t, d, Lock{Node: "shared", Shared: true})
	ballast := make([]byte, 1<<20)
	full := func(fn func()) {
		t.Helper()
		d.bolt.MaxSize = 1
		defer func() { d.bolt.MaxSize = 0 }()
		fn()
	}
	// Small changes fit into free pages, so the failure is forced by a change that shares the commit.
	failing := func(fn func(*Tx) error) error {
		return d.Update(func(tx *Tx) error {
			return errors.Join(fn(tx), tx.Put("ballast", "key", ballast))
		})
	}
	full(func() {
		if err := failing(func(tx *Tx) error { return tx.Unlock(exclusive.Holder) }); err == nil {
			t.Error("unlocked in a transaction that failed")
		}
		if err := failing(func(tx *Tx) error { return tx.Downgrade(exclusive.Holder) }); err == nil {
			t.Error("downgraded in a transaction that failed")
		}
	})
	if got := d.Locks(); !slices.Equal(got, []Lock{exclusive, shared}) {
		t.Errorf("failed transactions left %v", got)
	}

	broken := errors.New("disk is gone")
	d.commits.failed = broken
	if _, err := d.TryLock(Lock{Node: "new"}); !errors.Is(err, broken) {
		t.Errorf("TryLock: %v", err)
	}
	if err := d.Upgrade(shared.Holder, "x"); !errors.Is(err, broken) {
		t.Errorf("Upgrade: %v", err)
	}
	if got := d.Locks(); !slices.Equal(got, []Lock{exclusive, shared}) {
		t.Errorf("failures left %v", got)
	}
	if err := d.Unlock(exclusive.Holder); !errors.Is(err, broken) {
		t.Errorf("Unlock: %v", err)
	}
	if got := d.Locks(); !slices.Equal(got, []Lock{shared}) {
		t.Errorf("a release was lost: %v", got)
	}
	d.commits.failed = nil
	again := lock(t, d, Lock{Node: "exclusive"})

	after := crashed(t, d)
	after.commits.failed = broken
	if _, err := after.Reclaim(again.Holder); !errors.Is(err, broken) {
		t.Errorf("Reclaim: %v", err)
	}
	if err := after.Drop(again.Holder); !errors.Is(err, broken) {
		t.Errorf("Drop: %v", err)
	}
	if got := after.Stale(); !slices.Equal(got, []Lock{again}) {
		t.Errorf("failures left %v stale", got)
	}
	after.commits.failed = nil
	must(t, after.Drop(again.Holder))
}

// TestLockModel drives the table at random, kills included, and compares it with a plain model of it.
func TestLockModel(t *testing.T) {
	dir := t.TempDir()
	files := 0
	rapid.Check(t, func(t *rapid.T) {
		files++
		m := &lockModel{path: fmt.Sprintf("%s/%d.db", dir, files), held: map[string]Lock{}}
		m.open(t)
		defer func() { m.db.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"":          m.check,
			"lock":      m.lock,
			"unlock":    m.unlock,
			"upgrade":   m.upgrade,
			"downgrade": m.downgrade,
			"reclaim":   m.reclaim,
			"drop":      m.drop,
			"restart":   m.restart,
		})
	})
}

type lockModel struct {
	path string
	db   *DB
	held map[string]Lock // by holder
}

func (m *lockModel) open(t *rapid.T) {
	var err error
	if m.db, err = Open(m.path, Options{}); err != nil {
		t.Fatal(err)
	}
}

func (m *lockModel) others(node, holder string) (shared, exclusive int) {
	for _, l := range m.held {
		switch {
		case l.Node != node || l.Holder == holder:
		case l.Shared:
			shared++
		default:
			exclusive++
		}
	}
	return shared, exclusive
}

// any draws a holder, sometimes one that holds nothing, and says whether it is one of this run.
func (m *lockModel) any(t *rapid.T) (l Lock, alive bool) {
	holders := []string{"nobody"}
	for h := range m.held {
		holders = append(holders, h)
	}
	slices.Sort(holders)
	l = m.held[rapid.SampledFrom(holders).Draw(t, "holder")]
	return l, l.Epoch == m.db.Epoch()
}

func (m *lockModel) expect(t *rapid.T, err error, ok bool) {
	t.Helper()
	if (err == nil) != ok {
		t.Fatalf("got %v, model says %v", err, ok)
	}
}

func (m *lockModel) lock(t *rapid.T) {
	want := Lock{
		Node:   rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "node"),
		Shared: rapid.Bool().Draw(t, "shared"),
	}
	shared, exclusive := m.others(want.Node, "")
	l, err := m.db.TryLock(want)
	m.expect(t, err, exclusive == 0 && (want.Shared || shared == 0))
	if err == nil {
		if _, known := m.held[l.Holder]; known {
			t.Fatalf("holder %s is not unique", l.Holder)
		}
		m.held[l.Holder] = l
	}
}

func (m *lockModel) unlock(t *rapid.T) {
	l, ok := m.any(t)
	if rapid.Bool().Draw(t, "in a transaction") {
		m.expect(t, m.db.Update(func(tx *Tx) error { return tx.Unlock(l.Holder) }), ok)
	} else {
		m.expect(t, m.db.Unlock(l.Holder), ok)
	}
	if ok {
		delete(m.held, l.Holder)
	}
}

func (m *lockModel) upgrade(t *rapid.T) {
	l, ok := m.any(t)
	shared, _ := m.others(l.Node, l.Holder)
	err := m.db.Upgrade(l.Holder, "")
	m.expect(t, err, ok && shared == 0)
	if err == nil {
		l.Shared = false
		m.held[l.Holder] = l
	}
}

func (m *lockModel) downgrade(t *rapid.T) {
	l, ok := m.any(t)
	m.expect(t, m.db.Downgrade(l.Holder), ok)
	if ok {
		l.Shared = true
		m.held[l.Holder] = l
	}
}

func (m *lockModel) reclaim(t *rapid.T) {
	l, alive := m.any(t)
	mine, err := m.db.Reclaim(l.Holder)
	m.expect(t, err, l.Holder != "" && !alive)
	if err == nil {
		delete(m.held, l.Holder)
		m.held[mine.Holder] = mine
	}
}

func (m *lockModel) drop(t *rapid.T) {
	l, alive := m.any(t)
	err := m.db.Drop(l.Holder)
	m.expect(t, err, l.Holder != "" && !alive)
	if err == nil {
		delete(m.held, l.Holder)
	}
}

// restart forgets the shared locks and the memory, and keeps the exclusive ones.
func (m *lockModel) restart(t *rapid.T) {
	if err := m.db.Close(); err != nil {
		t.Fatal(err)
	}
	m.open(t)
	for holder, l := range m.held {
		if l.Shared {
			delete(m.held, holder)
		}
	}
}

func (m *lockModel) check(t *rapid.T) {
	nodes := map[string][2]int{}
	listed := m.db.Locks()
	for _, l := range listed {
		if m.held[l.Holder] != l {
			t.Fatalf("listed %+v, model has %+v", l, m.held[l.Holder])
		}
		n := nodes[l.Node]
		if l.Shared {
			n[0]++
		} else {
			n[1]++
		}
		if nodes[l.Node] = n; n[1] > 1 || (n[1] == 1 && n[0] > 0) {
			t.Fatalf("two holders of node %s: %v", l.Node, listed)
		}
	}
	if len(listed) != len(m.held) {
		t.Fatalf("a lock was lost: %v, model has %v", listed, m.held)
	}
}

func TestLockConcurrently(t *testing.T) {
	d := open(t, testPath(t), Options{})
	var readers, writers [4]atomic.Int32
	var all sync.WaitGroup
	for worker := range 32 {
		all.Go(func() {
			for i := range 30 {
				n := (worker + i) % 4
				l, err := d.TryLock(Lock{Node: fmt.Sprint(n), Shared: i%3 == 0})
				if err != nil {
					if !errors.As(err, new(*Locked)) {
						t.Error(err)
					}
					continue
				}
				if l.Shared && i%2 == 0 && d.Upgrade(l.Holder, "") == nil {
					l.Shared = false
				}
				if l.Shared {
					readers[n].Add(1)
					if writers[n].Load() != 0 {
						t.Error("a reader beside a writer")
					}
					readers[n].Add(-1)
				} else {
					if writers[n].Add(1) != 1 || readers[n].Load() != 0 {
						t.Error("a writer is not alone")
					}
					writers[n].Add(-1)
				}
				if err := d.Unlock(l.Holder); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if left := d.Locks(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if left := crashed(t, d).Stale(); len(left) != 0 {
		t.Errorf("left on disk: %v", left)
	}
}

func BenchmarkLockUnlock(b *testing.B) {
	for _, shared := range []bool{true, false} {
		b.Run(fmt.Sprintf("shared=%v", shared), func(b *testing.B) {
			d := open(b, testPath(b), Options{})
			for range b.N {
				l := lock(b, d, Lock{Node: "n", Shared: shared})
				must(b, d.Unlock(l.Holder))
			}
		})
	}
	b.Run("refused", func(b *testing.B) {
		d := open(b, testPath(b), Options{})
		lock(b, d, Lock{Node: "n"})
		for range b.N {
			if _, err := d.TryLock(Lock{Node: "n"}); err == nil {
				b.Fatal("locked twice")
			}
		}
	})
}
