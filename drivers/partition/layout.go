// Package partition knows how a disk is divided for a partition image: which partitions there are, where they lie, the
// table that says so, and the file systems in them. It is used where a disk is partitioned by this program: by the deploy
// interface iscsi, and by the agents of a room.
package partition

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// Label is a kind of partition table, spelled as the capability disk_label.
type Label string

// The partition tables that disk_label can ask for.
const (
	GPT Label = "gpt"
	MBR Label = "msdos"
)

// Role says what a partition is for, in the words of ironic-python-agent.
type Role string

// The roles of partitions, in their order on a disk.
const (
	ESP         Role = "efi system partition"
	BIOSBoot    Role = "BIOS Boot partition"
	PReP        Role = "PReP Boot partition"
	Ephemeral   Role = "ephemeral"
	Swap        Role = "swap"
	ConfigDrive Role = "configdrive"
	Root        Role = "root"
)

// MiB is the unit of all sizes that ironic gives to partitions.
const MiB = 1 << 20

const (
	sectorSize = 512
	// lead is left free before the first partition, for the table and a boot loader's first stages.
	lead = 1 * MiB
	// DefaultESP is the size of an EFI system partition in MiB ([disk_utils]efi_system_partition_size of the agent).
	DefaultESP = 550
	// Sizes in MiB that nobody chooses.
	biosBootSize, prepSize = 1, 8
	// maxMBRParts and maxMBRSectors are what an MBR can say without logical partitions.
	maxMBRParts, maxMBRSectors = 4, math.MaxUint32
)

// Wish is what a disk is to hold. Sizes are in MiB; a partition of size 0 is not made.
type Wish struct {
	// Label is empty for the one that goes with the boot mode.
	Label Label
	// BootMode is store.BootModeUEFI or store.BootModeBIOS.
	BootMode string
	// Arch is the node's cpu_arch; ppc64 machines boot from a PReP partition.
	Arch string
	// ESP is 0 for DefaultESP.
	ESP                                int64
	Root, Swap, Ephemeral, ConfigDrive int64
}

// Layout is a partitioned disk. The root partition is the last one, so that the instance can let it grow.
type Layout struct {
	Label Label
	Parts []Part
}

// Part is a partition. Its number begins at 1; offset and size are in bytes.
type Part struct {
	Number       int
	Role         Role
	Offset, Size int64
	// Active marks the partition that the boot code of an MBR looks for.
	Active bool
}

// Plan lays the partitions out one after the other, each at a whole MiB, as ironic-python-agent does. It refuses with
// InvalidParameterValue what the table cannot hold.
func Plan(w Wish) (Layout, error) {
	l := Layout{Label: w.label()}
	end := int64(lead)
	for _, p := range w.parts(l.Label) {
		if p.Size == 0 {
			continue
		}
		if p.Size < 0 || p.Size > (math.MaxInt64-end)/MiB {
			return Layout{}, store.Errorf(store.InvalidParameterValue, "A %s partition of %d MiB cannot be made", p.Role, p.Size)
		}
		p.Number, p.Offset, p.Size = len(l.Parts)+1, end, p.Size*MiB
		end += p.Size
		l.Parts = append(l.Parts, p)
	}
	return l, l.check()
}

func (w Wish) label() Label {
	if w.Label == "" && w.BootMode == store.BootModeUEFI {
		return GPT
	}
	return cmp.Or(w.Label, MBR)
}

// parts lists the partitions with their sizes in MiB.
func (w Wish) parts(label Label) []Part {
	var boot Part
	bios := w.BootMode != store.BootModeUEFI
	power := strings.HasPrefix(w.Arch, "ppc64")
	switch {
	case !bios:
		boot = Part{Role: ESP, Size: cmp.Or(w.ESP, DefaultESP), Active: label == MBR}
	case power:
		boot = Part{Role: PReP, Size: prepSize, Active: label == MBR}
	case label == GPT:
		boot = Part{Role: BIOSBoot, Size: biosBootSize}
	}
	return []Part{boot, {Role: Ephemeral, Size: w.Ephemeral}, {Role: Swap, Size: w.Swap},
		{Role: ConfigDrive, Size: w.ConfigDrive}, {Role: Root, Size: w.Root, Active: bios && !power && label == MBR}}
}

func (l Layout) check() error {
	switch {
	case l.Label != GPT && l.Label != MBR:
		return store.Errorf(store.InvalidParameterValue, "The disk label %q is neither gpt nor msdos", string(l.Label))
	case l.Label == GPT:
		return nil
	case len(l.Parts) > maxMBRParts:
		return store.Errorf(store.InvalidParameterValue, "Too many primary partitions for the disk label msdos: %s", l)
	case l.end() > maxMBRSectors*sectorSize:
		return store.Errorf(store.InvalidParameterValue, "The disk label msdos ends at 2 TiB, which is too small for %s", l)
	}
	return nil
}

// String names the partitions and their sizes.
func (l Layout) String() string {
	var parts []string
	for _, p := range l.Parts {
		parts = append(parts, fmt.Sprintf("%s %d MiB", p.Role, p.Size/MiB))
	}
	return strings.Join(parts, ", ")
}

// Part finds the partition of a role.
func (l Layout) Part(role Role) (Part, bool) {
	for _, p := range l.Parts {
		if p.Role == role {
			return p, true
		}
	}
	return Part{}, false
}

func (l Layout) end() int64 {
	if len(l.Parts) == 0 {
		return lead
	}
	last := l.Parts[len(l.Parts)-1]
	return last.Offset + last.Size
}

// Fits refuses a disk of so many bytes that is too small, with InstanceDeployFailure.
func (l Layout) Fits(disk int64) error {
	room := disk
	if l.Label == GPT {
		room -= backupGPT
	}
	if l.end() <= room {
		return nil
	}
	return store.Errorf(store.InstanceDeployFailure, "The disk of %d MiB is too small for %s", disk/MiB, l)
}
