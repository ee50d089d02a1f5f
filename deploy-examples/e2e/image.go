package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// image is the disk image that is deployed.
type image struct {
	qcow2, sha256 string
	raw           string // the bytes that the disk shall have
	size          int64  // of raw
	marker        string // how the line begins that its system writes to the serial console
	// layout is what instance_info says besides, for a partition image.
	layout map[string]string
}

func readImage(dir string) (*image, error) {
	i := &image{qcow2: filepath.Join(dir, "image.qcow2"), raw: filepath.Join(dir, "image.raw")}
	marker, err := os.ReadFile(filepath.Join(dir, "marker"))
	if err != nil {
		return nil, fmt.Errorf("reading the image's marker: %w", err)
	}
	i.marker = strings.TrimSpace(string(marker))
	info, err := os.Stat(i.raw)
	if err != nil {
		return nil, fmt.Errorf("reading the image: %w", err)
	}
	i.size = info.Size()
	i.sha256, err = sumOf(i.qcow2)
	return i, err
}

// sumOf is the SHA-256 of a file in hex.
func sumOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the image: %w", err)
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("reading the image: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// What may differ between disk and image. The agent moves the second partition table from the end of the image to the end of
// the disk (sgdisk -e), so the fields that tell where that is and how large the disk is change: in the MBR's one entry
// (LBA 0, from byte 446), and in the first header (LBA 1). The table itself (LBA 2 to 33) stays as it is, because no partition
// is added. Where the image had its second table, its last 33 sectors, there may be anything.
const (
	sector      = 512
	mbrTable    = 446
	firstTable  = 2 * sector // where the first table follows the first header
	secondTable = 33 * sector
)

// compare holds the disk against the image, byte for byte, apart from what the agent has to change.
func (i *image) compare(disk string) error {
	want, err := os.Open(i.raw)
	if err != nil {
		return fmt.Errorf("comparing disk and image: %w", err)
	}
	defer want.Close()
	got, err := os.Open(disk)
	if err != nil {
		return fmt.Errorf("comparing disk and image: %w", err)
	}
	defer got.Close()
	return errors.Join(equal(got, want, 0, mbrTable), equal(got, want, firstTable, i.size-secondTable))
}

// compared says what compare looked at.
func (i *image) compared() string {
	return fmt.Sprintf("%d of %d, all but the MBR's entry, the GPT's first header and its second table",
		mbrTable+i.size-secondTable-firstTable, i.size)
}

// equal looks for the first difference from one offset to another.
func equal(got, want io.ReaderAt, from, to int64) error {
	const chunk = 1 << 20
	a, b := make([]byte, chunk), make([]byte, chunk)
	for at := from; at < to; at += chunk {
		n := min(chunk, to-at)
		if _, err := got.ReadAt(a[:n], at); err != nil {
			return fmt.Errorf("reading the disk: %w", err)
		}
		if _, err := want.ReadAt(b[:n], at); err != nil {
			return fmt.Errorf("reading the image: %w", err)
		}
		if bytes.Equal(a[:n], b[:n]) {
			continue
		}
		for i := range n {
			if a[i] != b[i] {
				return fmt.Errorf("byte %d of the disk is %#02x, that of the image %#02x", at+i, a[i], b[i])
			}
		}
	}
	return nil
}
