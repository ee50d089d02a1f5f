package netboot

import (
	"bytes"
	"context"
	"fmt"
	"unicode/utf16"
)

// loaded is a program that the firmware has fetched.
type loaded struct {
	file    file
	content []byte
}

// Marks by which programs are known. Those of UEFI are PE images.
var (
	markPE       = []byte("MZ")
	markShim     = utf16Bytes("grubx64.efi")
	markGRUB     = []byte("Welcome to GRUB!")
	markPXELINUX = []byte("PXELINUX")
	markIPXE     = []byte("iPXE")
	// markPXEPrefix is in iPXE's images for BIOS, the rest of which is compressed.
	markPXEPrefix = []byte("PXE->EB:")
)

func utf16Bytes(text string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return b
}

// run starts a loader.
func (b *boot) run(ctx context.Context, l loaded) (Outcome, error) {
	has := func(mark []byte) bool { return bytes.Contains(l.content, mark) }
	if b.m.UEFI != bytes.HasPrefix(l.content, markPE) {
		return Outcome{}, fmt.Errorf("%s is not a program of the machine's firmware (UEFI: %t)", l.file, b.m.UEFI)
	}
	switch {
	case b.m.UEFI && has(markGRUB):
		return b.runGRUB(ctx, l.file)
	case b.m.UEFI && has(markShim):
		return b.runShim(ctx, l)
	case b.m.UEFI && has(markIPXE), !b.m.UEFI && (has(markPXEPrefix) || has(markIPXE)):
		return b.runIPXE(ctx, l.file)
	case !b.m.UEFI && has(markPXELINUX):
		return b.runPXELINUX(ctx, l.file)
	}
	return Outcome{}, fmt.Errorf("%s is none of shim, GRUB, iPXE and PXELINUX", l.file)
}

// runShim starts the second stage, which lies beside shim under a name that is built into it.
func (b *boot) runShim(ctx context.Context, shim loaded) (Outcome, error) {
	where, err := shim.file.beside("grubx64.efi")
	if err != nil {
		return Outcome{}, err
	}
	content, err := b.fetch.read(ctx, where, maxLoader)
	if err != nil {
		return Outcome{}, fmt.Errorf("shim cannot load %s: %w", where, err)
	}
	if !bytes.HasPrefix(content, markPE) || !bytes.Contains(content, markGRUB) {
		return Outcome{}, fmt.Errorf("%s is not GRUB", where)
	}
	return b.runGRUB(ctx, where)
}
