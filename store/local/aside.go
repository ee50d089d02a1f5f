package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrForeign marks a file that was never a worker's: most likely the path is wrong. It is left alone.
var ErrForeign = errors.New("file belongs to something else")

// asideTime is how the time is written into the name of a file that was set aside.
const asideTime = "20060102T150405Z"

// OpenOrSetAside is Open for a worker that must come up again by itself: a file of its own that is damaged is kept under
// another name, PATH.damaged-TIME, and a new one is begun. The file holds what this worker alone needs; flows go on from
// the shared database. What is lost to it are requests that were accepted and not finished, and events not yet sent.
//
// A file that another process has open, that may not be read, that a newer version wrote, or that was never a worker's is
// an error, as it is with Open.
func OpenOrSetAside(path string, o Options) (*DB, error) {
	d, err := Open(path, o)
	if !errors.Is(err, ErrCorrupt) || errors.Is(err, ErrForeign) {
		return d, err
	}
	aside, asideErr := setAside(path, o.withDefaults().Now())
	if asideErr != nil {
		return nil, errors.Join(err, fmt.Errorf("setting the damaged file aside: %w", asideErr))
	}
	o.Log.Error().Err(err).Str("kept_as", aside).Msg("The state file was damaged and a new one is begun. Flows go on from the " +
		"shared database; requests that were accepted and not finished, and events not yet sent, are lost to this worker")
	d, err = Open(path, o)
	if err == nil {
		d.aside = aside
	}
	return d, err
}

// Aside names the damaged file that this run of the worker has set aside, "" when it has not.
func (d *DB) Aside() string { return d.aside }

// setAside gives the file another name, unless a process has it open.
func setAside(path string, now time.Time) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return "", ErrInUse
	} else if err != nil {
		return "", err
	}
	name := path + ".damaged-" + now.UTC().Format(asideTime)
	// A link fails when the name is taken, where a rename would replace what was kept before.
	err = os.Link(path, name)
	for n := 2; errors.Is(err, os.ErrExist); n++ {
		name = fmt.Sprintf("%s.damaged-%s-%d", path, now.UTC().Format(asideTime), n)
		err = os.Link(path, name)
	}
	if err != nil {
		return "", err
	}
	return name, errors.Join(os.Remove(path), syncDir(path))
}

// familiar tells whether a file that bbolt refuses can have been a bbolt file: one of its meta pages still begins as such a
// page does, or nothing is left of both. Anything else is not ours to move.
func familiar(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	page := os.Getpagesize()
	head := make([]byte, 2*page)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, fmt.Errorf("reading %s: %w", filepath.Base(path), err)
	}
	empty := true
	for at := 0; at < n; at += page {
		if hasMagic(head[at:n]) {
			return true, nil
		}
	}
	for _, b := range head[:n] {
		empty = empty && b == 0
	}
	return empty, nil
}

// hasMagic finds bbolt's magic number behind the header of a page, in the machine's own byte order.
func hasMagic(page []byte) bool {
	const headerSize, little, big = 16, "\xed\xda\x0c\xed", "\xed\x0c\xda\xed"
	if len(page) < headerSize+len(little) {
		return false
	}
	magic := string(page[headerSize : headerSize+len(little)])
	return magic == little || magic == big
}

// Writable returns nil when the file can be written, and otherwise why not. After the disk was full it tries.
func (d *DB) Writable() error {
	trouble := d.commits.trouble.Load()
	if trouble == nil {
		return nil
	}
	if errors.Is(*trouble, ErrFull) {
		return d.commit(func(tx *transaction) error {
			return tx.bolt.Bucket(metaBucket).Put(probeKey, numberKey(uint64(d.options.Now().Unix())))
		})
	}
	return *trouble
}
