// Tempest holds Ironmaster against the API tests that OpenStack keeps for ironic, Debian's ironic-tempest-plugin: they run
// with the release's own Python ironic-conductor behind ironic-api, and with Ironmaster, and what passes with the one has to
// pass with the other. Run it with make tempest from the top of the tree.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	t := &trial{out: os.Stdout}
	flag.StringVar(&t.program, "ironmaster", "bin/ironmaster", "the Ironmaster to try")
	flag.StringVar(&t.dir, "dir", ".lab/tempest", "folder for everything that the run writes; it stays")
	flag.StringVar(&t.tests, "tests", pluginTests, "run the tests whose name this expression finds")
	flag.StringVar(&t.only, "only", "", "run the tests with python or ironmaster alone, which compares nothing")
	flag.StringVar(&t.page, "write", "", "put the results into this page, in the section of the release")
	flag.IntVar(&t.workers, "workers", 2, "how many tests run at a time")
	flag.Parse()

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := start(ctx, t); err != nil {
		fmt.Fprintf(os.Stderr, "tempest: %v\n", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, t *trial) error {
	if t.page != "" && (t.tests != pluginTests || t.only != "") {
		return errors.New("only the results of all tests with both conductors are written into a page")
	}
	if t.only != "" && t.only != python && t.only != ironmaster {
		return fmt.Errorf("no conductor is named %q: there are %s and %s", t.only, python, ironmaster)
	}
	for _, path := range []*string{&t.dir, &t.program} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = absolute
	}
	if _, err := os.Stat(t.program); err != nil {
		return fmt.Errorf("there is no %s yet: run make build", t.program)
	}
	if err := os.RemoveAll(t.dir); err != nil {
		return err
	}
	return t.run(ctx)
}
