package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room/tgt"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// timeLimit bounds a whole run. An emulated machine on a busy host takes some ten minutes.
const timeLimit = 40 * time.Minute

// trial is one run.
type trial struct {
	program   string // the ironmaster binary
	dir       string
	accel     string // kvm or tcg
	firmwares []string
	boot      string // the boot interface
	volume    bool   // instances boot from volumes
	deploy    string // the deploy interface
	kind      string // of the image
	clean     bool   // clean the machines before they are deployed
	keep      bool
	out       io.Writer

	began     time.Time
	lab       *lab.Lab
	conductor *lab.Service
	room      *lab.Service
	volumes   *tgt.Daemon // with volume
	cloud     *cloud
	machines  []*machine
}

func (t *trial) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	defer func() { err = errors.Join(err, t.finish(err)) }()
	for _, part := range []struct {
		what string
		run  func(context.Context) error
	}{
		{"a network, RabbitMQ, ironic-api and Ironmaster are up", t.startServices},
		{"the room is open", t.openRoom},
		{"every machine was deployed, runs its image, and was switched off", t.deployAll},
	} {
		began := time.Now()
		if err := part.run(ctx); err != nil {
			return err
		}
		t.say("%s (%.1f s)", part.what, time.Since(began).Seconds())
	}
	return nil
}

// say prints a line with the time since the beginning.
func (t *trial) say(format string, words ...any) {
	fmt.Fprintf(t.out, "%6.1f s  %s\n", time.Since(t.began).Seconds(), fmt.Sprintf(format, words...))
}

func (t *trial) startServices(ctx context.Context) (err error) {
	t.lab, err = lab.New(ctx, lab.Options{Dir: t.dir, Address: address, Detached: t.keep, Extra: lab.Merge(map[string]map[string]string{
		"DEFAULT":   {"enabled_deploy_interfaces": "direct,iscsi"},
		"conductor": {"file_url_allowed_paths": t.dir, "automated_clean": strconv.FormatBool(t.clean)},
		// Writing zeros over all of a disk would take hours and show nothing new.
		"deploy": {"erase_devices_priority": "0", "erase_devices_metadata_priority": "10"},
		"agent":  {"deploy_logs_collect": "always"},
	}, t.bootOptions())})
	if err != nil {
		return err
	}
	if err := t.connect(ctx); err != nil {
		return err
	}
	if err := t.lab.StartAll(); err != nil {
		return err
	}
	if err := t.openVolumes(ctx); err != nil {
		return err
	}
	t.cloud, err = newCloud(t.lab.IronicURL)
	if err != nil {
		return err
	}
	t.conductor, err = t.lab.StartConductor(t.lab.Host, t.lab.ConfFile, t.program, "conductor")
	return err
}

func (t *trial) openRoom(context.Context) error {
	inventory := filepath.Join(t.dir, "inventory.json")
	var err error
	t.room, err = t.lab.StartService(lab.Command{
		Name: "room", Path: t.program,
		Args: []string{
			"room", "--count", strconv.Itoa(len(t.firmwares)), "--dir", filepath.Join(t.dir, "room"), "--inventory", inventory,
			"--qemu", t.accel, "--qemu-bridge", bridge, "--memory-mb", "2048", "--disk-size", "6G", "--debug",
		},
		Ready: func(context.Context) (err error) {
			t.machines, err = readInventory(inventory)
			return err
		},
	})
	for i, m := range t.machines {
		m.firmware = t.firmwares[i]
		m.console = filepath.Join(t.dir, "room", "qemu", m.Name, "console.log")
		t.say("%-4s  %s by %s, BMC %s, serial console %s", m.firmware, m.Name, t.accel, m.Address, t.short(m.console))
	}
	return err
}

// deployAll takes all machines through their lives at the same time.
func (t *trial) deployAll(ctx context.Context) error {
	news, err := t.follow()
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, m := range t.machines {
		all.Go(func() error {
			if err := t.deployOne(ctx, m); err != nil {
				return fmt.Errorf("%s: %w", m.firmware, err)
			}
			return nil
		})
	}
	return errors.Join(all.Wait(), news())
}

// deployOne takes one machine from its enrolment to the end of its first boot.
func (t *trial) deployOne(ctx context.Context, m *machine) error {
	image, err := readImage(t.artifacts())
	if err != nil {
		return err
	}
	if t.kind == partitionImage {
		if err := image.asPartition(t.artifacts()); err != nil {
			return err
		}
	}
	if err := t.cloud.enrol(ctx, m, t.interfaces(), t.artifacts()); err != nil {
		return err
	}
	for _, change := range []struct{ verb, state string }{{"manage", "manageable"}, {"provide", "available"}, {"active", "active"}} {
		if change.verb == "active" {
			if err := t.order(ctx, m, image); err != nil {
				return err
			}
		}
		if err := t.cloud.provision(ctx, m, change.verb, change.state, t.watcher(m)); err != nil {
			return err
		}
	}
	began := time.Now()
	line, err := m.awaitMarker(ctx, image.marker)
	if err != nil {
		return err
	}
	t.phase(m, "booting the image", began)
	t.say("%-4s  the console says: %s", m.firmware, line)
	began = time.Now()
	if err := t.checkDisk(ctx, m, image); err != nil {
		return err
	}
	t.phase(m, "comparing disk and image", began)
	began = time.Now()
	if err := t.cloud.powerOff(ctx, m); err != nil {
		return err
	}
	t.phase(m, "switching off", began)
	return nil
}

// order says what the next deployment brings up: the image on the machine's disk, or a volume that it is on already.
func (t *trial) order(ctx context.Context, m *machine, i *image) error {
	if t.volume {
		return t.giveVolume(ctx, m, i)
	}
	return t.cloud.order(ctx, m, i)
}

func (t *trial) checkDisk(ctx context.Context, m *machine, image *image) error {
	if t.kind == partitionImage {
		found, err := checkPartitions(ctx, m, t.deploy)
		if err == nil {
			t.say("%-4s  the disk has %s", m.firmware, found)
		}
		return err
	}
	if err := image.compare(m.Disk); err != nil {
		return err
	}
	t.say("%-4s  the disk's bytes are the image's: %s", m.firmware, image.compared())
	return nil
}

// phase tells how long something took that is over now.
func (t *trial) phase(m *machine, what string, began time.Time) {
	t.say("%-4s  %-45s %6.1f s", m.firmware, what, time.Since(began).Seconds())
}

// watcher returns a function that is called with what a node is at, again and again, and tells how long each thing took.
func (t *trial) watcher(m *machine) func(string) {
	current, since := "", time.Now()
	return func(now string) {
		if now == current {
			return
		}
		if current != "" {
			t.phase(m, current, since)
		}
		current, since = now, time.Now()
	}
}

// artifacts is the folder with ramdisk and image, which the conductor reads.
func (t *trial) artifacts() string { return filepath.Join(t.dir, "artifacts") }

// short writes a path as the user would, seen from the current folder.
func (t *trial) short(path string) string {
	if here, err := os.Getwd(); err == nil {
		if inside, ok := strings.CutPrefix(path, here+"/"); ok {
			return inside
		}
	}
	return path
}
