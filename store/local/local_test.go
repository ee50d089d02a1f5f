package local

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func testPath(t testing.TB) string { return filepath.Join(t.TempDir(), "worker.db") }

// open opens a file for the length of a test.
func open(t testing.TB, path string, o Options) *DB {
	t.Helper()
	d, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// crashed opens what a kill at this moment would have left: a copy of the file that d has open.
func crashed(t *testing.T, d *DB) *DB {
	t.Helper()
	path := testPath(t)
	copyFile(t, d.path, path)
	return open(t, path, Options{})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	must(t, err)
	defer src.Close()
	dst, err := os.Create(to)
	must(t, err)
	_, err = io.Copy(dst, src)
	must(t, errors.Join(err, dst.Close()))
}

func TestEpochGrows(t *testing.T) {
	path := testPath(t)
	clock := time.Unix(2_000_000_000, 0)
	o := Options{Now: func() time.Time { return clock }}
	var last uint64
	for _, step := range []struct {
		name    string
		advance time.Duration
		lose    bool
	}{
		{name: "new file"},
		{name: "again within the second"},
		{name: "the clock goes back", advance: -24 * time.Hour},
		{name: "and forth", advance: 48 * time.Hour},
		{name: "the file is lost", advance: time.Minute, lose: true},
	} {
		clock = clock.Add(step.advance)
		if step.lose {
			must(t, os.Remove(path))
		}
		d, err := Open(path, o)
		must(t, err)
		if d.Epoch() <= last {
			t.Errorf("%s: epoch %d after %d", step.name, d.Epoch(), last)
		}
		last = d.Epoch()
		must(t, d.Close())
	}
}

func TestOpenNamesAFileInUse(t *testing.T) {
	path := testPath(t)
	d := open(t, path, Options{})
	_, err := Open(path, Options{OpenTimeout: time.Millisecond})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("second writer: %v", err)
	}
	if _, err := OpenReadOnly(path); !errors.Is(err, ErrInUse) {
		t.Errorf("reader beside a writer: %v", err)
	}
	must(t, d.Close())
	open(t, path, Options{OpenTimeout: time.Millisecond})
}

func TestOpenRefusesDamage(t *testing.T) {
	page := int64(os.Getpagesize())
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, path string)
	}{
		{"empty", func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) }},
		{"text", func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte(strings.Repeat("not a database\n", 9000)), 0o600))
		}},
		{"a few bytes", func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("x"), 0o600)) }},
		{"cut short", func(t *testing.T, path string) { must(t, os.Truncate(path, 4*page)) }},
		{"zeros after the metas", func(t *testing.T, path string) {
			overwrite(t, path, 2*page, make([]byte, 200*page))
		}},
		{"noise after the metas", func(t *testing.T, path string) {
			overwrite(t, path, 2*page, []byte(strings.Repeat("\xff\x01noise", int(25*page))))
		}},
		{"another program's bbolt file", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			b, err := bbolt.Open(path, 0o600, nil)
			must(t, err)
			must(t, b.Close())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := testPath(t)
			d, err := Open(path, Options{})
			must(t, err)
			for _, id := range []string{"a", "b", "c"} {
				_, err := d.Accept(Call{ID: id, Body: make([]byte, 300_000), At: time.Now()})
				must(t, err)
			}
			must(t, d.Close())
			c.damage(t, path)

			_, err = Open(path, Options{})
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
				t.Errorf("for writing: %v", err)
			}
			if _, err := OpenReadOnly(path); !errors.Is(err, ErrCorrupt) {
				t.Errorf("for reading: %v", err)
			}
			// The remedy works in the same process: nothing keeps the bad file locked.
			must(t, os.Rename(path, path+".bad"))
			open(t, path, Options{})
		})
	}
}

func overwrite(t *testing.T, path string, at int64, with []byte) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(with[:min(int64(len(with)), info.Size()-at)], at)
	must(t, errors.Join(err, f.Close()))
}

func TestOpenRefusesNewerFormat(t *testing.T) {
	path := testPath(t)
	d := open(t, path, Options{})
	must(t, d.bolt.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(formatKey, numberKey(format+1))
	}))
	must(t, d.Close())
	_, err := Open(path, Options{})
	if err == nil || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "newer Ironmaster") {
		t.Errorf("got %v", err)
	}
}

func TestOpenInMissingDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent", "worker.db")
	if _, err := Open(path, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open: %v", err)
	}
	if _, err := OpenReadOnly(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("OpenReadOnly: %v", err)
	}
}

func TestOpenSweepsUnfinishedFiles(t *testing.T) {
	path := testPath(t)
	must(t, os.WriteFile(path+".new-123", []byte("torn"), 0o600))
	open(t, path, Options{})
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v: the file holds secrets", info.Mode(), err)
	}
}

func TestOpenCompactsAMostlyEmptyFile(t *testing.T) {
	path := testPath(t)
	d := open(t, path, Options{})
	_, err := d.Accept(Call{ID: "big", Body: make([]byte, compactFrom+1), At: time.Now()})
	must(t, err)
	must(t, d.Finish("big"))
	_, err = d.Accept(Call{ID: "kept", Body: []byte("body"), At: time.Now()})
	must(t, err)
	must(t, d.Append(Event{ID: "e", Body: []byte("event")}))
	must(t, d.Put("node", "key", "value"))
	_, err = d.TryLock(Lock{Node: "node"})
	must(t, err)
	epoch := d.Epoch()
	must(t, d.Close())

	d = open(t, path, Options{})
	info, err := os.Stat(path)
	must(t, err)
	if info.Size() > 1<<20 {
		t.Errorf("still %d bytes", info.Size())
	}
	if d.Epoch() <= epoch || len(d.Stale()) != 1 {
		t.Errorf("epoch %d after %d, stale locks %v", d.Epoch(), epoch, d.Stale())
	}
	if _, err := Open(path, Options{OpenTimeout: time.Millisecond}); !errors.Is(err, ErrInUse) {
		t.Errorf("the compacted file is not locked: %v", err)
	}
	wantPending(t, d, "kept")
	if fresh, err := d.Accept(Call{ID: "big", Body: nil, At: time.Now()}); fresh || err != nil {
		t.Errorf("finished call is accepted again: %v, %v", fresh, err)
	}
	must(t, d.Append(Event{ID: "f"}))
	events, err := d.Peek(0, 9)
	must(t, err)
	if len(events) != 2 || events[0].ID != "e" || events[1].ID != "f" {
		t.Errorf("events %v", events)
	}
}

func TestClosedAndReadOnly(t *testing.T) {
	path := testPath(t)
	d := open(t, path, Options{})
	_, err := d.TryLock(Lock{Node: "n", Purpose: "cleaning"})
	must(t, err)
	must(t, d.Put("n", "k", 1))
	must(t, d.Close())
	must(t, d.Close())
	ro, err := OpenReadOnly(path)
	must(t, err)
	defer ro.Close()
	if l := ro.Locks(); len(l) != 1 || l[0].Purpose != "cleaning" || ro.Epoch() != d.Epoch() {
		t.Errorf("locks %v, epoch %d", l, ro.Epoch())
	}
	var k int
	if ok, err := ro.Get("n", "k", &k); !ok || k != 1 || err != nil {
		t.Errorf("got %v %v %v", ok, k, err)
	}
	for _, c := range []struct {
		db   *DB
		want error
	}{{d, ErrClosed}, {ro, ErrReadOnly}} {
		_, accept := c.db.Accept(Call{ID: "id", Body: nil, At: time.Now()})
		_, lock := c.db.TryLock(Lock{Node: "other"})
		changes := map[string]error{
			"Accept": accept, "TryLock": lock, "Append": c.db.Append(Event{ID: "e"}), "Put": c.db.Put("n", "k", 2),
			"Delete": c.db.Delete(1),
		}
		for name, err := range changes {
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
	}
	if _, err := d.Pending(); !errors.Is(err, ErrClosed) {
		t.Errorf("Pending after Close: %v", err)
	}
}
