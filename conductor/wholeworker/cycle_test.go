package wholeworker

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// TestCycle takes machines through their whole life on each database, with an image from each kind of source.
func TestCycle(t *testing.T) {
	for _, c := range []struct {
		database string
		quirks   room.Quirks
	}{
		{"sqlite", room.Quirks{}},
		{"mariadb", room.Quirks{PatchMedia: 1, RequireETag: 1}},
		{"postgresql", room.Quirks{SystemMedia: 1}},
	} {
		t.Run(c.database, func(t *testing.T) {
			cycle(t, start(t, setup{database: c.database, glance: true}), c.quirks)
		})
	}
}

// TestCycleWithoutABroker does so with requests over JSON-RPC and SQLite: there is neither a broker nor a database server.
// Requests are encrypted, and ironic-api has to know a password.
func TestCycleWithoutABroker(t *testing.T) {
	w := start(t, setup{database: "sqlite", transport: "json-rpc", glance: true, extra: securedRPC(t)})
	cycle(t, w, room.Quirks{})
	text, err := os.ReadFile(w.conductor.LogFile())
	must(t, err)
	if strings.Contains(strings.ToLower(string(text)), "broker") {
		t.Error("the conductor's log tells of a broker, and there is none")
	}
}

func cycle(t *testing.T, w *world, quirks room.Quirks) {
	machines := w.openRoom(t, room.Config{Seed: 1, Count: len(sources), Quirks: quirks}).Machines()
	img := makeImage(t, w.wares, 12, 1)
	web := startWebServer(t)
	t.Run("machines", func(t *testing.T) {
		for i, s := range sources {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				l := life{w: w, machine: machines[i], image: img, source: s}
				l.instance = s.instance(t, w, web, img)
				l.run(t)
			})
		}
	})
	w.checkNothingHeld(t)
	checkFarewell(t, w, machines)
}

// source is a place that an image comes from.
type source struct {
	name     string
	instance func(*testing.T, *world, *webServer, diskImage) map[string]any
	// served tells that the bytes go through the worker, which therefore knows percents.
	served bool
}

var sources = []source{
	{"glance qcow2", func(t *testing.T, w *world, _ *webServer, img diskImage) map[string]any {
		return map[string]any{"image_source": w.upload(t, img.qcow2, "qcow2")}
	}, true},
	{"http raw", func(_ *testing.T, _ *world, web *webServer, img diskImage) map[string]any {
		return map[string]any{"image_source": web.put("disk.raw", serveFile(img.raw)), "image_disk_format": "raw",
			"image_os_hash_algo": "sha256", "image_os_hash_value": img.sum}
	}, false},
	{"http qcow2 through the worker", func(_ *testing.T, _ *world, web *webServer, img diskImage) map[string]any {
		return map[string]any{"image_source": web.put("disk.qcow2", serveFile(img.qcow2)), "image_download_source": "local",
			"image_checksum": img.qcow2Sum}
	}, true},
	{"file raw", func(_ *testing.T, _ *world, _ *webServer, img diskImage) map[string]any {
		return map[string]any{"image_source": "file://" + img.raw, "image_checksum": img.sum}
	}, true},
}

// life is a machine's way from enrolment to active and back.
type life struct {
	w        *world
	machine  *room.Machine
	image    diskImage
	source   source
	instance map[string]any
	// own are fields of the node beside the usual ones.
	own  map[string]any
	node string
}

func (l *life) run(t *testing.T) {
	ctx := t.Context()
	var err error
	l.node, err = l.w.api.enrol(ctx, l.machine.Info(), l.w.ramdisk, l.own)
	must(t, err)
	must(t, l.w.api.reach(ctx, l.node, "manage", "manageable"))
	must(t, l.w.api.reach(ctx, l.node, "provide", "available"))
	l.checkEvents(t, "cleaning", cleaningEvents, cleaningSteps)
	if got := l.machine.Snapshot(); got.Starts != 1 || got.Powered || got.Media != "" {
		t.Errorf("after cleaning the machine is %+v; it should have been on once, be off and have nothing inserted", got)
	}
	must(t, l.w.api.patch(ctx, l.node, set("/instance_info", l.instance)))
	must(t, l.w.api.reach(ctx, l.node, "active", "active"))
	l.checkDeployed(t)
	l.checkEvents(t, "deployment", deploymentEvents, deploymentSteps)
	must(t, l.w.api.reach(ctx, l.node, "deleted", "available"))
	l.checkTornDown(t)
}

// checkDeployed looks at the machine and at its node.
func (l *life) checkDeployed(t *testing.T) {
	t.Helper()
	eventually(t, "the machine runs its disk", func() error {
		if got := l.machine.Snapshot(); got.Booted != room.BootDisk {
			return fmt.Errorf("it runs %q (%s)", got.Booted, got.BootError)
		}
		return nil
	})
	if got := l.machine.Snapshot(); got.Writes != 1 || got.Media != "" {
		t.Errorf("the machine is %+v; an image should have been written once and nothing be inserted", got)
	}
	sum, err := l.machine.DiskSHA256(l.image.size)
	must(t, err)
	if sum != l.image.sum {
		t.Errorf("the disk has the checksum %s, the image %s", sum, l.image.sum)
	}
	n, err := l.w.api.node(t.Context(), l.node)
	must(t, err)
	if n.PowerState != "power on" || n.Reservation != "" || len(n.DeployStep) > 0 {
		t.Errorf("the active node has power %q, reservation %q and deploy step %v", n.PowerState, n.Reservation, n.DeployStep)
	}
	if n.DriverInternalInfo["is_whole_disk_image"] != true {
		t.Errorf("is_whole_disk_image is %v", n.DriverInternalInfo["is_whole_disk_image"])
	}
	for _, key := range []string{"agent_secret_token", "deploy_steps", "deploy_step_index"} {
		if value := n.DriverInternalInfo[key]; value != nil {
			t.Errorf("driver_internal_info still has %s: %v", key, value)
		}
	}
}

func (l *life) checkTornDown(t *testing.T) {
	t.Helper()
	n, err := l.w.api.node(t.Context(), l.node)
	must(t, err)
	if n.PowerState != "power off" || len(n.InstanceInfo) > 0 || n.Maintenance || len(n.CleanStep) > 0 {
		t.Errorf("the node that was torn down is %+v", n)
	}
	if got := l.machine.Snapshot(); got.Powered || got.Media != "" {
		t.Errorf("the machine that was torn down is %+v", got)
	}
	if sum, err := l.machine.DiskSHA256(l.image.size); err != nil || sum == l.image.sum {
		t.Errorf("the image is still on the disk after cleaning (%v)", err)
	}
}

// What is announced, in this order; other events may come between.
var (
	cleaningEvents = []string{
		"baremetal.node.provision_set.start", "baremetal.node.deploy_progress.start", "baremetal.node.power_set.start",
		"baremetal.node.power_set.end", "baremetal.node.provision_set.success", "baremetal.node.deploy_progress.update",
		"baremetal.node.provision_set.end", "baremetal.node.deploy_progress.end",
	}
	cleaningSteps    = []string{"deploy.erase_devices_metadata", "deploy.erase_devices"}
	deploymentEvents = cleaningEvents
	deploymentSteps  = []string{"deploy.deploy", "deploy.write_image", "deploy.prepare_instance_boot",
		"deploy.tear_down_agent", "deploy.switch_to_tenant_network", "deploy.boot_instance"}
)

// checkEvents waits until everything about a flow has arrived, and looks for percents where bytes are known.
func (l *life) checkEvents(t *testing.T, flow string, kinds, steps []string) {
	t.Helper()
	name := map[string]string{"cleaning": "clean", "deployment": "deploy"}[flow]
	var seen []event
	eventually(t, "the events of the "+flow+" have arrived", func() error {
		seen = l.w.events.of(l.node)
		// Those of earlier flows are not meant.
		begin := slices.IndexFunc(seen, func(e event) bool { return e.flow == name })
		if begin < 0 {
			return fmt.Errorf("none of flow %s among %d", name, len(seen))
		}
		seen = seen[max(0, begin-1):]
		if missing := inOrder(kinds, seen, func(e event) string { return e.kind }); missing != "" {
			return fmt.Errorf("%s is missing from %v", missing, seen)
		}
		if missing := inOrder(steps, seen, func(e event) string { return e.step }); missing != "" {
			return fmt.Errorf("step %s is missing from %v", missing, seen)
		}
		return nil
	})
	if flow != "deployment" {
		return
	}
	known := slices.ContainsFunc(seen, func(e event) bool { return e.percent != nil && *e.percent == 100 })
	if known != l.source.served {
		t.Errorf("an event of 100 percent was seen: %v, want %v, in %v", known, l.source.served, seen)
	}
}

// inOrder returns the first of wanted that does not follow the ones before it.
func inOrder(wanted []string, seen []event, field func(event) string) string {
	for _, e := range seen {
		if len(wanted) > 0 && field(e) == wanted[0] {
			wanted = wanted[1:]
		}
	}
	if len(wanted) == 0 {
		return ""
	}
	return wanted[0]
}

// checkFarewell stops the worker in order: it leaves the ring and its BMCs.
func checkFarewell(t *testing.T, w *world, machines []*room.Machine) {
	t.Helper()
	ctx := context.Background()
	must(t, w.conductor.Stop())
	hosts, err := w.api.drivers(ctx, "redfish")
	must(t, err)
	if slices.ContainsFunc(hosts, func(h string) bool { return strings.HasPrefix(h, w.host) }) {
		t.Errorf("the stopped conductor still counts as one that serves redfish: %s", strings.Join(hosts, ", "))
	}
	for _, m := range machines {
		open, err := sessions(ctx, m.Info())
		must(t, err)
		if len(open) > 0 {
			t.Errorf("%s still has the sessions %v", m.Info().Name, open)
		}
	}
}
