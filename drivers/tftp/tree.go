package tftp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// Errors of Tree.Open. Machines are told these texts, and no more.
var (
	ErrNotFound = errors.New("file not found")
	ErrRefused  = errors.New("access violation")
)

// Tree is a folder whose files anybody may read. No name leads out of it, nor does a symbolic link: links must be relative and
// stay inside, as those that ironic makes for each port of a node do.
type Tree struct{ dir string }

// NewTree returns the tree below a folder, which need not exist yet.
func NewTree(dir string) Tree { return Tree{filepath.Clean(dir)} }

// File is an open file of a tree.
type File struct {
	*os.File
	// Name is relative to the tree.
	Name     string
	Size     int64
	Modified time.Time
	// Node is the UUID of the node that the file is for, when its path tells; empty otherwise.
	Node string
}

// Open opens a regular file by the name that a machine asks for: relative to the folder, with a slash in front or not, or
// with the folder's own path in front, for loaders and templates of ironic write all three. Errors are ErrNotFound or
// ErrRefused, or wrap what the system said.
func (t Tree) Open(asked string) (*File, error) {
	name, err := t.inside(asked)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		return nil, plain(err)
	}
	defer root.Close()
	// A pipe that somebody left here would block for ever without O_NONBLOCK.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, plain(err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrRefused
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &File{File: file, Name: name, Size: info.Size(), Modified: info.ModTime(), Node: node(root, name)}, nil
}

// inside turns what was asked for into a path relative to the folder. Steps upwards are refused even where they would
// stay inside: no loader needs them.
func (t Tree) inside(asked string) (string, error) {
	if rest, ok := strings.CutPrefix(asked, t.dir+"/"); ok {
		asked = rest
	}
	var parts []string
	for part := range strings.SplitSeq(asked, "/") {
		switch {
		case part == "" || part == ".":
		case part == ".." || strings.ContainsRune(part, 0):
			return "", ErrRefused
		default:
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return "", ErrRefused
	}
	return path.Join(parts...), nil
}

// plain makes one of this package's errors of what the system said, where a machine's request is the cause.
func plain(err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
		return ErrNotFound
	case errors.Is(err, fs.ErrPermission), !errors.As(err, &errno):
		// What is no error of the system is os.Root's word that the path leads out.
		return ErrRefused
	}
	return fmt.Errorf("opening a boot file: %w", err)
}

// node finds the UUID in a path such as UUID/deploy_kernel, or in what a link such as pxelinux.cfg/01-MAC leads to.
func node(root *os.Root, name string) string {
	if target, err := root.Readlink(name); err == nil {
		name = path.Join(path.Dir(name), target)
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) == len(uuid.Nil.String()) && uuid.Validate(part) == nil {
			return part
		}
	}
	return ""
}
