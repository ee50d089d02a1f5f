package iscsi

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room/tgt"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/partition"
	"github.com/ironmaster/ironmaster/store"
)

// bench is a disk behind a real target, and what writes onto it.
type bench struct {
	drivers.Worker
	daemon *tgt.Daemon
	disk   string
	writer *writer
	// reported is called with each report of progress.
	reported func(drivers.Progress)
	saves    int
}

const target = "iqn.2008-10.org.openstack:one"

func (b *bench) Save(context.Context, *drivers.Task) error                   { b.saves++; return nil }
func (b *bench) Ports(context.Context, *drivers.Task) ([]*store.Port, error) { return nil, nil }
func (b *bench) SetPower(context.Context, *drivers.Task, string) error       { return nil }
func (b *bench) Journal(*drivers.Task) drivers.Journal                       { return noJournal{} }
func (b *bench) Report(_ *drivers.Task, p drivers.Progress) {
	if b.reported != nil {
		b.reported(p)
	}
}

// noJournal remembers nothing.
type noJournal struct{}

func (noJournal) Put(context.Context, string, any) error         { return nil }
func (noJournal) Get(context.Context, string, any) (bool, error) { return false, nil }

// openBench exposes a disk of so many MiB that is full of other bytes.
func openBench(t *testing.T, size int) *bench {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	portal := l.Addr().String()
	l.Close()
	b := &bench{disk: filepath.Join(dir, "disk, of a machine")}
	if err := os.WriteFile(b.disk, bytes.Repeat([]byte{0xa5}, size*partition.MiB), 0o600); err != nil {
		t.Fatal(err)
	}
	if b.daemon, err = tgt.Start(t.Context(), filepath.Join(dir, "tgt"), portal); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.daemon.Close() })
	// tgtadm takes commas for its own.
	link := filepath.Join(dir, "disk")
	if err := errors.Join(os.Link(b.disk, link), b.daemon.Export(t.Context(), target, link)); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Stall, cfg.ScratchDir = 2*time.Second, dir
	work := &lun{medium: lunAt(portal, target), qemu: image.NewQemuImg(cfg.Convert), cfg: cfg, dir: dir}
	if err := work.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.writer = &writer{d: &Deploy{cfg: cfg}, lun: work, t: &drivers.Task{Worker: b, Log: zerolog.Nop(),
		Node: &store.Node{UUID: "a-node", DriverInternalInfo: store.Dict{"is_whole_disk_image": true}}}}
	return b
}

// give has the writer write an image file.
func (b *bench) give(t *testing.T, path string, format image.Format, size int64) {
	t.Helper()
	var err error
	if b.writer.source, err = imageAt(path, format); err != nil {
		t.Fatal(err)
	}
	b.writer.cached = image.Cached{Path: path, Format: format, VirtualSize: size}
}

// noise makes a file of bytes that are not zero.
func noise(t *testing.T, size int) string {
	t.Helper()
	content := make([]byte, size)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(content)
	path := filepath.Join(t.TempDir(), "image, with a comma")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func sfdisk(t *testing.T, file, script string) {
	t.Helper()
	command := exec.Command("sfdisk", "--quiet", file)
	command.Stdin = strings.NewReader(script)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
}

func equalBytes(t *testing.T, disk string, at int64, want []byte) {
	t.Helper()
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, len(want))
	if _, err := f.ReadAt(got, at); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the disk holds other bytes at %d than it should", at)
	}
}

func TestWholeDisk(t *testing.T) {
	for name, script := range map[string]string{
		"gpt": "label: gpt\nstart=1MiB, size=1MiB",
		"mbr": "label: dos\nstart=1MiB, size=1MiB, type=7",
		"":    "",
	} {
		t.Run(name, func(t *testing.T) {
			b := openBench(t, 96)
			// The length is no whole number of sectors.
			path := noise(t, 4*partition.MiB+100)
			if script != "" {
				sfdisk(t, path, script)
				b.writer.drive = bytes.Repeat([]byte("drive"), 1000)
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b.give(t, path, image.FormatRaw, int64(len(want)))
			var last drivers.Progress
			b.reported = func(p drivers.Progress) {
				if p.Total > 0 {
					last = p
				}
			}
			ids, err := b.writer.wholeDisk(t.Context())
			if err != nil || ids.String("disk identifier") == "" {
				t.Fatalf("got %v, %v", ids, err)
			}
			if last.Bytes != last.Total || b.saves != 1 {
				t.Errorf("the last report is %+v, the row was saved %d times", last, b.saves)
			}
			if script == "" {
				equalBytes(t, b.disk, 0, want)
				return
			}
			// The table names the partition of the config drive too.
			equalBytes(t, b.disk, partition.MiB, want[partition.MiB:])
			f, err := os.Open(b.disk)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			table, err := partition.Read(f, 96*partition.MiB)
			if err != nil || len(table.Entries) != 2 {
				t.Fatalf("the table is %v, %v", table, err)
			}
			equalBytes(t, b.disk, table.Entries[1].Offset, b.writer.drive)
		})
	}
}

func TestAConfigDriveGoesIntoThePartitionThatTheImageHasForIt(t *testing.T) {
	b := openBench(t, 96)
	path := noise(t, 8*partition.MiB)
	sfdisk(t, path, "label: gpt\nstart=1MiB, size=1MiB\nstart=4MiB, size=2MiB")
	drive := filepath.Join(t.TempDir(), "fat")
	if err := partition.Format(t.Context(), partition.FAT, drive, 2*partition.MiB, "CONFIG-2"); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(drive)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(content, 4*partition.MiB); err != nil {
		t.Fatal(err)
	}
	f.Close()
	b.writer.drive = bytes.Repeat([]byte("drive"), 1000)
	b.give(t, path, image.FormatRaw, 8*partition.MiB)
	if _, err := b.writer.wholeDisk(t.Context()); err != nil {
		t.Fatal(err)
	}
	equalBytes(t, b.disk, 4*partition.MiB, b.writer.drive)
}

func TestALinkThatBreaksEndsTheWriting(t *testing.T) {
	b := openBench(t, 64)
	b.give(t, noise(t, 48*partition.MiB), image.FormatRaw, 48*partition.MiB)
	gone := false
	b.reported = func(p drivers.Progress) {
		if p.Bytes > 0 && !gone {
			gone = true
			if err := b.daemon.Withdraw(context.Background(), target); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := b.writer.wholeDisk(t.Context())
	// What qemu-img has sent before may have been all of it: then it is missed when it is read back.
	known := err != nil && (strings.Contains(err.Error(), "no bytes moved for 2s") || strings.Contains(err.Error(), "Target not found"))
	if !known || b.writer.progress.poured {
		t.Errorf("got %v", err)
	}
}

func TestAWriterThatIsStoppedEndsAtOnce(t *testing.T) {
	b := openBench(t, 64)
	b.give(t, noise(t, 48*partition.MiB), image.FormatRaw, 48*partition.MiB)
	ctx, stop := context.WithCancel(t.Context())
	b.reported = func(p drivers.Progress) {
		if p.Total > 0 {
			stop()
		}
	}
	if _, err := b.writer.wholeDisk(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestReadBack(t *testing.T) {
	b := openBench(t, 64)
	path := noise(t, 40*partition.MiB)
	b.give(t, path, image.FormatRaw, 40*partition.MiB)
	if _, err := b.writer.wholeDisk(t.Context()); err != nil {
		t.Fatal(err)
	}
	poured := 0
	b.reported = func(p drivers.Progress) {
		if p.Total > 0 && p.Bytes == 0 {
			poured++
		}
	}
	b.writer.exposed = true
	if _, err := b.writer.wholeDisk(t.Context()); err != nil || poured != 0 {
		t.Errorf("an image that is there was poured %d times, %v", poured, err)
	}
	f, err := os.OpenFile(b.disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("other"), 40*partition.MiB-100); err != nil {
		t.Fatal(err)
	}
	if err := b.writer.verify(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "reading back found other bytes") {
		t.Errorf("got %v", err)
	}
	if _, err := b.writer.wholeDisk(t.Context()); err != nil || poured != 1 {
		t.Errorf("an image that is there no more was poured %d times, %v", poured, err)
	}
}

func TestPartitions(t *testing.T) {
	for name, tt := range map[string]struct {
		mode, format string
		want         []string
	}{
		"uefi": {store.BootModeUEFI, "", []string{"root uuid", "efi system partition uuid"}},
		"bios": {store.BootModeBIOS, "ext2", []string{"root uuid"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := openBench(t, 64)
			// Everything that matters has to be written: the disk is full of other bytes.
			if err := os.Truncate(b.disk, 2300*partition.MiB); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(b.daemon.Withdraw(t.Context(), target), b.daemon.Export(t.Context(), target,
				filepath.Join(filepath.Dir(b.disk), "disk")), b.writer.lun.open(t.Context())); err != nil {
				t.Fatal(err)
			}
			root := filepath.Join(t.TempDir(), "root")
			if err := partition.Format(t.Context(), "ext4", root, 20*partition.MiB, "a-root"); err != nil {
				t.Fatal(err)
			}
			b.give(t, root, image.FormatRaw, 20*partition.MiB)
			n := b.writer.t.Node
			n.DriverInternalInfo["is_whole_disk_image"] = false
			n.Properties = store.Dict{"capabilities": "boot_mode:" + tt.mode}
			n.InstanceInfo = store.Dict{"root_gb": 1, "swap_mb": 8, "ephemeral_gb": 1, "ephemeral_format": tt.format}
			b.writer.d.cfg.ESP = 40
			if err := b.writer.planPartitions(); err != nil {
				t.Fatal(err)
			}
			ids, err := b.writer.partitions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range tt.want {
				if ids.String(key) == "" {
					t.Errorf("no %s in %v", key, ids)
				}
			}
			for _, p := range b.writer.layout.Parts {
				if p.Role != partition.Ephemeral {
					continue
				}
				out, err := exec.Command("e2fsck", "-fn", b.disk+"?offset="+strconv.FormatInt(p.Offset, 10)).CombinedOutput()
				if err != nil {
					t.Errorf("e2fsck: %v\n%s", err, out)
				}
			}
		})
	}
}

func TestSamplePlaces(t *testing.T) {
	for _, size := range []int64{512, partition.MiB, 3*partition.MiB + 512, 18 * partition.MiB, 5 << 30} {
		places := samplePlaces(size, 7)
		last := places[len(places)-1]
		if places[0] != 0 || last+sampleSize < size || last >= size || len(places) > samples+2 {
			t.Errorf("of %d bytes %v are read", size, places)
		}
		for _, p := range places {
			if p%sector != 0 {
				t.Errorf("%d is no sector", p)
			}
		}
	}
}

func TestFreeBlocksRefusesWhatIsNone(t *testing.T) {
	for _, text := range []string{"", "Block size: 4096\n  Free blocks: 1-x", "Free blocks: 3"} {
		if free, _, err := freeBlocks(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %v", text, free)
		}
	}
}
