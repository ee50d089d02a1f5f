package image

import (
	"context"
	"fmt"
	"os"
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

// QemuName is what qemu-img calls a format; ok is false for one that it is not given.
func (f Format) QemuName() (name string, ok bool) {
	name, ok = qemuNames[f]
	return name, ok
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
	name, ok := in.Format.QemuName()
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

// run executes qemu-img once.
func (c *converter) run(ctx context.Context, format string, size int64, from, to string, progress *Progress) error {
	if c.cfg.TimeLimit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.cfg.TimeLimit,
			fmt.Errorf("qemu-img did not finish within %s", c.cfg.TimeLimit))
		defer cancel()
	}
	var limits []string
	if c.cfg.CPULimit > 0 {
		limits = append(limits, "--cpu="+strconv.FormatInt(int64(c.cfg.CPULimit/time.Second), 10))
	}
	if size > 0 {
		limits = append(limits, "--fsize="+strconv.FormatInt(size+MiB, 10))
	}
	_, err := NewQemuImg(c.cfg).Run(ctx, QemuImgRun{Limits: limits,
		Arguments: []string{"convert", "-p", "-f", format, "-O", "raw", from, to},
		OnPercent: func(percent float64) { progress.Set(int64(percent / 100 * float64(size))) }})
	return err
}
