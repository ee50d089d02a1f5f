package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// probeVHD recognises Microsoft's VHD (QEMU: vpc). Dynamic disks carry the footer at both ends, fixed ones at the end
// only. Numbers are big-endian.
func probeVHD(v view) (Inspection, bool) {
	footer := v.at(0, 512)
	if !bytes.HasPrefix(footer, []byte("conectix")) {
		footer = v.tail
	}
	if len(footer) < 512 || !bytes.HasPrefix(footer, []byte("conectix")) {
		return Inspection{}, false
	}
	const fixed, dynamic = 2, 3
	in := Inspection{}
	size, disk := binary.BigEndian.Uint64(footer[48:]), binary.BigEndian.Uint32(footer[60:])
	if size > math.MaxInt64 {
		in.Unsafe = fmt.Sprintf("it claims a virtual size of %d bytes", size)
		return in, true
	}
	in.VirtualSize = int64(size)
	if disk != fixed && disk != dynamic {
		in.Unsafe = fmt.Sprintf("its VHD type is %d, which needs a parent disk or is unknown", disk)
	}
	return in, true
}

// probeVDI recognises VirtualBox disks. Numbers are little-endian.
func probeVDI(v view) (Inspection, bool) {
	h := v.at(0, 512)
	if h == nil || binary.LittleEndian.Uint32(h[0x40:]) != 0xbeda107f {
		return Inspection{}, false
	}
	const dynamic, static = 1, 2
	in := Inspection{}
	size, disk := binary.LittleEndian.Uint64(h[0x170:]), binary.LittleEndian.Uint32(h[0x4c:])
	if size > math.MaxInt64 {
		in.Unsafe = fmt.Sprintf("it claims a virtual size of %d bytes", size)
		return in, true
	}
	in.VirtualSize = int64(size)
	if disk != dynamic && disk != static {
		in.Unsafe = fmt.Sprintf("its VDI type is %d, which needs a parent disk or is unknown", disk)
	}
	return in, true
}

// GUIDs of VHDX ([MS-VHDX] 2.2.3, 2.6.2) in their byte order on disk.
var (
	vhdxMetadataRegion = []byte("\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e")
	vhdxFileParameters = []byte("\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b")
	vhdxVirtualSize    = []byte("\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8")
)

// probeVHDX recognises Hyper-V's VHDX, whose size and parent flag stand in a metadata table found by a region table.
func probeVHDX(v view) (Inspection, bool) {
	if string(v.at(0, 8)) != "vhdxfile" {
		return Inspection{}, false
	}
	in := Inspection{}
	region, ok := vhdxEntry(v, 192<<10, "regi", 16, 8, 32, vhdxMetadataRegion)
	if !ok {
		in.Unsafe = "its VHDX region table is malformed"
		return in, true
	}
	table := int64(min(binary.LittleEndian.Uint64(region[16:]), math.MaxInt32))
	params, okParams := vhdxItem(v, table, vhdxFileParameters)
	size, okSize := vhdxItem(v, table, vhdxVirtualSize)
	switch {
	case !okParams || !okSize:
		in.Unsafe = "its VHDX metadata is malformed or too far into the file"
	case binary.LittleEndian.Uint64(size) > math.MaxInt64:
		in.Unsafe = "it claims an impossible virtual size"
	case binary.LittleEndian.Uint32(params[4:])&2 != 0:
		in.Unsafe = "it needs a parent disk"
	default:
		in.VirtualSize = int64(binary.LittleEndian.Uint64(size))
	}
	return in, true
}

// vhdxItem returns the first eight bytes of a metadata item.
func vhdxItem(v view, table int64, guid []byte) ([]byte, bool) {
	entry, ok := vhdxEntry(v, table, "metadata", 32, 10, 32, guid)
	if !ok {
		return nil, false
	}
	b := v.at(table+int64(binary.LittleEndian.Uint32(entry[16:])), 8)
	return b, b != nil
}

// vhdxEntry finds an entry by its GUID in a table at offset; count is where its header keeps the number of entries.
func vhdxEntry(v view, offset int64, signature string, header, count, width int, guid []byte) ([]byte, bool) {
	h := v.at(offset, header)
	if h == nil || !bytes.HasPrefix(h, []byte(signature)) {
		return nil, false
	}
	entries := int(binary.LittleEndian.Uint16(h[count:]))
	for i := range min(entries, 2047) {
		entry := v.at(offset+int64(header+i*width), width)
		if entry == nil {
			return nil, false
		}
		if bytes.HasPrefix(entry, guid) {
			return entry, true
		}
	}
	return nil, false
}
