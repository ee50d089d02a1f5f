package partition

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// partitioned makes a file with a table that sfdisk writes, and lets it grow to size.
func partitioned(t *testing.T, script string, made, size int64) *os.File {
	t.Helper()
	f := sparse(t, made)
	command := exec.Command("sfdisk", "--quiet", f.Name())
	command.Stdin = strings.NewReader(script)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f
}

// nodes are the partitions that sfdisk finds, as it prints them, and the table's identifier.
func nodes(t *testing.T, f *os.File) (found []map[string]any, id string) {
	t.Helper()
	out, err := exec.Command("sfdisk", "--json", f.Name()).Output()
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		PartitionTable struct {
			ID         string
			Partitions []map[string]any
		}
	}
	if err := json.Unmarshal(out, &table); err != nil {
		t.Fatal(err)
	}
	return table.PartitionTable.Partitions, table.PartitionTable.ID
}

func TestAppend(t *testing.T) {
	const made, size = 20 * MiB, 200 * MiB
	for name, tt := range map[string]struct {
		script string
		number int
	}{
		// As Debian's cloud images have it: the root partition is the first, and lies behind those of the firmware.
		"gpt with gaps": {"label: gpt\nx1 : start=12MiB, size=4MiB, name=root\nx14 : start=1MiB, size=3MiB, " +
			"type=21686148-6449-6E6F-744E-656564454649\nx15 : start=4MiB, size=8MiB, type=U, attrs=LegacyBIOSBootable", 2},
		"mbr":          {"label: dos\nx1 : start=1MiB, size=4MiB, type=83, bootable\nx3 : start=8MiB, size=4MiB, type=7", 2},
		"mbr, Windows": {"label: dos\nx1 : start=1MiB, size=4MiB, type=7, bootable\nx2 : start=5MiB, size=10MiB, type=7", 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := partitioned(t, tt.script, made, made)
			before, id := nodes(t, f)
			if err := f.Truncate(size); err != nil {
				t.Fatal(err)
			}
			entry, err := Append(f, size, SizeConfigDrive)
			if err != nil {
				t.Fatal(err)
			}
			if entry.Number != tt.number || entry.Size < SizeConfigDrive || entry.Offset%MiB != 0 || entry.Offset+entry.Size > size {
				t.Errorf("got %+v", entry)
			}
			out, err := exec.Command("sfdisk", "--verify", f.Name()).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "No errors") {
				t.Errorf("sfdisk --verify says %q, %v", out, err)
			}
			after, same := nodes(t, f)
			if same != id || len(after) != len(before)+1 {
				t.Errorf("the table %s is now %s, with %d partitions after %d", id, same, len(after), len(before))
			}
			for _, old := range before {
				want, _ := json.Marshal(old)
				found := false
				for _, p := range after {
					got, _ := json.Marshal(p)
					found = found || string(got) == string(want)
				}
				if !found {
					t.Errorf("%s is gone from %v", want, after)
				}
			}
		})
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	for name, tt := range map[string]struct{ script, want string }{
		"four primary ones": {"label: dos\nstart=1MiB, size=1MiB\nstart=2MiB, size=1MiB\nstart=3MiB, size=1MiB\nstart=4MiB, size=1MiB\n",
			"already has 4 primary partitions"},
		"full": {"label: gpt\nstart=1MiB, size=50MiB\n", "no place for a config drive"},
	} {
		t.Run(name, func(t *testing.T) {
			f := partitioned(t, tt.script, 60*MiB, 90*MiB)
			_, err := Append(f, 90*MiB, SizeConfigDrive)
			if store.KindOf(err) != store.InstanceDeployFailure || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzAppend adds a partition to disks that are anybody's.
func FuzzAppend(f *testing.F) {
	const size = 4 * MiB
	for _, w := range []Wish{{BootMode: "bios", Root: 1, Swap: 1}, {BootMode: "uefi", ESP: 1, Root: 1}} {
		m := make(memory, size)
		l, err := Plan(w)
		if err == nil {
			err = l.Write(m, size)
		}
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(m[:tableSize]), []byte(m[len(m)-tableSize:]))
	}
	f.Fuzz(func(t *testing.T, head, tail []byte) {
		m := make(memory, size)
		copy(m, head)
		copy(m[len(m)-min(len(tail), len(m)):], tail)
		e, err := Append(m, size, MiB)
		if err == nil && (e.Offset < MiB || e.Size < MiB || e.Offset+e.Size > size || e.Number < 1) {
			t.Errorf("a partition that cannot be: %+v", e)
		}
	})
}
