package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const mebibyte = 1 << 20

// Ramdisk names what a machine boots its deploy agent from, as file:// URLs.
type Ramdisk struct{ Kernel, Initrd, Bootloader string }

// MakeRamdisk writes files that stand for a deploy agent into a folder. The machines of a room look at the parameters of
// their boot ISO only, so kernel and ramdisk hold nothing of use.
func MakeRamdisk(ctx context.Context, dir string) (Ramdisk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Ramdisk{}, fmt.Errorf("making the placeholders of the agent: %w", err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"agent.kernel", "agent.initramfs"} {
		if err := os.WriteFile(file(name), []byte("stands for "+name+"\n"), 0o644); err != nil {
			return Ramdisk{}, fmt.Errorf("making the placeholders of the agent: %w", err)
		}
	}
	if err := RunTool(ctx, "", "mkfs.vfat", "-C", file("bootloader.img"), "256"); err != nil {
		return Ramdisk{}, fmt.Errorf("making the boot loader's file system: %w", err)
	}
	return Ramdisk{"file://" + file("agent.kernel"), "file://" + file("agent.initramfs"), "file://" + file("bootloader.img")}, nil
}

// DiskImage is an image of a whole disk or of one partition, raw and as qcow2.
type DiskImage struct {
	Raw, QCOW2 string // paths
	Size       int64  // of the raw file, in bytes
	// SHA256 is the checksum of the raw file, QCOW2SHA256 that of the other.
	SHA256, QCOW2SHA256 string
}

// MakeDiskImage builds a whole-disk image of so many MiB, of which one does not compress. It has what a firmware looks for, of
// a BIOS as of UEFI. The seed tells images apart.
func MakeDiskImage(ctx context.Context, dir string, size int, seed byte) (DiskImage, error) {
	name := filepath.Join(dir, fmt.Sprintf("disk-%d", seed))
	img := DiskImage{Raw: name + ".raw", QCOW2: name + ".qcow2", Size: int64(size) * mebibyte}
	if err := img.make(ctx, dir, seed); err != nil {
		return DiskImage{}, fmt.Errorf("making an image: %w", err)
	}
	return img, nil
}

func (i *DiskImage) make(ctx context.Context, dir string, seed byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	disk := make([]byte, i.Size)
	copy(disk, "\xeb\x63\x90 boot code")
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(disk[2*mebibyte : 3*mebibyte]) // it never fails
	if err := os.WriteFile(i.Raw, disk, 0o644); err != nil {
		return err
	}
	err := RunTool(ctx, "label: gpt\nstart=1MiB, size=1MiB, type=uefi\nstart=2MiB, type=linux\n", "sfdisk", "--quiet", i.Raw)
	if err != nil {
		return err
	}
	if err := makeESP(ctx, i.Raw); err != nil {
		return err
	}
	return i.finish(ctx)
}

// makeESP puts a file system with a boot loader into the partition at 1 MiB, which has as much.
func makeESP(ctx context.Context, disk string) error {
	partition := disk + "@@1M"
	for _, step := range [][]string{
		{"mkfs.vfat", "--invariant", "--offset", "2048", disk, "1024"},
		{"mmd", "-i", partition, "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", partition, "-", "::/EFI/BOOT/BOOTX64.EFI"},
	} {
		if err := RunTool(ctx, "boot loader\n", step...); err != nil {
			return err
		}
	}
	return nil
}

// MakePartitionImage builds the image of a root partition of so many MiB, ext4 with one MiB that does not compress. The seed
// tells images apart.
func MakePartitionImage(ctx context.Context, dir string, size int, seed byte) (DiskImage, error) {
	name := filepath.Join(dir, fmt.Sprintf("partition-%d", seed))
	img := DiskImage{Raw: name + ".raw", QCOW2: name + ".qcow2", Size: int64(size) * mebibyte}
	if err := img.makeRoot(ctx, name, seed); err != nil {
		return DiskImage{}, fmt.Errorf("making a partition image: %w", err)
	}
	return img, nil
}

func (i *DiskImage) makeRoot(ctx context.Context, content string, seed byte) error {
	if err := os.MkdirAll(filepath.Join(content, "boot"), 0o755); err != nil {
		return err
	}
	kernel := make([]byte, mebibyte)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(kernel) // it never fails
	if err := os.WriteFile(filepath.Join(content, "boot", "vmlinuz"), kernel, 0o644); err != nil {
		return err
	}
	err := RunTool(ctx, "", "mkfs.ext4", "-q", "-F", "-d", content, i.Raw, fmt.Sprintf("%dM", i.Size/mebibyte))
	if err != nil {
		return err
	}
	return i.finish(ctx)
}

// finish makes the qcow2 of the raw image and computes the checksums.
func (i *DiskImage) finish(ctx context.Context) error {
	if err := RunTool(ctx, "", "qemu-img", "convert", "-f", "raw", "-O", "qcow2", i.Raw, i.QCOW2); err != nil {
		return err
	}
	for file, sum := range map[string]*string{i.Raw: &i.SHA256, i.QCOW2: &i.QCOW2SHA256} {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		digest := sha256.Sum256(content)
		*sum = hex.EncodeToString(digest[:])
	}
	return nil
}

// RunTool runs a program of the images package group to its end.
func RunTool(ctx context.Context, input string, words ...string) error {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "MTOOLS_SKIP_CHECK=1")
	// mkfs and sfdisk lie in sbin, which is not on every user's PATH.
	if path, err := exec.LookPath("/usr/sbin/" + words[0]); err == nil {
		cmd.Path, cmd.Err = path, nil
	}
	cmd.Stdin = strings.NewReader(input)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", words[0], err, output)
	}
	return nil
}
