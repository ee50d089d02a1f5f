// E2e deploys an operating system onto virtual machines with nothing simulated between the API call and the booted system:
// Debian's ironic-api and RabbitMQ, Ironmaster, machines of QEMU behind Redfish BMCs, a ramdisk with Debian's
// ironic-python-agent, and a disk image that boots. All of it runs in a network namespace of its own. Run it with make e2e
// from the top of the tree.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

func main() {
	t := &trial{out: os.Stdout, clean: on("CLEAN", true), keep: on("KEEP", false)}
	stop := flag.Bool("stop", false, "end what a run with KEEP=1 left running, and do nothing else")
	flag.StringVar(&t.program, "ironmaster", "bin/ironmaster", "the program to try")
	flag.StringVar(&t.dir, "dir", ".lab/e2e", "folder for everything that is written")
	flag.Parse()

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := start(ctx, t, *stop); err != nil {
		if !errors.Is(err, errTold) {
			fmt.Fprintf(os.Stderr, "\ne2e: %v\n", err)
		}
		os.Exit(1)
	}
}

// errTold is an error that the program inside the namespace has told already.
var errTold = errors.New("told already")

// on reads a switch from the environment.
func on(name string, fallback bool) bool {
	switch value := os.Getenv(name); value {
	case "":
		return fallback
	default:
		return value != "0"
	}
}

func start(ctx context.Context, t *trial, stop bool) error {
	var err error
	if t.dir, err = filepath.Abs(t.dir); err != nil {
		return err
	}
	if t.program, err = filepath.Abs(t.program); err != nil {
		return err
	}
	if t.firmwares, err = firmwares(os.Getenv("FIRMWARE")); err != nil {
		return err
	}
	if t.boot, t.volume, err = bootFrom(os.Getenv("BOOT")); err != nil {
		return err
	}
	if t.volume && t.keep {
		return errors.New("KEEP=1 is not for BOOT=volume: the volumes end with this program")
	}
	if t.deploy, err = deployInterface(os.Getenv("DEPLOY")); err != nil {
		return err
	}
	if t.kind, err = imageKind(os.Getenv("IMAGE")); err != nil {
		return err
	}
	if t.inside() {
		return t.run(ctx)
	}
	if err := lab.Sweep(t.dir); err != nil || stop {
		return err
	}
	if _, err := os.Stat(t.program); err != nil {
		return fmt.Errorf("there is no %s yet: run make build", t.program)
	}
	if err := t.prepare(ctx); err != nil {
		return err
	}
	return t.enter()
}

// deployInterface is how the image gets onto the disk: the way that is named, or that of ironic's default.
func deployInterface(named string) (string, error) {
	switch named {
	case "":
		return "direct", nil
	case "direct", "iscsi":
		return named, nil
	}
	return "", fmt.Errorf("DEPLOY is direct or iscsi, not %q", named)
}

// firmwares are the kinds of machines to try: the one that is named, or all.
func firmwares(named string) ([]string, error) {
	all := []string{"uefi", "bios"}
	if named == "" {
		return all, nil
	}
	if !slices.Contains(all, named) {
		return nil, fmt.Errorf("FIRMWARE is %v, not %q", all, named)
	}
	return []string{named}, nil
}
