package wholeworker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers/partition"
)

// The parts that a deployment is put together from.
var (
	bootWays = []bootWay{
		{name: "redfish-virtual-media"},
		{name: "pxe", overNetwork: true},
		{name: "ipxe", overNetwork: true},
		{name: "http", overNetwork: true, since: "29.0", refuses: map[string]string{"bios": httpNeedsUEFI}},
		{name: "http-ipxe", overNetwork: true, since: "29.0", refuses: map[string]string{"bios": httpNeedsUEFI}},
		{name: "ilo-virtual-media", bmc: "hpe", until: "35.0"},
		{name: "ilo-pxe", bmc: "hpe", overNetwork: true, until: "35.0"},
		{name: "ilo-ipxe", bmc: "hpe", overNetwork: true, until: "35.0"},
	}
	deployWays = []string{"direct", "iscsi"}
	imageKinds = []imageKind{{"whole-disk", wholeDisk}, {"partition", aPartition}}
	bootModes  = []string{"bios", "uefi"}
)

// httpNeedsUEFI is what a machine with a BIOS is refused with, for no BIOS boots over HTTP.
const httpNeedsUEFI = "needs the boot mode uefi"

// bootWay is a boot interface, and the machines that it is tried with.
type bootWay struct {
	name string
	// bmc is whose BMC they have.
	bmc string
	// overNetwork tells that they ask for DHCP options.
	overNetwork bool
	// since and until are the first and the last of the releases of ironic which have it; "" are all.
	since, until string
	// refuses are the boot modes that validation refuses, with the reason.
	refuses map[string]string
}

// imageKind is a kind of image.
type imageKind struct {
	name string
	make func(*testing.T, *world, *webServer) kindOfImage
}

// kindOfImage is an image with what instance_info says of it, and how a disk is compared with it.
type kindOfImage struct {
	instance map[string]any
	check    func(*room.Machine) error
}

// combination is one way from an image to a disk.
type combination struct {
	boot         bootWay
	deploy, mode string
	image        imageKind
}

func (c combination) String() string {
	return strings.Join([]string{c.boot.name, c.deploy, c.image.name, c.mode}, "/")
}

func combinations() []combination {
	var all []combination
	for _, boot := range bootWays {
		for _, deploy := range deployWays {
			for _, image := range imageKinds {
				for _, mode := range bootModes {
					all = append(all, combination{boot, deploy, mode, image})
				}
			}
		}
	}
	return all
}

// TestCombinations deploys a machine in each way that boot interface, deploy interface, image and boot mode can be put
// together. Those that ironic allows end in active with the image on the disk, which boots. The others are refused before anything
// happens, with a reason.
func TestCombinations(t *testing.T) {
	var network *bootNetwork
	port := freePort(t)
	w := start(t, setup{database: "mariadb", extra: iscsiOptions(port), own: func(w *world) options {
		network = w.bootNetwork(t)
		return lab.Merge(network.options(filepath.Join(w.lab.Dir, "boot"), "127.0.0.1"), options{"DEFAULT": enabledWays(t, w), "ilo": {"power_wait": "1"}})
	}})
	ways := combinations()
	faces := map[string]string{}
	for i, c := range ways {
		faces[fmt.Sprintf("machine-%04d", i)] = c.boot.bmc
	}
	machines := w.openRoom(t, network.plug(room.Config{Seed: 1, Count: len(ways), DiskSize: 2048 * mebibyte, BMCOf: faces})).Machines()
	web := startWebServer(t)
	images := map[string]kindOfImage{}
	for _, kind := range imageKinds {
		images[kind.name] = kind.make(t, w, web)
	}
	t.Run("ways", func(t *testing.T) {
		for i, c := range ways {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				w.tryCombination(t, c, machines[i], images[c.image.name], network)
			})
		}
	})
	w.checkNothingHeld(t)
}

// enabledWays are the interfaces of the table that the lab's release of ironic has.
func enabledWays(t *testing.T, w *world) map[string]string {
	t.Helper()
	enabled := map[string]string{"enabled_hardware_types": "redfish", "enabled_boot_interfaces": "fake",
		"enabled_power_interfaces": "redfish", "enabled_management_interfaces": "redfish",
		"enabled_deploy_interfaces": strings.Join(deployWays, ",")}
	for _, way := range bootWays {
		if w.lacks(t, way) {
			continue
		}
		enabled["enabled_boot_interfaces"] += "," + way.name
		if way.bmc != "" && !strings.Contains(enabled["enabled_hardware_types"], "ilo5") {
			enabled["enabled_hardware_types"] += ",ilo5"
			enabled["enabled_power_interfaces"] += ",ilo"
			enabled["enabled_management_interfaces"] += ",ilo5"
		}
	}
	return enabled
}

// lacks tells that the lab's release does not have a boot interface.
func (w *world) lacks(t *testing.T, way bootWay) bool {
	t.Helper()
	version, err := w.lab.IronicVersion()
	must(t, err)
	// All have two digits before the dot.
	return version < way.since || way.until != "" && version > way.until
}

// tryCombination takes one machine through its deployment, or up to where it is refused.
func (w *world) tryCombination(t *testing.T, c combination, m *room.Machine, image kindOfImage,
	network *bootNetwork) {
	ctx := t.Context()
	info := m.Info()
	node, err := w.api.enrol(ctx, info, w.ramdisk, map[string]any{
		"driver": info.Driver, "boot_interface": c.boot.name, "deploy_interface": c.deploy, "automated_clean": false,
		"driver_info": maps.Clone(info.DriverInfo), "properties": map[string]any{"capabilities": "boot_mode:" + c.mode,
			"cpu_arch": info.CPUArch, "memory_mb": info.MemoryMB, "local_gb": 2}})
	if w.lacks(t, c.boot) {
		checkRefused(t, err, "Could not find the following interface|No conductor service registered which supports driver")
		return
	}
	must(t, err)
	makeAvailable(t, w, node)
	must(t, w.api.patch(ctx, node, set("/instance_info", image.instance)))
	if reason, refused := c.boot.refuses[c.mode]; refused {
		checkRefused(t, w.api.provision(ctx, node, "active"), reason)
		if got := m.Snapshot(); got.Starts != 0 {
			t.Errorf("the machine was switched on %d times", got.Starts)
		}
		return
	}
	must(t, w.api.reach(ctx, node, "active", "active"))
	eventually(t, "the machine runs its disk", func() error {
		got := m.Snapshot()
		if got.Booted != room.BootDisk || got.Media != "" {
			return fmt.Errorf("it runs %q (%s), inserted is %q", got.Booted, got.BootError, got.Media)
		}
		return nil
	})
	must(t, image.check(m))
	if asked := network.asked(t, m.Info().MACs[0]); asked != c.boot.overNetwork {
		t.Errorf("the machine asked for DHCP options: %t", asked)
	}
	w.checkTornDown(ctx, t, node, m)
}

// checkTornDown expects that nothing of the instance is left.
func (w *world) checkTornDown(ctx context.Context, t *testing.T, node string, m *room.Machine) {
	t.Helper()
	must(t, w.api.reach(ctx, node, "deleted", "available"))
	if got := m.Snapshot(); got.Powered || got.Media != "" {
		t.Errorf("the machine that was torn down is %+v", got)
	}
}

func checkRefused(t *testing.T, err error, pattern string) {
	t.Helper()
	if statusOf(err) != http.StatusBadRequest || !matches(pattern, err.Error()) {
		t.Errorf("the answer is %v; it should have been refused with %q", err, pattern)
	}
}

// wholeDisk is an image of a whole disk.
func wholeDisk(t *testing.T, w *world, web *webServer) kindOfImage {
	t.Helper()
	img := makeImage(t, w.wares, 4, 1)
	return kindOfImage{
		instance: map[string]any{"image_source": web.put("disk.raw", serveFile(img.raw)), "image_disk_format": "raw",
			"image_os_hash_algo": "sha256", "image_os_hash_value": img.sum},
		check: func(m *room.Machine) error {
			sum, err := m.DiskSHA256(img.size)
			if err == nil && sum != img.sum {
				err = fmt.Errorf("the disk has the checksum %s, the image %s", sum, img.sum)
			}
			return err
		},
	}
}

// aPartition is an image of a root partition, which is the last one on the disk.
func aPartition(t *testing.T, w *world, web *webServer) kindOfImage {
	t.Helper()
	img := makePartitionImage(t, w.wares, 8, 1)
	return kindOfImage{
		instance: map[string]any{"image_source": web.put("root.raw", serveFile(img.raw)), "image_disk_format": "raw",
			"image_os_hash_algo": "sha256", "image_os_hash_value": img.sum, "image_type": "partition", "root_gb": 1, "swap_mb": 16},
		check: func(m *room.Machine) error { return checkRoot(m, img) },
	}
}

// checkRoot compares the last partition of a disk with an image.
func checkRoot(m *room.Machine, img diskImage) error {
	disk, err := os.Open(m.Info().Disk)
	if err != nil {
		return err
	}
	defer disk.Close()
	table, err := partition.Read(disk, m.Info().DiskSize)
	if err != nil {
		return err
	}
	if len(table.Entries) < 2 {
		return fmt.Errorf("the disk has the partitions %+v; there should be swap and a root", table.Entries)
	}
	root := table.Entries[len(table.Entries)-1]
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(disk, root.Offset, img.size)); err != nil {
		return err
	}
	if hex.EncodeToString(hash.Sum(nil)) != img.sum {
		return errors.New("the root partition differs from the image")
	}
	return nil
}
