package room

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The reader below knows as much of ISO 9660 (ECMA-119) as a boot loader: the primary volume descriptor and directories.
// Rock Ridge and Joliet are not needed, because the names of boot loader configurations survive the upper-casing of the
// plain format, and names are compared without regard to case.

const (
	isoSector = 2048
	// isoDescriptors is the sector of the first volume descriptor.
	isoDescriptors = 16
	// maxDirectory and maxConfig bound what a foreign image makes the room read.
	maxDirectory = 1 << 20
	maxConfig    = 256 << 10
)

var errNotISO = errors.New("not an ISO 9660 image")

// isoFile is a file or folder: its place and size in bytes.
type isoFile struct {
	offset, size int64
	folder       bool
}

// isoRoot finds the root folder of an image.
func isoRoot(image io.ReaderAt) (isoFile, error) {
	descriptor := make([]byte, isoSector)
	for sector := int64(isoDescriptors); sector < isoDescriptors+32; sector++ {
		if err := readFullAt(image, descriptor, sector*isoSector); err != nil {
			return isoFile{}, fmt.Errorf("reading the volume descriptor: %w", err)
		}
		if string(descriptor[1:6]) != "CD001" || descriptor[0] == 255 {
			return isoFile{}, errNotISO
		}
		if descriptor[0] == 1 {
			root, ok := isoRecord(descriptor[156:190])
			if !ok || !root.folder {
				return isoFile{}, errNotISO
			}
			return root, nil
		}
	}
	return isoFile{}, errNotISO
}

// isoRecord decodes the fixed part of a directory record (ECMA-119 §9.1).
func isoRecord(record []byte) (isoFile, bool) {
	if len(record) < 33 {
		return isoFile{}, false
	}
	return isoFile{
		offset: int64(binary.LittleEndian.Uint32(record[2:])) * isoSector,
		size:   int64(binary.LittleEndian.Uint32(record[10:])),
		folder: record[25]&2 != 0,
	}, true
}

// lookup finds a file by its path, with slashes.
func (f isoFile) lookup(image io.ReaderAt, path string) (isoFile, bool, error) {
	for name := range strings.SplitSeq(path, "/") {
		if !f.folder || f.size > maxDirectory {
			return isoFile{}, false, nil
		}
		content := make([]byte, f.size)
		if err := readFullAt(image, content, f.offset); err != nil {
			return isoFile{}, false, fmt.Errorf("reading a folder: %w", err)
		}
		next, found := isoEntry(content, name)
		if !found {
			return isoFile{}, false, nil
		}
		f = next
	}
	return f, true, nil
}

// isoEntry finds a name in the content of a folder. Records do not cross sectors; a zero length fills the rest of one.
func isoEntry(content []byte, name string) (isoFile, bool) {
	for at := 0; at < len(content); {
		length := int(content[at])
		if length == 0 {
			at = (at/isoSector + 1) * isoSector
			continue
		}
		if at+length > len(content) {
			break
		}
		record := content[at : at+length]
		at += length
		file, ok := isoRecord(record)
		if !ok || 33+int(record[32]) > len(record) {
			break
		}
		entry, _, _ := strings.Cut(string(record[33:33+int(record[32])]), ";")
		if strings.EqualFold(strings.TrimSuffix(entry, "."), name) {
			return file, true
		}
	}
	return isoFile{}, false
}

func readFullAt(image io.ReaderAt, into []byte, offset int64) error {
	n, err := image.ReadAt(into, offset)
	if n == len(into) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// bootLoaders are the configurations that a boot loader of each BIOS mode reads, the first one found counts, with the
// words that stand before the kernel parameters.
var bootLoaders = map[string]struct{ paths, words []string }{
	"UEFI": {
		paths: []string{"EFI/BOOT/grub.cfg", "boot/grub/grub.cfg"},
		words: []string{"linux", "linuxefi", "linux16"},
	},
	"Legacy": {
		paths: []string{"isolinux/isolinux.cfg", "boot/isolinux/isolinux.cfg", "syslinux.cfg"},
		words: []string{"append"},
	},
}

// kernelParameters reads the kernel parameters that the machine would boot with in the given BootSourceOverrideMode. A
// parameter without a value is there with an empty one.
func kernelParameters(image io.ReaderAt, mode string) (map[string]string, error) {
	root, err := isoRoot(image)
	if err != nil {
		return nil, err
	}
	loader := bootLoaders[mode]
	for _, path := range loader.paths {
		file, found, err := root.lookup(image, path)
		if err != nil {
			return nil, err
		}
		if !found || file.folder {
			continue
		}
		if file.size > maxConfig {
			return nil, fmt.Errorf("%s has %d bytes, more than a boot loader reads", path, file.size)
		}
		config := make([]byte, file.size)
		if err := readFullAt(image, config, file.offset); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if parameters, ok := parseBootConfig(config, loader.words); ok {
			return parameters, nil
		}
		return nil, fmt.Errorf("%s has no kernel command line", path)
	}
	return nil, fmt.Errorf("the image has no boot loader configuration for %s mode", mode)
}

// parseBootConfig takes the parameters from the first line that begins with one of words.
func parseBootConfig(config []byte, words []string) (map[string]string, bool) {
	for line := range bytes.Lines(config) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		for _, word := range words {
			if !strings.EqualFold(fields[0], word) {
				continue
			}
			return parameters(fields[1:]), true
		}
	}
	return nil, false
}

// parameters takes the words of a kernel command line apart.
func parameters(words []string) map[string]string {
	taken := map[string]string{}
	for _, word := range words {
		name, value, _ := strings.Cut(strings.Trim(word, `"'`), "=")
		taken[name] = strings.Trim(value, `"'`)
	}
	return taken
}
