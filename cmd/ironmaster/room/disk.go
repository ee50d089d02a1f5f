package room

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// minDiskSize leaves room for both ends that a metadata erasure clears.
	minDiskSize = 4 << 20
	// metadataSize is how much of each end of a disk holds partition tables and signatures.
	metadataSize = 1 << 20
	// sparseBlock is the size of the zero runs that become holes.
	sparseBlock = 64 << 10
)

// disk is a machine's disk: a sparse file, opened only while it is used so that thousands of machines need no
// descriptors at rest.
type disk struct {
	path string
	size int64
}

func (d disk) create() error {
	f, err := os.OpenFile(d.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("making the disk: %w", err)
	}
	if err := errors.Join(f.Truncate(d.size), f.Close()); err != nil {
		return fmt.Errorf("making the disk: %w", err)
	}
	return nil
}

// change opens the disk for writing, lets do work on it and closes it.
func (d disk) change(do func(*os.File) error) error {
	f, err := os.OpenFile(d.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening the disk: %w", err)
	}
	return errors.Join(do(f), f.Close())
}

// erase zeroes the whole disk.
func (d disk) erase() error {
	return d.change(func(f *os.File) error { return punch(f, 0, d.size) })
}

// eraseMetadata zeroes both ends of the disk, where partition tables are.
func (d disk) eraseMetadata() error {
	return d.change(func(f *os.File) error {
		return errors.Join(punch(f, 0, metadataSize), punch(f, d.size-metadataSize, metadataSize))
	})
}

// identifier is the disk signature of the MBR, which ironic takes for the root uuid of a whole-disk image.
func (d disk) identifier() (string, error) {
	var head [444]byte
	if err := d.readHead(head[:]); err != nil {
		return "", err
	}
	return fmt.Sprintf("0x%08x", binary.LittleEndian.Uint32(head[440:])), nil
}

func (d disk) readHead(head []byte) error {
	f, err := os.Open(d.path)
	if err != nil {
		return fmt.Errorf("opening the disk: %w", err)
	}
	_, err = io.ReadFull(f, head)
	return errors.Join(err, f.Close())
}

// sum is the SHA-256 of the first n bytes in hexadecimal.
func (d disk) sum(n int64) (string, error) {
	f, err := os.Open(d.path)
	if err != nil {
		return "", fmt.Errorf("opening the disk: %w", err)
	}
	hash := sha256.New()
	_, err = io.CopyN(hash, f, n)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("reading the disk: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// punch zeroes a range by making it a hole.
func punch(f *os.File, offset, length int64) error {
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	if err := unix.Fallocate(int(f.Fd()), mode, offset, length); err != nil {
		return fmt.Errorf("zeroing %d bytes at %d: %w", length, offset, err)
	}
	return nil
}

// sparseWriter writes a stream into a piece of the disk, from offset to end. Zero blocks become holes, whatever stood there
// before, and neighbouring holes are made by one call. A stream larger than the piece fails with ENOSPC, as on a block device.
type sparseWriter struct {
	file        *os.File
	offset, end int64
	pending     int64 // zero bytes before offset that are not punched yet
}

var zeroBlock [sparseBlock]byte

func (w *sparseWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > w.end-w.offset {
		return 0, unix.ENOSPC
	}
	written := 0
	for len(p) > 0 {
		block := p[:min(len(p), sparseBlock)]
		if bytes.Equal(block, zeroBlock[:len(block)]) {
			w.pending += int64(len(block))
		} else {
			if err := w.flush(); err != nil {
				return written, err
			}
			if _, err := w.file.WriteAt(block, w.offset); err != nil {
				return written, fmt.Errorf("writing the disk: %w", err)
			}
		}
		w.offset += int64(len(block))
		written += len(block)
		p = p[len(block):]
	}
	return written, nil
}

// flush makes the pending zeroes real. It must be called once after the last Write.
func (w *sparseWriter) flush() error {
	if w.pending == 0 {
		return nil
	}
	err := punch(w.file, w.offset-w.pending, w.pending)
	w.pending = 0
	return err
}
