package qemu

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

const program = "qemu-system-x86_64"

// Debian's UEFI firmware, and how its variables look in a new machine.
const (
	firmware     = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	newVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// monitorFD is the descriptor of the control connection in QEMU: the first of exec.Cmd's ExtraFiles.
const monitorFD = 3

// The devices that the firmware boots from, as they are called in QEMU.
const (
	deviceDisk = "disk0"
	deviceCD   = "cd0"
	deviceNIC  = "nic0"
)

// bootIndexes is the order in which the firmware tries the devices, lowest first: what the plan says, then the disk, then the
// others, as machines do that nobody told anything.
func bootIndexes(source string) map[string]int {
	order := map[string]int{deviceDisk: 1, deviceCD: 2, deviceNIC: 3}
	switch source {
	case room.SourceCD:
		order[deviceCD] = 0
	case room.SourceNetwork, room.SourceHTTP:
		order[deviceNIC] = 0
	}
	return order
}

// arguments is QEMU's command line.
func (m *Machine) arguments(plan room.BootPlan) []string {
	index := bootIndexes(plan.Source)
	machine := "q35,accel=" + m.cfg.Accel
	args := []string{
		"-name", m.info.Name,
		// Wait for the monitor, which fills the CD drive first.
		"-S",
		"-nodefaults", "-no-user-config",
		"-display", "none", "-vga", "std",
		"-uuid", path.Base(m.info.SystemID),
		"-m", strconv.Itoa(m.info.MemoryMB),
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", monitorFD), "-mon", "chardev=monitor,mode=control",
		"-chardev", "file,id=console,append=on,path=" + escape(m.console()), "-serial", "chardev:console",
		"-device", "virtio-rng-pci",
		"-blockdev", file("disk", m.info.Disk) + ",cache.no-flush=on",
		"-device", fmt.Sprintf("virtio-blk-pci,id=%s,drive=disk,serial=%s,bootindex=%d", deviceDisk, m.info.Name, index[deviceDisk]),
		"-device", fmt.Sprintf("ide-cd,id=%s,bootindex=%d", deviceCD, index[deviceCD]),
	}
	args = append(args, m.processor()...)
	args = append(args, m.network(index[deviceNIC], plan.Mode)...)
	if plan.Mode == room.ModeUEFI {
		machine += ",pflash0=firmware,pflash1=variables"
		args = append(args, "-blockdev", file("firmware", firmware)+",read-only=on,file.read-only=on",
			"-blockdev", file("variables", m.variables()))
	}
	return append(args, "-machine", machine)
}

// processor is the host's own with KVM. Emulated it is one that has no cmpxchg16b and stands alone: QEMU 7.2 gets both wrong
// under Linux 6.12.
func (m *Machine) processor() []string {
	if m.cfg.Accel == KVM {
		return []string{"-cpu", "host", "-smp", "2"}
	}
	return []string{"-cpu", "Nehalem,-cx16", "-smp", "1"}
}

func (m *Machine) network(index int, mode string) []string {
	// With BIOS what boots from a network card is the card's ROM, which is iPXE in QEMU. UEFI boots from it by itself.
	rom := ""
	if mode == room.ModeUEFI {
		rom = ",romfile="
	}
	backend := "user,id=net0"
	if m.cfg.Bridge != "" {
		backend = "tap,id=net0,downscript=no,script=" + escape(m.plug())
	}
	return []string{
		"-netdev", backend,
		"-device", fmt.Sprintf("virtio-net-pci,id=%s,netdev=net0,mac=%s,bootindex=%d%s", deviceNIC, m.info.MACs[0], index, rom),
	}
}

// file describes a file that QEMU uses as a raw disk.
func file(name, path string) string {
	return "driver=raw,node-name=" + name + ",discard=unmap,file.driver=file,file.filename=" + escape(path)
}

// escape writes a value as QEMU's option parser reads it.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }
