package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ironmaster/ironmaster/store"
)

func newTestCache(t *testing.T, cfg Config) *Cache {
	t.Helper()
	c, err := OpenCache(newTestService(t, cfg), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func sha256Of(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func glanceRequest(owner string) FetchRequest {
	return FetchRequest{Ref: Ref{Href: imageID}, Owner: owner, Name: "disk"}
}

// partials is what lies in the directory of unfinished downloads.
func partials(t *testing.T, c *Cache) int {
	t.Helper()
	entries, err := os.ReadDir(c.partialDir())
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestFetchOnceForManyNodes(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	disk := mbrDisk(1 << 20)
	glance := newFakeGlance(t)
	glance.add(imageID, disk, map[string]any{"os_hash_algo": "sha256", "os_hash_value": sha256Of(disk)})
	glance.hold = make(chan struct{})
	c := newTestCache(t, testConfig(t, glance))

	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			owner := "node-" + itoa(i)
			got, err := c.Fetch(t.Context(), glanceRequest(owner))
			if err != nil {
				t.Error(err)
				return
			}
			data, err := os.ReadFile(got.Path)
			if err != nil || !bytes.Equal(data, disk) {
				t.Errorf("%s: wrong bytes, %v", owner, err)
			}
			if got.HashAlgo != "sha256" || got.HashValue != sha256Of(disk) || got.Size != 1<<20 || got.SourceFormat != got.Format ||
				got.PartitionTable != TableMBR {
				t.Errorf("got %+v", got)
			}
		})
	}
	waitFor(t, "everybody to wait", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, f := range c.flights {
			return f.waiters == 20
		}
		return false
	})
	close(glance.hold)
	group.Wait()
	if _, err := c.Fetch(t.Context(), glanceRequest("late")); err != nil {
		t.Fatal(err)
	}
	if n := glance.downloadCount(); n != 1 {
		t.Errorf("%d downloads for 21 nodes", n)
	}
	if n := partials(t, c); n != 0 {
		t.Errorf("%d unfinished downloads left", n)
	}
	owners, err := c.Owners()
	if err != nil || len(owners) != 21 {
		t.Errorf("%d owners, %v", len(owners), err)
	}
	glance.CloseClientConnections()
	c.Close()
	c.images.Close()
	glance.Close()
}

func TestFetchCancelled(t *testing.T) {
	glance := newFakeGlance(t)
	glance.add(imageID, mbrDisk(1<<16), nil)
	glance.hold = make(chan struct{})
	c := newTestCache(t, testConfig(t, glance))
	one, stopOne := context.WithCancel(t.Context())
	results := make(chan error, 2)
	go func() { _, err := c.Fetch(one, glanceRequest("one")); results <- err }()
	go func() { _, err := c.Fetch(t.Context(), glanceRequest("two")); results <- err }()
	waitFor(t, "two waiters", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, f := range c.flights {
			return f.waiters == 2
		}
		return false
	})
	stopOne()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Fatalf("the cancelled one got %v", err)
	}
	close(glance.hold)
	if err := <-results; err != nil {
		t.Fatalf("the other one got %v", err)
	}

	// With its last waiter a download ends.
	const other = "99999999-2222-3333-4444-555555555555"
	glance.add(other, mbrDisk(1<<16), nil)
	glance.mu.Lock()
	glance.hold = make(chan struct{})
	glance.mu.Unlock()
	alone, stop := context.WithCancel(t.Context())
	go func() {
		_, err := c.Fetch(alone, FetchRequest{Ref: Ref{Href: other}, Owner: "x", Name: "disk"})
		results <- err
	}()
	waitFor(t, "the download to start", func() bool { return glance.downloadCount() == 2 })
	stop()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	c.crew.Wait()
	if n := partials(t, c); n != 0 {
		t.Errorf("%d unfinished downloads left", n)
	}
}

func TestFetchConverts(t *testing.T) {
	disk := append(mbrDisk(1<<20), make([]byte, 1<<20)...)
	qcow2, err := os.ReadFile(qcow2Of(t, disk))
	if err != nil {
		t.Fatal(err)
	}
	glance := newFakeGlance(t)
	glance.add(imageID, qcow2, map[string]any{"disk_format": "qcow2", "os_hash_algo": "sha256", "os_hash_value": sha256Of(qcow2)})
	c := newTestCache(t, testConfig(t, glance))
	req := glanceRequest(nodeID)
	req.ForceRaw = true
	for range 2 {
		got, err := c.Fetch(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(got.Path)
		if err != nil || !bytes.Equal(data, disk) {
			t.Fatalf("wrong bytes, %v", err)
		}
		if got.Format != FormatRaw || got.SourceFormat != FormatQCOW2 || got.HashValue != sha256Of(disk) ||
			got.Size != 2<<20 {
			t.Errorf("got %+v", got)
		}
	}
	req.ForceRaw = false
	got, err := c.Fetch(t.Context(), req)
	if err != nil || got.Format != FormatQCOW2 || got.HashValue != sha256Of(qcow2) || got.VirtualSize != 2<<20 {
		t.Errorf("unconverted: %+v, %v", got, err)
	}
	if n := glance.downloadCount(); n != 2 {
		t.Errorf("%d downloads", n)
	}
	if _, err := os.Stat(filepath.Join(c.cfg.MasterDir, imageID+".converted")); err != nil {
		t.Errorf("the master has not ironic's name: %v", err)
	}
}

func TestFetchRefuses(t *testing.T) {
	qcow2, err := os.ReadFile(qcow2Of(t, mbrDisk(1<<16)))
	if err != nil {
		t.Fatal(err)
	}
	disk := mbrDisk(1 << 16)
	tests := []struct {
		name   string
		data   []byte
		fields map[string]any
		change func(*FetchRequest)
		kind   store.Kind
		text   string
	}{
		{"missing", nil, nil, func(r *FetchRequest) { r.Ref.Href = nodeID }, store.ImageNotFound, "could not be found"},
		{"format that lies", qcow2, nil, nil, store.InvalidImage, "declared as raw but its contents are qcow2"},
		{"user declares another format", disk, nil, func(r *FetchRequest) { r.DeclaredFormat = "qcow2" }, store.InvalidImage, "declared as qcow2"},
		{"wrong checksum", disk, map[string]any{"os_hash_algo": "sha256", "os_hash_value": sha256Of(qcow2)}, nil,
			store.ImageChecksumError, "The supplied image checksum is invalid or does not match."},
		{"wrong md5", disk, map[string]any{"checksum": md5Sum}, nil, store.ImageChecksumError, "md5"},
		{"user's checksum", disk, nil, func(r *FetchRequest) { r.Checksum = Checksum{"sha256", sha256Of(qcow2)} }, store.ImageChecksumError, "expected"},
		{"odd algorithm", disk, map[string]any{"os_hash_algo": "crc", "os_hash_value": "ab"}, nil, store.ImageChecksumAlgorithmFailure, "crc"},
		{"longer than announced", disk, map[string]any{"size": 10}, nil, store.ImageDownloadFailed, "whole image"},
		{"odd owner", disk, nil, func(r *FetchRequest) { r.Owner = "../x" }, "", "malformed owner"},
		{"odd name", disk, nil, func(r *FetchRequest) { r.Name = "../x" }, "", "name"},
		{"no room", disk, map[string]any{"size": 1 << 60}, nil, store.InsufficientDiskSpace, "doesn't have enough disk space. Required"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			glance := newFakeGlance(t)
			glance.add(imageID, tt.data, tt.fields)
			c := newTestCache(t, testConfig(t, glance))
			req := glanceRequest(nodeID)
			if tt.change != nil {
				tt.change(&req)
			}
			_, err := c.Fetch(t.Context(), req)
			if err == nil {
				t.Fatal("accepted")
			}
			wantKind(t, err, tt.kind, tt.text)
			c.crew.Wait()
			if n := partials(t, c); n != 0 {
				t.Errorf("%d unfinished downloads left", n)
			}
			masters, _, err := c.idleMasters()
			if err != nil || len(masters) != 0 {
				t.Errorf("left in the cache: %v, %v", masters, err)
			}
			if _, held := c.Held(nodeID, "disk"); held {
				t.Error("the node holds something")
			}
		})
	}
}

// A refused format ends the download long before its end.
func TestFetchRefusesEarly(t *testing.T) {
	header, err := os.ReadFile(qcow2Of(t, mbrDisk(1<<16)))
	if err != nil {
		t.Fatal(err)
	}
	const announced = 512 << 20
	var sent atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", itoa(announced))
		if r.Method == http.MethodHead {
			return
		}
		block := make([]byte, 1<<20)
		copy(block, header)
		for sent.Load() < announced {
			n, err := w.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return
			}
			clear(block)
		}
	}))
	defer web.Close()
	c := newTestCache(t, testConfig(t, nil))
	_, err = c.Fetch(t.Context(), FetchRequest{Ref: Ref{Href: web.URL + "/x"}, Owner: nodeID, Name: "disk",
		DeclaredFormat: "raw", Checksum: Checksum{"sha256", strings.Repeat("0", 64)}})
	wantKind(t, err, store.InvalidImage, "declared as raw but its contents are qcow2")
	if sent.Load() >= announced {
		t.Error("the whole image was taken before it was refused")
	}
}

func TestFetchFromWebRespectsChanges(t *testing.T) {
	var mu sync.Mutex
	disk, modified, noStore, gets := mbrDisk(1<<16), time.Now().Add(-time.Hour).Truncate(time.Second), false, 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodGet {
			gets++
		}
		if noStore {
			w.Header().Set("Cache-Control", "no-store")
		}
		http.ServeContent(w, r, "", modified, bytes.NewReader(disk))
	}))
	defer web.Close()
	c := newTestCache(t, testConfig(t, nil))
	req := FetchRequest{Ref: Ref{Href: web.URL + "/disk.img"}, Owner: nodeID, Name: "disk", Checksum: Checksum{"sha256", sha256Of(disk)}}
	fetch := func(what string, downloads int) Cached {
		t.Helper()
		got, err := c.Fetch(t.Context(), req)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if gets != downloads {
			t.Errorf("%s: %d downloads, want %d", what, gets, downloads)
		}
		return got
	}
	set := func(change func()) { mu.Lock(); defer mu.Unlock(); change() }
	fetch("first", 1)
	held := fetch("unchanged", 1)
	set(func() { modified = modified.Add(time.Minute); disk = mbrDisk(1 << 15) })
	req.Checksum, req.Owner = Checksum{"sha256", sha256Of(disk)}, "other"
	if got := fetch("changed", 2); got.Size != 1<<15 {
		t.Errorf("got %+v", got)
	}
	if data, err := os.ReadFile(held.Path); err != nil || len(data) != 1<<16 {
		t.Errorf("what the first node holds has changed: %d bytes, %v", len(data), err)
	}
	set(func() { modified = time.Time{} })
	fetch("no time told", 3)
	fetch("still no time told", 4)
	set(func() { modified, noStore = time.Now().Add(-time.Hour), true })
	fetch("must not be stored", 5)
	fetch("must not be stored, again", 6)
	req.Checksum = Checksum{"sha256", strings.Repeat("0", 64)}
	_, err := c.Fetch(t.Context(), req)
	wantKind(t, err, store.ImageChecksumError)
}

func TestFetchHitChecksWhatIsAsked(t *testing.T) {
	disk := mbrDisk(1 << 16)
	glance := newFakeGlance(t)
	glance.add(imageID, disk, nil)
	c := newTestCache(t, testConfig(t, glance))
	if _, err := c.Fetch(t.Context(), glanceRequest("a")); err != nil {
		t.Fatal(err)
	}
	req := glanceRequest("b")
	req.DeclaredFormat = "qcow2"
	_, err := c.Fetch(t.Context(), req)
	wantKind(t, err, store.InvalidImage, "declared as qcow2")
	req = glanceRequest("b")
	req.Checksum = Checksum{"sha256", strings.Repeat("0", 64)}
	_, err = c.Fetch(t.Context(), req)
	wantKind(t, err, store.ImageChecksumError)
}

func TestCacheSurvivesRestart(t *testing.T) {
	glance := newFakeGlance(t)
	glance.add(imageID, mbrDisk(1<<16), nil)
	cfg := testConfig(t, glance)
	c := newTestCache(t, cfg)
	got, err := c.Fetch(t.Context(), glanceRequest(nodeID))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := c.Fetch(t.Context(), FetchRequest{Ref: Ref{Href: imageID}, Owner: "x", Name: "other", ForceRaw: true}); !errors.Is(err, errCacheClosed) {
		t.Errorf("after Close: %v", err)
	}
	// A crash leaves half files, and a master whose record was not written.
	writeFile(t, filepath.Join(c.partialDir(), "half"), []byte("x"))
	c = newTestCache(t, cfg)
	if n := partials(t, c); n != 0 {
		t.Errorf("%d half files left", n)
	}
	held, ok := c.Held(nodeID, "disk")
	if !ok || held.Path != got.Path || held.HashValue != got.HashValue {
		t.Errorf("held %+v, %v, want %+v", held, ok, got)
	}
	if _, err := c.Fetch(t.Context(), glanceRequest("second")); err != nil || glance.downloadCount() != 1 {
		t.Errorf("%d downloads, %v", glance.downloadCount(), err)
	}
	if err := os.Remove(c.recordPath(imageID)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fetch(t.Context(), glanceRequest("third")); err != nil || glance.downloadCount() != 2 {
		t.Errorf("without a record: %d downloads, %v", glance.downloadCount(), err)
	}
}

func TestReleaseAndEvict(t *testing.T) {
	glance := newFakeGlance(t)
	ids := []string{"00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"}
	for i, id := range ids {
		disk := mbrDisk(1 << 20)
		disk[1000] = byte(i)
		glance.add(id, disk, nil)
	}
	cfg := testConfig(t, glance)
	cfg.Cache.Size = 0
	c := newTestCache(t, cfg)
	for i, id := range ids {
		req := FetchRequest{Ref: Ref{Href: id}, Owner: "node-" + itoa(i), Name: "disk"}
		if _, err := c.Fetch(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	c.crew.Wait()
	masters := func() (names []string) {
		for _, id := range ids {
			if _, err := os.Stat(c.masterPath(id)); err == nil {
				names = append(names, id[len(id)-1:])
			}
		}
		return names
	}
	c.CleanUp()
	if got := masters(); len(got) != 2 {
		t.Errorf("masters in use were removed, left %v", got)
	}
	if err := c.Release("node-0", "disk"); err != nil {
		t.Fatal(err)
	}
	c.CleanUp()
	if got := masters(); len(got) != 1 || got[0] != "b" {
		t.Errorf("left %v", got)
	}
	c.cfg.Size, c.cfg.TTL = 1<<40, time.Hour
	if err := c.Release("node-1"); err != nil {
		t.Fatal(err)
	}
	c.CleanUp()
	if got := masters(); len(got) != 1 {
		t.Errorf("removed before its time, left %v", got)
	}
	c.cfg.TTL = -time.Hour
	c.CleanUp()
	if got := masters(); len(got) != 0 {
		t.Errorf("expired, yet left %v", got)
	}
	if entries, err := os.ReadDir(filepath.Join(c.cfg.MasterDir, ".ironmaster")); err != nil || len(entries) != 1 {
		t.Errorf("records left: %v, %v", entries, err)
	}
	if owners, err := c.Owners(); err != nil || len(owners) != 0 {
		t.Errorf("owners left: %v, %v", owners, err)
	}
	if err := c.Release("../x"); err == nil {
		t.Error("released an odd owner")
	}
}

// A bug that an image brings to light fails those who wait for that image, and nothing is left of it.
func TestFetchOutlivesABug(t *testing.T) {
	glance := newFakeGlance(t)
	glance.add(imageID, mbrDisk(1<<20), nil)
	c := newTestCache(t, testConfig(t, glance))
	slots := c.slots
	c.slots = nil
	_, err := c.Fetch(t.Context(), glanceRequest("node-1"))
	wantKind(t, err, store.ImageDownloadFailed, "internal error")
	c.slots = slots
	if _, err := c.Fetch(t.Context(), glanceRequest("node-1")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	waitFor(t, "the files of both downloads to go", func() bool { return partials(t, c) == 0 })
}
