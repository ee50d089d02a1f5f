package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

const mebibyte = 1 << 20

// The layout of the image, in MiB: the partition table, an EFI system partition, the root file system, and the second
// copy of the table.
const (
	espStart, espSize   = 1, 16
	rootStart, rootSize = espStart + espSize, 110
	imageSize           = rootStart + rootSize + 1
	// payloadSize is how much of the root file system does not compress, so that bytes flow.
	payloadSize = 48
)

// image is a whole-disk image, as a raw file and as the qcow2 that is uploaded.
type image struct {
	raw, qcow2      string
	told            string // what is in it, for people
	size, qcow2Size int64  // bytes; size is that of the raw file
	id              string
}

// linux is what the image holds unless told otherwise. The other contents are windowsPrefix and the kind of partition table.
const (
	linux         = "linux"
	windowsPrefix = "windows-"
)

// buildImage makes a disk that a firmware would boot from if it held a boot loader: no part of it is mounted, so no root
// rights are needed.
func buildImage(ctx context.Context, dir, content string) (*image, error) {
	img := &image{raw: filepath.Join(dir, "disk.raw"), qcow2: filepath.Join(dir, "disk.qcow2")}
	var err error
	if label, windows := strings.CutPrefix(content, windowsPrefix); windows {
		img.told = label + " as Windows Setup makes it, with NTFS"
		err = lab.RunTool(ctx, "", "deploy-examples/windows-like/make-image", label, img.raw)
	} else if content == linux {
		img.told = "GPT, an EFI system partition and an ext4 root"
		err = buildLinux(ctx, dir, img.raw)
	} else {
		err = fmt.Errorf("there is no image %q: choose linux, windows-gpt or windows-mbr", content)
	}
	if err != nil {
		return nil, fmt.Errorf("making the image: %w", err)
	}
	if err := lab.RunTool(ctx, "", "qemu-img", "convert", "-f", "raw", "-O", "qcow2", img.raw, img.qcow2); err != nil {
		return nil, fmt.Errorf("making the image: %w", err)
	}
	for file, size := range map[string]*int64{img.raw: &img.size, img.qcow2: &img.qcow2Size} {
		info, err := os.Stat(file)
		if err != nil {
			return nil, fmt.Errorf("making the image: %w", err)
		}
		*size = info.Size()
	}
	return img, nil
}

func buildLinux(ctx context.Context, dir, raw string) error {
	esp, root, tree := filepath.Join(dir, "esp"), filepath.Join(dir, "root"), filepath.Join(dir, "tree")
	if err := writeTree(tree); err != nil {
		return err
	}
	for file, size := range map[string]int64{esp: espSize, root: rootSize, raw: imageSize} {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			return err
		}
		if err := os.Truncate(file, size*mebibyte); err != nil {
			return err
		}
	}
	table := fmt.Sprintf("label: gpt\nstart=%dMiB, size=%dMiB, type=uefi\nstart=%dMiB, size=%dMiB, type=linux\n",
		espStart, espSize, rootStart, rootSize)
	steps := []struct {
		input string
		words []string
	}{
		{"", []string{"mkfs.vfat", "-n", "ESP", esp}},
		{"", []string{"mcopy", "-i", esp, filepath.Join(tree, "etc", "hostname"), "::HOSTNAME.TXT"}},
		{"", []string{"mkfs.ext4", "-q", "-L", "root", "-d", tree, root}},
		{table, []string{"sfdisk", "--quiet", raw}},
	}
	for _, step := range steps {
		if err := lab.RunTool(ctx, step.input, step.words...); err != nil {
			return err
		}
	}
	for partition, start := range map[string]int64{esp: espStart, root: rootStart} {
		if err := copyInto(raw, partition, start*mebibyte); err != nil {
			return fmt.Errorf("putting a partition into the image: %w", err)
		}
	}
	return nil
}

// writeTree makes what the root file system holds.
func writeTree(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "etc", "hostname"), []byte("deployed-by-ironmaster\n"), 0o644); err != nil {
		return err
	}
	payload, err := os.Create(filepath.Join(dir, "payload"))
	if err != nil {
		return err
	}
	defer payload.Close()
	if _, err := io.CopyN(payload, rand.NewChaCha8([32]byte{}), payloadSize*mebibyte); err != nil {
		return err
	}
	return payload.Close()
}

// copyInto writes a file into another at an offset in bytes.
func copyInto(target, source string, offset int64) error {
	to, err := os.OpenFile(target, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer to.Close()
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := io.Copy(io.NewOffsetWriter(to, offset), from); err != nil {
		return err
	}
	return to.Close()
}

// checksum is the SHA-256 of the first size bytes of a file.
func checksum(file string, size int64) (string, error) {
	content, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("reading a disk: %w", err)
	}
	defer content.Close()
	sum := sha256.New()
	if _, err := io.CopyN(sum, content, size); err != nil {
		return "", fmt.Errorf("reading the first %d bytes of %s: %w", size, file, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
