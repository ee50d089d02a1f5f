package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// readSubunit turns a subunit stream into one JSON object a line.
//
//go:embed read_subunit.py
var readSubunit string

// suite is a folder in which tempest's tests run.
type suite struct {
	dir string
	env []string
}

// newSuite makes what tempest init would: the folder holds a stestr.conf that names the tests, and tempest.conf.
func newSuite(dir, keystone string) (*suite, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of the tests: %w", err)
	}
	s := &suite{dir: dir, env: []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + dir, "TEMPEST_CONFIG_DIR=" + dir}}
	where := exec.Command("/usr/bin/python3", "-c", "import tempest; print(tempest.__path__[0])")
	where.Env = s.env
	out, err := where.Output()
	if err != nil {
		return nil, fmt.Errorf("tempest is missing, deploy-examples/lab/install-packages tempest installs it: %w", err)
	}
	top := strings.TrimSpace(string(out))
	stestr := map[string]map[string]string{"DEFAULT": {
		"test_path": filepath.Join(top, "test_discover"), "top_dir": top,
		// The tests of a class share what it has set up.
		"group_regex": `([^\.]*\.)*`,
	}}
	if err := lab.WriteINI(filepath.Join(dir, ".stestr.conf"), stestr); err != nil {
		return nil, err
	}
	return s, lab.WriteINI(filepath.Join(dir, "tempest.conf"), tempestConf(keystone, dir))
}

// run runs the tests that the expression finds; what stestr prints goes to a log.
func (s *suite) run(ctx context.Context, log, tests string, workers int) (results, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("making the log of the tests: %w", err)
	}
	defer out.Close()
	run := s.command(ctx, "/usr/bin/stestr", "run", "--concurrency", strconv.Itoa(workers), tests)
	run.Stdout, run.Stderr = out, out
	// Status 1 says that a test failed, which the results tell too.
	var status *exec.ExitError
	if err := run.Run(); err != nil && !(errors.As(err, &status) && status.ExitCode() == 1) {
		return nil, fmt.Errorf("running stestr, whose output is in %s: %w", log, err)
	}
	last := s.command(ctx, "/usr/bin/stestr", "last", "--subunit")
	stream, err := last.Output()
	// Again a status of 1 when a test failed.
	if err != nil && !(errors.As(err, &status) && status.ExitCode() == 1) {
		return nil, fmt.Errorf("asking stestr for the results: %w", err)
	}
	read := s.command(ctx, "/usr/bin/python3", "-c", readSubunit)
	read.Stdin = bytes.NewReader(stream)
	lines, err := read.Output()
	if err != nil {
		return nil, fmt.Errorf("reading what stestr recorded: %w", err)
	}
	found, err := readResults(lines)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no test ran; stestr's output is in %s", log)
	}
	return found, err
}

func (s *suite) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, program, args...)
	c.Dir, c.Env = s.dir, s.env
	return c
}

// result is how one test ended.
type result struct {
	ID      string            `json:"id"`
	Status  string            `json:"status"` // of testtools' StreamResult: success, skip, fail, xfail, uxsuccess
	Details map[string]string `json:"details"`
}

// readResults reads what read_subunit.py prints. What happened to a whole class has the class in its name.
func readResults(lines []byte) (results, error) {
	found := results{}
	decoder := json.NewDecoder(bytes.NewReader(lines))
	for decoder.More() {
		var r result
		if err := decoder.Decode(&r); err != nil {
			return nil, fmt.Errorf("reading the results of the tests: %w", err)
		}
		name, err := nameOf(r.ID)
		if err != nil {
			return nil, err
		}
		found[name] = r
	}
	return found, nil
}
