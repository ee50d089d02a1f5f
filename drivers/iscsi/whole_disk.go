package iscsi

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/partition"
	"github.com/ironmaster/ironmaster/store"
)

// writer is the work of one attempt.
type writer struct {
	d *Deploy
	t *drivers.Task
	try
	source medium
	lun    *lun
	// drive is the instance's config drive, nil when there is none.
	drive []byte
	// request, mode and layout are for a partition image.
	request partition.Request
	mode    string
	layout  partition.Layout
}

// size is how many bytes of the disk the image takes.
func (w *writer) size() int64 { return (w.cached.VirtualSize + sector - 1) / sector * sector }

// plan reads what the user wants before anything is touched.
func (w *writer) plan(ctx context.Context) (err error) {
	if w.drive, err = image.ConfigDriveContent(ctx, w.d.web, w.t.Node); err != nil || wholeDisk(w.t.Node) {
		return err
	}
	return w.planPartitions()
}

// wholeDisk writes an image with its partition table, and a config drive behind it.
func (w *writer) wholeDisk(ctx context.Context) (store.Dict, error) {
	if w.size() > w.lun.size {
		return nil, fmt.Errorf("the image has %d bytes and does not fit the disk of %d bytes", w.size(), w.lun.size)
	}
	kept, err := w.keptOrPoured(ctx)
	if err != nil {
		return nil, err
	}
	ends, err := w.lun.edges(ctx)
	if err != nil {
		return nil, err
	}
	id, err := partition.Signature(ends)
	if err != nil {
		return nil, err
	}
	if err := w.addConfigDrive(ctx, ends); err != nil {
		return nil, err
	}
	if err := w.checkTable(ctx); err != nil {
		return nil, err
	}
	w.t.Log.Info().Bool("kept", kept).Str("disk_identifier", id).Msg("The image is on the disk")
	w.t.Node.DriverInternalInfo[keyRoot] = id
	return store.Dict{"disk identifier": id}, nil
}

// keptOrPoured has the image on the disk. An image with a config drive behind it was changed where its table is, and is not
// recognized: it is written anew.
func (w *writer) keptOrPoured(ctx context.Context) (kept bool, err error) {
	if kept, err = w.readBack(ctx, 0); kept || err != nil {
		return kept, err
	}
	if w.exposed {
		// The agent was not asked to.
		ends, err := w.lun.edges(ctx)
		if err != nil {
			return false, err
		}
		ends.wipe()
		if err := ends.save(ctx); err != nil {
			return false, err
		}
	}
	return false, w.pourImage(ctx, 0)
}

// addConfigDrive writes the config drive into the partition that the image has for it, or into a new one at the disk's end.
func (w *writer) addConfigDrive(ctx context.Context, ends *edges) error {
	if w.drive == nil {
		return nil
	}
	place, found, err := w.findConfigDrive(ctx, ends)
	if err != nil {
		return err
	}
	if !found {
		if place, err = partition.Append(ends, w.lun.size, partition.SizeConfigDrive); err != nil {
			return fmt.Errorf("making a partition for the config drive: %w", err)
		}
	}
	if int64(len(w.drive)) > place.Size {
		return fmt.Errorf("the config drive of %d bytes does not fit its partition of %d bytes", len(w.drive), place.Size)
	}
	if err := w.writeConfigDrive(ctx, place.Offset); err != nil {
		return err
	}
	// gofail: var iscsiConfigDrive struct{}
	return ends.save(ctx)
}

func (w *writer) writeConfigDrive(ctx context.Context, at int64) error {
	padded := slices.Concat(w.drive, make([]byte, -len(w.drive)&(sector-1)))
	if err := w.lun.write(ctx, padded, at); err != nil {
		return fmt.Errorf("writing the config drive: %w", err)
	}
	return nil
}

// findConfigDrive looks for a partition with a file system that is called as config drives are.
func (w *writer) findConfigDrive(ctx context.Context, ends *edges) (partition.Entry, bool, error) {
	table, err := partition.Read(ends, w.lun.size)
	if err != nil {
		return partition.Entry{}, false, err
	}
	for _, e := range table.Entries {
		if e.Offset+e.Size > w.lun.size {
			continue
		}
		found, err := w.lun.identify(ctx, e.Offset, e.Size)
		if err != nil {
			return e, false, err
		}
		if image.IsConfigDriveLabel(found.Label) {
			return e, true, nil
		}
	}
	return partition.Entry{}, false, nil
}

// checkTable reads the partition table back: every partition of the image must be where the image has it.
func (w *writer) checkTable(ctx context.Context) error {
	head, err := readPiece(ctx, w.lun, w.source, 0, min(edgeSize, w.size()))
	if err != nil {
		return err
	}
	tail, err := readPiece(ctx, w.lun, w.source, max(0, w.size()-edgeSize), min(edgeSize, w.size()))
	if err != nil {
		return err
	}
	own := &edges{head: edge{now: head}, tail: edge{at: max(0, w.size()-edgeSize), now: tail}}
	want, err := partition.Read(own, w.size())
	if errors.Is(err, partition.ErrNoTable) {
		return nil
	}
	if err != nil {
		return err
	}
	ends, err := w.lun.edges(ctx)
	if err != nil {
		return err
	}
	got, err := partition.Read(ends, w.lun.size)
	if err != nil {
		return fmt.Errorf("reading the partition table back: %w", err)
	}
	for _, e := range want.Entries {
		if !slices.Contains(got.Entries, e) {
			return fmt.Errorf("the partition table on the disk lacks partition %d of the image's", e.Number)
		}
	}
	return nil
}
