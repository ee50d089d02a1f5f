package redfish

import (
	"context"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/drivers/inspection/rules"
	"github.com/ironmaster/ironmaster/store"
)

// Inspect is the inspect interface redfish: the BMC tells what the machine is made of, and the machine itself is not touched.
type Inspect struct {
	base
	drivers.BareInspect
	cfg    InspectConfig
	keep   inspection.Store
	vendor InspectVendor
}

// InspectConfig says what is made of the findings, which differs between releases of ironic.
type InspectConfig struct {
	// Texts keeps the amounts of memory and disk as texts, as up to 22.0.
	Texts bool
	// Inventory keeps an inventory beside the properties, as since 22.1; Stored says whether [inventory]data_backend wants it.
	Inventory, Stored bool
	// Hooks are [redfish]inspection_hooks, which make ports and properties of the inventory since 32.0. Nil has none: the
	// properties then hold what the BMC says, and each card that it calls enabled gets a port.
	Hooks *inspection.Hooks
	// Rules are applied after the hooks; nil has none.
	Rules Rules
	// SplitFailure has a failure show its text and what belongs into it apart, as before 26.1.
	SplitFailure bool
	// Serial includes model and UUID in what the inventory says of the system, and tells of storage controllers, PCI devices and what network
	// cards have heard of switches, as since 34.0.
	Serial bool
}

// Rules are inspection rules. They change the node in memory, also when they fail.
type Rules interface {
	Apply(ctx context.Context, t *drivers.Task, inventory, pluginData store.Dict, phase string) error
}

// NewInspect returns the inspect interface redfish.
func NewInspect(c *Client, cfg InspectConfig, keep inspection.Store) *Inspect {
	return &Inspect{base: base{c.Plain()}, cfg: cfg, keep: keep}
}

// Validate checks driver_info.
func (i *Inspect) Validate(_ context.Context, t *drivers.Task) error { return i.bmcs.Validate(t.Node) }

// InspectHardware reads everything first; the node is changed when all that it must have was found.
func (i *Inspect) InspectHardware(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	var f findings
	err := i.on(ctx, t, "", func(s *system) (err error) {
		if f, err = s.findings(); err == nil {
			err = i.findMore(ctx, s, &f)
		}
		return err
	})
	if err == nil && i.vendor.EachCard {
		err = inspection.CreatePorts(ctx, t, i.keep, f.everyCard())
	}
	if err != nil {
		return drivers.Done, err
	}
	properties := t.Node.Properties.Clone()
	if properties == nil {
		properties = store.Dict{}
	}
	i.tell(properties, f)
	if f.bootMode != "" && drivers.Capability(t.Node, "boot_mode") == "" {
		properties["capabilities"] = drivers.WithCapability(t.Node, "boot_mode", f.bootMode)
	}
	if i.cfg.Hooks != nil {
		return drivers.Done, i.runHooks(ctx, t, f, properties)
	}
	if err := i.checkEssential(t, properties); err != nil {
		return drivers.Done, err
	}
	t.Node.Properties = properties
	if err := t.Worker.Save(ctx, t); err != nil {
		return drivers.Done, err
	}
	if err := inspection.CreatePorts(ctx, t, i.keep, f.enabledCards()); err != nil {
		return drivers.Done, err
	}
	if err := i.markPorts(ctx, t, f); err != nil {
		return drivers.Done, err
	}
	if !i.cfg.Inventory || !i.cfg.Stored {
		return drivers.Done, nil
	}
	return drivers.Done, i.keep.SaveInventory(ctx, t.Node.ID, f.inventory(), nil)
}

// runHooks lets the hooks work on the inventory. What they make of the node's properties goes with what the BMC said.
func (i *Inspect) runHooks(ctx context.Context, t *drivers.Task, f findings, properties store.Dict) error {
	inventory, pluginData := f.fullInventory(i.cfg.Serial), store.Dict{}
	if i.cfg.Serial {
		f.details.tell(inventory, pluginData)
	}
	f.more.tell(inventory, pluginData)
	t.Node.Properties = properties
	if err := i.cfg.Hooks.Run(ctx, t, inventory, pluginData); err != nil {
		return err
	}
	if i.cfg.Stored {
		if err := i.keep.SaveInventory(ctx, t.Node.ID, inventory, pluginData); err != nil {
			return err
		}
	}
	if i.cfg.Rules != nil {
		if err := i.cfg.Rules.Apply(ctx, t, inventory, pluginData, rules.PhaseMain); err != nil {
			return err
		}
	}
	if err := i.checkEssential(t, t.Node.Properties); err != nil {
		return err
	}
	return t.Worker.Save(ctx, t)
}

// tell writes the amounts into properties. A machine without a disk has a local_gb of 0.
func (i *Inspect) tell(properties store.Dict, f findings) {
	amount := func(n int64, text bool) any {
		if text {
			return strconv.FormatInt(n, 10)
		}
		return n
	}
	if f.memoryMB > 0 {
		properties["memory_mb"] = amount(f.memoryMB, i.cfg.Texts)
	}
	properties["local_gb"] = amount(f.localGB(), i.cfg.Hooks == nil)
	if i.cfg.Hooks != nil {
		return
	}
	if f.threads > 0 {
		properties["cpus"] = f.threads
	}
	if arch := architectures[f.architecture]; arch != "" {
		properties["cpu_arch"] = arch
	}
}

func (i *Inspect) checkEssential(t *drivers.Task, properties store.Dict) error {
	essential := []string{"cpu_arch", "local_gb", "memory_mb"}
	if i.cfg.Texts {
		essential = append(essential, "cpus")
	}
	var missing []string
	for _, key := range essential {
		if _, known := properties[key]; !known {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, ", ")
	if i.cfg.SplitFailure {
		return store.Errorf(store.HardwareInspectionFailure, "Failed to inspect hardware. Reason: ('Failed to discover the following "+
			"properties: %%(missing_keys)s on node %%(node)s', {'missing_keys': %s, 'node': %s})", store.PythonRepr(names),
			store.PythonRepr(t.Node.UUID))
	}
	return store.Errorf(store.HardwareInspectionFailure, "Failed to inspect hardware. Reason: Failed to discover the following "+
		"properties: %s on node %s", names, t.Node.UUID)
}

var _ drivers.Inspect = (*Inspect)(nil)
