package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// QemuImg runs qemu-img under a limit of memory. What it runs ends with the worker, however that ends.
type QemuImg struct {
	program, prlimit string
	memory           int64 // bytes
}

// NewQemuImg takes the programs and the limit from the configuration of conversions.
func NewQemuImg(cfg ConvertConfig) QemuImg {
	return QemuImg{program: cfg.QemuImg, prlimit: cfg.Prlimit, memory: cfg.MemoryLimit}
}

// QemuImgRun is one run of qemu-img.
type QemuImgRun struct {
	Arguments []string
	// Limits are further options of prlimit.
	Limits []string
	// OnPercent is told how far a run with -p is. It may be nil, and must not block.
	OnPercent func(float64)
	// Stall ends a run that moves no bytes for so long, StallAtEnd one that has come to 100 percent and flushes what it wrote.
	// 0 is no limit.
	Stall, StallAtEnd time.Duration
}

// Run executes qemu-img and returns what it printed, when OnPercent is nil. The error has what it complained of; that of a run
// which was cut short is the cause of the end of ctx.
//
// It locks its thread because the kernel's parent-death signal is tied to the thread that started a child: if this worker is
// killed, the qemu-img that it started ends too.
func (q QemuImg) Run(ctx context.Context, r QemuImgRun) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	args := append([]string{"--as=" + strconv.FormatInt(q.memory, 10)}, r.Limits...)
	args = append(append(args, "--", q.program), r.Arguments...)
	cmd := exec.CommandContext(ctx, q.prlimit, args...)
	// Each malloc arena counts against the address space; ironic found three to be enough.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "MALLOC_ARENA_MAX=3")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var output, complaint bytes.Buffer
	percents := &percentParser{onPercent: r.OnPercent}
	cmd.Stdout, cmd.Stderr = &limitedWriter{w: &output, left: 1 << 20}, &limitedWriter{w: &complaint, left: 4096}
	if r.OnPercent != nil {
		cmd.Stdout = percents
	}
	err := cmd.Start()
	if err == nil {
		if r.Stall > 0 {
			watcher := watchStall(cmd.Process.Pid, r, percents, cancel)
			defer watcher.stop()
		}
		err = cmd.Wait()
	}
	switch {
	case err == nil:
		return output.Bytes(), nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%w (install qemu-utils and util-linux)", err)
	}
	if text := strings.TrimSpace(complaint.String()); text != "" {
		return output.Bytes(), fmt.Errorf("%s (%w)", text, err)
	}
	return output.Bytes(), fmt.Errorf("qemu-img: %w", err)
}

// percentParser reads the "(12.34/100%)\r" that qemu-img -p prints.
type percentParser struct {
	onPercent func(float64)
	line      []byte
	done      atomic.Bool // it has come to 100 percent
}

func (p *percentParser) Write(b []byte) (int, error) {
	for _, c := range b {
		if c != '\r' && c != '\n' {
			if len(p.line) < 64 {
				p.line = append(p.line, c)
			}
			continue
		}
		text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(string(p.line)), "("), "/100%)")
		if percent, err := strconv.ParseFloat(text, 64); err == nil {
			p.done.Store(percent >= 100)
			p.onPercent(percent)
		}
		p.line = p.line[:0]
	}
	return len(b), nil
}

// stallWatch ends a run that moves no bytes.
type stallWatch struct {
	quit chan struct{}
	over chan struct{}
}

func (w stallWatch) stop() {
	close(w.quit)
	<-w.over
}

const (
	// idleChatter is what a run may send while nothing moves, in bytes: an iSCSI initiator asks every five seconds whether
	// its target is there.
	idleChatter = 16 << 10
	// stallLooks is how often a run is looked at within its limit.
	stallLooks = 20
)

// watchStall looks at what the kernel counts of the process: the bytes that it has read and written so far.
func watchStall(pid int, r QemuImgRun, percents *percentParser, cancel context.CancelCauseFunc) stallWatch {
	w := stallWatch{make(chan struct{}), make(chan struct{})}
	go func() {
		defer close(w.over)
		ticker := time.NewTicker(r.Stall / stallLooks)
		defer ticker.Stop()
		moved, since := movedBytes(pid), time.Now()
		for {
			select {
			case <-w.quit:
				return
			case <-ticker.C:
			}
			limit := r.Stall
			if percents.done.Load() {
				limit = r.StallAtEnd
			}
			if now := movedBytes(pid); now > moved+idleChatter {
				moved, since = now, time.Now()
			} else if time.Since(since) > limit {
				cancel(fmt.Errorf("no bytes moved for %s", limit))
				return
			}
		}
	}()
	return w
}

// movedBytes is what a process has written to files and sockets, and read, by the kernel's count; 0 for one that is gone.
func movedBytes(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/io")
	if err != nil {
		return 0
	}
	var sum int64
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && (key == "rchar" || key == "wchar") {
			sum += n
		}
	}
	return sum
}

// limitedWriter keeps the first bytes and swallows the rest.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(b []byte) (int, error) {
	keep := b[:min(len(b), l.left)]
	l.left -= len(keep)
	if _, err := l.w.Write(keep); err != nil {
		return 0, err
	}
	return len(b), nil
}
