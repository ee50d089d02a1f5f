package inspection

import (
	"context"
	"slices"
	"strconv"

	"github.com/ironmaster/ironmaster/drivers/rootdevice"
	"github.com/ironmaster/ironmaster/store"
)

// raidDevice makes the one disk that the last inspection did not find the root device of a node that has none: the volume of an array
// that was made meanwhile.
func raidDevice(ctx context.Context, w *work) error {
	if _, known := w.Node.Properties["root_device"]; known {
		return nil
	}
	present := serials(w.inventory)
	if len(present) == 0 {
		w.Log.Warn().Msg("The ramdisk told of no disks with serial numbers")
		return nil
	}
	last, err := w.keep.LastInventory(ctx, w.Node.ID)
	if err != nil || last == nil {
		return err
	}
	before := serials(last.InventoryData)
	fresh := slices.DeleteFunc(present, func(serial string) bool { return slices.Contains(before, serial) })
	if len(fresh) != 1 {
		w.Log.Warn().Int("new disks", len(fresh)).Msg("The root device cannot be told, for not exactly one disk is new")
		return nil
	}
	return w.setProperty(ctx, "root_device", store.Dict{"serial": fresh[0]})
}

func serials(inventory store.Dict) []string {
	var all []string
	for _, item := range inventory.List("disks") {
		if serial, ok := dictOf(item)["serial"].(string); ok && serial != "" {
			all = append(all, serial)
		}
	}
	return all
}

// rootDevice finds the root disk by the node's hints, and writes its size into local_gb.
func rootDevice(ctx context.Context, w *work) error {
	if hints := w.Node.Properties.Dict("root_device"); len(hints) > 0 {
		disk, err := w.hintedDisk(hints)
		if err != nil {
			return err
		}
		w.plugin["root_disk"] = disk
	}
	var size int64
	if disk := w.plugin.Dict("root_disk"); len(disk) > 0 {
		gb, err := wholeGB(disk)
		if err != nil {
			return err
		}
		if size = gb; size == 0 {
			w.Log.Warn().Msg("The root disk is smaller than 1 GiB")
		} else if w.cfg.PartitioningSpacing {
			size--
		}
	}
	w.plugin["local_gb"] = size
	if w.cfg.Differences.LocalGBText {
		return w.setProperty(ctx, "local_gb", strconv.FormatInt(size, 10))
	}
	return w.setProperty(ctx, "local_gb", size)
}

func wholeGB(disk store.Dict) (int64, error) {
	value, told := disk["size"]
	if !told {
		return 0, absent("size")
	}
	bytes, told, err := disk.Int("size")
	if _, isText := value.(string); err != nil || !told || isText {
		return 0, mistyped("the size of the root disk is no number of bytes: %s", store.PythonText(value))
	}
	return bytes >> 30, nil
}

// hintedDisk is the first disk that satisfies the hints and is not to be skipped.
func (w *work) hintedDisk(hints store.Dict) (store.Dict, error) {
	listed, there := w.inventory["disks"]
	if !there {
		return nil, absent("disks")
	}
	items, _ := listed.([]any)
	var disks []store.Dict
	for _, item := range items {
		disks = append(disks, dictOf(item))
	}
	for _, skip := range w.Node.Properties.List("skip_block_devices") {
		skipped, err := rootdevice.Find(disks, dictOf(skip))
		if err != nil {
			return nil, &malformed{"ValueError", err.Error()}
		}
		disks = slices.DeleteFunc(disks, func(d store.Dict) bool {
			return slices.ContainsFunc(skipped, func(s store.Dict) bool { return s.String("name") == d.String("name") })
		})
	}
	found, err := rootdevice.Find(disks, hints)
	if err != nil {
		return nil, store.Errorf(store.HardwareInspectionFailure, "No disks could be found using root device hints %s for node %s because "+
			"they failed to validate. Error: %w", store.PythonRepr(hints), w.Node.UUID, err)
	}
	if len(found) == 0 {
		return nil, store.Errorf(store.HardwareInspectionFailure, "No disks satisfied root device hints for node %s", w.Node.UUID)
	}
	return found[0].Clone(), nil
}
