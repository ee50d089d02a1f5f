package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// End ends the services that a detached lab in dir left running. A service that runs no longer is no error.
func End(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("ending the lab in %s: %w", dir, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.pid"))
	if err != nil {
		return fmt.Errorf("ending the lab in %s: %w", dir, err)
	}
	var failures []error
	for _, file := range files {
		if err := endRecorded(dir, file); err != nil {
			failures = append(failures, fmt.Errorf("ending the process of %s: %w", file, err))
		}
	}
	return errors.Join(failures...)
}

func endRecorded(dir, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || pid <= 1 {
		return fmt.Errorf("the file holds no process id: %q", content)
	}
	// The number may belong to another process by now.
	if ours(dir, pid) {
		if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		killGroup(pid)
	}
	return os.Remove(file)
}

// ours tells whether a process was started by the lab in dir: it carries the mark, or works in a folder of the lab.
func ours(dir string, pid int) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	environment, err := os.ReadFile(filepath.Join(proc, "environ"))
	if err == nil && bytes.Contains(append([]byte{0}, environment...), []byte("\x00"+marker+"="+dir+"\x00")) {
		return true
	}
	folder, err := os.Readlink(filepath.Join(proc, "cwd"))
	return err == nil && (folder == dir || strings.HasPrefix(folder, dir+"/"))
}

// Sweep ends what an earlier run left in a lab's folder, and removes the folder. That there is none is no error.
func Sweep(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := End(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
