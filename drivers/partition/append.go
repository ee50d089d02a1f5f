package partition

import (
	"fmt"
	"io"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/diskfs/go-diskfs/partition/mbr"
	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/store"
)

// SizeConfigDrive is the partition that a config drive gets behind a whole-disk image, in bytes.
const SizeConfigDrive = 64 * MiB

// Append adds a partition of so many bytes at the end of a disk that has a table, for a config drive. A GPT that came with an
// image has its backup where the image ended: it moves to the disk's end. What does not fit is InstanceDeployFailure.
func Append(d Disk, size, length int64) (Entry, error) {
	table, err := Read(d, size)
	if err != nil {
		return Entry{}, err
	}
	var used int64
	for _, e := range table.Entries {
		used = max(used, e.Offset+e.Size)
	}
	if table.Label == GPT {
		return appendGPT(&disk{Disk: d, size: size}, used, length)
	}
	return appendMBR(&disk{Disk: d, size: size}, table, used, length)
}

// place finds a partition's place below an end, at a whole MiB.
func place(used, end, length int64) (offset int64, err error) {
	offset = (end - length) / MiB * MiB
	if offset < max(used, lead) {
		return 0, store.Errorf(store.InstanceDeployFailure, "There is no place for a config drive of %d MiB at the end of the disk: "+
			"of %d MiB, %d are used", length/MiB, end/MiB, used/MiB)
	}
	return offset, nil
}

func appendGPT(d *disk, used, length int64) (Entry, error) {
	table, err := gpt.Read(d, sectorSize, sectorSize)
	if err == nil {
		err = table.Repair(uint64(d.size))
	}
	if err != nil {
		return Entry{}, fmt.Errorf("reading the GPT: %w", err)
	}
	end := int64(table.LastDataSector()+1) * sectorSize
	offset, err := place(used, end, length)
	if err != nil {
		return Entry{}, err
	}
	taken := map[int]bool{}
	for _, p := range table.Partitions {
		taken[p.Index] = true
	}
	number := 1
	for taken[number] {
		number++
	}
	p := &gpt.Partition{Index: number, Type: gpt.LinuxFilesystem, GUID: uuid.NewString(), Name: "Linux filesystem",
		Start: uint64(offset / sectorSize), End: uint64(end/sectorSize - 1)}
	table.Partitions = append(table.Partitions, p)
	if err := table.Write(d, d.size); err != nil {
		return Entry{}, fmt.Errorf("writing the GPT: %w", err)
	}
	return Entry{Number: number, Offset: offset, Size: end - offset, Type: string(p.Type), UUID: p.GUID}, nil
}

func appendMBR(d *disk, table Table, used, length int64) (Entry, error) {
	taken := map[int]bool{}
	for _, e := range table.Entries {
		taken[e.Number] = true
	}
	if len(taken) >= maxMBRParts {
		return Entry{}, store.Errorf(store.InstanceDeployFailure, "Config drive cannot be created. The disk uses MBR partitioning and "+
			"already has %d primary partitions.", len(taken))
	}
	number := 1
	for taken[number] {
		number++
	}
	end := min(d.size, maxMBRSectors*sectorSize/MiB*MiB)
	offset, err := place(used, end, length)
	if err != nil {
		return Entry{}, err
	}
	end = offset + length
	found, err := mbr.Read(d, sectorSize, sectorSize)
	if err != nil {
		return Entry{}, fmt.Errorf("reading the MBR: %w", err)
	}
	// mbr.Read returns all four entries in order, the empty ones too.
	p := found.Partitions[number-1]
	p.Type, p.Start, p.Size = mbr.Fat32LBA, uint32(offset/sectorSize), uint32(length/sectorSize)
	if err := found.Write(d, d.size); err != nil {
		return Entry{}, fmt.Errorf("writing the MBR: %w", err)
	}
	return Entry{Number: number, Offset: offset, Size: end - offset, Type: mbrType(p.Type), UUID: p.UUID()}, nil
}

// Signature is a disk's identifier in its MBR, as ironic writes it: 0x12345678.
func Signature(r io.ReaderAt) (string, error) {
	var head [4]byte
	if _, err := r.ReadAt(head[:], signatureOffset); err != nil {
		return "", fmt.Errorf("reading the disk identifier: %w", err)
	}
	return fmt.Sprintf("0x%02x%02x%02x%02x", head[3], head[2], head[1], head[0]), nil
}
