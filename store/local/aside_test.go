package local

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.etcd.io/bbolt"
)

// journalFile returns what a worker's file holds after some work.
func journalFile(t *testing.T) []byte {
	t.Helper()
	path := testPath(t)
	d, err := Open(path, Options{})
	must(t, err)
	accept(t, d, "call", true)
	for _, node := range strings.Fields("a b c d e f g h") {
		must(t, d.Put(node, "key", strings.Repeat(node, 3000)))
	}
	must(t, d.Close())
	content, err := os.ReadFile(path)
	must(t, err)
	return content
}

func TestADamagedFileIsKeptAndANewOneBegun(t *testing.T) {
	whole, page := journalFile(t), os.Getpagesize()
	for name, damage := range map[string]func(file []byte) []byte{
		"cut off":             func(file []byte) []byte { return file[:4*page] },
		"cut in its head":     func(file []byte) []byte { return file[:page/2] },
		"empty":               func([]byte) []byte { return nil },
		"full of zeros":       func(file []byte) []byte { return make([]byte, len(file)) },
		"without its content": func(file []byte) []byte { clear(file[2*page:]); return file },
		"with broken meta pages": func(file []byte) []byte {
			file[60], file[page+60] = file[60]+1, file[page+60]+1
			return file
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := testPath(t)
			damaged := damage(bytes.Clone(whole))
			now := time.Date(2026, 11, 25, 19, 57, 0, 0, time.UTC)
			var log bytes.Buffer
			// The second time, the name of the first is taken.
			for _, kept := range []string{path + ".damaged-20261125T195700Z", path + ".damaged-20261125T195700Z-2"} {
				must(t, os.WriteFile(path, damaged, 0o600))
				d, err := OpenOrSetAside(path, Options{Log: zerolog.New(&log), Now: func() time.Time { return now }})
				if err != nil {
					t.Fatal(err)
				}
				if d.Aside() != kept || !strings.Contains(log.String(), `"kept_as":"`+kept) {
					t.Errorf("kept as %q, said %s", d.Aside(), log.String())
				}
				accept(t, d, "call", true)
				must(t, d.Close())
				if got, err := os.ReadFile(kept); err != nil || !bytes.Equal(got, damaged) {
					t.Errorf("what was kept is not what was there: %v", err)
				}
			}
			d, err := OpenOrSetAside(path, Options{})
			must(t, err)
			if accept(t, d, "call", false); d.Aside() != "" {
				t.Errorf("the new file was set aside too: %s", d.Aside())
			}
			must(t, d.Close())
		})
	}
}

func TestWhatIsNotOursStaysWhereItIs(t *testing.T) {
	file := func(content string) func(*testing.T, string) {
		return func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte(content), 0o600)) }
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want error
		says string
	}{
		"a text":            {file(strings.Repeat("[DEFAULT]\n", 2000)), ErrForeign, "belongs to something else"},
		"a short text":      {file("hello"), ErrForeign, "belongs to something else"},
		"a SQLite database": {file("SQLite format 3\x00" + strings.Repeat("\x00", 20000)), ErrForeign, "belongs to something else"},
		"another program's bbolt file": {func(t *testing.T, path string) {
			b, err := bbolt.Open(path, 0o600, nil)
			must(t, err)
			must(t, b.Close())
		}, ErrForeign, "not a journal of Ironmaster"},
		"a file of a newer version": {func(t *testing.T, path string) {
			d := open(t, path, Options{})
			must(t, d.bolt.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, numberKey(format+1)) }))
			must(t, d.Close())
		}, nil, "written by a newer Ironmaster"},
		"a file in use": {func(t *testing.T, path string) { open(t, path, Options{}) }, ErrInUse, "in use"},
		"a folder":      {func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, nil, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			path := testPath(t)
			c.make(t, path)
			_, err := OpenOrSetAside(path, Options{OpenTimeout: time.Millisecond})
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if there, _ := filepath.Glob(path + "*"); len(there) != 1 || there[0] != path {
				t.Errorf("there are %q", there)
			}
		})
	}
}

// TestAFullDisk runs a worker's file into the limit on the size of files, which acts as a full disk does.
func TestAFullDisk(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestAFullDiskChild$", "-test.v")
	cmd.Env = append(os.Environ(), "LOCAL_TEST_FULL="+testPath(t))
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("there is room again")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAFullDiskChild is the process whose files are limited; by itself it does nothing.
func TestAFullDiskChild(t *testing.T) {
	path := os.Getenv("LOCAL_TEST_FULL")
	if path == "" {
		return
	}
	d := open(t, path, Options{})
	accept(t, d, "before", true)
	held := lock(t, d, Lock{Node: "held"})
	must(t, d.Put("node", "key", "value"))
	must(t, d.Writable())

	limitFiles(t, 256<<10)
	var err error
	accepted := 0
	for ; err == nil && accepted < 1000; accepted++ {
		_, err = d.Accept(Call{ID: strings.Repeat("x", accepted+1), At: time.Now(), Body: make([]byte, 20_000)})
	}
	if !errors.Is(err, ErrFull) || accepted < 2 {
		t.Fatalf("after %d calls: %v", accepted, err)
	}
	if err := d.Append(Event{ID: "large", Body: make([]byte, 100_000)}); !errors.Is(err, ErrFull) {
		t.Errorf("an event: %v", err)
	}
	if err := d.Put("node", "key", strings.Repeat("another", 20_000)); !errors.Is(err, ErrFull) {
		t.Errorf("a journal entry: %v", err)
	}
	if _, err := d.TryLock(Lock{Node: "free", Purpose: strings.Repeat("x", 100_000)}); !errors.Is(err, ErrFull) {
		t.Errorf("a lock: %v", err)
	}
	look := func(d *DB) {
		t.Helper()
		calls, err := d.Pending()
		must(t, err)
		var value string
		_, err = d.Get("node", "key", &value)
		must(t, err)
		if len(calls) != accepted || value != "value" || len(d.Locks()) != 1 {
			t.Errorf("there are %d calls of %d, %q, locks %v", len(calls), accepted, value, d.Locks())
		}
	}
	look(d)

	limitFiles(t, syscall.RLIM_INFINITY&(1<<40-1))
	must(t, d.Writable())
	look(crashed(t, d))
	must(t, d.Append(Event{ID: "large", Body: make([]byte, 100_000)}))
	must(t, d.Unlock(held.Holder))
	must(t, d.Finish("before"))
	accept(t, d, "after", true)
	t.Log("there is room again")
}

func limitFiles(t *testing.T, size uint64) {
	t.Helper()
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	limit.Cur = min(size, limit.Max)
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
}

// TestFilesOfEarlierVersions opens what the versions before wrote. format-1.db was written by commit a0e166e, the last one
// before flows were resumed.
func TestFilesOfEarlierVersions(t *testing.T) {
	path := testPath(t)
	packed, err := os.Open("testdata/format-1.db.gz")
	must(t, err)
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	must(t, err)
	content, err := io.ReadAll(unpacked)
	must(t, err)
	must(t, os.WriteFile(path, content, 0o600))

	const node = "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"
	d := open(t, path, Options{})
	calls, err := d.Pending()
	must(t, err)
	if len(calls) != 2 || calls[0].ID != "pending" || calls[0].Form != "oslo" || string(calls[0].Body) != `{"method": "do_node_deploy"}` ||
		calls[1].Form != "json-rpc" {
		t.Errorf("pending calls %+v", calls)
	}
	accept(t, d, "done", false)
	accept(t, d, "pending", false)
	stale := d.Stale()
	if len(stale) != 1 || stale[0].Node != node || stale[0].Purpose != "provisioning" || stale[0].RequestID != "req-7" {
		t.Errorf("stale locks %+v", stale)
	}
	events, err := d.Peek(0, 10)
	must(t, err)
	if len(events) != 2 || events[0].ID != "first" || events[0].Seq != 1 || string(events[0].Body) != `{"a": 1}` || !events[1].Droppable {
		t.Errorf("events %+v", events)
	}
	var entry struct {
		Command string
		Tries   int
	}
	if known, err := d.Get(node, "write_image", &entry); !known || err != nil || entry.Command != "abc" || entry.Tries != 2 {
		t.Errorf("journal entry %+v, %v, %v", entry, known, err)
	}
	if d.Epoch() <= stale[0].Epoch {
		t.Errorf("epoch %d after %d", d.Epoch(), stale[0].Epoch)
	}
	// And it is written on.
	must(t, d.Drop(stale[0].Holder))
	must(t, d.Finish("pending"))
	must(t, d.Append(Event{ID: "next"}))
	must(t, d.Delete(events[0].Seq, events[1].Seq))
	if left, err := crashed(t, d).Peek(0, 10); err != nil || len(left) != 1 || left[0].Seq != 3 {
		t.Errorf("events %+v, %v", left, err)
	}
}
