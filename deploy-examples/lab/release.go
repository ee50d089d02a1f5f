package lab

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ReleaseVariable is the environment variable that chooses the release when Options.Release is empty, so that the same
// tests run against each.
const ReleaseVariable = "IRONMASTER_RELEASE"

// releases are the Debian suites whose ironic and RabbitMQ a lab can run out of a folder, by the name of the release.
var releases = map[string]string{"2025.1": "trixie", "newest": "sid"}

// inDebianRoot runs a program in such a folder.
//
//go:embed in-debian-root
var inDebianRoot []byte

// system is where ironic and RabbitMQ come from: this machine, or a folder with another Debian in it.
type system struct {
	// folder is empty for this machine.
	folder string
	// script is inDebianRoot in the lab's folder, shared are the folders that programs see beside their own.
	script string
	shared []string
}

// findSystem looks for the folder that debian-root makes for a release; "" stands for this machine.
func findSystem(release, dir string) (system, error) {
	if release == "" {
		return system{}, nil
	}
	suite, known := releases[release]
	if !known {
		return system{}, fmt.Errorf("no ironic release %q: choose 2025.1, newest, or none for this machine's own", release)
	}
	cache, err := cacheFolder()
	if err != nil {
		return system{}, err
	}
	s := system{folder: filepath.Join(cache, "root-"+suite), script: filepath.Join(dir, "in-debian-root"),
		shared: []string{os.TempDir()}}
	// A folder shared twice would count as two file systems, between which there are no hard links.
	if !strings.HasPrefix(dir, os.TempDir()+"/") {
		s.shared = append(s.shared, dir)
	}
	if _, err := os.Stat(s.folder); err != nil {
		return system{}, fmt.Errorf("%s, which holds ironic %s, is missing: make test-%s makes it", s.folder, release, release)
	}
	if err := os.WriteFile(s.script, inDebianRoot, 0o755); err != nil {
		return system{}, fmt.Errorf("writing the script that runs ironic: %w", err)
	}
	return s, nil
}

// run returns the command as one that runs in the system. Its process id is the program's.
func (s system) run(c Command) Command {
	if s.folder == "" {
		return c
	}
	c.Args = slices.Concat([]string{s.script, "--as-me", s.folder, c.Path}, c.Args)
	c.Path = "/bin/bash"
	c.Env = append(slices.Clone(c.Env), "BIND="+strings.Join(s.shared, ":"))
	return c
}

// need reports a program that the system lacks, with the command that installs its package group.
func (s system) need(group, program string) error {
	if s.folder == "" {
		return need(group, program)
	}
	if _, err := os.Lstat(filepath.Join(s.folder, program)); err != nil {
		return fmt.Errorf("%s lacks %s: add its package with deploy-examples/lab/debian-root", s.folder, program)
	}
	return nil
}

// versions returns the versions of the system's packages, as the function of that name does for this machine.
func (s system) versions(ctx context.Context, packages ...string) (string, error) {
	return versionsIn(ctx, filepath.Join("/", s.folder, "var/lib/dpkg"), packages...)
}

// IronicVersion is the release of the lab's ironic, such as 21.4 or 29.0.
func (l *Lab) IronicVersion() (string, error) {
	text, err := l.system.versions(l.ctx, "python3-ironic")
	if err != nil {
		return "", err
	}
	// python3-ironic_1-29.0.5-0+deb13u3, where the first number is Debian's epoch.
	found := regexp.MustCompile(`_(?:\d+-)?(\d+\.\d+)`).FindStringSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("%s has no version of ironic", text)
	}
	return found[1], nil
}
