package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestStorm is a short make chaos.
func TestStorm(t *testing.T) {
	worker := filepath.Join(t.TempDir(), "ironmaster")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", worker, "../../cmd/ironmaster").CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, output)
	}
	// Not t.TempDir, whose paths are too long for Unix sockets. What was found wrong is kept there.
	dir, err := os.MkdirTemp("", "imc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs and evidence are in %s", dir)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	var printed bytes.Buffer
	s := &storm{diary: &diary{out: &printed, began: time.Now()}, program: program{name: ironmaster, path: worker, args: []string{"conductor"}},
		dir: dir, machines: 40, seed: 1, length: 40 * time.Second}
	err = s.run(t.Context())
	t.Log(printed.String())
	if err != nil {
		t.Error(err)
	}
	if s.tally.active < s.machines-len(s.affliction.silent) {
		t.Errorf("only %d deployments became active", s.tally.active)
	}
}
