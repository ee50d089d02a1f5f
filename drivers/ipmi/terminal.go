package ipmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// terminal is a program that brings a node's serial port to its users.
type terminal interface {
	// command is what is run to offer the node's port. run is the ipmitool that the program runs for its users; pidFile is where it
	// writes its number.
	command(to target, run []string, pidFile string) ([]string, error)
	// mark is the argument by which a process is known to be the one that a pid file belongs to.
	mark(pidFile string) string
	// failure is the text for a program that has ended, or that is not there in time, when ended is nil.
	failure(node string, command []string, ended *os.ProcessState, said string) string
	// access is how users reach a port; address is where it has to be free, "" for everywhere.
	access(port int) drivers.ConsoleAccess
	address() string
	// deactivates tells that the session on the BMC is ended with the console.
	deactivates() bool
}

func (c *Console) pidFile(node string) string { return filepath.Join(c.cfg.PIDDir, node+".pid") }

// start runs the terminal and waits until it is there. It is a group of processes of its own, so that it goes on without this
// worker and is ended with the ipmitool that it runs.
func (c *Console) start(ctx context.Context, t *drivers.Task, to target, run, env []string) error {
	if err := os.MkdirAll(c.cfg.PIDDir, 0o755); err != nil {
		return store.Errorf(store.ConsoleError, "Cannot create directory '%s' for console PID file. Reason: %s.", c.cfg.PIDDir, err)
	}
	command, err := c.terminal.command(to, run, c.pidFile(to.node))
	if err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said, err := stderrFile(c.cfg.TempDir)
	if err != nil {
		return store.Errorf(store.ConsoleError, "starting a console: %s", err)
	}
	defer said.Close()
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return notStarted(fmt.Sprintf("%s\nCommand: %s", err, strings.Join(command, " ")))
	}
	ended := make(chan error, 1)
	// It is waited for, for as long as this worker lives, so that it leaves no zombie.
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.StartTimeout)
	defer cancel()
	for {
		if c.running(c.pidFile(to.node)) != 0 {
			return nil
		}
		select {
		case err := <-ended:
			if err != nil {
				_, _ = said.Seek(0, 0)
				problem := &clipped{limit: 4096}
				_, _ = problem.ReadFrom(said)
				return notStarted(c.terminal.failure(t.Node.UUID, command, cmd.ProcessState, strings.TrimSpace(problem.String())))
			}
			ended = nil // it goes on in the background, and will have written its number
		case <-time.After(min(c.cfg.CheckInterval, startPoll)):
		case <-ctx.Done():
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			return notStarted(c.terminal.failure(t.Node.UUID, command, nil, ""))
		}
	}
}

func notStarted(text string) error {
	return store.Errorf(store.ConsoleSubprocessFailed, "Console subprocess failed to start. %s", text)
}

// startPoll is how often is looked whether a program is there; it mostly is at once.
const startPoll = 50 * time.Millisecond

// stderrFile is a nameless file for what a program says: it may say something for as long as it lives, when nobody reads a pipe.
func stderrFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "ironmaster-console-*")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// stop ends the program that the node's pid file names, and removes the files. That there is none is no failure.
func (c *Console) stop(ctx context.Context, t *drivers.Task) error {
	path := c.pidFile(t.Node.UUID)
	defer func() {
		_ = os.Remove(path)
		_ = os.Remove(c.passwordFile(t.Node.UUID))
	}()
	pid := c.running(path)
	if pid == 0 {
		return nil
	}
	ending, cancel := context.WithTimeout(ctx, c.cfg.KillTimeout)
	defer cancel()
	for signal := syscall.SIGTERM; ; {
		if err := endGroup(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return store.Errorf(store.ConsoleError, "Could not stop the console for node '%s'. Reason: %s.", t.Node.UUID, err)
		}
		for c.running(path) == pid && ending.Err() == nil {
			_ = drivers.Pause(ending, startPoll)
		}
		if signal == syscall.SIGKILL || c.running(path) != pid {
			return ctx.Err()
		}
		signal = syscall.SIGKILL
	}
}

// endGroup signals a program and what it runs; one that Python's conductor started leads no group.
func endGroup(pid int, signal syscall.Signal) error {
	if err := syscall.Kill(-pid, signal); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return syscall.Kill(pid, signal)
}

// running is the process that a pid file names, 0 when it is gone: another process may have its number by now.
func (c *Console) running(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return 0
	}
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.Contains(command, []byte(c.terminal.mark(path))) {
		return 0
	}
	return pid
}
