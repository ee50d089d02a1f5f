package wholeworker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/drivers/partition"
)

// iscsiOptions make a lab whose machines expose their disks at a port that nobody else takes.
func iscsiOptions(port int) options {
	return options{
		"DEFAULT":    {"enabled_deploy_interfaces": "direct,iscsi"},
		"iscsi":      {"portal_port": strconv.Itoa(port)},
		"disk_utils": {"efi_system_partition_size": "40"},
	}
}

// freePort is a port that nobody listens on now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// iscsiCase is a deployment over iSCSI.
type iscsiCase struct {
	name     string
	mode     string
	instance map[string]any
	faults   room.Faults
	// check looks at the disk of a deployment that succeeds.
	check func(t *testing.T, disk string)
	// want is the error of one that fails.
	want string
}

// TestISCSI deploys over iSCSI, with a worker that was started by nobody special: the machines' disks are behind a real tgt.
func TestISCSI(t *testing.T) {
	port := freePort(t)
	w := start(t, setup{database: "sqlite", extra: iscsiOptions(port)})
	img := makeImage(t, w.wares, 12, 1)
	cases := iscsiCases(t, w, img)
	faults := map[string]room.Faults{}
	for i, c := range cases {
		faults[fmt.Sprintf("machine-%04d", i)] = c.faults
	}
	machines := w.openRoom(t, room.Config{Seed: 23, Count: len(cases), DiskSize: 1536 * mebibyte, FaultsOf: faults}).Machines()
	t.Run("of", func(t *testing.T) {
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, w, machines[i])
			})
		}
	})
	w.checkNothingHeld(t)
}

func iscsiCases(t *testing.T, w *world, img diskImage) []iscsiCase {
	web := startWebServer(t)
	whole := map[string]any{"image_source": "file://" + img.raw, "image_checksum": img.sum}
	root := filepath.Join(w.wares, "root.ext4")
	must(t, partition.Format(t.Context(), "ext4", root, 32*mebibyte, "a-root"))
	parts := func(more map[string]any) map[string]any {
		return merged(map[string]any{"image_source": "file://" + root, "image_checksum": sumOf(t, root), "image_type": "partition",
			"root_gb": 1}, more)
	}
	large := filepath.Join(w.wares, "large.raw")
	must(t, os.WriteFile(large, nil, 0o644))
	must(t, os.Truncate(large, 2048*mebibyte))
	drive := map[string]any{"meta_data": map[string]any{"hostname": "over-iscsi"}}
	return []iscsiCase{
		{name: "whole disk", mode: "uefi", instance: whole, check: func(t *testing.T, disk string) { checkBegin(t, disk, img.raw, 0) }},
		{name: "whole disk, qcow2 by HTTP, with a config drive", mode: "bios", instance: map[string]any{
			"image_source": web.put("disk.qcow2", serveFile(img.qcow2)), "image_checksum": img.qcow2Sum, "configdrive": drive},
			check: func(t *testing.T, disk string) { checkBegin(t, disk, img.raw, tableEnd); checkDrive(t, disk) }},
		{name: "partition, BIOS", mode: "bios", instance: parts(map[string]any{"swap_mb": 16, "configdrive": drive}),
			check: func(t *testing.T, disk string) {
				checkParts(t, disk, partition.MBR, root, map[partition.FileSystem]string{"swap": "swap1", "ext4": "a-root"})
				checkDrive(t, disk)
			}},
		{name: "partition, UEFI", mode: "uefi", instance: parts(map[string]any{"swap_mb": 16}), check: func(t *testing.T, disk string) {
			checkParts(t, disk, partition.GPT, root, map[partition.FileSystem]string{"vfat": "efi-part", "swap": "swap1", "ext4": "a-root"})
		}},
		{name: "no extension", mode: "uefi", instance: whole, faults: room.Faults{NoISCSI: 1},
			want: "Failed to start the iSCSI target.*Extension with id iscsi not found"},
		{name: "nothing exposed", mode: "uefi", instance: whole, faults: room.Faults{LostISCSI: 1},
			want: "did not become active after attempting to verify 3 times.*Target not found"},
		{name: "larger than the disk", mode: "uefi", instance: map[string]any{"image_source": "file://" + large,
			"image_checksum": sumOf(t, large)}, want: "does not fit the disk"},
		{name: "root too small", mode: "uefi", instance: map[string]any{"image_source": "file://" + large, "image_type": "partition",
			"image_checksum": sumOf(t, large), "root_gb": 1}, want: "Root partition is too small for requested image"},
		{name: "disk too small", mode: "uefi", instance: parts(map[string]any{"swap_mb": 4096}), want: "The disk of 1536 MiB is too small"},
	}
}

func merged(a, b map[string]any) map[string]any {
	for key, value := range b {
		a[key] = value
	}
	return a
}

func (c iscsiCase) run(t *testing.T, w *world, m *room.Machine) {
	ctx := t.Context()
	uuid, err := w.api.enrol(ctx, m.Info(), w.ramdisk, map[string]any{"deploy_interface": "iscsi", "automated_clean": false,
		"properties": map[string]any{"capabilities": "boot_mode:" + c.mode, "cpu_arch": "x86_64", "local_gb": 1}})
	must(t, err)
	makeAvailable(t, w, uuid)
	must(t, w.api.patch(ctx, uuid, set("/instance_info", c.instance)))
	if c.want != "" {
		fails(t, w, uuid, "active", "deploy failed", c.want)
		return
	}
	must(t, w.api.reach(ctx, uuid, "active", "active"))
	eventually(t, "the machine runs its disk", func() error {
		if got := m.Snapshot(); got.Booted != room.BootDisk {
			return fmt.Errorf("it runs %q (%s)", got.Booted, got.BootError)
		}
		return nil
	})
	if got := m.Snapshot(); got.Begun["start_iscsi_target"] != 1 || got.Begun["write_image"] != 0 {
		t.Errorf("the agent was told %v", got.Begun)
	}
	c.check(t, m.Info().Disk)
	seen := false
	for _, e := range w.events.of(uuid) {
		seen = seen || e.step == "deploy.write_image" && e.percent != nil && *e.percent == 100
	}
	if !seen {
		t.Error("no event of write_image tells of 100 percent")
	}
	n, err := w.api.node(ctx, uuid)
	must(t, err)
	if value := n.DriverInternalInfo["ironmaster_iscsi"]; value != nil {
		t.Errorf("driver_internal_info still has ironmaster_iscsi: %v", value)
	}
}

// tableEnd is where a GPT at the beginning of a disk ends.
const tableEnd = 34 * 512

// holds tells whether a disk begins with an image, but for its first bytes.
func holds(disk, image string, but int64) (bool, error) {
	want, err := os.ReadFile(image)
	if err != nil {
		return false, err
	}
	f, err := os.Open(disk)
	if err != nil {
		return false, err
	}
	defer f.Close()
	got := make([]byte, len(want))
	_, err = f.ReadAt(got, 0)
	return bytes.Equal(got[but:], want[but:]), err
}

func checkBegin(t *testing.T, disk, image string, but int64) {
	t.Helper()
	same, err := holds(disk, image, but)
	must(t, err)
	if !same {
		t.Error("the disk does not hold the image")
	}
}

func readTable(t *testing.T, disk string) partition.Table {
	t.Helper()
	f, err := os.Open(disk)
	must(t, err)
	defer f.Close()
	info, err := f.Stat()
	must(t, err)
	table, err := partition.Read(f, info.Size())
	must(t, err)
	return table
}

// checkDrive looks for a config drive among the partitions.
func checkDrive(t *testing.T, disk string) {
	t.Helper()
	for _, e := range readTable(t, disk).Entries {
		found, err := partition.Identify(t.Context(), disk, e.Offset, e.Size)
		must(t, err)
		if strings.EqualFold(found.Label, "config-2") {
			f, err := os.Open(disk)
			must(t, err)
			defer f.Close()
			content := make([]byte, min(e.Size, mebibyte))
			_, err = f.ReadAt(content, e.Offset)
			must(t, err)
			if !bytes.Contains(content, []byte("over-iscsi")) {
				t.Error("the config drive is another than what was given")
			}
			return
		}
	}
	t.Error("there is no config drive on the disk")
}

// checkParts looks at the partitions of a disk and what is in them, and compares the root partition with its image.
func checkParts(t *testing.T, disk string, label partition.Label, image string, want map[partition.FileSystem]string) {
	t.Helper()
	table := readTable(t, disk)
	if table.Label != label {
		t.Errorf("the disk has a table %s, not %s", table.Label, label)
	}
	for _, e := range table.Entries {
		found, err := partition.Identify(t.Context(), disk, e.Offset, e.Size)
		must(t, err)
		if label, wanted := want[found.Kind]; wanted && label == found.Label {
			delete(want, found.Kind)
		}
		if found.Label != "a-root" {
			continue
		}
		content, err := os.ReadFile(image)
		must(t, err)
		f, err := os.Open(disk)
		must(t, err)
		defer f.Close()
		got := make([]byte, len(content))
		_, err = f.ReadAt(got, e.Offset)
		must(t, err)
		if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != sumOf(t, image) {
			t.Error("the root partition does not hold the image")
		}
	}
	if len(want) > 0 {
		t.Errorf("the disk lacks %v; its table has %v", want, table.Entries)
	}
}
