// Package tgt runs Debian's iSCSI target daemon for the machines of a room. It needs no root and no kernel module: the daemon
// listens on an address of its own and serves files.
package tgt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	daemon = "/usr/sbin/tgtd"
	admin  = "/usr/sbin/tgtadm"
	// socket is the daemon's control socket in its folder. It is named relatively: absolute paths of sockets have a limit.
	socket = "control"
	// unit is the number of the logical unit that a target has.
	unit = "1"

	startLimit = 20 * time.Second
	adminLimit = 10 * time.Second
	poll       = 20 * time.Millisecond
)

// Daemon is a running tgtd.
type Daemon struct {
	dir string

	mu      sync.Mutex
	next    int
	targets map[string]int // target ids by name

	kill func() error
	over chan struct{} // closed when the process is gone
}

// Start runs a daemon that listens on an address and a port, and keeps its control socket and its log in a folder. It ends
// with Close, or with this process.
func Start(ctx context.Context, dir, portal string) (*Daemon, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a folder for tgtd: %w", err)
	}
	log, err := os.Create(filepath.Join(dir, "tgtd.log"))
	if err != nil {
		return nil, fmt.Errorf("making tgtd's log: %w", err)
	}
	defer log.Close()
	command := exec.Command(daemon, "-f", "-C", "0", "--iscsi", "portal="+portal)
	command.Dir, command.Env, command.Stdout, command.Stderr = dir, environment(), log, log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	d := &Daemon{dir: dir, next: 1, targets: map[string]int{}, over: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(d.over)
		// The death signal is tied to the thread that starts the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait() // it is killed
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting tgtd (Debian's package tgt): %w", err)
	}
	// tgtd takes no notice of SIGTERM while it has targets.
	d.kill = command.Process.Kill
	if err := d.await(ctx, portal, log.Name()); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func environment() []string { return append(os.Environ(), "TGT_IPC_SOCKET="+socket) }

// await returns when the daemon answers. One that cannot listen runs all the same, and only its log tells.
func (d *Daemon) await(ctx context.Context, portal, log string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		_, err := d.admin(ctx, "--op", "show", "--mode", "target")
		if err == nil {
			break
		}
		select {
		case <-d.over:
			return fmt.Errorf("tgtd ended: %s", tail(log))
		case <-ctx.Done():
			return fmt.Errorf("tgtd does not answer: %w: %s", err, tail(log))
		case <-time.After(poll):
		}
	}
	if text := tail(log); strings.Contains(text, "unable to bind") {
		return fmt.Errorf("tgtd cannot listen on %s: %s", portal, text)
	}
	return nil
}

func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-500):]))
}

// Export makes a file the logical unit 1 of a new target, for everybody.
func (d *Daemon) Export(ctx context.Context, name, file string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, taken := d.targets[name]; taken {
		return fmt.Errorf("the target %s exists", name)
	}
	id := d.next
	d.next++
	tid := strconv.Itoa(id)
	d.targets[name] = id
	for _, words := range [][]string{
		{"--op", "new", "--mode", "target", "--tid", tid, "--targetname", name},
		{"--op", "new", "--mode", "logicalunit", "--tid", tid, "--lun", unit, "--backing-store", file},
		// Zeros that are written with UNMAP become holes.
		{"--op", "update", "--mode", "logicalunit", "--tid", tid, "--lun", unit, "--params", "thin_provisioning=1"},
		{"--op", "bind", "--mode", "target", "--tid", tid, "--initiator-address", "ALL"},
	} {
		if _, err := d.admin(ctx, words...); err != nil {
			return errors.Join(err, d.withdraw(ctx, name))
		}
	}
	return nil
}

// Withdraw takes a target away, whoever uses it. When it returns nobody writes to the file through it any more.
func (d *Daemon) Withdraw(ctx context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.withdraw(ctx, name)
}

var connection = regexp.MustCompile(`(?s)Session: (\d+)\s+Connection: (\d+)`)

func (d *Daemon) withdraw(ctx context.Context, name string) error {
	id, ok := d.targets[name]
	if !ok {
		return nil
	}
	tid := strconv.Itoa(id)
	// Nobody comes back who is thrown out. A target that was never complete has nobody to unbind.
	_, _ = d.admin(ctx, "--op", "unbind", "--mode", "target", "--tid", tid, "--initiator-address", "ALL")
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	for {
		open, err := d.admin(ctx, "--op", "show", "--mode", "conn", "--tid", tid)
		for _, m := range connection.FindAllStringSubmatch(open, -1) {
			// It may have gone meanwhile.
			_, _ = d.admin(ctx, "--op", "delete", "--mode", "conn", "--tid", tid, "--sid", m[1], "--cid", m[2])
		}
		if err == nil {
			_, err = d.admin(ctx, "--op", "delete", "--mode", "target", "--tid", tid, "--force")
		}
		if err == nil || strings.Contains(err.Error(), "can't find the target") {
			delete(d.targets, name)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("taking away the target %s: %w", name, err)
		case <-d.over:
			return nil
		case <-time.After(poll):
		}
	}
}

// admin asks the daemon.
func (d *Daemon) admin(ctx context.Context, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	command := exec.CommandContext(ctx, admin, append([]string{"-C", "0", "--lld", "iscsi"}, words...)...)
	command.Dir, command.Env = d.dir, environment()
	var output, trouble bytes.Buffer
	command.Stdout, command.Stderr = &output, &trouble
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("tgtadm %s: %w: %s", strings.Join(words, " "), err, strings.TrimSpace(trouble.String()))
	}
	return output.String(), nil
}

// Close ends the daemon.
func (d *Daemon) Close() error {
	if err := d.kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending tgtd: %w", err)
	}
	<-d.over
	return nil
}
