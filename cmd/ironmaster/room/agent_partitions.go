package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ironmaster/ironmaster/drivers/partition"
)

// partitioning is one write of a partition image.
type partitioning struct {
	a      *agent
	info   *imageInfo
	layout partition.Layout
	drive  []byte
}

// writePartitions makes partitions and puts the image into the last of them, in the order of ironic-python-agent: the table,
// the EFI system partition, the config drive, the image, swap, the ephemeral partition. What is preserved is the table that is
// there, and what the ephemeral partition holds.
func (a *agent) writePartitions(ctx context.Context, info *imageInfo, drive []byte) (map[string]any, error) {
	if info.Root <= 0 {
		return nil, agentInvalidParams("Image info has no root_mb.")
	}
	layout, err := partition.Plan(partition.Wish{Label: partition.Label(info.DiskLabel), BootMode: info.BootMode, Root: info.Root,
		Swap: info.Swap, Ephemeral: info.Ephemeral, ConfigDrive: (int64(len(drive)) + partition.MiB - 1) / partition.MiB})
	if err != nil {
		return nil, err
	}
	p := &partitioning{a: a, info: info, layout: layout, drive: drive}
	if info.DiskFormat == "raw" {
		err = p.write(ctx, func(to piece) error { return a.streamImage(ctx, info, to) })
	} else {
		err = p.writeQcow2(ctx)
	}
	if err != nil {
		return nil, err
	}
	return p.uuids(ctx)
}

// writeQcow2 has the whole image before it touches the disk, unlike one that is streamed.
func (p *partitioning) writeQcow2(ctx context.Context) error {
	path, err := p.a.fetchImage(ctx, p.info)
	if err != nil {
		return err
	}
	defer removeQuietly(p.a.log, path)
	size, err := inspectImage(ctx, p.info, path)
	if err != nil {
		return err
	}
	if mib := (size + partition.MiB - 1) / partition.MiB; mib > p.info.Root {
		return agentInvalidParams(fmt.Sprintf("Root partition is too small for requested image. Image virtual size: %d MB, "+
			"Root size: %d MB", mib, p.info.Root))
	}
	return p.write(ctx, func(to piece) error { return p.a.convert(ctx, path, to) })
}

func (p *partitioning) write(ctx context.Context, image func(piece) error) error {
	if err := p.makeTable(); err != nil {
		return err
	}
	if err := p.format(ctx, partition.ESP, partition.FAT, partition.LabelESP); err != nil {
		return err
	}
	if err := p.putConfigDrive(); err != nil {
		return err
	}
	root, _ := p.layout.Part(partition.Root)
	if err := image(piece{device: devicePath(root.Number), offset: root.Offset, end: root.Offset + root.Size}); err != nil {
		return err
	}
	if err := p.format(ctx, partition.Swap, partition.SwapArea, partition.LabelSwap); err != nil {
		return err
	}
	if p.info.PreserveEphemeral {
		return nil
	}
	return p.format(ctx, partition.Ephemeral, partition.FileSystem(p.info.EphemeralFormat), partition.LabelEphemeral)
}

// makeTable partitions the disk, or finds the planned partitions on it.
func (p *partitioning) makeTable() error {
	d := p.a.m.disk
	if p.info.PreserveEphemeral {
		return p.findParts()
	}
	if err := p.layout.Fits(d.size); err != nil {
		return err
	}
	if err := d.eraseMetadata(); err != nil {
		return err
	}
	return d.change(func(f *os.File) error { return p.layout.Write(f, d.size) })
}

// findParts takes the places of the partitions from the disk.
func (p *partitioning) findParts() error {
	table, err := p.a.m.disk.table()
	if err != nil {
		return err
	}
	for i, part := range p.layout.Parts {
		e, ok := table.Entry(part.Number)
		if !ok {
			return fmt.Errorf("'%s' device '%s' not found", part.Role, devicePath(part.Number))
		}
		p.layout.Parts[i].Offset, p.layout.Parts[i].Size = e.Offset, e.Size
	}
	return nil
}

// format puts an empty file system into the partition of a role, if there is one.
func (p *partitioning) format(ctx context.Context, role partition.Role, kind partition.FileSystem, label string) error {
	part, wanted := p.layout.Part(role)
	if !wanted {
		return nil
	}
	file, err := os.CreateTemp(p.a.m.room.cfg.downloads(), "filesystem-*")
	if err != nil {
		return err
	}
	defer removeQuietly(p.a.log, file.Name())
	if err := errors.Join(file.Close(), partition.Format(ctx, kind, file.Name(), part.Size, label)); err != nil {
		return err
	}
	return p.a.m.disk.change(func(f *os.File) error {
		return errors.Join(punch(f, part.Offset, part.Size), partition.Copy(ctx, f, part.Offset, file.Name()))
	})
}

func (p *partitioning) putConfigDrive() error {
	part, wanted := p.layout.Part(partition.ConfigDrive)
	if !wanted {
		return nil
	}
	return p.a.m.disk.change(func(f *os.File) error {
		w := &sparseWriter{file: f, offset: part.Offset, end: part.Offset + part.Size}
		if err := copyImage(w, bytes.NewReader(p.drive)); err != nil {
			return err
		}
		return w.flush()
	})
}

// uuids is what the agent tells of the partitions.
func (p *partitioning) uuids(ctx context.Context) (map[string]any, error) {
	table, err := p.a.m.disk.table()
	if err != nil {
		return nil, err
	}
	devices := map[partition.Role]string{}
	told := map[string]any{"partitions": devices, espUUID: nil}
	for _, part := range p.layout.Parts {
		devices[part.Role] = devicePath(part.Number)
		key, wanted := map[partition.Role]string{partition.Root: rootUUID, partition.ESP: espUUID}[part.Role]
		if !wanted {
			continue
		}
		found, err := partition.Identify(ctx, p.a.m.disk.path, part.Offset, part.Size)
		if err != nil {
			return nil, err
		}
		e, _ := table.Entry(part.Number)
		told[key] = entry{e, found}.uuid()
	}
	return told, nil
}
