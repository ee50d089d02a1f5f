package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// startTimeout bounds the time until QEMU has opened its devices and answers.
const startTimeout = 30 * time.Second

// process is one QEMU: one time between power on and power off; it is a room.Running.
type process struct {
	m       *Machine
	kill    context.CancelFunc
	conn    net.Conn
	monitor *monitor
	// off is closed when the process has ended.
	off chan struct{}
}

// start runs QEMU, fills the CD drive and lets the machine go. Machine.mu is held.
func (m *Machine) start(ctx context.Context, plan room.BootPlan) (*process, error) {
	if err := m.prepare(plan); err != nil {
		return nil, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("making its control connection: %w", err)
	}
	life, kill := context.WithCancel(ctx)
	p := &process{m: m, kill: kill, conn: ours, off: make(chan struct{})}
	err = p.spawn(life, m.arguments(plan), theirs)
	if err = errors.Join(err, theirs.Close()); err == nil {
		if err = p.begin(ctx, plan); err != nil {
			err = fmt.Errorf("%w; QEMU's last words: %q", err, lastLine(m.messages()))
		}
	}
	if err != nil {
		p.Cut()
		return nil, err
	}
	return p, nil
}

// prepare gives the machine UEFI variables the first time that it needs them, and begins another part of its console.
func (m *Machine) prepare(plan room.BootPlan) error {
	if plan.Mode == room.ModeUEFI {
		_, err := os.Stat(m.variables())
		if errors.Is(err, fs.ErrNotExist) {
			var fresh []byte
			if fresh, err = os.ReadFile(newVariables); err == nil {
				err = os.WriteFile(m.variables(), fresh, 0o600)
			}
		}
		if err != nil {
			return fmt.Errorf("preparing UEFI variables: %w", err)
		}
	}
	console, err := os.OpenFile(m.console(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the console: %w", err)
	}
	_, err = fmt.Fprintf(console, "\r\n=== power on: %s boot from %s\r\n", plan.Mode, plan.Source)
	return errors.Join(err, console.Close())
}

// spawn starts the process, which ends with life and with this program.
func (p *process) spawn(life context.Context, args []string, control *os.File) error {
	messages, err := os.OpenFile(p.m.messages(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening QEMU's log: %w", err)
	}
	defer messages.Close()
	cmd := exec.CommandContext(life, program, args...)
	cmd.Stdout, cmd.Stderr = messages, messages
	cmd.ExtraFiles = []*os.File{control}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// The parent-death signal is sent when the thread that forked goes away, so this goroutine keeps its thread for as
		// long as the process lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.off)
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		if err := cmd.Wait(); err != nil && life.Err() == nil {
			p.m.cfg.Log.Error().Err(err).Str("machine", p.m.info.Name).Str("said", lastLine(p.m.messages())).Msg("QEMU failed")
		}
		p.kill()
	}()
	return <-started
}

// begin fills the CD drive and lets the processor run. From then on the firmware has its order, and what is changed of it
// holds for the next reset: QEMU composes the order anew at each.
func (p *process) begin(ctx context.Context, plan room.BootPlan) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var err error
	if p.monitor, err = openMonitor(ctx, p.conn); err != nil {
		return err
	}
	if p.m.medium != "" {
		if err := p.insert(ctx, p.m.medium); err != nil {
			return err
		}
	}
	if err := p.monitor.do(ctx, "cont", nil); err != nil {
		return err
	}
	next := bootIndexes(plan.Next)
	for device, index := range bootIndexes(plan.Source) {
		if next[device] == index {
			continue
		}
		if err := p.monitor.do(ctx, "qom-set", map[string]any{
			"path": "/machine/peripheral/" + device, "property": "bootindex", "value": next[device],
		}); err != nil {
			return err
		}
	}
	return nil
}

// insert changes what is in the CD drive; an empty file empties it, whatever the operating system is reading of it.
func (p *process) insert(ctx context.Context, file string) error {
	if file == "" {
		return p.monitor.do(ctx, "eject", map[string]any{"id": deviceCD, "force": true})
	}
	return p.monitor.do(ctx, "blockdev-change-medium", map[string]any{
		"id": deviceCD, "filename": file, "format": "raw", "read-only-mode": "read-only", "force": true,
	})
}

// Off is closed when the machine has no power: QEMU ends when the operating system switches it off.
func (p *process) Off() <-chan struct{} { return p.off }

func (p *process) ended() bool {
	select {
	case <-p.off:
		return true
	default:
		return false
	}
}

// Cut ends QEMU at once.
func (p *process) Cut() {
	p.kill()
	<-p.off
	// The other end is gone; nothing can be lost any more.
	_ = p.conn.Close()
}

// PressButton raises the power button's event of ACPI.
func (p *process) PressButton(ctx context.Context) error {
	return p.monitor.do(ctx, "system_powerdown", nil)
}

// Interrupt raises a non-maskable interrupt.
func (p *process) Interrupt(ctx context.Context) error {
	return p.monitor.do(ctx, "inject-nmi", nil)
}

// socketPair returns the two ends of a connection, the second to be handed to a child.
func socketPair() (net.Conn, *os.File, error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "monitor"), os.NewFile(uintptr(ends[1]), "monitor")
	conn, err := net.FileConn(ours)
	if err := errors.Join(err, ours.Close()); err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn, theirs, nil
}

// lastLine is where a program says why it ended.
func lastLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return strings.TrimSpace(string(text[bytes.LastIndexByte(text, '\n')+1:]))
}
