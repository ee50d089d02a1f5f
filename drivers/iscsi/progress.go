package iscsi

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

const (
	// keyUUIDs holds in driver_internal_info, as in ironic, how the partitions that were written are recognized. With it the
	// writing is over.
	keyUUIDs = "deployment_uuids"
	// keyWriting holds there how far the writing has come: another worker may have to go on with it.
	keyWriting = "ironmaster_iscsi"
	// keyRoot is what ironic keeps beside.
	keyRoot = "root_uuid_or_disk_id"
)

// maxAnew is how often writing an image is begun anew after it was cut short.
const maxAnew = 3

// writing is how far the writing of an image has come.
type writing struct {
	// tries is how often it was begun. Each has a target of its own, so that whoever began an earlier one reaches none.
	tries int64
	// poured tells that the whole image was once on the disk, and was read back there.
	poured bool
}

func writingOf(n *store.Node) writing {
	d := n.DriverInternalInfo.Dict(keyWriting)
	// What is not a number is no count of ours.
	tries, _, _ := d.Int("tries")
	return writing{tries: tries, poured: d.Bool("poured", false)}
}

func (w writing) save(ctx context.Context, t *drivers.Task) error {
	t.Node.DriverInternalInfo[keyWriting] = map[string]any{"tries": w.tries, "poured": w.poured}
	return t.Worker.Save(ctx, t)
}

// forget takes the traces of an earlier writing out of the row, unsaved; it tells whether there were any.
func forget(n *store.Node) bool {
	info := n.DriverInternalInfo
	_, done := info[keyUUIDs]
	_, begun := info[keyWriting]
	delete(info, keyUUIDs)
	delete(info, keyWriting)
	return done || begun
}
