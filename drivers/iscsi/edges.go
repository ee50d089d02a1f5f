package iscsi

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/ironmaster/ironmaster/drivers/partition"
)

// edges are both ends of a disk, where partition tables are. They are read once and changed in memory; save writes them back.
type edges struct {
	lun        *lun
	head, tail edge
}

// edge is one end. was is what the disk holds.
type edge struct {
	at       int64
	now, was []byte
}

const edgeSize = partition.MiB

func (l *lun) edges(ctx context.Context) (*edges, error) {
	e := &edges{lun: l}
	for place, edge := range map[int64]*edge{0: &e.head, (l.size - edgeSize) / sector * sector: &e.tail} {
		content, err := l.read(ctx, place, min(edgeSize, l.size-place)/sector*sector)
		if err != nil {
			return nil, err
		}
		edge.at, edge.now, edge.was = place, bytes.Clone(content), content
	}
	return e, nil
}

// cut is the part of an edge from an offset on, nil for an offset elsewhere.
func (e *edge) cut(offset int64) []byte {
	if offset < e.at || offset >= e.at+int64(len(e.now)) {
		return nil
	}
	return e.now[offset-e.at:]
}

func (e *edges) find(offset int64) []byte {
	if part := e.head.cut(offset); part != nil {
		return part
	}
	return e.tail.cut(offset)
}

// ReadAt is io.ReaderAt, for the ends of the disk.
func (e *edges) ReadAt(p []byte, offset int64) (int, error) {
	n := copy(p, e.find(offset))
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// WriteAt is io.WriterAt, for the ends of the disk.
func (e *edges) WriteAt(p []byte, offset int64) (int, error) {
	n := copy(e.find(offset), p)
	if n < len(p) {
		return n, fmt.Errorf("the byte %d is not at an end of the disk", offset+int64(n))
	}
	return n, nil
}

// wipe zeroes both ends.
func (e *edges) wipe() {
	clear(e.head.now)
	clear(e.tail.now)
}

// save writes what has changed, the end of the disk first: until its beginning is written, the disk is as before.
func (e *edges) save(ctx context.Context) error {
	for _, edge := range []*edge{&e.tail, &e.head} {
		if bytes.Equal(edge.now, edge.was) {
			continue
		}
		if err := e.lun.write(ctx, edge.now, edge.at); err != nil {
			return fmt.Errorf("writing the ends of the disk: %w", err)
		}
		edge.was = bytes.Clone(edge.now)
	}
	return nil
}
