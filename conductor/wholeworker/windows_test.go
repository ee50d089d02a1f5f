package wholeworker

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// windows deploys images of the shape that Windows has, of which nothing but the bytes counts: no Linux, no config drive. The
// flavor rule holds for them as for every whole-disk image.
func windows(t *testing.T, w *world, web *webServer) {
	images := map[string]diskImage{"bios": windowsImage(t, w.wares, "mbr"), "uefi": windowsImage(t, w.wares, "gpt")}
	machines := w.openRoom(t, room.Config{Seed: 3, Count: len(images)}).Machines()
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
		})
	}
}

// windowsImage is a disk with the partitions that the Windows installer makes: a small one that boots, in a GPT the reserved
// one of Microsoft too, and NTFS.
func windowsImage(t *testing.T, dir, label string) diskImage {
	t.Helper()
	table := "label: dos\nstart=1MiB, size=2MiB, type=7, bootable\nstart=3MiB, type=7\n"
	if label == "gpt" {
		table = "label: gpt\nstart=1MiB, size=1MiB, type=uefi\nstart=2MiB, size=1MiB, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE\n" +
			"start=3MiB, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n"
	}
	img := diskImage{raw: filepath.Join(dir, "windows-"+label+".raw"), size: 16 * mebibyte}
	disk := make([]byte, img.size)
	copy(disk, "\x33\xc0\x8e\xd0\xbc\x00\x7c") // how the boot code of Windows begins
	for _, boot := range []int{1, 3} {
		copy(disk[boot*mebibyte:], "\xeb\x52\x90NTFS    ")
	}
	must(t, os.WriteFile(img.raw, disk, 0o644))
	tool(t, table, "sfdisk", "--quiet", img.raw)
	if label == "gpt" {
		tool(t, "", "mkfs.vfat", "--offset", "2048", img.raw, "1024")
		tool(t, "", "mmd", "-i", img.raw+"@@1M", "::/EFI", "::/EFI/Microsoft", "::/EFI/Microsoft/Boot")
		tool(t, "bootmgfw", "mcopy", "-i", img.raw+"@@1M", "-", "::/EFI/Microsoft/Boot/bootmgfw.efi")
	}
	img.sum = sumOf(t, img.raw)
	return img
}
