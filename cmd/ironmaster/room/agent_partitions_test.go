package room

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/partition"
)

// fileSystem is an ext4 file system with a file in it, as a partition image is.
func fileSystem(t *testing.T, size string) []byte {
	t.Helper()
	content, path := t.TempDir(), filepath.Join(t.TempDir(), "root")
	if err := os.WriteFile(filepath.Join(content, "vmlinuz"), bytes.Repeat([]byte("kernel"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-d", content, path, size).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// surgeon has an agent write partition images onto a machine.
type surgeon struct {
	t      *testing.T
	m      *Machine
	ironic *fakeIronic
	agent  *agentClient
	image  []byte
	info   map[string]any
}

func newSurgeon(t *testing.T, format string, info map[string]any) *surgeon {
	t.Helper()
	s := &surgeon{t: t, m: openRoom(t, Config{DiskSize: 2 << 30}).Machines()[0], image: fileSystem(t, "8M")}
	s.ironic = newFakeIronic(t, s.m)
	content := s.image
	if format == "qcow2" {
		content = toQcow2(t, s.image)
	}
	s.info = map[string]any{"id": "image", "urls": []string{s.ironic.serve("image", content)}, "disk_format": format,
		"os_hash_algo": "sha256", "os_hash_value": sha256Hex(content), "node_uuid": testNode, "image_type": "partition",
		"root_mb": 64, "swap_mb": 0, "ephemeral_mb": 0, "ephemeral_format": nil, "preserve_ephemeral": false,
		"deploy_boot_mode": "bios"}
	maps.Copy(s.info, info)
	bootAgent(t, s.m, s.ironic.bootISO())
	s.agent = s.ironic.agent()
	return s
}

func (s *surgeon) write(drive string) shown {
	args := map[string]any{"image_info": s.info}
	if drive != "" {
		args["configdrive"] = base64.StdEncoding.EncodeToString(gzipped(s.t, []byte(drive)))
	}
	ended, _ := s.agent.command(true, "deploy.execute_deploy_step", deployStep(args))
	return s.agent.finished(ended.ID)
}

// installs asks for the partitions' UUIDs and has the boot loader installed for them.
func (s *surgeon) installs() (uuids struct{ Root, ESP *string }, installed shown) {
	s.t.Helper()
	answer, _ := s.agent.command(true, "standby.get_partition_uuids", map[string]any{})
	var told map[string]any
	if err := json.Unmarshal(answer.Result, &told); err != nil {
		s.t.Fatal(err)
	}
	for key, into := range map[string]**string{rootUUID: &uuids.Root, espUUID: &uuids.ESP} {
		if text, ok := told[key].(string); ok {
			*into = &text
		}
	}
	started, _ := s.agent.command(false, "image.install_bootloader", map[string]any{"root_uuid": uuids.Root,
		"efi_system_part_uuid": uuids.ESP, "prep_boot_part_uuid": nil, "target_boot_mode": s.info["deploy_boot_mode"]})
	return uuids, s.agent.finished(started.ID)
}

// piece reads from the machine's disk.
func (s *surgeon) piece(offset int64, size int) []byte {
	s.t.Helper()
	f, err := os.Open(s.m.Info().Disk)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	content := make([]byte, size)
	if _, err := f.ReadAt(content, offset); err != nil {
		s.t.Fatal(err)
	}
	return content
}

func TestPartitionImages(t *testing.T) {
	for name, c := range map[string]struct {
		format, mode string
		info         map[string]any
		kinds        []string // of the file systems, in their order on the disk
	}{
		"bios":  {"raw", ModeLegacy, nil, []string{"iso", "ext4"}},
		"qcow2": {"qcow2", ModeLegacy, map[string]any{"swap_mb": 16}, []string{"swap", "iso", "ext4"}},
		"bios and gpt": {"raw", ModeLegacy, map[string]any{"disk_label": "gpt", "ephemeral_mb": 32, "ephemeral_format": "ext3"},
			[]string{"", "ext3", "iso", "ext4"}},
		"uefi": {"raw", ModeUEFI, map[string]any{"deploy_boot_mode": "uefi", "disk_label": "gpt", "ephemeral_mb": 32,
			"ephemeral_format": "ext4", "swap_mb": 16}, []string{"vfat", "ext4", "swap", "iso", "ext4"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSurgeon(t, c.format, c.info)
			if ended := s.write("config drive"); ended.Status != commandSucceeded {
				t.Fatalf("write_image: %+v", ended.Error)
			}
			d := s.m.disk
			table, err := d.table()
			if err != nil || len(table.Entries) != len(c.kinds) {
				t.Fatalf("the table is %+v, %v", table, err)
			}
			var last entry
			for i, e := range table.Entries {
				found, err := partition.Identify(t.Context(), d.path, e.Offset, e.Size)
				if kind := strings.TrimPrefix(c.kinds[i], "iso"); err != nil || string(found.Kind) != kind {
					t.Errorf("partition %d holds %+v, %v", e.Number, found, err)
				}
				if c.kinds[i] == "iso" && !bytes.HasPrefix(s.piece(e.Offset, 20), []byte("config drive\x00")) {
					t.Errorf("partition %d is not the config drive", e.Number)
				}
				last = entry{e, found}
			}
			if got := s.piece(last.Offset, len(s.image)); !bytes.Equal(got, s.image) {
				t.Error("the root partition does not hold the image")
			}
			if err := d.bootable(t.Context(), c.mode); err == nil {
				t.Error("the disk boots without a boot loader")
			}
			uuids, installed := s.installs()
			if installed.Status != commandSucceeded || *uuids.Root != last.found.UUID {
				t.Fatalf("install_bootloader for %s: %+v", *uuids.Root, installed.Error)
			}
			if err := d.bootable(t.Context(), c.mode); err != nil {
				t.Error(err)
			}
			if _, again := s.installs(); again.Status != commandSucceeded {
				t.Errorf("install_bootloader once more: %+v", again.Error)
			}
		})
	}
}

// A rebuild replaces everything but the ephemeral partition.
func TestPreserveEphemeral(t *testing.T) {
	s := newSurgeon(t, "raw", map[string]any{"ephemeral_mb": 32, "ephemeral_format": "ext4"})
	if ended := s.write(""); ended.Status != commandSucceeded {
		t.Fatalf("write_image: %+v", ended.Error)
	}
	precious := bytes.Repeat([]byte("precious"), 100)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	table, err := s.m.disk.table()
	must(err)
	kept := table.Entries[0].Offset + 20<<20
	must(s.m.disk.change(func(f *os.File) error { _, err := f.WriteAt(precious, kept); return err }))
	s.info["preserve_ephemeral"] = true
	if ended := s.write(""); ended.Status != commandSucceeded {
		t.Fatalf("write_image: %+v", ended.Error)
	}
	if got := s.piece(kept, len(precious)); !bytes.Equal(got, precious) {
		t.Error("the ephemeral partition was not preserved")
	}
	s.info["swap_mb"] = 16
	if ended := s.write(""); ended.Status != commandFailedNow || !strings.Contains(ended.Error.Details, "'root' device '/dev/vda3' not found") {
		t.Errorf("another layout: %+v", ended)
	}
}

func TestPartitionImagesThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		format string
		info   map[string]any
		want   string
	}{
		"root larger than the disk":  {"raw", map[string]any{"root_mb": 2048}, "The disk of 2048 MiB is too small for root 2048 MiB"},
		"image larger than the root": {"raw", map[string]any{"root_mb": 4}, "Unable to write image to device /dev/vda1. Error: no space left on device"},
		"qcow2 larger than the root": {"qcow2", map[string]any{"root_mb": 4}, "Root partition is too small for requested image. Image virtual size: 8 MB, Root size: 4 MB"},
		"unknown ephemeral": {"raw", map[string]any{"ephemeral_mb": 16, "ephemeral_format": "zfs9"},
			`making a file system zfs9: exec: "mkfs.zfs9"`},
		"preserved, but not there": {"raw", map[string]any{"preserve_ephemeral": true}, "the disk has no partition table"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSurgeon(t, c.format, c.info)
			if ended := s.write(""); ended.Status != commandFailedNow || !strings.Contains(ended.Error.Details, c.want) {
				t.Errorf("got %+v %+v, want %q", ended, ended.Error, c.want)
			}
		})
	}
}

func TestBootloaderForWhatIsNotThere(t *testing.T) {
	s := newSurgeon(t, "raw", nil)
	s.image = []byte("no file system")
	s.info["urls"], s.info["os_hash_value"] = []string{s.ironic.serve("bytes", s.image)}, sha256Hex(s.image)
	if ended := s.write(""); ended.Status != commandSucceeded {
		t.Fatalf("write_image: %+v", ended.Error)
	}
	if _, installed := s.installs(); installed.Status != commandFailedNow || !strings.Contains(installed.Error.Details, "wrong fs type") {
		t.Errorf("a root without a file system: %+v", installed)
	}
	started, _ := s.agent.command(false, "image.install_bootloader", map[string]any{"root_uuid": testNode, "target_boot_mode": "bios"})
	if ended := s.agent.finished(started.ID); ended.Status != commandFailedNow ||
		!strings.Contains(ended.Error.Details, "No partition with UUID "+testNode+" found on device /dev/vda") {
		t.Errorf("a UUID from elsewhere: %+v", ended)
	}
}
