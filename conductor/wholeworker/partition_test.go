package wholeworker

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers/partition"
)

const gibibyte = 1 << 30

// TestPartitionImages deploys images that need partitions around them, and looks at the disks with programs that are not ours.
func TestPartitionImages(t *testing.T) {
	w := start(t, setup{database: "sqlite", glance: true, extra: iscsiOptions(freePort(t))})
	img := makePartitionImage(t, w.wares, 24, 1)
	machines := w.openRoom(t, room.Config{Seed: 1, Count: len(partitionCases), DiskSize: 4 * gibibyte}).Machines()
	web := startWebServer(t)
	t.Run("of", func(t *testing.T) {
		for i, c := range partitionCases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				s := surgery{w: w, web: web, machine: machines[i], image: img, wanted: c}
				s.run(t)
			})
		}
		t.Run("refused", func(t *testing.T) {
			t.Parallel()
			badPartitions(t, w, web)
		})
		t.Run("windows", func(t *testing.T) {
			t.Parallel()
			windows(t, w, web)
		})
	})
	w.checkNothingHeld(t)
}

func makePartitionImage(t *testing.T, dir string, size int, seed byte) diskImage {
	t.Helper()
	img, err := lab.MakePartitionImage(t.Context(), dir, size, seed)
	must(t, err)
	return diskImage{raw: img.Raw, qcow2: img.QCOW2, size: img.Size, sum: img.SHA256, qcow2Sum: img.QCOW2SHA256}
}

// partitionCase is a partition image, where it comes from, and the disk that it leads to.
type partitionCase struct {
	name     string
	mode     string // boot mode
	source   func(*testing.T, *world, *webServer, diskImage) map[string]any
	instance map[string]any
	label    string
	kinds    []string // of the file systems on the disk, in order; the last is the image's
	deploy   string   // the deploy interface, direct when it is empty
}

var partitionCases = []partitionCase{
	{"glance", "uefi", fromGlance, map[string]any{"root_gb": 1, "swap_mb": 64, "ephemeral_gb": 1}, "gpt",
		[]string{"vfat", "ext4", "swap", "iso9660", "ext4"}, ""},
	{"over iSCSI", "uefi", fromHTTP, map[string]any{"root_gb": 1, "swap_mb": 64, "ephemeral_gb": 1}, "gpt",
		[]string{"vfat", "ext4", "swap", "iso9660", "ext4"}, "iscsi"},
	{"http", "bios", fromHTTP, map[string]any{"root_gb": "1", "swap_mb": "64", "ephemeral_gb": 1, "ephemeral_format": "ext3"}, "dos",
		[]string{"ext3", "swap", "iso9660", "ext4"}, ""},
	{"http, through the worker", "bios", throughWorker, map[string]any{"root_gb": 1, "ephemeral_gb": 1,
		"capabilities": map[string]any{"disk_label": "gpt", "boot_mode": "bios"}}, "gpt", []string{"", "ext4", "iso9660", "ext4"}, ""},
	{"http, without a kernel", "uefi", withoutKernel, map[string]any{"root_gb": 2, "ephemeral_gb": 1}, "gpt",
		[]string{"vfat", "ext4", "iso9660", "ext4"}, ""},
}

// ownName is the name of a test's node and image, which others run beside.
func ownName(t *testing.T) string { return regexp.MustCompile(`\W+`).ReplaceAllString(t.Name(), "-") }

func fromGlance(t *testing.T, w *world, _ *webServer, img diskImage) map[string]any {
	boots := map[string]any{}
	for key, format := range map[string]string{"kernel_id": "aki", "ramdisk_id": "ari"} {
		boots[key] = w.uploadWith(t, strings.TrimSuffix(img.raw, ".raw")+"/boot/vmlinuz", format, nil)
	}
	return map[string]any{"image_source": w.uploadWith(t, img.qcow2, "qcow2", boots)}
}

func fromHTTP(t *testing.T, _ *world, web *webServer, img diskImage) map[string]any {
	return map[string]any{"image_source": web.put(ownName(t)+".raw", serveFile(img.raw)), "image_disk_format": "raw",
		"image_os_hash_algo": "sha256", "image_os_hash_value": img.sum,
		"kernel": web.put("vmlinuz", http.NotFound), "ramdisk": web.put("initrd", http.NotFound)}
}

func throughWorker(t *testing.T, _ *world, web *webServer, img diskImage) map[string]any {
	return local(map[string]any{"image_source": web.put(ownName(t)+".qcow2", serveFile(img.qcow2)), "image_disk_format": "qcow2",
		"image_checksum": img.qcow2Sum, "kernel": web.put("vmlinuz", http.NotFound)})
}

// withoutKernel only says that the image is a partition's: as instances boot from their disk, nobody reads a kernel.
func withoutKernel(t *testing.T, w *world, web *webServer, img diskImage) map[string]any {
	info := fromHTTP(t, w, web, img)
	delete(info, "kernel")
	delete(info, "ramdisk")
	info["image_type"] = "partition"
	return info
}

// surgery is one machine that gets a partition image, and then another one beside its old ephemeral partition.
type surgery struct {
	w       *world
	web     *webServer
	machine *room.Machine
	image   diskImage
	wanted  partitionCase
	node    string
}

func (s *surgery) run(t *testing.T) {
	ctx := t.Context()
	var err error
	s.node, err = s.w.api.enrol(ctx, s.machine.Info(), s.w.ramdisk, map[string]any{"automated_clean": false, "name": ownName(t),
		"deploy_interface": cmp.Or(s.wanted.deploy, "direct"),
		"properties":       map[string]any{"capabilities": "boot_mode:" + s.wanted.mode, "cpu_arch": "x86_64"}})
	must(t, err)
	makeAvailable(t, s.w, s.node)
	s.order(t, "active", nil)
	disk := s.check(t)
	ephemeral := disk[slices.IndexFunc(s.wanted.kinds, func(kind string) bool { return strings.HasPrefix(kind, "ext") })]
	mark := []byte("what the user keeps")
	s.write(t, ephemeral.Start*512+100*mebibyte, mark)

	s.image = makePartitionImage(t, t.TempDir(), 24, 2)
	s.order(t, "rebuild", map[string]any{"preserve_ephemeral": true})
	s.check(t)
	if got := s.read(t, ephemeral.Start*512+100*mebibyte, int64(len(mark))); !bytes.Equal(got, mark) {
		t.Errorf("the rebuild did not keep the ephemeral partition")
	}
	swap := map[string]any{"preserve_ephemeral": true, "root_gb": 3}
	must(t, s.w.api.patch(ctx, s.node, set("/instance_info", s.info(t, swap))))
	if err := s.w.api.provision(ctx, s.node, "rebuild"); statusOf(err) != http.StatusBadRequest ||
		!matches("different values from previous deployment.*requested value is 3", err.Error()) {
		t.Errorf("another layout around a preserved partition: %v", err)
	}
	must(t, s.w.api.reach(ctx, s.node, "deleted", "available"))
}

func (s *surgery) info(t *testing.T, more map[string]any) map[string]any {
	t.Helper()
	info := s.wanted.source(t, s.w, s.web, s.image)
	maps.Copy(info, s.wanted.instance)
	maps.Copy(info, more)
	return info
}

// order deploys with a config drive.
func (s *surgery) order(t *testing.T, verb string, more map[string]any) {
	t.Helper()
	ctx := t.Context()
	must(t, s.w.api.patch(ctx, s.node, set("/instance_info", s.info(t, more))))
	must(t, s.w.api.do(ctx, http.MethodPut, "/v1/nodes/"+s.node+"/states/provision", map[string]any{"target": verb,
		"configdrive": map[string]any{"meta_data": map[string]any{"name": s.wanted.name}}}, nil))
	n, err := s.w.api.settle(ctx, s.node)
	must(t, err)
	if n.ProvisionState != "active" {
		t.Fatalf("%s ended in %q: %s", verb, n.ProvisionState, n.LastError)
	}
}

// sfdiskPart is a partition as sfdisk prints it, in sectors of 512 bytes.
type sfdiskPart struct{ Start, Size int64 }

// check looks at the disk and at the node.
func (s *surgery) check(t *testing.T) []sfdiskPart {
	t.Helper()
	eventually(t, "the machine runs its disk", func() error {
		if got := s.machine.Snapshot(); got.Booted != room.BootDisk {
			return fmt.Errorf("it runs %q (%s)", got.Booted, got.BootError)
		}
		return nil
	})
	out, err := exec.Command("/usr/sbin/sfdisk", "--json", s.machine.Info().Disk).Output()
	must(t, err)
	var disk struct {
		Table struct {
			Label      string
			Partitions []sfdiskPart
		} `json:"partitiontable"`
	}
	must(t, json.Unmarshal(out, &disk))
	parts := disk.Table.Partitions
	if disk.Table.Label != s.wanted.label || len(parts) != len(s.wanted.kinds) {
		t.Fatalf("the disk has %s", out)
	}
	var root partition.Found
	for i, p := range parts {
		found, err := partition.Identify(t.Context(), s.machine.Info().Disk, p.Start*512, p.Size*512)
		must(t, err)
		if string(found.Kind) != s.wanted.kinds[i] {
			t.Errorf("partition %d holds %+v, want %s", i+1, found, s.wanted.kinds[i])
		}
		root = found
	}
	raw, err := os.ReadFile(s.image.raw)
	must(t, err)
	if got := s.read(t, parts[len(parts)-1].Start*512, s.image.size); !bytes.Equal(got, raw) {
		t.Error("the root partition does not hold the image")
	}
	n, err := s.w.api.node(t.Context(), s.node)
	must(t, err)
	if n.DriverInternalInfo["root_uuid_or_disk_id"] != root.UUID || n.DriverInternalInfo["is_whole_disk_image"] != false {
		t.Errorf("driver_internal_info is %v, the root is %s", n.DriverInternalInfo, root.UUID)
	}
	return parts
}

func (s *surgery) read(t *testing.T, offset, size int64) []byte {
	t.Helper()
	f, err := os.Open(s.machine.Info().Disk)
	must(t, err)
	content, err := io.ReadAll(io.NewSectionReader(f, offset, size))
	must(t, errors.Join(err, f.Close()))
	return content
}

func (s *surgery) write(t *testing.T, offset int64, content []byte) {
	t.Helper()
	f, err := os.OpenFile(s.machine.Info().Disk, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(content, offset)
	must(t, errors.Join(err, f.Close()))
}

// badPartitions asks for partitions that cannot be. Afterwards the node takes a good image.
func badPartitions(t *testing.T, w *world, web *webServer) {
	img := makeImage(t, w.wares, 12, 7)
	part := func(more map[string]any) map[string]any {
		all := map[string]any{"kernel": "http://127.0.0.1/k", "ramdisk": "http://127.0.0.1/r", "root_gb": 1}
		maps.Copy(all, more)
		return all
	}
	large := w.wares + "/large-root.raw"
	must(t, os.WriteFile(large, nil, 0o644))
	must(t, os.Truncate(large, gibibyte+mebibyte))
	cases := []imageCase{
		{name: "no root", instance: part(map[string]any{"root_gb": nil}), answer: 400, want: `Missing are: \['root_gb'\]`},
		{name: "root no number", instance: part(map[string]any{"root_gb": "big"}), answer: 400, want: "root_gb: big is not an integer"},
		{name: "negative swap", instance: part(map[string]any{"swap_mb": -5}), answer: 400, want: "swap_mb: -5 is negative"},
		{name: "absurd swap", instance: part(map[string]any{"swap_mb": 1 << 50}), answer: 400, want: "swap_mb: .* more than a disk"},
		{name: "no file system", instance: part(map[string]any{"ephemeral_gb": 1, "ephemeral_format": "../sh"}), answer: 400,
			want: "ephemeral_format: .*not the name of a file system"},
		{name: "unknown file system", instance: part(map[string]any{"ephemeral_gb": 1, "ephemeral_format": "zfs9"}),
			want: "write_image.*zfs9"},
		{name: "more than the disk", instance: part(map[string]any{"root_gb": 5}), want: "The disk of 4096 MiB is too small"},
		{name: "more than an MBR", instance: part(map[string]any{"root_gb": 4000, "capabilities": map[string]any{
			"disk_label": "msdos"}}), answer: 400, want: "2 TiB"},
		{name: "label", instance: part(map[string]any{"capabilities": map[string]any{"disk_label": "sun"}}), answer: 400,
			want: "'disk_label'.*invalid value"},
		{name: "preserve no boolean", instance: part(map[string]any{"preserve_ephemeral": "perhaps"}), answer: 400,
			want: "preserve_ephemeral"},
		{name: "image larger than the root", page: serveFile(large), instance: part(local(map[string]any{
			"image_os_hash_value": sumOf(t, large)})), want: "Root partition is too small for requested image"},
	}
	machines := w.openRoom(t, room.Config{Seed: 2, Count: len(cases), DiskSize: 4 * gibibyte}).Machines()
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, w, web, machines[i], img)
		})
	}
}
