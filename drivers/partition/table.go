package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/diskfs/go-diskfs/partition/mbr"
	"github.com/google/uuid"
)

const (
	// backupGPT is the space at the end of a disk that a GPT takes: its entries and its header.
	backupGPT = 33 * sectorSize
	// bootCodeSize is the part of the first sector that holds code; the disk's signature follows.
	bootCodeSize, signatureOffset = 440, 440
	tableSize                     = 34 * sectorSize
)

// Disk is a disk of which pieces can be read and written.
type Disk interface {
	io.ReaderAt
	io.WriterAt
}

// Write puts the table of the layout on a disk of so many bytes. What was at both ends of the disk, boot code included, is
// gone; nothing else is touched.
func (l Layout) Write(d Disk, size int64) error {
	if err := l.Fits(size); err != nil {
		return err
	}
	blank := make([]byte, tableSize)
	for _, offset := range []int64{0, size - tableSize} {
		if _, err := d.WriteAt(blank, offset); err != nil {
			return fmt.Errorf("clearing the partition table: %w", err)
		}
	}
	write := l.writeMBR
	if l.Label == GPT {
		write = l.writeGPT
	}
	if err := write(&disk{Disk: d, size: size}, size); err != nil {
		return fmt.Errorf("writing the partition table: %w", err)
	}
	return nil
}

func (l Layout) writeGPT(d *disk, size int64) error {
	types := map[Role]gpt.Type{ESP: gpt.EFISystemPartition, BIOSBoot: gpt.BIOSBoot, PReP: gpt.PowerPCPRePBoot, Swap: gpt.LinuxSwap}
	table := gpt.Table{ProtectiveMBR: true, LogicalSectorSize: sectorSize, PhysicalSectorSize: sectorSize}
	for _, p := range l.Parts {
		kind, special := types[p.Role]
		if !special {
			kind = gpt.LinuxFilesystem
		}
		table.Partitions = append(table.Partitions, &gpt.Partition{Index: p.Number, Type: kind, GUID: uuid.NewString(),
			Name: "primary", Start: uint64(p.Offset / sectorSize), End: uint64((p.Offset+p.Size)/sectorSize - 1)})
	}
	return table.Write(d, size)
}

func (l Layout) writeMBR(d *disk, size int64) error {
	types := map[Role]mbr.Type{ESP: mbr.EFISystem, PReP: prepMBR, Swap: mbr.LinuxSwap}
	table := mbr.Table{LogicalSectorSize: sectorSize, PhysicalSectorSize: sectorSize}
	for _, p := range l.Parts {
		kind, special := types[p.Role]
		if !special {
			kind = mbr.Linux
		}
		table.Partitions = append(table.Partitions, &mbr.Partition{Index: p.Number, Type: kind, Bootable: p.Active,
			Start: uint32(p.Offset / sectorSize), Size: uint32(p.Size / sectorSize)})
	}
	var signature [4]byte
	binary.LittleEndian.PutUint32(signature[:], rand.Uint32()|1)
	if _, err := d.WriteAt(signature[:], signatureOffset); err != nil {
		return err
	}
	return table.Write(d, size)
}

// prepMBR is the type of a PReP boot partition in an MBR.
const prepMBR mbr.Type = 0x41

// Table is a partition table that was found on a disk.
type Table struct {
	Label Label
	// BootCode tells that the first sector holds code for a BIOS.
	BootCode bool
	Entries  []Entry
}

// Entry is a partition in a table. Its number begins at 1; offset and size are in bytes.
type Entry struct {
	Number       int
	Offset, Size int64
	// Type is a GUID in a GPT, and a number such as 0x83 in an MBR.
	Type string
	// UUID is the PARTUUID that udev shows.
	UUID   string
	Active bool
}

// EFISystem tells that a firmware looks for boot loaders in the partition.
func (e Entry) EFISystem() bool {
	return e.Type == string(gpt.EFISystemPartition) || e.Type == mbrType(mbr.EFISystem)
}

// Entry finds the partition with a number.
func (t Table) Entry(number int) (Entry, bool) {
	for _, e := range t.Entries {
		if e.Number == number {
			return e, true
		}
	}
	return Entry{}, false
}

// HasBIOSBoot tells that a GPT has a place for the boot loader of a BIOS.
func (t Table) HasBIOSBoot() bool {
	return slices.ContainsFunc(t.Entries, func(e Entry) bool { return e.Type == string(gpt.BIOSBoot) })
}

func mbrType(t mbr.Type) string { return fmt.Sprintf("0x%02x", byte(t)) }

// ErrNoTable says that a disk has no partition table that can be read.
var ErrNoTable = errors.New("the disk has no partition table")

// Read finds the partition table of a disk of so many bytes. Of a disk with none, or one that makes no sense, it returns
// ErrNoTable. The disk may be anybody's: nothing in it is believed unseen.
func Read(r io.ReaderAt, size int64) (Table, error) {
	var head [sectorSize]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return Table{}, fmt.Errorf("reading the partition table: %w", err)
	}
	table := Table{BootCode: [bootCodeSize]byte(head[:bootCodeSize]) != [bootCodeSize]byte{}}
	d := &disk{Disk: readOnly{r}, size: size}
	if protective(head) {
		if err := checkGPT(d); err != nil {
			return Table{}, err
		}
		found, err := gpt.Read(d, sectorSize, sectorSize)
		if err != nil {
			return Table{}, fmt.Errorf("%w: %w", ErrNoTable, err)
		}
		table.Label = GPT
		for _, p := range found.Partitions {
			if p == nil || p.Type == gpt.Unused || p.End < p.Start || p.End >= uint64(size/sectorSize) {
				continue
			}
			table.Entries = append(table.Entries, Entry{Number: p.Index, Offset: int64(p.Start) * sectorSize,
				Size: int64(p.End-p.Start+1) * sectorSize, Type: string(p.Type), UUID: p.UUID()})
		}
		return table, nil
	}
	found, err := mbr.Read(d, sectorSize, sectorSize)
	if err != nil {
		return Table{}, fmt.Errorf("%w: %w", ErrNoTable, err)
	}
	table.Label = MBR
	for i, p := range found.Partitions {
		if p.Type == mbr.Empty || p.Size == 0 {
			continue
		}
		table.Entries = append(table.Entries, Entry{Number: i + 1, Offset: int64(p.Start) * sectorSize,
			Size: int64(p.Size) * sectorSize, Type: mbrType(p.Type), UUID: p.UUID(), Active: p.Bootable})
	}
	return table, nil
}

// protective tells that an MBR says that the disk has a GPT. Without it a backup GPT at the disk's end is one of former times.
func protective(head [sectorSize]byte) bool {
	for entry := 446; entry < 510; entry += 16 {
		if mbr.Type(head[entry+4]) == mbr.GPTProtective {
			return true
		}
	}
	return false
}

// checkGPT refuses headers that would make go-diskfs reserve memory without bounds.
func checkGPT(d *disk) error {
	const maxEntries, entrySize = 1024, 128
	for _, offset := range []int64{sectorSize, d.size - sectorSize} {
		var header [92]byte
		if _, err := d.ReadAt(header[:], offset); err != nil {
			return fmt.Errorf("reading the GPT: %w", err)
		}
		count, size := binary.LittleEndian.Uint32(header[80:]), binary.LittleEndian.Uint32(header[84:])
		if string(header[:8]) == "EFI PART" && (count > maxEntries || size != entrySize) {
			return fmt.Errorf("%w: the GPT has %d entries of %d bytes", ErrNoTable, count, size)
		}
	}
	return nil
}

// readOnly is a disk that is only read.
type readOnly struct{ io.ReaderAt }

func (readOnly) WriteAt([]byte, int64) (int, error) { return 0, fs.ErrPermission }

// disk is a Disk as go-diskfs wants it, with a place at which it is read.
type disk struct {
	Disk
	size, at int64
}

var _ backend.WritableFile = (*disk)(nil)

func (d *disk) Read(p []byte) (int, error) {
	if d.at >= d.size {
		return 0, io.EOF
	}
	n, err := d.ReadAt(p[:min(int64(len(p)), d.size-d.at)], d.at)
	d.at += int64(n)
	return n, err
}

func (d *disk) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += d.at
	case io.SeekEnd:
		offset += d.size
	}
	if offset < 0 {
		return 0, fs.ErrInvalid
	}
	d.at = offset
	return offset, nil
}

func (d *disk) Stat() (fs.FileInfo, error) { return nil, fs.ErrInvalid }
func (d *disk) Close() error               { return nil }
