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
		{"s", "s", true}, {"ss", "s", true}, {"s", "x", true}, {"ss", "x", true},
		{"x", "s", true}, {"x", "x", false}, {"xs", "x", false}, {"sx", "x", false},
	} {
		t.Run(c.present+"+"+c.wanted, func(t *testing.T) {
			d := open(t, testPath(t), Options{})
			var exclusive Lock
			for i, kind := range c.present {
				l := lock(t, d, Lock{Node: "n", Shared: kind == 's', Purpose: fmt.Sprint("purpose ", i), RequestID: "req-1"})
				if !l.Shared {
					exclusive = l
				}
			}
			got, err := d.TryLock(Lock{Node: "n", Shared: c.wanted == "s", Purpose: "wanted"})
			if (err == nil) != c.ok {
				t.Fatalf("got %v, %v", got, err)
			}
			lock(t, d, Lock{Node: "another"})
			if c.ok {
				return
			}
			var locked *Locked
			if !errors.As(err, &locked) || locked.Node != "n" || locked.Holder != exclusive {
				t.Errorf("error %#v does not name the holder %v", err, exclusive)
			}
			since := exclusive.Since.Format(time.RFC3339)
			for _, part := range []string{"node n is locked", exclusive.Purpose, since, "req-1"} {
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
	_, err := after.TryLock(Lock{Node: "held"})
	if locked := (*Locked)(nil); !errors.As(err, &locked) || locked.Holder != held {
		t.Errorf("a stale lock gave way: %v", err)
	}
	mine := lock(t, after, Lock{Node: "reader"})
	if err := after.Drop(mine.Holder); !errors.As(err, new(*Locked)) {
		t.Errorf("dropped from a running holder: %v", err)
	}
	for _, l := range stale {
		must(t, after.Drop(l.Holder))
		if err := after.Drop(l.Holder); !errors.Is(err, ErrNotHeld) {
			t.Errorf("dropped twice: %v", err)
		}
	}
	if len(after.Stale()) != 0 {
		t.Errorf("still stale: %v", after.Stale())
	}

	if stale := crashed(t, after).Stale(); len(stale) != 1 || stale[0] != mine {
		t.Errorf("after a second crash: %v", stale)
	}
	must(t, after.Unlock(mine.Holder))
	if stale := crashed(t, after).Stale(); len(stale) != 0 {
		t.Errorf("a released lock came back: %v", stale)
	}
}

func TestUpgradeNeedsThatNobodyElseWrites(t *testing.T) {
	d := open(t, testPath(t), Options{})
	one := lock(t, d, Lock{Node: "n", Shared: true, Purpose: "one"})
	two := lock(t, d, Lock{Node: "n", Purpose: "two"})
	err := d.Upgrade(one.Holder, "more")
	if locked := (*Locked)(nil); !errors.As(err, &locked) || locked.Holder != two {
		t.Errorf("upgraded beside another: %v", err)
	}
	if got := d.Locks(); !slices.Equal(got, []Lock{one, two}) {
		t.Errorf("a refused upgrade changed %v", got)
	}
	must(t, d.Downgrade(two.Holder))
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
	if err := d.Downgrade(exclusive.Holder); !errors.Is(err, broken) {
		t.Errorf("Downgrade: %v", err)
	}
	if got := d.Locks(); !got[0].Shared {
		t.Errorf("a downgrade was lost: %v", got)
	}
	d.locks.change(exclusive.Holder, func(l *Lock) { l.Shared = false })
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

// taken tells whether a node is held exclusively by somebody other than holder.
func (m *lockModel) taken(node, holder string) bool {
	for _, l := range m.held {
		if l.Node == node && l.Holder != holder && !l.Shared {
			return true
		}
	}
	return false
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
	taken := m.taken(want.Node, "")
	l, err := m.db.TryLock(want)
	m.expect(t, err, want.Shared || !taken)
	if err == nil {
		if _, known := m.held[l.Holder]; known {
			t.Fatalf("holder %s is not unique", l.Holder)
		}
		m.held[l.Holder] = l
	}
}

func (m *lockModel) unlock(t *rapid.T) {
	l, ok := m.any(t)
	m.expect(t, m.db.Unlock(l.Holder), ok)
	if ok {
		delete(m.held, l.Holder)
	}
}

func (m *lockModel) upgrade(t *rapid.T) {
	l, ok := m.any(t)
	err := m.db.Upgrade(l.Holder, "")
	m.expect(t, err, ok && (!l.Shared || !m.taken(l.Node, l.Holder)))
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
	writers := map[string]int{}
	listed := m.db.Locks()
	for _, l := range listed {
		if m.held[l.Holder] != l {
			t.Fatalf("listed %+v, model has %+v", l, m.held[l.Holder])
		}
		if !l.Shared {
			writers[l.Node]++
		}
		if writers[l.Node] > 1 {
			t.Fatalf("two writers of node %s: %v", l.Node, listed)
		}
	}
	if len(listed) != len(m.held) {
		t.Fatalf("a lock was lost: %v, model has %v", listed, m.held)
	}
}

func TestLockConcurrently(t *testing.T) {
	d := open(t, testPath(t), Options{})
	var writers [4]atomic.Int32
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
				if !l.Shared {
					if writers[n].Add(1) != 1 {
						t.Error("two writers")
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
			b.ReportAllocs()
			for b.Loop() {
				l := lock(b, d, Lock{Node: "n", Shared: shared})
				must(b, d.Unlock(l.Holder))
			}
		})
	}
	b.Run("refused", func(b *testing.B) {
		d := open(b, testPath(b), Options{})
		lock(b, d, Lock{Node: "n"})
		for b.Loop() {
			if _, err := d.TryLock(Lock{Node: "n"}); err == nil {
				b.Fatal("locked twice")
			}
		}
	})
}
