package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers/partition"
)

// bootable tells what a firmware in a mode would miss on the disk: a UEFI firmware wants a boot loader in an EFI system
// partition, a BIOS code in the first sector. One that does UEFI boots a disk with an MBR and no such partition as a BIOS
// does.
func (d disk) bootable(ctx context.Context, mode string) error {
	table, err := d.table()
	if err != nil {
		return err
	}
	systems := slices.DeleteFunc(slices.Clone(table.Entries), func(e partition.Entry) bool { return !e.EFISystem() })
	if mode != ModeUEFI || table.Label == partition.MBR && len(systems) == 0 {
		if !table.BootCode {
			return errors.New("the disk has no boot code")
		}
		return nil
	}
	for _, e := range systems {
		if d.hasLoader(ctx, e) {
			return nil
		}
	}
	if len(systems) == 0 {
		return errors.New("the disk has no EFI system partition")
	}
	return errors.New("the EFI system partition has no boot loader")
}

// table is the partition table on the disk.
func (d disk) table() (partition.Table, error) {
	f, err := os.Open(d.path)
	if err != nil {
		return partition.Table{}, fmt.Errorf("opening the disk: %w", err)
	}
	table, err := partition.Read(f, d.size)
	return table, errors.Join(err, f.Close())
}

// loaderFile matches the places of boot loaders: the one that every firmware tries, and those of vendors, of which
// install_bootloader tells it.
var loaderFile = regexp.MustCompile(`(?im)^::/EFI/[^/]+/.+\.EFI$`)

func (d disk) hasLoader(ctx context.Context, e partition.Entry) bool {
	listed, err := mtools(ctx, "mdir", d, e, nil, "-/", "-b", "::")
	return err == nil && loaderFile.Match(listed)
}

// loaderPath is where every UEFI firmware of this architecture looks for a boot loader.
const loaderPath = "::/EFI/BOOT/BOOTX64.EFI"

// putLoader makes an EFI system partition boot the system with a root.
func (d disk) putLoader(ctx context.Context, e partition.Entry, root string) error {
	for _, folder := range []string{"::/EFI", "::/EFI/BOOT"} {
		// One that is there already is skipped.
		if _, err := mtools(ctx, "mmd", d, e, nil, "-D", "s", folder); err != nil && !d.hasFolder(ctx, e, folder) {
			return err
		}
	}
	_, err := mtools(ctx, "mcopy", d, e, []byte("loads root=UUID="+root+"\n"), "-o", "-", loaderPath)
	return err
}

func (d disk) hasFolder(ctx context.Context, e partition.Entry, folder string) bool {
	_, err := mtools(ctx, "mdir", d, e, nil, "-b", folder)
	return err == nil
}

// mtools runs a program of the package mtools on a FAT file system of the disk.
func mtools(ctx context.Context, program string, d disk, e partition.Entry, input []byte, arguments ...string) ([]byte, error) {
	image := fmt.Sprintf("%s@@%d", d.path, e.Offset)
	command := exec.CommandContext(ctx, program, append([]string{"-i", image}, arguments...)...)
	command.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1")
	command.Stdin = bytes.NewReader(input)
	var output, trouble bytes.Buffer
	command.Stdout, command.Stderr = &output, &trouble
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(trouble.String()))
	}
	return output.Bytes(), nil
}

// bootCode stands for the first stage of GRUB.
const bootCode = "\xeb\x63\x90 GRUB of the room"

// putBootCode makes a BIOS start what is on the disk.
func (d disk) putBootCode() error {
	return d.change(func(f *os.File) error {
		_, err := f.WriteAt([]byte(bootCode), 0)
		return err
	})
}
