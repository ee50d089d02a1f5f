package image

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

func testConverter(change func(*ConvertConfig)) *converter {
	cfg := DefaultConfig().Convert
	cfg.RequiredMemory, cfg.SyncBetweenTries, cfg.MemoryWait = 0, false, time.Millisecond
	if change != nil {
		change(&cfg)
	}
	return newConverter(cfg, zerolog.Nop())
}

// qcow2Of writes disk as a qcow2 image and returns its path.
func qcow2Of(t *testing.T, disk []byte) string {
	t.Helper()
	dir := t.TempDir()
	raw, out := writeFile(t, filepath.Join(dir, "raw"), disk), filepath.Join(dir, "qcow2")
	run(t, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, out)
	return out
}

func TestConvertToRaw(t *testing.T) {
	disk := append(mbrDisk(1<<20), make([]byte, 9<<20)...)
	source := qcow2Of(t, disk)
	to := filepath.Join(t.TempDir(), "raw")
	var progress Progress
	if err := testConverter(nil).toRaw(t.Context(), imageID, source, inspectFile(t, source), to, &progress); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(to)
	if err != nil || !bytes.Equal(got, disk) {
		t.Errorf("the raw disk differs: %d bytes, %v", len(got), err)
	}
	if p := progress.Snapshot(); p.Phase != PhaseConvert || p.Done != p.Total || p.Total != 10<<20 {
		t.Errorf("progress %+v", p)
	}
}

func TestConvertRefusesImageInImage(t *testing.T) {
	inner := qcow2Of(t, mbrDisk(1<<16))
	data, err := os.ReadFile(inner)
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, make([]byte, (1<<20)-len(data)%(1<<20))...)
	outer := qcow2Of(t, data)
	to := filepath.Join(t.TempDir(), "raw")
	err = testConverter(nil).toRaw(t.Context(), imageID, outer, inspectFile(t, outer), to, nil)
	wantKind(t, err, store.ImageConvertFailed, "Image "+imageID+" is unacceptable: Converted to raw, but format is now qcow2")
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the result was left behind: %v", err)
	}
}

// script writes a program that stands in for qemu-img.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu-img")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConvertFailures(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	tests := []struct {
		name   string
		change func(*ConvertConfig)
		format Format
		kind   store.Kind
		text   string
		runs   int
	}{
		{"broken image", func(c *ConvertConfig) { c.QemuImg = script(t, "echo x >>"+count+"; echo bad image >&2; exit 1") },
			FormatQCOW2, store.ImageConvertFailed, "bad image", 1},
		{"lack of memory is tried again", func(c *ConvertConfig) {
			c.QemuImg = script(t, "echo x >>"+count+"; echo Cannot allocate memory >&2; exit 1")
		}, FormatQCOW2, store.ImageConvertFailed, "Cannot allocate memory", 3},
		{"memory limit", func(c *ConvertConfig) { c.MemoryLimit, c.Attempts = 8*MiB, 1 }, FormatQCOW2, store.ImageConvertFailed, "", 0},
		{"time limit", func(c *ConvertConfig) { c.QemuImg, c.TimeLimit = script(t, "sleep 60"), 50*time.Millisecond },
			FormatQCOW2, store.ImageConvertFailed, "did not finish within 50ms", 0},
		{"no program", func(c *ConvertConfig) { c.Prlimit = "no-such-prlimit" }, FormatQCOW2, store.ImageConvertFailed, "install qemu-utils", 0},
		{"format without converter", nil, FormatLUKS, store.ImageConvertFailed, "luks cannot be converted", 0},
		{"no memory", func(c *ConvertConfig) { c.RequiredMemory = 1 << 60; c.MemoryRetries = 2 }, FormatQCOW2, "InsufficientMemory",
			"is required to proceed at this time.", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			os.Remove(count)
			source := filepath.Join(t.TempDir(), "x")
			run(t, "qemu-img", "create", "-q", "-f", "qcow2", source, "1M")
			err := testConverter(tt.change).toRaw(t.Context(), imageID, source, Inspection{Format: tt.format, VirtualSize: MiB},
				filepath.Join(t.TempDir(), "raw"), nil)
			wantKind(t, err, tt.kind, tt.text)
			if tt.runs > 0 {
				log, err := os.ReadFile(count)
				if err != nil || strings.Count(string(log), "x") != tt.runs {
					t.Errorf("ran %d times, want %d (%v)", strings.Count(string(log), "x"), tt.runs, err)
				}
			}
		})
	}
}

func TestConvertWaitsForMemory(t *testing.T) {
	c := testConverter(func(c *ConvertConfig) { c.RequiredMemory, c.MemoryRetries = 100, 5 })
	asked := 0
	c.available = func() (int64, error) { asked++; return int64(asked) * 40, nil }
	if err := c.waitForMemory(t.Context()); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	c.cfg.MemoryWarningOnly = true
	asked = 0
	if err := c.waitForMemory(t.Context()); err != nil || asked != 1 {
		t.Errorf("warning only: asked %d times: %v", asked, err)
	}
	if free, err := availableMemory(); err != nil || free <= 0 {
		t.Errorf("available memory: %d, %v", free, err)
	}
}

func TestConvertIsCancelled(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	c := testConverter(func(c *ConvertConfig) { c.QemuImg = script(t, "echo $$ >"+started+"; sleep 60") })
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		result <- c.toRaw(ctx, imageID, "/dev/null", Inspection{Format: FormatQCOW2, VirtualSize: 1}, filepath.Join(t.TempDir(), "raw"), nil)
	}()
	waitFor(t, "the program to start", func() bool { _, err := os.Stat(started); return err == nil })
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
