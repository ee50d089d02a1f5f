package image

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// maxVMDKDescriptor is QEMU's limit, in bytes.
const maxVMDKDescriptor = MiB - 1

// probeVMDK recognises VMware disks: hosted sparse files (KDMV), ESX's old sparse files (COWD), and descriptors in a text
// of their own, which always point to other files.
func probeVMDK(v view) (Inspection, bool) {
	switch {
	case string(v.at(0, 4)) == "KDMV":
		size, err := checkVMDK(v)
		in := Inspection{VirtualSize: size}
		if err != nil {
			in.Unsafe = err.Error()
		}
		return in, true
	case string(v.at(0, 4)) == "COWD":
		return Inspection{Unsafe: "it is a VMware COWD disk"}, true
	case isVMDKText(v):
		return Inspection{Unsafe: "it is a VMware descriptor that points to other files"}, true
	}
	return Inspection{}, false
}

// isVMDKText looks for the descriptor's title, which QEMU lets follow comments and blank lines.
func isVMDKText(v view) bool {
	text := strings.ToLower(string(v.prefix[:min(len(v.prefix), 4096)]))
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if !strings.HasPrefix(line, "#") {
			return strings.HasPrefix(line, "version=") && strings.Contains(text, "createtype")
		}
		if strings.HasPrefix(line, "# disk descriptorfile") {
			return true
		}
	}
	return false
}

// checkVMDK returns the virtual size of a sparse disk whose descriptor keeps to the one file; numbers are little-endian.
func checkVMDK(v view) (int64, error) {
	h := v.at(0, 64)
	if h == nil {
		return 0, fmt.Errorf("its VMDK header is cut off: %w", errMalformed)
	}
	version, sectors := binary.LittleEndian.Uint32(h[4:]), binary.LittleEndian.Uint64(h[12:])
	start, length := binary.LittleEndian.Uint64(h[28:]), binary.LittleEndian.Uint64(h[36:])
	directory := binary.LittleEndian.Uint64(h[56:])
	switch {
	case version < 1 || version > 3:
		return 0, fmt.Errorf("its VMDK version is %d; only 1 to 3 are known", version)
	case sectors > 1<<53:
		return 0, fmt.Errorf("it claims a virtual size of %d sectors", sectors)
	case directory == ^uint64(0):
		return int64(sectors) * 512, fmt.Errorf("it has a footer that replaces its header")
	case start != 1 || length == 0:
		return int64(sectors) * 512, fmt.Errorf("its descriptor is not where it belongs")
	}
	text := v.at(512, int(min(length, maxVMDKDescriptor/512)*512))
	if text == nil {
		return int64(sectors) * 512, fmt.Errorf("its descriptor is cut off: %w", errMalformed)
	}
	return int64(sectors) * 512, checkVMDKDescriptor(strings.TrimRight(string(text), "\x00"))
}

// checkVMDKDescriptor accepts only lines that it understands, extents in the same directory, and the two layouts that
// consist of one file.
func checkVMDKDescriptor(text string) error {
	extents, layout := 0, ""
	for line := range strings.Lines(strings.ToLower(text)) {
		line = strings.TrimSpace(line)
		key, value, assigned := strings.Cut(line, "=")
		first, _, _ := strings.Cut(line, " ")
		switch {
		case strings.ContainsFunc(line, func(r rune) bool { return r > 126 || r < 32 && r != '\t' }):
			return fmt.Errorf("its descriptor is not ASCII text")
		case line == "", strings.HasPrefix(line, "#"), strings.HasPrefix(line, "ddb"):
		case assigned && !strings.Contains(key, " "):
			if key == "createtype" {
				layout = strings.Trim(value, `"`)
			}
			if key == "parentcid" && value != "ffffffff" || key == "parentfilenamehint" {
				return fmt.Errorf("it has a parent disk")
			}
		case first == "rw" || first == "rdonly" || first == "noaccess":
			if strings.Contains(line, "/") {
				return fmt.Errorf("its descriptor points to a file elsewhere")
			}
			extents++
		default:
			return fmt.Errorf("its descriptor has a line that is not understood")
		}
	}
	if extents != 1 || layout != "monolithicsparse" && layout != "streamoptimized" {
		return fmt.Errorf("its VMDK layout %.32q with %d extents is not accepted", layout, extents)
	}
	return nil
}
