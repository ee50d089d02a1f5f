package iscsi

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/partition"
	"github.com/ironmaster/ironmaster/store"
)

// planPartitions lays out the disk as instance_info asks for.
func (w *writer) planPartitions() (err error) {
	n := w.t.Node
	if w.request, err = partition.ParseRequest(n.InstanceInfo); err != nil {
		return err
	}
	if w.mode, err = drivers.BootMode(n, w.d.cfg.BootMode); err != nil {
		return err
	}
	label, err := partition.LabelOf(n, w.mode)
	if err != nil {
		return err
	}
	w.layout, err = partition.Plan(partition.Wish{Label: label, BootMode: w.mode, Arch: n.Properties.String("cpu_arch"),
		ESP: w.d.cfg.ESP, Root: 1024 * w.request.RootGB, Swap: w.request.SwapMB, Ephemeral: 1024 * w.request.EphemeralGB,
		ConfigDrive: int64((len(w.drive) + partition.MiB - 1) / partition.MiB)})
	return err
}

// partitions divides the disk and fills the partitions. The table comes last: until then the disk has none, and nothing boots
// from it.
func (w *writer) partitions(ctx context.Context) (store.Dict, error) {
	if err := w.layout.Fits(w.lun.size); err != nil {
		return nil, err
	}
	root, _ := w.layout.Part(partition.Root)
	kept, err := w.readBack(ctx, root.Offset)
	if err != nil {
		return nil, err
	}
	ends, err := w.lun.edges(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.prepareTable(ctx, ends); err != nil {
		return nil, err
	}
	if !kept {
		if err := w.pourImage(ctx, root.Offset); err != nil {
			return nil, err
		}
	}
	for _, p := range w.layout.Parts {
		if err := w.fill(ctx, p); err != nil {
			return nil, fmt.Errorf("filling the partition %s: %w", p.Role, err)
		}
	}
	if !w.request.PreserveEphemeral {
		if err := w.layout.Write(ends, w.lun.size); err != nil {
			return nil, err
		}
		if err := ends.save(ctx); err != nil {
			return nil, err
		}
	}
	w.request.Remember(w.t.Node.DriverInternalInfo)
	return w.identifyParts(ctx)
}

// prepareTable takes away the table that the disk has, or makes sure that it is the one wanted when the ephemeral partition is
// to stay.
func (w *writer) prepareTable(ctx context.Context, ends *edges) error {
	if !w.request.PreserveEphemeral {
		ends.wipe()
		return ends.save(ctx)
	}
	table, err := partition.Read(ends, w.lun.size)
	if err != nil {
		return fmt.Errorf("preserving the ephemeral partition: %w", err)
	}
	return w.checkLayout(table)
}

// checkLayout compares a table with what was planned.
func (w *writer) checkLayout(table partition.Table) error {
	same := table.Label == w.layout.Label && len(table.Entries) == len(w.layout.Parts)
	for i := 0; same && i < len(table.Entries); i++ {
		e, p := table.Entries[i], w.layout.Parts[i]
		same = e.Number == p.Number && e.Offset == p.Offset && e.Size == p.Size
	}
	if !same {
		return fmt.Errorf("the partition table on the disk is another than that of %s", w.layout)
	}
	return nil
}

// fill puts into a partition what it is for. The image is in the root partition already; what boots a machine by a BIOS is
// installed by the agent.
func (w *writer) fill(ctx context.Context, p partition.Part) error {
	switch p.Role {
	case partition.ESP:
		return w.format(ctx, p, partition.FAT, partition.LabelESP)
	case partition.Swap:
		return w.format(ctx, p, partition.SwapArea, partition.LabelSwap)
	case partition.Ephemeral:
		if w.request.PreserveEphemeral {
			return nil
		}
		kind := partition.FileSystem(cmp.Or(w.request.EphemeralFormat, w.d.cfg.EphemeralFormat))
		return w.format(ctx, p, kind, partition.LabelEphemeral)
	case partition.ConfigDrive:
		return w.writeConfigDrive(ctx, p.Offset)
	}
	return nil
}

// format makes a file system in a file here and copies it.
func (w *writer) format(ctx context.Context, p partition.Part, kind partition.FileSystem, label string) error {
	w.t.Worker.Report(w.t, drivers.Progress{Doing: "making the partition " + string(p.Role)})
	file := filepath.Join(w.lun.dir, "filesystem")
	defer os.Remove(file)
	if err := partition.Format(ctx, kind, file, p.Size, label); err != nil {
		return err
	}
	from, err := imageAt(file, "raw")
	if err != nil {
		return err
	}
	pieces, err := usedPieces(ctx, kind, file, p.Size)
	if err != nil {
		return err
	}
	for _, piece := range pieces {
		if err := w.lun.pour(ctx, pouring{from: from, skip: piece.begin, size: piece.end - piece.begin, to: p.Offset + piece.begin}); err != nil {
			return err
		}
	}
	return nil
}

// identifyParts reads the table back and tells the UUIDs by which the instance is booted.
func (w *writer) identifyParts(ctx context.Context) (store.Dict, error) {
	ends, err := w.lun.edges(ctx)
	if err != nil {
		return nil, err
	}
	table, err := partition.Read(ends, w.lun.size)
	if err == nil {
		err = w.checkLayout(table)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the partition table back: %w", err)
	}
	ids := store.Dict{}
	for i, p := range w.layout.Parts {
		switch p.Role {
		case partition.Root, partition.ESP:
			found, err := w.lun.identify(ctx, p.Offset, p.Size)
			if err != nil {
				return nil, err
			}
			ids[map[partition.Role]string{partition.Root: "root uuid", partition.ESP: "efi system partition uuid"}[p.Role]] =
				cmp.Or(found.UUID, table.Entries[i].UUID)
		case partition.PReP:
			ids["PReP Boot partition uuid"] = table.Entries[i].UUID
		}
	}
	if w.mode != store.BootModeUEFI {
		ids["efi system partition uuid"] = nil
	}
	if ids.String("root uuid") == "" {
		return nil, store.Errorf(store.InstanceDeployFailure,
			"Couldn't determine the UUID of the root partition or the disk identifier after deploying node %s", w.t.Node.UUID)
	}
	w.t.Node.DriverInternalInfo[keyRoot] = ids.String("root uuid")
	return ids, nil
}

// identify looks for a file system in a piece of the disk. Its first MiB tells.
func (l *lun) identify(ctx context.Context, offset, size int64) (partition.Found, error) {
	content, err := l.read(ctx, offset, min(size, partition.MiB)/sector*sector)
	if err != nil {
		return partition.Found{}, err
	}
	file, err := l.scratch(content)
	if err != nil {
		return partition.Found{}, err
	}
	defer os.Remove(file)
	if err := os.Truncate(file, size); err != nil {
		return partition.Found{}, fmt.Errorf("looking for a file system: %w", err)
	}
	return partition.Identify(ctx, file, 0, size)
}
