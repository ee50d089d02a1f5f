package wholeworker

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// windows deploys images of the shape that Windows has, of which nothing but the bytes counts: no Linux, no config drive. The
// flavor rule holds for them as for every whole-disk image, and the partition table is read back.
func windows(t *testing.T, w *world, web *webServer) {
	images := map[string]diskImage{"bios": windowsImage(t, w.wares, "mbr"), "uefi": windowsImage(t, w.wares, "gpt")}
	machines := w.openRoom(t, room.Config{Seed: 3, Count: len(images), DiskSize: 256 * mebibyte}).Machines()
	for mode, img := range images {
		m := machines[0]
		machines = machines[1:]
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			uuid, err := w.api.enrol(t.Context(), m.Info(), w.ramdisk, map[string]any{"automated_clean": false, "name": ownName(t),
				"properties": map[string]any{"capabilities": "boot_mode:" + mode, "cpu_arch": "x86_64"}})
			must(t, err)
			makeAvailable(t, w, uuid)
			instance := map[string]any{"image_source": w.uploadWith(t, img.raw, "raw", map[string]any{"os_type": "windows"}),
				"swap_mb": 2048}
			must(t, w.api.patch(t.Context(), uuid, set("/instance_info", instance)))
			refused := imageCase{answer: 400, want: "Cannot deploy whole disk image with swap or ephemeral size set: .*swap_mb"}
			refused.checkRefused(t, w, uuid)
			delete(instance, "swap_mb")
			deploys(t, w, m, uuid, instance, img)
			eventually(t, "the machine runs its disk", func() error {
				if got := m.Snapshot(); got.Booted != room.BootDisk {
					return fmt.Errorf("it runs %q (%s)", got.Booted, got.BootError)
				}
				return nil
			})
			if got, want := partitionsOf(t, m.Info().Disk), partitionsOf(t, img.raw); got != want {
				t.Errorf("the disk has the partition table\n%s\nand the image\n%s", got, want)
			}
		})
	}
}

// partitionsOf is the partition table of a disk as sfdisk tells it, without the disk's own name.
func partitionsOf(t *testing.T, disk string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "/usr/sbin/sfdisk", "--dump", disk).Output()
	must(t, err)
	return strings.ReplaceAll(string(out), disk, "disk")
}

// windowsImage is a disk with the partitions that the Windows installer makes.
func windowsImage(t *testing.T, dir, label string) diskImage {
	t.Helper()
	img := diskImage{raw: filepath.Join(dir, "windows-"+label+".raw")}
	tool(t, "", "../../deploy-examples/windows-like/make-image", label, img.raw)
	info, err := os.Stat(img.raw)
	must(t, err)
	img.size, img.sum = info.Size(), sumOf(t, img.raw)
	return img
}
