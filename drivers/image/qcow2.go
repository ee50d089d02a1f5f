package image

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Limits and offsets of the qcow2 header (docs/interop/qcow2.txt of QEMU); all numbers are big-endian.
const (
	qcow2MinClusterBits = 9
	qcow2MaxClusterBits = 21
	qcow2MaxL1          = 32 * MiB // QEMU refuses larger ones
	qcow2MaxSnapshots   = 65536
	qcow2V2Header       = 72
	qcow2V3Header       = 104

	// Incompatible features. ironic allows these four and refuses whatever is above.
	qcow2Dirty        = 1 << 0
	qcow2Corrupt      = 1 << 1
	qcow2ExternalData = 1 << 2
	qcow2Compression  = 1 << 3

	qcow2ExtEnd          = 0
	qcow2ExtExternalData = 0x44415441
	qcow2ExtEncryption   = 0x0537be77
)

// probeQCOW2 recognises qcow2 of versions 2 and 3, and of versions to come, which are unsafe.
func probeQCOW2(v view) (Inspection, bool) {
	b := v.at(0, 8)
	if b == nil || string(b[:4]) != "QFI\xfb" || binary.BigEndian.Uint32(b[4:]) == 1 {
		return Inspection{}, false
	}
	size, err := checkQCOW2(v)
	in := Inspection{VirtualSize: size}
	if err != nil {
		in.Unsafe = err.Error()
	}
	return in, true
}

// checkQCOW2 returns the virtual size, and an error that says why the image must not be used.
func checkQCOW2(v view) (int64, error) {
	h := v.at(0, qcow2V2Header)
	if h == nil {
		return 0, fmt.Errorf("its qcow2 header is cut off: %w", errMalformed)
	}
	be32 := func(offset int) uint32 { return binary.BigEndian.Uint32(h[offset:]) }
	be64 := func(offset int) uint64 { return binary.BigEndian.Uint64(h[offset:]) }
	raw := be64(24)
	if raw > math.MaxInt64 {
		return 0, fmt.Errorf("it claims a virtual size of %d bytes", raw)
	}
	size := int64(raw)
	switch version := be32(4); {
	case version != 2 && version != 3:
		return size, fmt.Errorf("its qcow2 version is %d; only 2 and 3 are known", version)
	case be64(8) != 0 || be32(16) != 0:
		return size, fmt.Errorf("it has a backing file")
	case be32(20) < qcow2MinClusterBits || be32(20) > qcow2MaxClusterBits:
		return size, fmt.Errorf("its cluster size of 2^%d bytes is out of range", be32(20))
	case be32(32) != 0:
		return size, fmt.Errorf("it is encrypted")
	case be32(60) > qcow2MaxSnapshots:
		return size, fmt.Errorf("it claims %d snapshots", be32(60))
	}
	headerLength := uint32(qcow2V2Header)
	if be32(4) == 3 {
		var err error
		if headerLength, err = checkQCOW2Version3(v, be32(20)); err != nil {
			return size, err
		}
	}
	if err := checkQCOW2Extensions(v, int64(headerLength), int64(1)<<be32(20)); err != nil {
		return size, err
	}
	return size, checkQCOW2Tables(v, h)
}

// checkQCOW2Version3 checks the fields that version 3 added and returns the header's length.
func checkQCOW2Version3(v view, clusterBits uint32) (uint32, error) {
	h := v.at(0, qcow2V3Header)
	if h == nil {
		return 0, fmt.Errorf("its qcow2 header is cut off: %w", errMalformed)
	}
	features := binary.BigEndian.Uint64(h[72:])
	if features&qcow2ExternalData != 0 {
		return 0, fmt.Errorf("its data lies in an external file")
	}
	if features&qcow2Corrupt != 0 {
		return 0, fmt.Errorf("it is marked corrupt")
	}
	if unknown := features &^ (qcow2Dirty | qcow2Corrupt | qcow2ExternalData | qcow2Compression); unknown != 0 {
		return 0, fmt.Errorf("it needs qcow2 features that are not accepted (bits %#x)", unknown)
	}
	if order := binary.BigEndian.Uint32(h[96:]); order > 6 {
		return 0, fmt.Errorf("its reference counts are 2^%d bits wide", order)
	}
	length := binary.BigEndian.Uint32(h[100:])
	if length < qcow2V3Header || length%8 != 0 || length > 1<<clusterBits {
		return 0, fmt.Errorf("its header claims to be %d bytes long", length)
	}
	return length, nil
}

// checkQCOW2Extensions walks the header extensions, which end the first cluster at the latest.
func checkQCOW2Extensions(v view, offset, cluster int64) error {
	for offset+8 <= cluster {
		b := v.at(offset, 8)
		if b == nil {
			return fmt.Errorf("its header extensions are cut off: %w", errMalformed)
		}
		kind, length := binary.BigEndian.Uint32(b), int64(binary.BigEndian.Uint32(b[4:]))
		switch kind {
		case qcow2ExtEnd:
			return nil
		case qcow2ExtExternalData:
			return fmt.Errorf("it names an external data file")
		case qcow2ExtEncryption:
			return fmt.Errorf("it is encrypted")
		}
		if length > cluster-offset-8 {
			return fmt.Errorf("a header extension reaches beyond the first cluster")
		}
		offset += 8 + (length+7)/8*8
	}
	return nil
}

// checkQCOW2Tables checks that the L1 table covers the disk and that the tables lie inside the file.
func checkQCOW2Tables(v view, h []byte) error {
	clusterBits := binary.BigEndian.Uint32(h[20:])
	size := binary.BigEndian.Uint64(h[24:])
	cluster := uint64(1) << clusterBits
	l1Entries, l1Offset := uint64(binary.BigEndian.Uint32(h[36:])), binary.BigEndian.Uint64(h[40:])
	refOffset, refClusters := binary.BigEndian.Uint64(h[48:]), uint64(binary.BigEndian.Uint32(h[56:]))
	snapshots, snapOffset := binary.BigEndian.Uint32(h[60:]), binary.BigEndian.Uint64(h[64:])

	covers := uint64(1) << (clusterBits + clusterBits - 3) // bytes of disk behind one L1 entry
	need := size / covers
	if size%covers != 0 {
		need++
	}
	switch {
	case l1Entries < need || l1Entries*8 > qcow2MaxL1:
		return fmt.Errorf("its L1 table of %d entries does not fit a disk of %d bytes", l1Entries, size)
	case l1Offset%cluster != 0 || !v.within(l1Offset, l1Entries*8):
		return fmt.Errorf("its L1 table lies outside of the file")
	case refOffset%cluster != 0 || refClusters > 8*MiB/cluster+1 || !v.within(refOffset, refClusters*cluster):
		return fmt.Errorf("its refcount table lies outside of the file")
	case snapshots > 0 && (snapOffset%cluster != 0 || !v.within(snapOffset, 1)):
		return fmt.Errorf("its snapshot table lies outside of the file")
	}
	return nil
}
