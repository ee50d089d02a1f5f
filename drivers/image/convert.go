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
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// qemuNames are the formats that can be converted, by qemu-img's names.
var qemuNames = map[Format]string{
	FormatQCOW2: "qcow2", FormatVMDK: "vmdk", FormatVHD: "vpc", FormatVHDX: "vhdx", FormatVDI: "vdi",
}

// converter runs qemu-img under limits.
type converter struct {
	cfg ConvertConfig
	log zerolog.Logger
	// available tells the memory that is free, in bytes.
	available func() (int64, error)
}

func newConverter(cfg ConvertConfig, log zerolog.Logger) *converter {
	return &converter{cfg: cfg, log: log, available: availableMemory}
}

// toRaw writes the disk inside the image file from to the new sparse file to. in must be what Inspect
// found: qemu-img is told it and never guesses. A conversion that fails, or whose result looks like yet another image,
// is ImageConvertFailed and leaves no file.
func (c *converter) toRaw(ctx context.Context, href, from string, in Inspection, to string, progress *Progress) (err error) {
	name, ok := qemuNames[in.Format]
	if !ok {
		return convertFailed(href, fmt.Errorf("the format %s cannot be converted to raw", in.Format))
	}
	if err := c.waitForMemory(ctx); err != nil {
		return err
	}
	progress.Begin(PhaseConvert, in.VirtualSize)
	defer func() {
		if err != nil {
			os.Remove(to)
		}
	}()
	for attempt := 1; ; attempt++ {
		err = c.run(ctx, name, in.VirtualSize, from, to, progress)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if attempt >= c.cfg.Attempts || !lacksMemory(err) {
			return convertFailed(href, err)
		}
		c.log.Warn().Err(err).Int("attempt", attempt).Msg("qemu-img lacked memory, trying again")
		if c.cfg.SyncBetweenTries {
			syscall.Sync()
		}
	}
	return checkConverted(href, to)
}

// checkConverted makes sure that the result is a raw disk: an image hidden in an image would be opened by the next
// program that guesses formats.
func checkConverted(href, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return convertFailed(href, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return convertFailed(href, err)
	}
	in, err := Inspect(file, info.Size())
	if err != nil {
		return convertFailed(href, err)
	}
	if in.Format != FormatRaw && in.Format != FormatISO {
		return convertFailed(href, store.Errorf(store.ImageConvertFailed, "Converted to raw, but format is now %s", in.Format))
	}
	return nil
}

func convertFailed(href string, cause error) error {
	return store.Errorf(store.ImageConvertFailed, "Image %s is unacceptable: %w", Redact(href), cause)
}

func lacksMemory(err error) bool {
	text := err.Error()
	return strings.Contains(text, "Resource temporarily unavailable") || strings.Contains(text, "Cannot allocate memory")
}

// run executes qemu-img once. It locks its thread because the kernel's parent-death signal is tied to the thread that
// started a child: if this worker is killed, the qemu-img that it started ends too.
func (c *converter) run(ctx context.Context, format string, size int64, from, to string, progress *Progress) error {
	if c.cfg.TimeLimit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.cfg.TimeLimit,
			fmt.Errorf("qemu-img did not finish within %s", c.cfg.TimeLimit))
		defer cancel()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	args := []string{"--as=" + strconv.FormatInt(c.cfg.MemoryLimit, 10)}
	if c.cfg.CPULimit > 0 {
		args = append(args, "--cpu="+strconv.FormatInt(int64(c.cfg.CPULimit/time.Second), 10))
	}
	if size > 0 {
		args = append(args, "--fsize="+strconv.FormatInt(size+MiB, 10))
	}
	args = append(args, "--", c.cfg.QemuImg, "convert", "-p", "-f", format, "-O", "raw", from, to)
	cmd := exec.CommandContext(ctx, c.cfg.Prlimit, args...)
	// Each malloc arena counts against the address space; ironic found three to be enough.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "MALLOC_ARENA_MAX=3")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &percentParser{progress: progress, total: size}, &limitedWriter{w: &complaint, left: 4096}
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w (install qemu-utils and util-linux)", err)
	}
	if text := strings.TrimSpace(complaint.String()); text != "" {
		return fmt.Errorf("%s (%w)", text, err)
	}
	return fmt.Errorf("qemu-img: %w", err)
}

// percentParser reads the "(12.34/100%)\r" that qemu-img -p prints and counts it as bytes of the disk.
type percentParser struct {
	progress *Progress
	total    int64 // bytes of the disk
	line     []byte
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
			p.progress.Set(int64(percent / 100 * float64(p.total)))
		}
		p.line = p.line[:0]
	}
	return len(b), nil
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
