package image

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// master is a file of the cache that nobody holds.
type master struct {
	name string
	size int64 // bytes on disk, which for sparse files are fewer than the length
	used time.Time
}

// CleanUp removes masters that nobody holds and that are older than the TTL, then the least recently used ones until the
// rest fits the cache size. The conductor calls it every [conductor]cache_clean_up_interval.
func (c *Cache) CleanUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.evict(0); err != nil {
		c.log.Warn().Err(err).Msg("cleaning up the image cache")
	}
}

// makeRoom removes masters that nobody holds, oldest first, until need bytes are free, and fails with
// InsufficientDiskSpace when that is not enough.
func (c *Cache) makeRoom(need int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	free, err := freeSpace(c.cfg.MasterDir)
	if err != nil || free > need {
		return err
	}
	if err := c.evict(need - free); err != nil {
		return err
	}
	if free, err = freeSpace(c.cfg.MasterDir); err != nil || free > need {
		return err
	}
	return store.Errorf(store.InsufficientDiskSpace, "Disk volume where '%s' is located doesn't have enough disk space. "+
		"Required %d MiB, only %d MiB available space present.", c.cfg.MasterDir, need/MiB, free/MiB)
}

// evict removes unused masters, oldest first: the expired ones, those above the cache size, and with amount > 0 as many
// as give that many bytes back.
func (c *Cache) evict(amount int64) error {
	idle, total, err := c.idleMasters()
	if err != nil {
		return err
	}
	expiry := time.Now().Add(-c.cfg.TTL)
	for _, m := range idle {
		if !m.used.Before(expiry) && total <= c.cfg.Size && amount <= 0 {
			continue
		}
		if err := removeFile(c.recordPath(m.name)); err != nil {
			return fmt.Errorf("removing image %s from the cache: %w", m.name, err)
		}
		if err := removeFile(c.masterPath(m.name)); err != nil {
			return fmt.Errorf("removing image %s from the cache: %w", m.name, err)
		}
		c.log.Debug().Str("image", m.name).Int64("bytes", m.size).Msg("removed an unused image from the cache")
		total -= m.size
		amount -= m.size
	}
	return c.dropOrphans()
}

// idleMasters lists the masters without another link, the least recently used first, and the size of all masters. A link
// changes a file's ctime, so that the time of the last use is the latest of the three.
func (c *Cache) idleMasters() (idle []master, total int64, err error) {
	entries, err := os.ReadDir(c.cfg.MasterDir)
	if err != nil {
		return nil, 0, fmt.Errorf("listing the image cache: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			continue
		}
		size := stat.Blocks * 512
		total += size
		if stat.Nlink > 1 {
			continue
		}
		used := slices.MaxFunc([]syscall.Timespec{stat.Mtim, stat.Atim, stat.Ctim}, func(a, b syscall.Timespec) int {
			return cmp.Compare(a.Nano(), b.Nano())
		})
		idle = append(idle, master{name: e.Name(), size: size, used: time.Unix(used.Unix())})
	}
	slices.SortFunc(idle, func(a, b master) int { return a.used.Compare(b.used) })
	return idle, total, nil
}

// dropOrphans removes records whose master has gone, as a Python conductor on the same directory leaves them.
func (c *Cache) dropOrphans() error {
	entries, err := os.ReadDir(filepath.Join(c.cfg.MasterDir, ".ironmaster"))
	if err != nil {
		return fmt.Errorf("listing the records of the image cache: %w", err)
	}
	for _, e := range entries {
		name, isRecord := strings.CutSuffix(e.Name(), ".json")
		if !isRecord {
			continue
		}
		if _, err := os.Stat(c.masterPath(name)); os.IsNotExist(err) {
			if err := removeFile(c.recordPath(name)); err != nil {
				return fmt.Errorf("removing an orphaned record: %w", err)
			}
		}
	}
	return nil
}
