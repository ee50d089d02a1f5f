// Package qemu puts virtual machines behind the BMCs of a room: QEMU processes with a firmware, a disk, a virtual CD drive, a
// network and a serial console, told what to do over QMP. What they boot is real.
package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// The ways in which QEMU can run a machine.
const (
	// KVM needs a /dev/kvm that carries guests.
	KVM = "kvm"
	// TCG is emulation. It works everywhere and takes its time.
	TCG = "tcg"
)

// Config says what the machines of a room have in common.
type Config struct {
	// Dir holds a folder for each machine: its console, what QEMU had to say, its UEFI variables and what is in its CD drive.
	Dir string
	// Accel is KVM or TCG.
	Accel string
	// Bridge is the network bridge that the machines are plugged into, which takes the right to make network devices. When
	// empty each machine is alone with QEMU's user network: it reaches the host, the host does not reach it.
	Bridge string
	Log    zerolog.Logger
}

// Machine is one virtual machine; it is a room.Computer.
type Machine struct {
	cfg  Config
	info room.Info
	dir  string

	mu sync.Mutex
	// medium is the file in the CD drive, empty when there is none.
	medium string
	// count gives each medium another name: QEMU may still have the one before open.
	count int
	// running is the last process; it may have ended.
	running *process
}

// New prepares a machine without power.
func New(cfg Config, info room.Info) (*Machine, error) {
	if cfg.Accel != KVM && cfg.Accel != TCG {
		return nil, fmt.Errorf("QEMU runs machines with %s or %s, not with %q", KVM, TCG, cfg.Accel)
	}
	if _, err := exec.LookPath(program); err != nil {
		return nil, fmt.Errorf("%w: install qemu-system-x86, and ovmf for UEFI", err)
	}
	// QEMU tells the network script no folder to look at names from.
	dir, err := filepath.Abs(filepath.Join(cfg.Dir, info.Name))
	if err != nil {
		return nil, fmt.Errorf("finding the folder of %s: %w", info.Name, err)
	}
	m := &Machine{cfg: cfg, info: info, dir: dir}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, fmt.Errorf("preparing the folder of %s: %w", info.Name, err)
	}
	if cfg.Bridge != "" {
		if err := os.WriteFile(m.plug(), []byte(plugScript(cfg.Bridge)), 0o700); err != nil {
			return nil, fmt.Errorf("preparing the network of %s: %w", info.Name, err)
		}
	}
	return m, nil
}

// console is the file that takes what the machine writes to its first serial port, of all its boots.
func (m *Machine) console() string { return filepath.Join(m.dir, "console.log") }

// messages is the file that takes what QEMU itself has to say.
func (m *Machine) messages() string { return filepath.Join(m.dir, "qemu.log") }

// variables is the file with the machine's UEFI variables.
func (m *Machine) variables() string { return filepath.Join(m.dir, "uefi-variables.fd") }

// plug is the script that QEMU runs with the name of a network device that it made.
func (m *Machine) plug() string { return filepath.Join(m.dir, "plug") }

func plugScript(bridge string) string {
	return "#!/bin/sh\nexec ip link set dev \"$1\" up master '" + bridge + "'\n"
}

// PowerOn starts QEMU.
func (m *Machine) PowerOn(ctx context.Context, plan room.BootPlan) (room.Running, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, err := m.start(ctx, plan)
	if err != nil {
		return nil, fmt.Errorf("starting QEMU for %s: %w", m.info.Name, err)
	}
	m.running = p
	return p, nil
}

// Insert downloads an image and puts it into the CD drive, or empties the drive.
func (m *Machine) Insert(ctx context.Context, _, url string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.medium
	medium := ""
	if url != "" {
		m.count++
		medium = filepath.Join(m.dir, fmt.Sprintf("cd-%d.iso", m.count))
		if err := download(ctx, url, medium); err != nil {
			return errors.Join(fmt.Errorf("downloading the image: %w", err), remove(medium))
		}
	}
	if m.running != nil && !m.running.ended() {
		if err := m.running.insert(ctx, medium); err != nil {
			return errors.Join(fmt.Errorf("changing the CD drive of the running machine: %w", err), remove(medium))
		}
	}
	m.medium = medium
	return remove(before)
}

func download(ctx context.Context, url, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(room.Download(ctx, url, file), file.Close())
}

// remove deletes a file that is not needed any more; an empty name is none.
func remove(path string) error {
	if path == "" {
		return nil
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
