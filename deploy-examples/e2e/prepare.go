package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// scripts is where this program's scripts are, from the top of the tree.
const scripts = "deploy-examples/e2e"

// prepare makes ramdisk and image, or takes them from the cache, and finds out how QEMU can run machines here. It needs the
// network and, the first time, root.
func (t *trial) prepare(ctx context.Context) error {
	t.began = time.Now()
	if err := os.MkdirAll(t.artifacts(), 0o755); err != nil {
		return err
	}
	made := []string{"build-ramdisk", "build-image"}
	if t.kind == partitionImage {
		made = append(made, "build-partition-image")
	}
	for _, script := range made {
		began := time.Now()
		cmd := exec.CommandContext(ctx, filepath.Join(scripts, script), t.artifacts())
		cmd.Stdout, cmd.Stderr = t.out, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", script, err)
		}
		t.say("%s (%.1f s)", script, time.Since(began).Seconds())
	}
	probe := exec.CommandContext(ctx, filepath.Join(scripts, "qemu-accel"), filepath.Join(t.artifacts(), "kernel"))
	probe.Stderr = os.Stderr
	out, err := probe.Output()
	if err != nil {
		return fmt.Errorf("qemu-accel: %w", err)
	}
	t.accel = strings.TrimSpace(string(out))
	t.say("QEMU runs machines with %s here", t.accel)
	return nil
}
