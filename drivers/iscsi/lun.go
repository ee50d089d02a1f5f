package iscsi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/partition"
)

// number of the logical unit that ramdisks give to the disk.
const unit = 1

// sector is what offsets and lengths are multiples of, in bytes.
const sector = 512

// medium is something that qemu-img reads or writes: a node of its block layer, without the format raw on top.
type medium string

// lunAt is the disk behind a target.
func lunAt(portal, iqn string) medium {
	return medium("driver=iscsi,transport=tcp,portal=" + escape(portal) + ",target=" + escape(iqn) + ",lun=" + strconv.Itoa(unit))
}

// imageAt is the disk inside an image file of a format that is known.
func imageAt(path string, format image.Format) (medium, error) {
	file := "driver=file,filename=" + escape(path)
	if format == image.FormatRaw || format == image.FormatISO {
		return medium(file), nil
	}
	name, ok := format.QemuName()
	if !ok {
		return "", fmt.Errorf("an image of the format %s cannot be written", format)
	}
	return medium("driver=" + name + "," + prefixed("file.", file)), nil
}

// escape writes a value so that qemu-img reads its commas as such.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// prefixed puts a prefix before each key.
func prefixed(prefix, options string) string {
	// A doubled comma belongs to a value.
	const hidden = "\x00"
	parts := strings.Split(strings.ReplaceAll(options, ",,", hidden), ",")
	for i := range parts {
		parts[i] = prefix + parts[i]
	}
	return strings.ReplaceAll(strings.Join(parts, ","), hidden, ",,")
}

// piece is a part of the medium, all of it when length is 0.
func (m medium) piece(offset, length int64) string {
	options := "driver=raw," + prefixed("file.", string(m))
	if offset > 0 || length > 0 {
		options += fmt.Sprintf(",offset=%d,size=%d", offset, length)
	}
	return options
}

// lun is a node's disk, as the worker reaches it.
type lun struct {
	medium
	qemu image.QemuImg
	cfg  Config
	// size is in bytes.
	size int64
	// dir is for what is on its way to the disk or from it.
	dir string
}

// open finds out how large the disk is, which proves that it can be reached.
func (l *lun) open(ctx context.Context) error {
	text, err := l.run(ctx, "info", "--output=json", "--image-opts", l.piece(0, 0))
	if err != nil {
		return err
	}
	var found struct {
		Size int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return fmt.Errorf("reading what qemu-img says of the disk: %w", err)
	}
	if found.Size < partition.MiB {
		return fmt.Errorf("the disk has %d bytes", found.Size)
	}
	l.size = found.Size
	return nil
}

// run is for what ends soon.
func (l *lun) run(ctx context.Context, arguments ...string) ([]byte, error) {
	out, err := l.qemu.Run(ctx, image.QemuImgRun{Arguments: arguments, Stall: l.cfg.Stall, StallAtEnd: l.cfg.Stall})
	return out, plain(err)
}

// plain takes away the options that qemu-img repeats before it says what is wrong.
func plain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	text := err.Error()
	if at := strings.LastIndex(text, "iSCSI: "); at >= 0 {
		text = text[at:]
	}
	return errors.New(strings.TrimSpace(strings.TrimPrefix(text, "qemu-img: ")))
}

// read returns a piece of the disk. Offset and length are multiples of a sector.
func (l *lun) read(ctx context.Context, offset, length int64) ([]byte, error) {
	return readPiece(ctx, l, l.medium, offset, length)
}

// readPiece reads a piece of a medium, by way of a file.
func readPiece(ctx context.Context, l *lun, m medium, offset, length int64) ([]byte, error) {
	file, err := l.scratch(nil)
	if err != nil {
		return nil, err
	}
	defer os.Remove(file)
	if _, err := l.run(ctx, "convert", "-O", "raw", "--image-opts", m.piece(offset, length), file); err != nil {
		return nil, fmt.Errorf("reading %d bytes at %d: %w", length, offset, err)
	}
	content, err := os.ReadFile(file)
	if err == nil && int64(len(content)) != length {
		err = fmt.Errorf("%d bytes came of %d at %d", len(content), length, offset)
	}
	return content, err
}

// write puts bytes on the disk and has it flush them. Offset and length are multiples of a sector.
func (l *lun) write(ctx context.Context, content []byte, offset int64) error {
	file, err := l.scratch(content)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	return l.pour(ctx, pouring{from: medium("driver=file,filename=" + escape(file)), size: int64(len(content)), to: offset})
}

// scratch makes a file with content.
func (l *lun) scratch(content []byte) (string, error) {
	f, err := os.CreateTemp(l.dir, "piece-")
	if err != nil {
		return "", fmt.Errorf("making a file for a piece of the disk: %w", err)
	}
	_, err = f.Write(content)
	return f.Name(), errors.Join(err, f.Close())
}

// pouring is bytes on their way to the disk.
type pouring struct {
	from medium
	// skip is where in the source the bytes begin, size how many they are, to where on the disk they go.
	skip, size, to int64
	// sparse leaves out what is zero.
	sparse bool
	// onPercent may be nil.
	onPercent func(float64)
}

// pour copies onto the disk and has it flush what it took. Zeros are written too, for there may be something else on the disk.
func (l *lun) pour(ctx context.Context, p pouring) error {
	arguments := []string{"convert", "-n", "-t", "writeback"}
	if p.onPercent != nil {
		arguments = append(arguments, "-p")
	}
	if p.sparse {
		arguments = append(arguments, "--target-is-zero")
	}
	arguments = append(arguments, "--image-opts", "--target-image-opts", p.from.piece(p.skip, p.size), l.piece(p.to, p.size))
	_, err := l.qemu.Run(ctx, image.QemuImgRun{Arguments: arguments, OnPercent: p.onPercent, Stall: l.cfg.Stall,
		StallAtEnd: l.cfg.StallAtEnd})
	return plain(err)
}

// differs tells whether a piece of the disk is another than that of a source.
func (l *lun) differs(ctx context.Context, from medium, skip, at, length int64) (bool, error) {
	out, err := l.run(ctx, "compare", "--image-opts", from.piece(skip, length), l.piece(at, length))
	if err != nil && bytes.Contains(out, []byte("mismatch")) {
		return true, nil
	}
	return false, err
}
