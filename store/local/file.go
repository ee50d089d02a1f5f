package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// A file is worth compacting when it is at least this large and at most a quarter of it is in use.
const (
	compactFrom  = 16 << 20
	compactRatio = 4
)

// unfinished is the pattern of files that are being written beside the real one, which they replace when complete.
const unfinished = ".new-*"

// openFile opens the file, creates it when missing, checks it and compacts it.
func openFile(path string, o Options) (*bbolt.DB, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("creating it: %w", err)
		}
	}
	bolt, err := attach(path, o.OpenTimeout, false)
	if err != nil {
		return nil, err
	}
	// With the lock held, an unfinished file is either the leaving of a crash or belongs to a process that lost the
	// race to create ours; neither is needed.
	leavings, _ := filepath.Glob(path + unfinished)
	for _, name := range leavings {
		_ = os.Remove(name)
	}
	live, size, err := check(bolt)
	if err != nil {
		return nil, errors.Join(err, bolt.Close())
	}
	if size < compactFrom || live > size/compactRatio {
		return bolt, nil
	}
	smaller, err := compact(bolt, path)
	if err != nil {
		o.Log.Warn().Err(err).Str("path", path).Msg("could not compact the journal, going on with the large file")
		return bolt, nil
	}
	if err := errors.Join(syncDir(path), bolt.Close()); err != nil {
		// Not going on: a power loss could bring the old file back after we acknowledged writes to the new one.
		return nil, errors.Join(fmt.Errorf("replacing it by a smaller one: %w", err), smaller.Close())
	}
	o.Log.Info().Str("path", path).Int64("bytes", size).Int64("used", live).Msg("compacted the journal")
	return smaller, nil
}

// create makes an empty file of the current format. bbolt does not survive power loss while it initialises a file, so
// that happens beside: path appears complete, by a link that fails when another process was quicker, or not at all.
func create(path string) error {
	bolt, err := beside(path)
	if err != nil {
		return err
	}
	temp := bolt.Path()
	defer os.Remove(temp)
	err = bolt.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{metaBucket, callsBucket, finishedBucket, locksBucket, outboxBucket, journalBucket,
			timelineBucket} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(metaBucket).Put(formatKey, numberKey(format))
	})
	if err := errors.Join(err, bolt.Close()); err != nil {
		return err
	}
	if err := os.Link(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(path)
}

// beside opens a new, unfinished file in the directory of path.
func beside(path string) (*bbolt.DB, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+unfinished)
	if err != nil {
		return nil, err
	}
	name := f.Name()
	if err := f.Close(); err != nil {
		return nil, err
	}
	return bbolt.Open(name, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType})
}

// attach opens an existing file and locks it. Having waited for the lock it makes sure that path still names the locked
// file: the previous holder may have replaced it by a compacted one.
func attach(path string, timeout time.Duration, readOnly bool) (*bbolt.DB, error) {
	for deadline := time.Now().Add(timeout); ; {
		bolt, file, err := attachOnce(path, max(time.Until(deadline), time.Millisecond), readOnly)
		if err != nil {
			return nil, err
		}
		named, err := os.Stat(path)
		if err != nil {
			return nil, errors.Join(err, bolt.Close())
		}
		locked, err := file.Stat()
		if err != nil {
			return nil, errors.Join(err, bolt.Close())
		}
		if os.SameFile(named, locked) {
			return bolt, nil
		}
		if err := bolt.Close(); err != nil {
			return nil, err
		}
	}
}

func attachOnce(path string, timeout time.Duration, readOnly bool) (bolt *bbolt.DB, file *os.File, err error) {
	err = guard(func() (err error) {
		bolt, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:      timeout,
			ReadOnly:     readOnly,
			FreelistType: bbolt.FreelistMapType,
			// Neither a missing nor an empty file may be initialised in place, see create.
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				file, err = os.OpenFile(name, flag&^os.O_CREATE, mode)
				if err != nil {
					return nil, err
				}
				info, err := file.Stat()
				if err == nil && info.Size() == 0 {
					err = fmt.Errorf("%w: it is empty", ErrCorrupt)
				}
				if err != nil {
					return nil, errors.Join(err, file.Close())
				}
				return file, nil
			},
		})
		return err
	})
	switch {
	case err == nil:
		return bolt, file, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, ErrInUse
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		if known, lookErr := familiar(path); lookErr != nil || !known {
			err = errors.Join(fmt.Errorf("%w: %w", ErrForeign, err), lookErr)
		}
	}
	if file != nil {
		// bbolt closed it already, or panicked. Then closing is not enough: its memory map, which nobody can reach any
		// more, keeps the file description alive and locked.
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
		_ = file.Close()
	}
	return nil, nil, err
}

// check reads every page that holds keys, so that damage is met here and not in the middle of a deployment, and returns
// the bytes in use and the size of the file.
func check(bolt *bbolt.DB) (live, size int64, err error) {
	err = guard(func() error {
		return bolt.View(func(tx *bbolt.Tx) error {
			info, err := os.Stat(bolt.Path())
			if err != nil {
				return err
			}
			if size = info.Size(); size < tx.Size() {
				return fmt.Errorf("%w: %d bytes long instead of %d", ErrCorrupt, size, tx.Size())
			}
			if err := checkFormat(tx); err != nil {
				return err
			}
			return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
				n, err := bytesIn(b)
				live += n
				return err
			})
		})
	})
	return live, size, err
}

func checkFormat(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil || len(meta.Get(formatKey)) != 8 {
		return fmt.Errorf("%w: %w: it is a bbolt file but not a journal of Ironmaster", ErrForeign, ErrCorrupt)
	}
	if written := number(meta.Get(formatKey)); written > format {
		return fmt.Errorf("it has format %d, written by a newer Ironmaster; this one knows up to %d", written, format)
	}
	for _, name := range [][]byte{callsBucket, finishedBucket, locksBucket, outboxBucket, journalBucket} {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: bucket %s is missing", ErrCorrupt, name)
		}
	}
	return nil
}

func bytesIn(b *bbolt.Bucket) (int64, error) {
	var total int64
	err := b.ForEach(func(k, v []byte) error {
		total += int64(len(k) + len(v))
		if v != nil {
			return nil
		}
		n, err := bytesIn(b.Bucket(k))
		total += n
		return err
	})
	return total, err
}

// compact copies the live content into a new file and puts that in place of the old one. The new file is locked before
// it gets the name and stays open, so no other process can come in between.
func compact(old *bbolt.DB, path string) (*bbolt.DB, error) {
	smaller, err := beside(path)
	if err != nil {
		return nil, err
	}
	err = guard(func() error { return bbolt.Compact(smaller, old, 8<<20) })
	if err == nil {
		err = os.Rename(smaller.Path(), path)
	}
	if err != nil {
		return nil, errors.Join(err, smaller.Close(), os.Remove(smaller.Path()))
	}
	return smaller, nil
}

// syncDir makes the names in the directory of path durable.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// guard runs fn and reports what bbolt panics about, and faults in its memory map when the file is shorter than it says
// or the disk cannot be read, as ErrCorrupt. fn must not call code of our callers.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, p)
		}
	}()
	return fn()
}

// frame joins a line of JSON and raw bytes.
func frame(header, body []byte) []byte {
	return slices.Concat(header, []byte{'\n'}, body)
}
