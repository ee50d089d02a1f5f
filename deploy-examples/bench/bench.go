package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// The conductors, as the table's columns and the files of results are named.
const (
	python     = "python"
	ironmaster = "ironmaster"
)

// settings hold for both conductors throughout. Debug logging and notifications are off, as they are by default, no power
// sync comes in between where none is measured, and the limits of a whole cloud are out of the way.
var settings = map[string]map[string]string{
	"DEFAULT": {
		"debug": "", "notification_level": "", "enabled_hardware_types": "fake-hardware,redfish",
		"enabled_boot_interfaces": "fake,redfish-virtual-media",
	},
	"conductor": {
		"max_concurrent_deploy": "1000", "max_concurrent_clean": "1000", "sync_power_state_interval": "0",
	},
	// Nobody listens there: no ironic-api runs.
	"service_catalog": {"endpoint_override": "http://127.0.0.1:6385"},
}

// conductor is one of the programs that are compared.
type conductor struct {
	name string
	path string
	args []string
}

// bench is one run.
type bench struct {
	conductors []conductor
	parts      string
	rateTime   time.Duration
	out        io.Writer

	lab    *lab.Lab
	fleet  *fleet
	caller *caller
	began  time.Time
	// results holds the figures by conductor and measurement.
	results map[string]map[string]float64
}

// part measures one thing on a conductor, which it starts with options of its own.
type part struct {
	name, heading string
	measure       func(context.Context, *bench, *subject) error
}

var allParts = []part{
	{"start", "start and idle memory", measureStart},
	{"calls", "calls", measureCalls},
	{"cycles", "cycles of manage, provide, deploy, undeploy", measureCycles},
	{"crowd", "deployments at once", measureCrowd},
	{"sync", "power sync", measureSync},
	{"tftp", "boot files by TFTP", measureTFTP},
}

func partNames() []string {
	var names []string
	for _, p := range allParts {
		names = append(names, p.name)
	}
	return names
}

func (b *bench) run(ctx context.Context) (err error) {
	b.began = time.Now()
	b.results = map[string]map[string]float64{}
	b.say("Starting RabbitMQ and MariaDB on loopback")
	if err := b.startServices(ctx); err != nil {
		return err
	}
	defer b.caller.close()
	defer b.fleet.close()
	// One conductor after the other, never two at a time.
	for _, c := range b.conductors {
		b.results[c.name] = map[string]float64{}
		for _, p := range allParts {
			if b.parts != "" && !contains(b.parts, p.name) {
				continue
			}
			b.say("%s: %s", c.name, p.heading)
			s := &subject{bench: b, conductor: c, part: p.name}
			if err := p.measure(ctx, b, s); err != nil {
				return fmt.Errorf("%s, %s: %w", c.name, p.heading, err)
			}
			if err := s.stop(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) startServices(ctx context.Context) error {
	broker, err := b.lab.StartRabbitMQ()
	if err != nil {
		return err
	}
	database, err := b.lab.StartDatabase("mariadb")
	if err != nil {
		return err
	}
	// The folders that ironic.conf names.
	for _, sub := range []string{"httpboot", "images", "state"} {
		if err := os.MkdirAll(filepath.Join(b.lab.Dir, sub), 0o755); err != nil {
			return err
		}
	}
	if b.fleet, err = openFleet(ctx, database); err != nil {
		return err
	}
	b.caller, err = newCaller(broker.TransportURL)
	return err
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.out, "%6.1f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// record keeps a figure of a conductor.
func (s *subject) record(measurement string, value float64) {
	s.bench.results[s.conductor.name][measurement] = value
}
