package bootiso

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
)

// The parts of ECMA-119 that an Image changes: the publisher identifier in the primary volume descriptor (§8.4.20).
const (
	sector          = 2048
	publisherOffset = 16*sector + 318
	publisherLength = 128
)

// Image is the ISO of one node.
type Image struct {
	builder  *Builder
	template *template
	patches  []patch
	closing  sync.Once
}

// patch is a run of bytes that stands in place of the template's.
type patch struct {
	offset int64
	bytes  []byte
}

// Close says that the image is not needed any more. Readers that are open go on.
func (i *Image) Close() { i.closing.Do(func() { i.builder.release(i.template) }) }

// Open starts reading the image. It fails once the image is closed and its template gone.
func (i *Image) Open() (io.ReadSeekCloser, error) {
	disk, err := os.Open(i.template.path)
	if err != nil {
		return nil, fmt.Errorf("opening a boot ISO: %w", err)
	}
	info, err := disk.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening a boot ISO: %w", err), disk.Close())
	}
	return &reader{io.NewSectionReader(overlay{disk, i.patches}, 0, info.Size()), disk}, nil
}

type reader struct {
	*io.SectionReader
	file *os.File
}

func (r *reader) Close() error { return r.file.Close() }

// overlay is a file with patches laid over it.
type overlay struct {
	base    io.ReaderAt
	patches []patch
}

func (o overlay) ReadAt(p []byte, offset int64) (int, error) {
	n, err := o.base.ReadAt(p, offset)
	for _, patch := range o.patches {
		from, to := max(patch.offset, offset), min(patch.offset+int64(len(patch.bytes)), offset+int64(n))
		if from < to {
			copy(p[from-offset:to-offset], patch.bytes[from-patch.offset:])
		}
	}
	return n, err
}

// layOver finds where the slots lie in a template.
func layOver(path string, slots map[string][]byte, publisher string) ([]patch, error) {
	disk, err := os.Open(path)
	if err != nil {
		return nil, failed("%w", err)
	}
	defer disk.Close()
	system, err := iso9660.Read(file.New(disk, true), 0, 0, sector)
	if err != nil {
		return nil, failed("reading the template: %w", err)
	}
	name := publisher + strings.Repeat(" ", publisherLength-len(publisher))
	patches := []patch{{publisherOffset, []byte(name)}}
	for path, content := range slots {
		opened, err := system.OpenFile("/"+path, os.O_RDONLY)
		if err != nil {
			return nil, failed("looking for %s in the template: %w", path, err)
		}
		placed, ok := opened.(interface{ Location() uint32 })
		if !ok {
			return nil, failed("%s has no place in the template", path)
		}
		offset := int64(placed.Location()) * sector
		blank := make([]byte, len(content))
		if _, err := disk.ReadAt(blank, offset); err != nil || len(bytes.Trim(blank, "\n")) > 0 {
			return nil, failed("the template is damaged at %s", path)
		}
		patches = append(patches, patch{offset, content})
	}
	return patches, nil
}
