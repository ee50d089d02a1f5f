package wholeworker

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
	"testing"
)

const mebibyte = 1 << 20

// diskImage is a whole-disk image with a partition table, raw and as qcow2.
type diskImage struct {
	raw, qcow2 string // paths
	size       int64  // of the raw file, in bytes
	sum        string // SHA-256 of the raw file
	qcow2Sum   string
}

// makeImage builds an image of so many MiB, of which one does not compress. The seed tells images apart.
func makeImage(t *testing.T, dir string, size int, seed byte) diskImage {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	name := filepath.Join(dir, fmt.Sprintf("disk-%d", seed))
	img := diskImage{raw: name + ".raw", qcow2: name + ".qcow2", size: int64(size) * mebibyte}
	file, err := os.Create(img.raw)
	must(t, err)
	content := make([]byte, mebibyte)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(content) // it never fails
	_, err = file.WriteAt(content, 2*mebibyte)
	must(t, err)
	must(t, file.Truncate(img.size))
	must(t, file.Close())
	tool(t, "label: gpt\nstart=1MiB, size=1MiB, type=uefi\nstart=2MiB, type=linux\n", "sfdisk", "--quiet", img.raw)
	tool(t, "", "qemu-img", "convert", "-f", "raw", "-O", "qcow2", img.raw, img.qcow2)
	img.sum, img.qcow2Sum = sumOf(t, img.raw), sumOf(t, img.qcow2)
	return img
}

func sumOf(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	must(t, err)
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// ramdisk names what a machine boots its agent from. The room looks at the ISO's parameters alone.
type ramdisk struct{ kernel, initrd, bootloader string }

func makeRamdisk(t *testing.T, dir string) ramdisk {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"agent.kernel", "agent.initramfs"} {
		must(t, os.WriteFile(file(name), []byte("stands for "+name+"\n"), 0o644))
	}
	tool(t, "", "mkfs.vfat", "-C", file("bootloader.img"), "256")
	return ramdisk{"file://" + file("agent.kernel"), "file://" + file("agent.initramfs"), "file://" + file("bootloader.img")}
}

// tool runs a program to its end.
func tool(t *testing.T, input string, words ...string) {
	t.Helper()
	command := exec.CommandContext(context.Background(), words[0], words[1:]...)
	// mkfs and sfdisk lie in sbin, which is not on every user's PATH.
	if path, err := exec.LookPath("/usr/sbin/" + words[0]); err == nil {
		command.Path, command.Err = path, nil
	}
	command.Stdin = strings.NewReader(input)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", words[0], err, output)
	}
}
