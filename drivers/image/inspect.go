package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Format is a disk image format, spelled as Glance and ironic do.
type Format string

// The formats that are recognised. Only qcow2, vmdk, vhd, vhdx and vdi can be converted; whatever is not recognised is
// raw.
const (
	FormatRaw       Format = "raw"
	FormatGPT       Format = "gpt" // raw with a GUID partition table; newer releases of ironic name it
	FormatISO       Format = "iso"
	FormatQCOW2     Format = "qcow2"
	FormatQCOW      Format = "qcow"
	FormatQED       Format = "qed"
	FormatVMDK      Format = "vmdk"
	FormatVHD       Format = "vhd"
	FormatVHDX      Format = "vhdx"
	FormatVDI       Format = "vdi"
	FormatLUKS      Format = "luks"
	FormatParallels Format = "parallels"
	FormatBochs     Format = "bochs"
	FormatCloop     Format = "cloop"
	FormatDMG       Format = "dmg"
)

// Partition tables that a raw image can begin with.
const (
	TableGPT = "gpt"
	TableMBR = "mbr"
)

// UnknownSize stands for the size of a file of which only the beginning is there.
const UnknownSize = int64(math.MaxInt64)

// PrefixSize is how many first bytes of an image Inspect looks at, but for the last sector of a file that is all there.
// VHDX keeps its metadata behind the second MiB.
const PrefixSize = 4 * MiB

// Inspection is what an image's own bytes say.
type Inspection struct {
	// Format is never gpt: a disk with a partition table is raw here.
	Format Format
	// PartitionTable is gpt, mbr or empty.
	PartitionTable string
	// VirtualSize is the size of the disk in bytes, 0 when the format does not tell.
	VirtualSize int64
	// Unsafe says why the image must not be used, "" when nothing speaks against it.
	Unsafe string
}

// errMalformed marks a header that has a format's signature and then makes no sense.
var errMalformed = errors.New("malformed header")

// probe recognises one format in the first bytes of an image. find reports false when the signature is not there; what
// it returns otherwise lacks the Format. It sees the image through a view, which knows no out of bounds.
type probe struct {
	format Format
	find   func(v view) (Inspection, bool)
}

var probes = []probe{
	{FormatQCOW2, probeQCOW2},
	{FormatQCOW, signatureOnly(0, "QFI\xfb\x00\x00\x00\x01")},
	{FormatQED, signatureOnly(0, "QED\x00")},
	{FormatVMDK, probeVMDK},
	{FormatVHD, probeVHD},
	{FormatVHDX, probeVHDX},
	{FormatVDI, probeVDI},
	{FormatLUKS, signatureOnly(0, "LUKS\xba\xbe")},
	{FormatParallels, signatureOnly(0, "WithoutFreeSpace")},
	{FormatParallels, signatureOnly(0, "WithouFreSpacExt")},
	{FormatBochs, signatureOnly(0, "Bochs Virtual HD Image")},
	{FormatCloop, signatureOnly(0, "#!/bin/sh\n#V2.0 Format\n")},
	{FormatDMG, probeDMG},
	{FormatISO, probeISO},
}

// Inspect recognises the format of an image and checks it for tricks. r gives its bytes, of which only the first
// PrefixSize and, when size is known, the last sector are read; size is UnknownSize while the image is still arriving.
// An error means that reading failed; what is wrong with the image itself stands in Inspection.Unsafe.
func Inspect(r io.ReaderAt, size int64) (Inspection, error) {
	v, err := newView(r, size)
	if err != nil {
		return Inspection{}, fmt.Errorf("reading the image to check its format: %w", err)
	}
	if size == 0 {
		return Inspection{Format: FormatRaw, Unsafe: "it is empty"}, nil
	}
	var found []Inspection
	for _, p := range probes {
		if in, ok := p.find(v); ok {
			in.Format = p.format
			found = append(found, in)
		}
	}
	if len(found) == 0 {
		in := Inspection{Format: FormatRaw, PartitionTable: partitionTable(v)}
		if size != UnknownSize {
			in.VirtualSize = size
		}
		return in, nil
	}
	if len(found) > 1 {
		names := make([]string, len(found))
		for i, in := range found {
			names[i] = string(in.Format)
		}
		in := found[0]
		in.Unsafe = "it is several formats at once: " + strings.Join(slices.Compact(names), ", ")
		return in, nil
	}
	return found[0], nil
}

// signatureOnly recognises a format that ironic never uses.
func signatureOnly(offset int64, signature string) func(view) (Inspection, bool) {
	return func(v view) (Inspection, bool) {
		return Inspection{}, string(v.at(offset, len(signature))) == signature
	}
}

// probeDMG looks at the trailer of Apple's disk images.
func probeDMG(v view) (Inspection, bool) {
	return Inspection{}, bytes.HasPrefix(v.tail, []byte("koly"))
}

// probeISO looks for the volume descriptor of ISO 9660 (ECMA-119 §8) or UDF in the first sector after the system area.
// Hybrid images carry a partition table as well and are ISO images all the same.
func probeISO(v view) (Inspection, bool) {
	const descriptor = 32 << 10
	switch string(v.at(descriptor+1, 5)) {
	case "CD001", "NSR02", "NSR03":
	default:
		return Inspection{}, false
	}
	in := Inspection{PartitionTable: partitionTable(v)}
	if b := v.at(descriptor, 132); len(b) == 132 && b[0] == 1 {
		blocks, block := binary.LittleEndian.Uint32(b[80:]), binary.LittleEndian.Uint16(b[128:])
		in.VirtualSize = int64(blocks) * int64(block)
	}
	return in, true
}

// partitionTable recognises a GPT (with 512 or 4096 byte sectors) or an MBR with at least one plausible entry; the boot
// sector of a file system ends with the same two bytes.
func partitionTable(v view) string {
	for _, sector := range []int64{512, 4096} {
		if string(v.at(sector, 8)) == "EFI PART" {
			return TableGPT
		}
	}
	mbr := v.at(0, 512)
	if len(mbr) < 512 || mbr[510] != 0x55 || mbr[511] != 0xaa {
		return ""
	}
	for entry := mbr[446:510]; len(entry) >= 16; entry = entry[16:] {
		if entry[0]&0x7f != 0 {
			return ""
		}
	}
	for entry := mbr[446:510]; len(entry) >= 16; entry = entry[16:] {
		if entry[4] != 0 && binary.LittleEndian.Uint32(entry[12:]) != 0 {
			return TableMBR
		}
	}
	return ""
}

// view is the part of an image that the probes look at. Reads beyond it give nothing instead of failing, so that no
// probe can be led out of bounds by an offset that an image made up.
type view struct {
	prefix []byte
	tail   []byte // the last 512 bytes, when the size is known
	size   int64
}

func newView(r io.ReaderAt, size int64) (view, error) {
	v := view{size: size}
	prefix := make([]byte, min(size, PrefixSize))
	n, err := r.ReadAt(prefix, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return view{}, err
	}
	v.prefix = prefix[:n]
	if size >= 512 && size != UnknownSize {
		tail := make([]byte, 512)
		n, err := r.ReadAt(tail, size-512)
		if err != nil && !errors.Is(err, io.EOF) {
			return view{}, err
		}
		v.tail = tail[:n]
	}
	return v, nil
}

// at returns n bytes from offset on, or nil when they are not all there.
func (v view) at(offset int64, n int) []byte {
	if offset < 0 || n < 0 || offset > int64(len(v.prefix)) || int64(n) > int64(len(v.prefix))-offset {
		return nil
	}
	return v.prefix[offset : offset+int64(n)]
}

// within reports whether n bytes at offset lie inside the image.
func (v view) within(offset, n uint64) bool {
	size := uint64(v.size)
	return offset <= size && n <= size-offset
}
