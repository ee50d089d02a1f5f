package partition

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func TestPlan(t *testing.T) {
	tests := map[string]struct {
		wish    Wish
		label   Label
		want    string
		refused string
	}{
		"bios": {wish: Wish{BootMode: "bios", Root: 1024}, label: MBR, want: "root 1024 MiB"},
		"bios with everything": {wish: Wish{BootMode: "bios", Root: 1024, Swap: 64, Ephemeral: 128, ConfigDrive: 1}, label: MBR,
			want: "ephemeral 128 MiB, swap 64 MiB, configdrive 1 MiB, root 1024 MiB"},
		"bios and gpt": {wish: Wish{BootMode: "bios", Label: GPT, Root: 9}, label: GPT, want: "BIOS Boot partition 1 MiB, root 9 MiB"},
		"uefi": {wish: Wish{BootMode: "uefi", Root: 1, Swap: 2}, label: GPT,
			want: "efi system partition 550 MiB, swap 2 MiB, root 1 MiB"},
		"uefi with a size": {wish: Wish{BootMode: "uefi", ESP: 200, Root: 1}, label: GPT,
			want: "efi system partition 200 MiB, root 1 MiB"},
		"uefi and msdos": {wish: Wish{BootMode: "uefi", Label: MBR, Root: 1}, label: MBR,
			want: "efi system partition 550 MiB, root 1 MiB"},
		"power": {wish: Wish{BootMode: "bios", Arch: "ppc64le", Root: 1}, label: MBR, want: "PReP Boot partition 8 MiB, root 1 MiB"},
		"five in an MBR": {wish: Wish{BootMode: "uefi", Label: MBR, Root: 1, Swap: 1, Ephemeral: 1, ConfigDrive: 1},
			refused: "Too many primary partitions"},
		"past the MBR":  {wish: Wish{BootMode: "bios", Root: 3 << 20}, refused: "2 TiB"},
		"negative":      {wish: Wish{BootMode: "bios", Root: 1, Swap: -1}, refused: "swap partition of -1 MiB"},
		"absurd":        {wish: Wish{BootMode: "uefi", Root: math.MaxInt64 / 2}, refused: "root partition of"},
		"unknown label": {wish: Wish{BootMode: "bios", Label: "sun", Root: 1}, refused: `"sun"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l, err := Plan(tt.wish)
			if tt.refused != "" {
				if store.KindOf(err) != store.InvalidParameterValue || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("got %v, want a refusal with %q", err, tt.refused)
				}
				return
			}
			if err != nil || l.Label != tt.label || l.String() != tt.want {
				t.Errorf("got %s %s, %v", l.Label, l, err)
			}
			end := int64(MiB)
			for i, p := range l.Parts {
				if p.Number != i+1 || p.Offset != end {
					t.Errorf("partition %+v, want number %d at %d", p, i+1, end)
				}
				end += p.Size
			}
		})
	}
}

// sparse makes a file that stands for a disk.
func sparse(t *testing.T, size int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// dumped is what sfdisk --json prints.
type dumped struct {
	Table struct {
		Label      string
		Partitions []struct {
			Start, Size int64
			Type        string
			Bootable    bool
		}
	} `json:"partitiontable"`
}

// TestWriteIsWhatSfdiskReads reads the tables with a program that is not ours.
func TestWriteIsWhatSfdiskReads(t *testing.T) {
	const size = 2 << 30
	for name, w := range map[string]Wish{
		"dos": {BootMode: "bios", Root: 1000, Swap: 64, Ephemeral: 128, ConfigDrive: 1},
		"gpt": {BootMode: "uefi", Root: 1000, Swap: 64, Ephemeral: 128, ConfigDrive: 1},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Plan(w)
			if err != nil {
				t.Fatal(err)
			}
			f := sparse(t, size)
			if err := l.Write(f, size); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("sfdisk", "--json", f.Name()).Output()
			if err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("sfdisk", "--verify", f.Name()).CombinedOutput(); err != nil || !strings.Contains(string(out), "No errors") {
				t.Errorf("sfdisk --verify says %q, %v", out, err)
			}
			var got dumped
			if err := json.Unmarshal(out, &got); err != nil || got.Table.Label != name || len(got.Table.Partitions) != len(l.Parts) {
				t.Fatalf("sfdisk reads %s, %v", out, err)
			}
			for i, p := range got.Table.Partitions {
				want := l.Parts[i]
				if p.Start*512 != want.Offset || p.Size*512 != want.Size || p.Bootable != want.Active {
					t.Errorf("sfdisk reads %+v, want %+v", p, want)
				}
			}
			read, err := Read(f, size)
			if err != nil || read.Label != l.Label || len(read.Entries) != len(l.Parts) || read.BootCode {
				t.Fatalf("read %+v, %v", read, err)
			}
			for i, e := range read.Entries {
				if want := l.Parts[i]; e.Offset != want.Offset || e.Size != want.Size || e.EFISystem() != (want.Role == ESP) || e.UUID == "" {
					t.Errorf("read %+v, want %+v", e, want)
				}
			}
		})
	}
}

func TestADiskThatIsTooSmallIsNotTouched(t *testing.T) {
	l, err := Plan(Wish{BootMode: "uefi", Root: 450})
	if err != nil {
		t.Fatal(err)
	}
	const size = 1001 * MiB // the root ends with the disk, where the second copy of a GPT must be
	f := sparse(t, size)
	if err := l.Write(f, size); store.KindOf(err) != store.InstanceDeployFailure {
		t.Errorf("got %v", err)
	}
	if _, err := Read(f, size); !errors.Is(err, ErrNoTable) {
		t.Errorf("the disk has a table: %v", err)
	}
}

// TestAFormerTableIsGone changes a disk's GPT to an MBR: the copy at its end must not count any more.
func TestAFormerTableIsGone(t *testing.T) {
	const size = 1 << 30
	f := sparse(t, size)
	for _, w := range []Wish{{BootMode: "uefi", Root: 100}, {BootMode: "bios", Root: 50}} {
		l, err := Plan(w)
		if err == nil {
			err = l.Write(f, size)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Read(f, size); err != nil || got.Label != MBR || len(got.Entries) != 1 {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestFormat(t *testing.T) {
	ctx := context.Background()
	const at, size = 3 * MiB, 64 * MiB
	for kind, label := range map[FileSystem]string{FAT: LabelESP, SwapArea: LabelSwap, "ext4": LabelEphemeral, "ext3": "x"} {
		t.Run(string(kind), func(t *testing.T) {
			f := sparse(t, 100*MiB)
			path := filepath.Join(t.TempDir(), "fs")
			if err := Format(ctx, kind, path, size, label); err != nil {
				t.Fatal(err)
			}
			if err := Copy(ctx, f, at, path); err != nil {
				t.Fatal(err)
			}
			found, err := Identify(ctx, f.Name(), at, size)
			if err != nil || found.Kind != kind || found.Label != label || found.UUID == "" {
				t.Errorf("found %+v, %v", found, err)
			}
		})
	}
	for _, kind := range []FileSystem{"nosuchfs", "", "-h", "a b", "../x"} {
		if err := Format(ctx, kind, filepath.Join(t.TempDir(), "fs"), size, "x"); err == nil {
			t.Errorf("a file system %q was made", kind)
		}
	}
	if found, err := Identify(ctx, sparse(t, size).Name(), 0, size); err != nil || found != (Found{}) {
		t.Errorf("nothing is %+v, %v", found, err)
	}
}

// memory is a small disk.
type memory []byte

func (m memory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(m)) {
		return 0, errors.New("beyond the disk")
	}
	return copy(p, m[off:]), nil
}

func (m memory) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(m)) {
		return 0, errors.New("beyond the disk")
	}
	return copy(m[off:], p), nil
}

func FuzzRead(f *testing.F) {
	for _, w := range []Wish{{BootMode: "bios", Root: 1, Swap: 1}, {BootMode: "uefi", ESP: 1, Root: 1}} {
		m := make(memory, 4*MiB)
		l, err := Plan(w)
		if err == nil {
			err = l.Write(m, int64(len(m)))
		}
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(m[:tableSize]), []byte(m[len(m)-tableSize:]))
	}
	f.Fuzz(func(t *testing.T, head, tail []byte) {
		m := make(memory, MiB)
		copy(m, head)
		copy(m[len(m)-min(len(tail), len(m)):], tail)
		got, err := Read(m, int64(len(m)))
		if err == nil && got.Label == GPT {
			for _, e := range got.Entries {
				if e.Offset < 0 || e.Size <= 0 || e.Offset+e.Size > int64(len(m)) {
					t.Errorf("a partition beyond the disk: %+v", e)
				}
			}
		}
	})
}
