package partition

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FileSystem is a kind of file system, as mkfs -t knows it.
type FileSystem string

// The file systems that ironic makes by itself.
const (
	FAT      FileSystem = "vfat"
	SwapArea FileSystem = "swap"
)

// The labels that ironic gives to file systems.
const (
	LabelESP       = "efi-part"
	LabelSwap      = "swap1"
	LabelEphemeral = "ephemeral0"
)

var fileSystemName = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,31}$`)

// Plausible tells that a name can be that of a file system. Which ones there are is for the one to say who makes it.
func (f FileSystem) Plausible() bool { return fileSystemName.MatchString(string(f)) }

// Format makes a file with an empty file system of so many bytes. It is sparse, and takes little of the disk.
func Format(ctx context.Context, kind FileSystem, path string, size int64, label string) error {
	if !kind.Plausible() {
		return fmt.Errorf("%q is not the name of a file system", string(kind))
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Close())
	}
	if err != nil {
		return fmt.Errorf("making a file for a file system: %w", err)
	}
	program := "mkfs." + string(kind)
	var arguments []string
	switch {
	case kind == SwapArea:
		program, arguments = "mkswap", []string{"-L", label, path}
	case kind == FAT || kind == "msdos" || kind == "fat":
		arguments = []string{"-n", label, path}
	case strings.HasPrefix(string(kind), "ext"):
		arguments = []string{"-q", "-F", "-L", label, path}
	default:
		arguments = []string{"-L", label, path}
	}
	var trouble bytes.Buffer
	command := exec.CommandContext(ctx, inSbin(program), arguments...)
	command.Stderr = &trouble
	if err := command.Run(); err != nil {
		return fmt.Errorf("making a file system %s: %w: %s", kind, err, strings.TrimSpace(trouble.String()))
	}
	return nil
}

// inSbin finds a program of the administrator, whose folder is not on every user's PATH.
func inSbin(program string) string {
	if _, err := exec.LookPath(program); err != nil {
		if path, err := exec.LookPath("/usr/sbin/" + program); err == nil {
			return path
		}
	}
	return program
}

// Copy puts the data of a sparse file on a disk, from a place on. Where the file has holes, the disk is not touched: it must
// hold zeroes there, or nothing that anybody reads.
func Copy(ctx context.Context, to io.WriterAt, at int64, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("copying onto the disk: %w", err)
	}
	defer f.Close()
	for end := int64(0); ctx.Err() == nil; {
		begin, err := f.Seek(end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err == nil {
			end, err = f.Seek(begin, unix.SEEK_HOLE)
		}
		if err == nil {
			_, err = io.Copy(io.NewOffsetWriter(to, at+begin), io.NewSectionReader(f, begin, end-begin))
		}
		if err != nil {
			return fmt.Errorf("copying onto the disk: %w", err)
		}
	}
	return ctx.Err()
}

// Found is what blkid sees in a piece of a disk.
type Found struct {
	// Kind is empty where there is no file system.
	Kind        FileSystem
	UUID, Label string
}

// Identify looks for a file system in a piece of a file or device.
func Identify(ctx context.Context, path string, offset, size int64) (Found, error) {
	arguments := []string{"--probe", "--output", "export", "--offset", strconv.FormatInt(offset, 10),
		"--size", strconv.FormatInt(size, 10), path}
	out, err := exec.CommandContext(ctx, inSbin("blkid"), arguments...).Output()
	var exit *exec.ExitError
	const nothingFound = 2
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == nothingFound:
		return Found{}, nil
	case err != nil:
		return Found{}, fmt.Errorf("looking for a file system: %w", err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = value
	}
	label := cmp.Or(values["LABEL"], values["LABEL_FATBOOT"])
	return Found{Kind: FileSystem(values["TYPE"]), UUID: values["UUID"], Label: label}, nil
}
