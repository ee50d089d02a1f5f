package local

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
	"unsafe"

	"go.etcd.io/bbolt"
)

const (
	// sector is what a disk writes whole or not at all.
	sector = 512
	// lossesPerCommit is how many ways to lose a commit's pages are tried, besides the regular ones.
	lossesPerCommit = 6
)

// write is one write of bbolt into its file.
type write struct {
	at   int64
	data []byte
}

// TestPowerLoss cuts the power in every commit: of the writes that no fsync has followed any subset reaches the disk, in any
// order, and of any page any sectors. What remains must open and be as before the commit or as after it; after it for sure
// once the commit was acknowledged.
//
// bbolt commits in two halves, each ended by an fdatasync: the pages, then one of the two meta pages (tx.go, Commit). The writes
// are taken down where bbolt makes them, and that a commit's last one goes to a meta page, and no other, is checked.
func TestPowerLoss(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 20261125))
	path := testPath(t)
	d := open(t, path, Options{})
	image, err := os.ReadFile(path)
	must(t, err)
	writes := recordWrites(d.bolt)
	before, tried := digest(d), 0
	for i, change := range changes(d) {
		*writes = nil
		must(t, change())
		after := digest(d)
		pages, meta := split(t, *writes)
		for _, lost := range losses(random, image, pages, meta) {
			what := fmt.Sprintf("change %d, %s", i, lost.what)
			got := reopened(t, lost.image)
			if got != before && got != after || lost.acknowledged && got != after {
				t.Errorf("%s: acknowledged %v\ngot    %s\nbefore %s\nafter  %s", what, lost.acknowledged, got, before, after)
			}
			tried++
		}
		image, before = apply(apply(image, pages...), meta), after
		if actual, err := os.ReadFile(path); err != nil || !slices.Equal(actual[:len(image)], image) {
			t.Fatalf("change %d: the writes taken down do not make the file: %v", i, err)
		}
	}
	t.Logf("the power was cut %d times", tried)
}

// recordWrites takes down what bbolt writes. It has no hook for that; its own field is replaced.
func recordWrites(b *bbolt.DB) *[]write {
	field := reflect.ValueOf(b).Elem().FieldByName("ops").FieldByName("writeAt")
	writeAt := (*func([]byte, int64) (int, error))(unsafe.Pointer(field.UnsafeAddr()))
	real, writes := *writeAt, new([]write)
	*writeAt = func(data []byte, at int64) (int, error) {
		*writes = append(*writes, write{at, slices.Clone(data)})
		return real(data, at)
	}
	return writes
}

// changes are what a worker does to its file, each a commit that is acknowledged.
func changes(d *DB) (all []func() error) {
	body := []byte(strings.Repeat("x", 3000))
	var locks [4]Lock
	for i := range locks {
		id := fmt.Sprint("call-", i)
		all = append(all,
			func() error { _, err := d.Accept(Call{ID: id, At: time.Now(), Body: body}); return err },
			func() (err error) { locks[i], err = d.TryLock(Lock{Node: fmt.Sprint("node-", i)}); return err },
			func() error { return d.Put(fmt.Sprint("node-", i), "intent", string(body[:i*1000])) },
			func() error { return d.Append(Event{ID: fmt.Sprint("event-", i), Body: body}) },
		)
	}
	return append(all,
		func() error { return d.Put("node-1", "intent", "another") },
		func() error { return d.Finish("call-0") },
		func() error { return d.Unlock(locks[0].Holder) },
		func() error { return d.Delete(1) },
		func() error { return d.Forget("node-2") },
		func() error { return d.Finish("call-3") },
		func() error { return d.Append(Event{ID: "large", Body: make([]byte, 100_000)}) },
		func() error { _, err := d.Accept(Call{ID: "late", Body: body}); return err },
	)
}

// digest tells all that a file holds.
func digest(d *DB) string {
	var parts []string
	for id, state := range d.inbox.calls {
		parts = append(parts, fmt.Sprintf("call %s finished %v", id, state.number == 0))
	}
	for _, l := range d.Locks() {
		parts = append(parts, "lock "+l.Node+" "+l.Holder)
	}
	events, err := d.Peek(0, 1000)
	for _, e := range events {
		parts = append(parts, fmt.Sprintf("event %d %s of %d bytes", e.Seq, e.ID, len(e.Body)))
	}
	calls, callsErr := d.Pending()
	for _, c := range calls {
		parts = append(parts, fmt.Sprintf("pending %s of %d bytes", c.ID, len(c.Body)))
	}
	for i := range 4 {
		var intent string
		node := fmt.Sprint("node-", i)
		known, err := d.Get(node, "intent", &intent)
		parts = append(parts, fmt.Sprintf("%s intent %v %d bytes %v", node, known, len(intent), err))
	}
	sort.Strings(parts)
	return fmt.Sprint(parts, err, callsErr)
}

// split takes the writes of a commit apart.
func split(t *testing.T, writes []write) (pages []write, meta write) {
	t.Helper()
	if len(writes) == 0 {
		t.Fatal("the change wrote nothing")
	}
	limit := 2 * int64(os.Getpagesize())
	for i, w := range writes {
		if (w.at < limit) != (i == len(writes)-1) {
			t.Fatalf("write %d of %d goes to offset %d", i+1, len(writes), w.at)
		}
	}
	return writes[:len(writes)-1], writes[len(writes)-1]
}

// loss is what a disk may hold after the power was cut.
type loss struct {
	what  string
	image []byte
	// acknowledged tells that the commit was over.
	acknowledged bool
}

func losses(random *rand.Rand, image []byte, pages []write, meta write) []loss {
	all := []loss{{"nothing written", image, false}, {"all pages, no meta page", apply(image, pages...), false},
		{"all of it", apply(apply(image, pages...), meta), true}}
	for i := range pages {
		rest := slices.Delete(slices.Clone(pages), i, i+1)
		all = append(all, loss{fmt.Sprintf("all but page write %d", i), apply(image, rest...), false},
			loss{fmt.Sprintf("only page write %d", i), apply(image, pages[i]), false})
	}
	for i := range lossesPerCommit {
		var some []write
		for _, w := range pages {
			some = append(some, torn(random, w)...)
		}
		random.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		all = append(all, loss{fmt.Sprint("torn pages ", i), apply(image, some...), false},
			loss{fmt.Sprint("a torn meta page ", i), apply(apply(image, pages...), torn(random, meta)...), false})
	}
	// Disks promise a sector; even a meta page that is cut within its first one must be told from a good one.
	for cut := 16; cut < 96; cut += 8 {
		part := write{meta.at, meta.data[:cut]}
		all = append(all, loss{fmt.Sprintf("%d bytes of the meta page", cut), apply(apply(image, pages...), part), false})
	}
	return all
}

// torn returns some sectors of a write.
func torn(random *rand.Rand, w write) (parts []write) {
	for at := 0; at < len(w.data); at += sector {
		if random.IntN(2) == 0 {
			parts = append(parts, write{w.at + int64(at), w.data[at:min(at+sector, len(w.data))]})
		}
	}
	return parts
}

// apply returns a disk with writes carried out.
func apply(image []byte, writes ...write) []byte {
	image = slices.Clone(image)
	for _, w := range writes {
		if end := int(w.at) + len(w.data); end > len(image) {
			// bbolt has made the file longer, and that durable, before it writes there.
			image = append(image, make([]byte, end-len(image))...)
		}
		copy(image[w.at:], w.data)
	}
	return image
}

// reopened starts a worker on a disk and tells what it finds.
func reopened(t *testing.T, image []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker.db")
	must(t, os.WriteFile(path, image, 0o600))
	d, err := Open(path, Options{})
	if err != nil {
		return err.Error()
	}
	defer d.Close()
	return digest(d)
}
