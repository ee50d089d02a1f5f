package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// demo is one run.
type demo struct {
	program  string // the ironmaster binary
	dir      string
	machines int
	// transport is oslo or json-rpc.
	transport string
	// content is what the image holds: linux, windows-gpt or windows-mbr.
	content string
	keep    bool
	out     io.Writer

	began     time.Time
	lab       *lab.Lab
	conductor *lab.Service
	cloud     *cloud
	image     *image
	room      []machine
}

// chapter is a part of the demo under a heading.
type chapter struct {
	heading string
	run     func(context.Context) error
}

// jsonRPC is the transport without a broker.
const jsonRPC = "json-rpc"

// downloadRate lets the image take some seconds on its way to a machine, as it does on a real network, so that there is
// progress to be seen.
const downloadRate = "32M"

// liveProgress has the conductor tell every second how far each image is.
var liveProgress = map[string]map[string]string{"ironmaster": {"progress_interval": "1"}}

func (d *demo) run(ctx context.Context) (err error) {
	d.began = time.Now()
	services := "Starting RabbitMQ, ironic-api and glance-api on loopback"
	if d.transport == jsonRPC {
		services = "Starting ironic-api and glance-api on loopback: neither a broker nor a database server"
	}
	chapters := []chapter{
		{services, d.startServices},
		{"Starting the conductor", d.startConductor},
		{fmt.Sprintf("Starting a room of %d machines: Redfish BMCs and deploy agents", d.machines), d.startRoom},
		{"Making a partitioned whole-disk image and uploading it to Glance", d.makeImage},
		{"Enrolling the machines, then manage and provide (with automated cleaning)", d.enrol},
		{"Deploying the image onto every machine", d.deploy},
		{"Comparing the disks with the image", d.compare},
		{"Tearing the first machine down, back through cleaning to available", d.tearDown},
	}
	defer func() { err = errors.Join(err, d.finish(err)) }()
	for _, chapter := range chapters {
		d.heading(chapter.heading)
		if err := chapter.run(ctx); err != nil {
			if ctx.Err() != nil {
				err = errors.New("interrupted")
			}
			return err
		}
	}
	return nil
}

func (d *demo) heading(text string) {
	line := fmt.Sprintf("%5.1f s  %s", time.Since(d.began).Seconds(), text)
	if isatty.IsTerminal(os.Stdout.Fd()) {
		line = "\033[1m" + line + "\033[0m"
	}
	fmt.Fprintf(d.out, "\n%s\n", line)
}

// finish leaves everything running when that is wanted and all went well, and else ends everything.
func (d *demo) finish(failure error) error {
	if d.lab == nil {
		return nil
	}
	if failure == nil && d.keep {
		d.suggest()
		return nil
	}
	var err error
	if d.conductor != nil {
		// In order, as an operator would: it hands back what it holds and leaves the hash ring.
		err = d.conductor.Stop()
	}
	err = errors.Join(err, d.lab.Close())
	if failure != nil {
		fmt.Fprintf(d.out, "\nEverything is ended. The logs are in %s\n", d.dir)
		return err
	}
	err = errors.Join(err, os.RemoveAll(d.dir))
	if err == nil {
		d.heading("Done; everything is ended and removed. KEEP=1 leaves it running.")
	}
	return err
}

func (d *demo) startServices(ctx context.Context) error {
	set, err := lab.Start(ctx, lab.Options{Dir: d.dir, Transport: d.transport, Glance: true, Detached: d.keep, Extra: liveProgress})
	if err != nil {
		return err
	}
	d.lab = set
	d.cloud = &cloud{ironic: set.IronicURL, glance: set.GlanceURL, out: d.out}
	requests := fmt.Sprintf("JSON-RPC at port %d", set.RPCPort)
	if d.transport != jsonRPC {
		requests = "RabbitMQ " + set.RabbitMQ.TransportURL
	}
	fmt.Fprintf(d.out, "  ironic-api %s, glance-api %s, %s, database SQLite\n", set.IronicURL, set.GlanceURL, requests)
	return nil
}

func (d *demo) startConductor(context.Context) (err error) {
	fmt.Fprintf(d.out, "  $ %s conductor --config-file %s\n", d.short(d.program), d.short(d.lab.ConfFile))
	d.conductor, err = d.lab.StartConductor(d.lab.Host, d.lab.ConfFile, d.program, "conductor")
	return err
}

func (d *demo) startRoom(context.Context) error {
	inventory := filepath.Join(d.dir, "inventory.json")
	args := []string{
		"room", "--count", strconv.Itoa(d.machines), "--dir", filepath.Join(d.dir, "room"),
		"--inventory", inventory, "--download-rate", downloadRate,
	}
	fmt.Fprintf(d.out, "  $ %s room --count %d ...\n", d.short(d.program), d.machines)
	_, err := d.lab.StartService(lab.Command{
		Name: "room", Path: d.program, Args: args,
		Ready: func(context.Context) (err error) {
			d.room, err = readInventory(inventory)
			return err
		},
	})
	if err != nil {
		return err
	}
	for _, m := range d.room {
		fmt.Fprintf(d.out, "  %s  %s%s  %d GB disk\n", m.Name, m.Address, m.SystemID, m.LocalGB)
	}
	return nil
}

func (d *demo) makeImage(ctx context.Context) error {
	folder := filepath.Join(d.dir, "image")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var err error
	if d.image, err = buildImage(ctx, folder, d.content); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "  %s: %s; raw %d MiB, qcow2 %d MiB\n",
		d.short(d.image.qcow2), d.image.told, d.image.size>>20, d.image.qcow2Size>>20)
	d.image.id, err = d.cloud.upload(ctx, d.image.qcow2)
	return err
}

func (d *demo) enrol(ctx context.Context) error {
	ramdisk, err := lab.MakeRamdisk(ctx, filepath.Join(d.dir, "image"))
	if err != nil {
		return err
	}
	if err := d.each(ctx, func(ctx context.Context, m machine) error {
		return d.cloud.enrol(ctx, m, ramdisk)
	}); err != nil {
		return err
	}
	if err := d.change(ctx, "manage", "manageable"); err != nil {
		return err
	}
	return d.change(ctx, "provide", "available")
}

// deploy shows the events of all machines while they are deployed.
func (d *demo) deploy(ctx context.Context) error {
	if err := d.each(ctx, func(ctx context.Context, m machine) error {
		return d.cloud.order(ctx, m.Name, d.image.id)
	}); err != nil {
		return err
	}
	events, err := d.lab.StartService(lab.Command{
		Name: "events", Path: d.program, Args: []string{"events", "--config-file", d.lab.ConfFile}, Output: os.Stdout,
	})
	if err != nil {
		return err
	}
	return errors.Join(d.change(ctx, "deploy", "active"), events.Stop())
}

func (d *demo) compare(ctx context.Context) error {
	want, err := checksum(d.image.raw, d.image.size)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "  %-12s %-10s %s\n", "image", "raw", want)
	for _, m := range d.room {
		state, err := d.cloud.state(ctx, m.Name)
		if err != nil {
			return err
		}
		got, err := checksum(m.Disk, d.image.size)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.out, "  %-12s %-10s %s\n", m.Name, state.ProvisionState, got)
		if got != want {
			return fmt.Errorf("the disk of %s differs from the image", m.Name)
		}
	}
	return d.showPartitions(ctx, d.room[0].Disk)
}

// showPartitions prints the partition table that is now on a disk.
func (d *demo) showPartitions(ctx context.Context, disk string) error {
	fmt.Fprintf(d.out, "  $ sfdisk --list %s\n", d.short(disk))
	list := exec.CommandContext(ctx, "/usr/sbin/sfdisk", "--quiet", "--list", "--output", "Start,Size,Type", disk)
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("reading the partition table of %s: %w", disk, err)
	}
	for line := range strings.Lines(string(out)) {
		fmt.Fprint(d.out, "  ", line)
	}
	return nil
}

func (d *demo) tearDown(ctx context.Context) error {
	first := d.room[0].Name
	if err := d.cloud.provision(ctx, first, "undeploy", "available"); err != nil {
		return err
	}
	return d.cloud.ironicClient(ctx, true, "node", "list", "--fields", "name", "provision_state", "power_state")
}

// change brings all machines to a state at the same time.
func (d *demo) change(ctx context.Context, verb, state string) error {
	return d.each(ctx, func(ctx context.Context, m machine) error {
		return d.cloud.provision(ctx, m.Name, verb, state)
	})
}

func (d *demo) each(ctx context.Context, do func(context.Context, machine) error) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, m := range d.room {
		all.Go(func() error { return do(ctx, m) })
	}
	return all.Wait()
}

// short writes a path as the user would, seen from the current folder.
func (d *demo) short(path string) string {
	if here, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(here, path); err == nil {
			return relative
		}
	}
	return path
}

func (d *demo) suggest() {
	program, conf := d.short(d.program), d.short(d.lab.ConfFile)
	d.heading("Everything is left running. Things to try:")
	last := d.room[len(d.room)-1].Name
	fmt.Fprintf(d.out, `
  export OS_AUTH_TYPE=none OS_ENDPOINT=%s
  openstack baremetal node list
  %s events --config-file %s          # in a second terminal
  openstack baremetal node undeploy %s
  openstack baremetal node set %s --instance-info image_source=%s
  openstack baremetal node deploy %s
  %s locks --config-file %s
  %s check --config-file %s
  ls %s/*.log
  make demo-stop                      # ends all of it
`, d.lab.IronicURL, program, conf, last, last, d.image.id, last, program, conf, program, conf, d.short(d.dir))
}
