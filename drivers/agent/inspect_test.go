package agent

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

// inspectBoot is a boot interface that may boot a ramdisk for inspection.
type inspectBoot struct {
	*fake.Boot
	refusal  error
	err      error
	params   map[string]string
	cleaned  int
	cleanErr error
}

func (b *inspectBoot) ValidateInspection(context.Context, *drivers.Task) error { return b.refusal }

func (b *inspectBoot) PrepareRamdisk(_ context.Context, _ *drivers.Task, params map[string]string) error {
	b.params = params
	return b.err
}

func (b *inspectBoot) CleanUpRamdisk(context.Context, *drivers.Task) error {
	b.cleaned++
	return b.cleanErr
}

// inspectNetwork counts how often it was added and removed.
type inspectNetwork struct {
	*noop.Network
	refusal        error
	added, removed int
}

func (n *inspectNetwork) ValidateInspection(context.Context, *drivers.Task) error { return n.refusal }

func (n *inspectNetwork) AddInspectionNetwork(context.Context, *drivers.Task) error {
	n.added++
	return nil
}

func (n *inspectNetwork) RemoveInspectionNetwork(context.Context, *drivers.Task) error {
	n.removed++
	return nil
}

// knowing is a management interface that knows the network cards.
type knowing struct{ management }

func (*knowing) MACAddresses(context.Context, *drivers.Task) ([]string, error) {
	return []string{"52:54:00:AA:00:01"}, nil
}

// inspectStore keeps ports.
type inspectStore struct{ w *worker }

func (s inspectStore) CreatePort(_ context.Context, p *store.Port) error {
	s.w.ports = append(s.w.ports, p)
	return nil
}
func (inspectStore) DestroyPort(context.Context, *store.Port) error { return nil }
func (inspectStore) LastInventory(context.Context, int64) (*store.NodeInventory, error) {
	return nil, nil
}
func (inspectStore) SaveInventory(context.Context, int64, store.Dict, store.Dict) error {
	return nil
}

type inspectRig struct {
	boot    *inspectBoot
	network *inspectNetwork
	worker  *worker
	task    *drivers.Task
	inspect *Inspect
}

func newInspectRig(t *testing.T, change func(*Config, *InspectConfig)) *inspectRig {
	t.Helper()
	cfg, icfg := DefaultConfig(), InspectConfig{RequireManagedBoot: true, PreCreatePorts: true, PowerOff: true}
	cfg.APIURL, cfg.Logs.Dir = "http://192.0.2.1:6385", t.TempDir()
	if change != nil {
		change(&cfg, &icfg)
	}
	r := &inspectRig{boot: &inspectBoot{Boot: fake.NewBoot(fake.Config{})}, network: &inspectNetwork{Network: noop.NewNetwork()},
		worker: &worker{journal: map[string][]byte{}}}
	hooks, err := inspection.NewHooks("ramdisk-error,architecture", inspection.DefaultConfig(), inspectStore{r.worker})
	if err != nil {
		t.Fatal(err)
	}
	r.inspect = NewInspect(cfg, icfg, hooks, inspectStore{r.worker})
	r.task = &drivers.Task{Worker: r.worker, Log: zerolog.Nop(), Node: &store.Node{UUID: "n", DriverInternalInfo: store.Dict{},
		DriverInfo: store.Dict{}}, Hardware: &drivers.Hardware{Boot: r.boot, Network: r.network, Power: fake.NewPower(fake.Config{}),
		Management: &knowing{management{Management: noop.NewManagement()}}}}
	return r
}

func unsupportedBoot() error { return store.Errorf(store.UnsupportedDriverExtension, "no ramdisk") }

func TestInspectionBootsItsRamdisk(t *testing.T) {
	r := newInspectRig(t, func(_ *Config, i *InspectConfig) {
		i.KernelParameters = map[string]string{"ipa-inspection-collectors": "default,logs"}
	})
	r.task.Node.DriverInfo = store.Dict{"redfish_address": "https://198.51.100.7:8000", "ipmi_address": "[2001:db8::7]",
		"other_address": "http://127.0.0.1", "ipmi_port": 6230}
	if err := r.inspect.Validate(t.Context(), r.task); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what was cut short is done again
		outcome, err := r.inspect.InspectHardware(t.Context(), r.task)
		if err != nil || outcome != drivers.Waiting {
			t.Fatalf("%v, %v", outcome, err)
		}
	}
	want := map[string]string{"ipa-inspection-collectors": "default,logs",
		"ipa-inspection-callback-url": "http://192.0.2.1:6385/v1/continue_inspection"}
	if fmt.Sprint(r.boot.params) != fmt.Sprint(want) {
		t.Errorf("parameters %v, want %v", r.boot.params, want)
	}
	if got := r.worker.power; !slices.Equal(got, []string{store.PowerOff, store.PowerOn, store.PowerOff, store.PowerOn}) {
		t.Errorf("power %q", got)
	}
	info := r.task.Node.DriverInternalInfo
	if info["inspector_manage_boot"] != true || fmt.Sprint(info["lookup_bmc_addresses"]) != "[198.51.100.7 2001:db8::7]" {
		t.Errorf("driver_internal_info %v", info)
	}
	if len(r.worker.ports) == 0 || r.worker.ports[0].Address != "52:54:00:aa:00:01" || r.network.added != 2 {
		t.Errorf("ports %v, network added %d times", r.worker.ports, r.network.added)
	}
}

func TestInspectionThatCannotBeBooted(t *testing.T) {
	r := newInspectRig(t, nil)
	r.boot.refusal = unsupportedBoot()
	if err := r.inspect.Validate(t.Context(), r.task); store.KindOf(err) != store.UnsupportedDriverExtension {
		t.Errorf("validation says %v", err)
	}
	r.task.Hardware.Boot = fake.NewBoot(fake.Config{})
	if err := r.inspect.Validate(t.Context(), r.task); store.KindOf(err) != store.UnsupportedDriverExtension {
		t.Errorf("validation of a boot interface that can't says %v", err)
	}
	// Where somebody else may boot it, the machine is only told to boot from its network.
	r = newInspectRig(t, func(_ *Config, i *InspectConfig) { i.RequireManagedBoot = false })
	r.network.refusal = unsupportedBoot()
	if err := r.inspect.Validate(t.Context(), r.task); err != nil {
		t.Error(err)
	}
	if outcome, err := r.inspect.InspectHardware(t.Context(), r.task); err != nil || outcome != drivers.Waiting {
		t.Fatalf("%v, %v", outcome, err)
	}
	if device := r.task.Hardware.Management.(*knowing).device; device != store.BootDevicePXE || r.boot.params != nil || r.network.added != 0 {
		t.Errorf("it boots from %q with %v, network added %d times", device, r.boot.params, r.network.added)
	}
	// At its end it is switched off all the same.
	if err := r.inspect.ContinueInspection(t.Context(), r.task, store.Dict{"cpu": store.Dict{"architecture": "a"}}, store.Dict{}); err != nil {
		t.Fatal(err)
	}
	if r.boot.cleaned != 0 || r.worker.power[len(r.worker.power)-1] != store.PowerOff {
		t.Errorf("cleaned %d times, power %q", r.boot.cleaned, r.worker.power)
	}
}

func TestInspectionThatDoesNotBegin(t *testing.T) {
	r := newInspectRig(t, nil)
	r.boot.err = errors.New("smoke")
	_, err := r.inspect.InspectHardware(t.Context(), r.task)
	if store.KindOf(err) != store.HardwareInspectionFailure ||
		err.Error() != "Failed to inspect hardware. Reason: unable to start inspection: smoke" {
		t.Errorf("got %v", err)
	}
	if r.boot.cleaned != 1 || r.network.removed != 1 || r.worker.power[len(r.worker.power)-1] != store.PowerOff {
		t.Errorf("cleaned %d times, network removed %d times, power %q", r.boot.cleaned, r.network.removed, r.worker.power)
	}
	// A worker that stops leaves everything to whoever goes on.
	r = newInspectRig(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	r.boot.err = errors.New("cut")
	stop()
	if _, err := r.inspect.InspectHardware(ctx, r.task); store.KindOf(err) == store.HardwareInspectionFailure || r.boot.cleaned != 0 {
		t.Errorf("got %v, cleaned %d times", err, r.boot.cleaned)
	}
}

func TestFindingsOfTheRamdisk(t *testing.T) {
	logs := base64.StdEncoding.EncodeToString([]byte("an archive"))
	for _, c := range []struct {
		name    string
		change  func(*Config, *InspectConfig)
		node    func(*store.Node)
		boot    error
		plugin  store.Dict
		err     string
		power   []string
		cleaned int
		logs    int
	}{
		{name: "well", power: []string{store.PowerOff}, cleaned: 1, plugin: store.Dict{"logs": logs}},
		{name: "with logs", change: func(c *Config, _ *InspectConfig) { c.Logs.Collect = CollectAlways }, power: []string{store.PowerOff},
			cleaned: 1, plugin: store.Dict{"logs": logs}, logs: 1},
		{name: "left on", change: func(_ *Config, i *InspectConfig) { i.PowerOff = false }, cleaned: 1},
		{name: "fast track", node: func(n *store.Node) { n.DriverInfo["fast_track"] = true }, cleaned: 1},
		{name: "a node that must stay on", node: func(n *store.Node) { n.DisablePowerOff = new(true) }, power: []string{store.Reboot}, cleaned: 1},
		{name: "a ramdisk that stays", boot: errors.New("stuck"), power: []string{store.PowerOff}, cleaned: 1,
			err: "Inspection clean up failed: unable to clean up ramdisk boot: stuck"},
		{name: "refused before 34.0", plugin: store.Dict{"error": "x", "logs": logs}, logs: 1,
			err: "Failed to inspect hardware. Reason: The following failures happened while running preprocess hooks for node n:\n" +
				"Error in preprocess hook ramdisk-error: Failed to inspect hardware. Reason: Ramdisk reported error: x"},
		{name: "refused since 29.0", change: func(_ *Config, i *InspectConfig) { i.CleansUp = true }, plugin: store.Dict{"error": "x"},
			err: "Failed to inspect hardware. Reason: failed to run inspection hooks: Failed to inspect hardware. Reason: The following " +
				"failures happened while running preprocess hooks for node n:\nError in preprocess hook ramdisk-error: Failed to inspect " +
				"hardware. Reason: Ramdisk reported error: x", cleaned: 1, power: []string{store.PowerOff}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newInspectRig(t, c.change)
			r.task.Node.DriverInternalInfo["inspector_manage_boot"] = true
			r.boot.cleanErr = c.boot
			if c.node != nil {
				c.node(r.task.Node)
			}
			if c.plugin == nil {
				c.plugin = store.Dict{}
			}
			err := r.inspect.ContinueInspection(t.Context(), r.task, store.Dict{"cpu": store.Dict{"architecture": "aarch64"}}, c.plugin)
			if text := fmt.Sprint(err); c.err == "" && err != nil || c.err != "" && text != c.err {
				t.Errorf("got %v, want %s", err, c.err)
			}
			if !slices.Equal(r.worker.power, c.power) || r.boot.cleaned != c.cleaned || r.network.removed != c.cleaned {
				t.Errorf("power %q, cleaned %d times, network removed %d times", r.worker.power, r.boot.cleaned, r.network.removed)
			}
			files, readErr := os.ReadDir(r.inspect.cfg.Logs.Dir)
			if readErr != nil || len(files) != c.logs {
				t.Errorf("logs kept: %v, %v; want %d", files, readErr, c.logs)
			}
		})
	}
}

func TestAbortOfAnInspection(t *testing.T) {
	r := newInspectRig(t, nil)
	info := r.task.Node.DriverInternalInfo
	info["inspector_manage_boot"], info["lookup_bmc_addresses"] = true, []any{"198.51.100.7"}
	if err := r.inspect.AbortInspection(t.Context(), r.task); err != nil {
		t.Fatal(err)
	}
	if len(info) != 0 || r.boot.cleaned != 1 || r.network.removed != 1 || !slices.Equal(r.worker.power, []string{store.PowerOff}) {
		t.Errorf("left %v, cleaned %d times, network removed %d times, power %q", info, r.boot.cleaned, r.network.removed, r.worker.power)
	}
}
