// Demo shows one round of Ironmaster's work on one machine: it starts RabbitMQ (unless told to do without a broker),
// ironic-api and Glance on loopback, a conductor and a room of simulated machines, deploys a whole-disk image onto the machines with the openstack client,
// compares their disks with the image, tears one down, and cleans up. Run it with make demo from the top of the tree.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

func main() {
	d := &demo{out: os.Stdout}
	stop := flag.Bool("stop", false, "end what a demo with KEEP=1 left running, and do nothing else")
	flag.IntVar(&d.machines, "machines", 3, "how many machines stand in the room")
	flag.StringVar(&d.program, "ironmaster", "bin/ironmaster", "the program to show")
	flag.StringVar(&d.transport, "transport", "oslo", "how requests reach the conductor: oslo (RabbitMQ), or json-rpc, without a broker")
	flag.StringVar(&d.content, "image", linux, "what the machines get: linux, windows-gpt or windows-mbr")
	flag.StringVar(&d.dir, "dir", ".lab/demo", "folder for everything that the demo writes")
	flag.Parse()
	d.keep = os.Getenv("KEEP") != "" && os.Getenv("KEEP") != "0"

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := start(ctx, d, *stop); err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, d *demo, stop bool) error {
	var err error
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return err
	}
	if d.program, err = filepath.Abs(d.program); err != nil {
		return err
	}
	if err := lab.Sweep(d.dir); err != nil || stop {
		return err
	}
	if _, err := os.Stat(d.program); err != nil {
		return fmt.Errorf("there is no %s yet: run make build", d.program)
	}
	return d.run(ctx)
}
