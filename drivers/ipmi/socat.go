package ipmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
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

func (c *Console) pidFile(node string) string { return filepath.Join(c.cfg.PIDDir, node+".pid") }

// socatArguments are those that ironic gives socat: one user at a time, each with an ipmitool of his own.
func (c *Console) socatArguments(to target, run []string) ([]string, error) {
	var args []string
	if c.cfg.Idle > 0 {
		args = append(args, "-T"+strconv.Itoa(int(c.cfg.Idle.Seconds())))
	}
	args = append(args, "-L"+c.pidFile(to.node))
	address, err := netip.ParseAddr(c.cfg.Address)
	if err != nil {
		return nil, store.Errorf(store.ConsoleError, "[console]socat_address = %s is not an IP address", c.cfg.Address)
	}
	listen := fmt.Sprintf("TCP4-LISTEN:%d,bind=%s", to.terminalPort, address)
	if address.Is6() {
		listen = fmt.Sprintf("TCP6-LISTEN:%d,bind=[%s]", to.terminalPort, address)
	}
	return append(args, listen+",reuseaddr,fork,max-children=1", `EXEC:"`+escapeForSocat(strings.Join(run, " "))+`",pty,stderr`), nil
}

// escapeForSocat keeps socat from reading anything into a command line. It reads it twice, and takes one level of escaping away
// each time; spaces separate arguments. No shell is involved.
func escapeForSocat(command string) string {
	var b strings.Builder
	for _, r := range command {
		if strings.ContainsRune(`,:!'"()[]{}\`, r) {
			b.WriteString(`\\\`)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// start runs socat and waits until it listens. It is a group of processes of its own, so that it goes on without this worker and
// is ended with the ipmitool that it runs.
func (c *Console) start(ctx context.Context, t *drivers.Task, to target, run, env []string) error {
	if err := os.MkdirAll(c.cfg.PIDDir, 0o755); err != nil {
		return store.Errorf(store.ConsoleError, "Cannot create directory '%s' for console PID file. Reason: %s.", c.cfg.PIDDir, err)
	}
	args, err := c.socatArguments(to, run)
	if err != nil {
		return err
	}
	cmd := exec.Command("socat", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	problem := &clipped{limit: 4096}
	said, err := stderrFile(c.cfg.TempDir)
	if err != nil {
		return store.Errorf(store.ConsoleError, "starting a console: %s", err)
	}
	defer said.Close()
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return store.Errorf(store.ConsoleSubprocessFailed, "Console subprocess failed to start. %s\nCommand: socat %s", err,
			strings.Join(args, " "))
	}
	ended := make(chan error, 1)
	// It is waited for, for as long as this worker lives, so that it leaves no zombie.
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.StartTimeout)
	defer cancel()
	for {
		if running(c.pidFile(to.node)) == cmd.Process.Pid {
			return nil
		}
		select {
		case <-ended:
			_, _ = said.Seek(0, 0)
			_, _ = problem.ReadFrom(said)
			return store.Errorf(store.ConsoleSubprocessFailed, "Console subprocess failed to start. Command: socat %s.\nExit code: "+
				"%d.\nStderr: %s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), strings.TrimSpace(problem.String()))
		case <-time.After(min(c.cfg.CheckInterval, startPoll)):
		case <-ctx.Done():
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			return store.Errorf(store.ConsoleSubprocessFailed, "Console subprocess failed to start. Timeout while waiting for console "+
				"subprocess to start for node %s.", t.Node.UUID)
		}
	}
}

// startPoll is how often is looked whether socat listens; it mostly does at once.
const startPoll = 50 * time.Millisecond

// stderrFile is a nameless file for what socat says: it may say something for as long as it lives, when nobody reads a pipe.
func stderrFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "ironmaster-console-*")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// stop ends the socat that the node's pid file names, and removes the files. That there is none is no failure.
func (c *Console) stop(ctx context.Context, t *drivers.Task) error {
	path := c.pidFile(t.Node.UUID)
	defer func() {
		_ = os.Remove(path)
		_ = os.Remove(c.passwordFile(t.Node.UUID))
	}()
	pid := running(path)
	if pid == 0 {
		return nil
	}
	ending, cancel := context.WithTimeout(ctx, c.cfg.KillTimeout)
	defer cancel()
	for signal := syscall.SIGTERM; ; {
		if err := endGroup(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return store.Errorf(store.ConsoleError, "Could not stop the console for node '%s'. Reason: %s.", t.Node.UUID, err)
		}
		for running(path) == pid && ending.Err() == nil {
			_ = drivers.Pause(ending, startPoll)
		}
		if signal == syscall.SIGKILL || running(path) != pid {
			return ctx.Err()
		}
		signal = syscall.SIGKILL
	}
}

// endGroup signals a socat and what it runs; one that Python's conductor started leads no group.
func endGroup(pid int, signal syscall.Signal) error {
	if err := syscall.Kill(-pid, signal); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return syscall.Kill(pid, signal)
}

// running is the process that a pid file names, 0 when it is gone: another process may have its number by now.
func running(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return 0
	}
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.Contains(command, []byte("-L"+path)) {
		return 0
	}
	return pid
}
