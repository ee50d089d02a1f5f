package kickstart

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/ironmaster/ironmaster/store"
)

// seed is where cloud-init looks for a config drive that is no drive.
const seed = "/var/lib/cloud/seed/config_drive"

// maxFiles bounds the files and folders of a config drive, maxContent their bytes together: more would not fit into a kickstart file.
const (
	maxFiles   = 1000
	maxContent = maxRendered
)

// Script returns the commands that lay the files of a config drive down on the machine that is installed, empty for none. drive
// is an ISO. One that cannot be read is InstanceDeployFailure; contents never appear in the error.
func Script(drive []byte) (string, error) {
	if drive == nil {
		return "", nil
	}
	files, err := read(drive)
	if err != nil {
		return "", store.Errorf(store.InstanceDeployFailure, "Reading the config drive: %w", err)
	}
	var script strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		target := path.Join(seed, name)
		fmt.Fprintf(&script, "\n%%post\n/bin/mkdir -p %s\necho '%s' | /usr/bin/base64 --decode > %s\n/bin/chmod 600 %s\n%%end\n",
			quoted(path.Dir(target)), base64.StdEncoding.EncodeToString(files[name]), quoted(target), quoted(target))
	}
	return script.String(), nil
}

// quoted is a word of a shell.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// read returns the files of an ISO, by their paths.
func read(drive []byte) (files map[string][]byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it is no ISO 9660 image: %v", p)
		}
	}()
	system, err := iso9660.Read(file.New(memory{bytes.NewReader(drive)}, true), int64(len(drive)), 0, 0)
	if err != nil {
		return nil, err
	}
	r := reader{system: system, files: map[string][]byte{}}
	return r.files, r.collect(".")
}

// reader reads an ISO's files. met counts what it came by, for folders may lead to themselves, and size what the files say they have,
// which need not be on the ISO: the library reads on behind its end.
type reader struct {
	system *iso9660.FileSystem
	files  map[string][]byte
	met    int
	size   int64
}

func (r *reader) collect(dir string) error {
	entries, err := r.system.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if r.met++; r.met > maxFiles {
			return fmt.Errorf("it has more than %d files", maxFiles)
		}
		name := path.Join(dir, e.Name())
		if strings.ContainsAny(e.Name(), "/\n\x00") || e.Name() == ".." || e.Name() == "." {
			return fmt.Errorf("it has a file with the name %q", e.Name())
		}
		if e.IsDir() {
			if err := r.collect(name); err != nil {
				return err
			}
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if r.size += info.Size(); r.size > maxContent {
			return fmt.Errorf("its files have more than %d bytes", maxContent)
		}
		content, err := r.system.ReadFile(name)
		if err != nil {
			return err
		}
		r.files[name] = content
	}
	return nil
}

// memory is a file in memory.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func (m memory) Stat() (fs.FileInfo, error) { return m, nil }

// It is its own fs.FileInfo.

func (memory) Name() string       { return "config drive" }
func (memory) Mode() fs.FileMode  { return 0o400 }
func (memory) ModTime() time.Time { return time.Time{} }
func (memory) IsDir() bool        { return false }
func (memory) Sys() any           { return nil }
