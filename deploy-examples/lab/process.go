package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// marker is the environment variable that every process of a lab carries, with the lab's folder as its value.
const marker = "IRONMASTER_LAB"

const (
	pollInterval = 40 * time.Millisecond
	// readyTimeout is generous because several labs may start at once on a small machine.
	readyTimeout = 120 * time.Second
	stopTimeout  = 20 * time.Second
	maxLine      = 400
)

// Command says how to run a service.
type Command struct {
	// Name is the name of the log and pid files, unique within the lab.
	Name string
	Path string
	Args []string
	// Env is the whole environment apart from the lab's marker; nil means that of this program, without what would
	// configure OpenStack's or Python's programs.
	Env []string
	// Output takes standard output and standard error instead of the log file, when it is given.
	Output *os.File
	// Ready is asked again and again until it returns nil. Nil means ready at once.
	Ready func(context.Context) error
	// StopSignal asks for an orderly end, SIGTERM when zero. KillSignal ends at once, SIGKILL when zero.
	StopSignal, KillSignal syscall.Signal

	credential *syscall.Credential
	detached   bool
}

// Service is a command run by a lab. It can be stopped or killed and started again, as tests of outages want it.
type Service struct {
	command Command
	dir     string
	life    context.Context

	mu  sync.Mutex
	run *run
}

// run is one life of a service: a process group whose leader is a child of this program.
type run struct {
	pid  int
	done chan struct{}
	err  error // how the leader ended; read after done is closed
}

// StartService runs a command with its log and pid file in dir, and returns once it is ready. The service ends when ctx
// is cancelled.
func StartService(ctx context.Context, dir string, command Command) (*Service, error) {
	s := &Service{command: command, dir: dir, life: ctx}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// LogFile is the path of the file that takes standard output and standard error of every life of the service.
func (s *Service) LogFile() string { return filepath.Join(s.dir, s.command.Name+".log") }

// Start runs the service, which must not be running, and returns once it is ready.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil {
		select {
		case <-s.run.done:
		default:
			return fmt.Errorf("starting %s: it runs already as process %d", s.command.Name, s.run.pid)
		}
	}
	r, err := s.launch()
	if err != nil {
		return fmt.Errorf("starting %s: %w", s.command.Name, err)
	}
	s.run = r
	if err := s.await(ctx, r); err != nil {
		s.end(r, s.command.KillSignal)
		return fmt.Errorf("starting %s: %w\n%s", s.command.Name, err, tail(s.LogFile(), 25))
	}
	return nil
}

// Stop asks the service to end in order, and kills it when it does not.
func (s *Service) Stop() error { return s.finish(syscall.SIGTERM, s.command.StopSignal) }

// Kill ends the service without giving it time to tidy up.
func (s *Service) Kill() error { return s.finish(syscall.SIGKILL, s.command.KillSignal) }

func (s *Service) finish(fallback, signal syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return nil
	}
	if signal == 0 {
		signal = fallback
	}
	return s.end(s.run, signal)
}

// PID is the process id of the service, and of its process group; 0 when it does not run.
func (s *Service) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return 0
	}
	select {
	case <-s.run.done:
		return 0
	default:
		return s.run.pid
	}
}

// Wait blocks until the service ends by itself or is ended, and returns how.
func (s *Service) Wait() error {
	s.mu.Lock()
	r := s.run
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	<-r.done
	return r.err
}

func (s *Service) launch() (*run, error) {
	out := s.command.Output
	if out == nil {
		log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		defer log.Close()
		out = log
	}
	cmd := exec.Command(s.command.Path, s.command.Args...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = s.command.Env
	if cmd.Env == nil {
		cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
			return strings.HasPrefix(variable, "OS_") || strings.HasPrefix(variable, "PYTHON")
		})
	}
	cmd.Env = append(cmd.Env, marker+"="+s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.command.credential}
	if !s.command.detached {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	r := &run{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The parent-death signal is sent when the thread that forked goes away, so this goroutine keeps its thread
		// for as long as the process lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			close(r.done)
			started <- err
			return
		}
		r.pid = cmd.Process.Pid
		started <- nil
		defer close(r.done)
		awaitExit(r.pid)
		// The dead leader is not reaped yet, so its number still names this group and no other.
		killGroup(r.pid)
		r.err = cmd.Wait()
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	go func() {
		select {
		case <-s.life.Done():
			if !s.command.detached {
				_ = s.end(r, s.command.KillSignal)
			}
		case <-r.done:
		}
	}()
	pidFile := filepath.Join(s.dir, s.command.Name+".pid")
	return r, os.WriteFile(pidFile, []byte(strconv.Itoa(r.pid)+"\n"), 0o644)
}

// await polls until the service is ready, and gives up when it ends, the context does, or after readyTimeout.
func (s *Service) await(ctx context.Context, r *run) error {
	if s.command.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		err := s.command.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-r.done:
			return fmt.Errorf("it ended before it was ready (%v): %w", r.err, err)
		case <-s.life.Done():
			return context.Cause(s.life)
		case <-ctx.Done():
			return fmt.Errorf("it was not ready in time: %w", err)
		case <-time.After(pollInterval):
		}
	}
}

func (s *Service) end(r *run, signal syscall.Signal) error {
	if signal == 0 {
		signal = syscall.SIGKILL
	}
	select {
	case <-r.done:
		return nil
	default:
	}
	// A signal for an orderly end goes to the leader alone, which tells its children; the rest of the group is
	// killed after the leader.
	target := r.pid
	if signal == syscall.SIGKILL {
		target = -r.pid
	}
	if err := syscall.Kill(target, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("ending %s: %w", s.command.Name, err)
	}
	select {
	case <-r.done:
		return nil
	case <-time.After(stopTimeout):
	}
	if err := syscall.Kill(-r.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing %s: %w", s.command.Name, err)
	}
	<-r.done
	return nil
}

// awaitExit blocks until the child has ended, and leaves it to be reaped.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// killGroup ends what is left of a process group and returns when no member runs any more.
func killGroup(pgid int) {
	for groupAlive(pgid) {
		if syscall.Kill(-pgid, syscall.SIGKILL) != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// groupAlive tells whether a process of the group runs. Zombies do not count: who reaps them is not up to this program.
func groupAlive(pgid int) bool {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return false
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		// "pid (command) state ppid pgrp ...", where the command may hold spaces and parentheses.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 2 && fields[2] == strconv.Itoa(pgid) && fields[0] != "Z" && fields[0] != "X" {
			return true
		}
	}
	return false
}

// runOnce executes a command to its end, within the lab's environment, and puts its output into the error when it fails.
func runOnce(ctx context.Context, dir string, command Command) error {
	cmd := exec.CommandContext(ctx, command.Path, command.Args...)
	cmd.Dir = dir
	cmd.Env = append(command.Env, marker+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: command.credential}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", command.Name, err, lastLines(output, 25))
	}
	return nil
}

// cleanEnv is the environment of Debian's services: nothing of the caller's reaches them. Oslo.config would read
// variables named OS_GROUP__OPTION, and Python its own.
func cleanEnv(dir string, more ...string) []string {
	return append([]string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8",
		"HOME=" + dir,
		"TMPDIR=" + os.TempDir(),
	}, more...)
}

func tail(file string, lines int) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return lastLines(content, lines)
}

func lastLines(content []byte, lines int) string {
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	all = all[max(0, len(all)-lines):]
	for i, line := range all {
		// Services at debug level print lines of several thousand characters.
		if len(line) > maxLine {
			all[i] = line[:maxLine] + " ..."
		}
	}
	return strings.Join(all, "\n")
}
