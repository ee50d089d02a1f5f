package image

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// waitForMemory holds a conversion back until enough memory is available, and gives up with InsufficientMemory.
func (c *converter) waitForMemory(ctx context.Context) error {
	for try := 0; ; try++ {
		free, err := c.available()
		if err != nil {
			return err
		}
		if free >= c.cfg.RequiredMemory {
			return nil
		}
		c.log.Warn().Int64("available_mib", free/MiB).Int64("required_mib", c.cfg.RequiredMemory/MiB).
			Msg("little memory is available for converting an image")
		if c.cfg.MemoryWarningOnly {
			return nil
		}
		if try >= c.cfg.MemoryRetries {
			return store.Errorf(kindInsufficientMemory,
				"Available memory at %d, Insufficient as %d is required to proceed at this time.",
				free/MiB, c.cfg.RequiredMemory/MiB)
		}
		select {
		case <-time.After(c.cfg.MemoryWait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// availableMemory is what the kernel thinks a program could allocate without swapping, in bytes.
func availableMemory() (int64, error) {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("reading how much memory is available: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		value, found := strings.CutPrefix(lines.Text(), "MemAvailable:")
		if !found {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading how much memory is available: %w", err)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("reading how much memory is available: no MemAvailable in /proc/meminfo")
}

// freeSpace is how many bytes a user may still write where path lies.
func freeSpace(path string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(path, &fs); err != nil {
		return 0, fmt.Errorf("asking for the free space at %s: %w", path, err)
	}
	return int64(fs.Bavail) * fs.Frsize, nil
}
