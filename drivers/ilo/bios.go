package ilo

import (
	"context"
	"fmt"
	"maps"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Settings is where the BIOS settings that users see are kept: the table bios_settings.
type Settings interface {
	// ReplaceBIOSSettings makes the stored settings of a node, by name, those given and no others.
	ReplaceBIOSSettings(ctx context.Context, nodeID int64, settings map[string]string) error
}

// BIOS is the bios interface ilo.
type BIOS struct {
	base
	settings Settings
}

// NewBIOS returns the bios interface ilo.
func NewBIOS(c *redfish.Client, cfg Config, settings Settings) *BIOS {
	return &BIOS{newBase(c, cfg), settings}
}

// Properties describes how a node names its iLO.
func (*BIOS) Properties() map[string]string { return maps.Clone(requiredProperties) }

// Validate checks driver_info.
func (b *BIOS) Validate(_ context.Context, t *drivers.Task) error { return b.bmcs.Validate(t.Node) }

// CacheSettings records the settings that the machine has started with.
func (b *BIOS) CacheSettings(ctx context.Context, t *drivers.Task) error {
	all := map[string]string{}
	err := b.bmcs.Do(ctx, t, "Caching BIOS settings", func(s *redfish.System) error {
		f, err := readFirmware(s)
		if err != nil {
			return err
		}
		for name, value := range f.attributes {
			all[name] = settingText(value)
		}
		return nil
	})
	if err != nil {
		return b.failed(t, "Caching BIOS settings failed on node %s with error: %w", err)
	}
	return b.settings.ReplaceBIOSSettings(ctx, t.Node.ID, all)
}

// settingText is a setting as ironic stores it.
func settingText(value any) string {
	switch v := value.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	}
	return fmt.Sprint(value)
}

// failed is what users are told of a step that failed.
func (*BIOS) failed(t *drivers.Task, format string, err error) error {
	kind := store.InstanceDeployFailure
	if len(t.Node.CleanStep) > 0 {
		kind = store.NodeCleaningFailure
	}
	return store.Errorf(kind, format, t.Node.UUID, err)
}

// Steps are those that change settings. Each restarts the machine in its middle: the driver_internal_info keys of upstream tell which
// half is due.
func (b *BIOS) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.CleanStep && kind != drivers.DeployStep {
		return nil
	}
	application := b.around("apply_configuration", keyApplied, apply)
	reset := b.around("factory_reset", keyReset, func(s *redfish.System, f *firmware, _ store.Dict) error { return f.reset(s) })
	steps := []drivers.Step{
		{Name: "apply_configuration", Run: application, Resume: goOn(keyApplied, application),
			Args: map[string]drivers.StepArg{"settings": {Required: true, Description: "Dictionary with current BIOS configuration."}}},
		{Name: "factory_reset", Run: reset, Resume: goOn(keyReset, reset)},
	}
	for i := range steps {
		steps[i].Interface, steps[i].RequiresRamdisk = drivers.TypeBIOS, true
	}
	return steps
}

func apply(s *redfish.System, f *firmware, args store.Dict) error {
	wanted := map[string]any{}
	for _, item := range args.List("settings") {
		one := store.Dict{"setting": item}.Dict("setting")
		name := one.String("name")
		if name == "" {
			return store.Errorf(store.InvalidParameterValue, "settings: every item needs a name and a value")
		}
		wanted[name] = one["value"]
	}
	if len(wanted) == 0 {
		return reason("Could not apply settings with empty data")
	}
	return f.set(s, wanted)
}

// The keys of driver_internal_info that tell that the second half of a step is due.
const (
	keyApplied = "apply_bios"
	keyReset   = "reset_bios"
)

type stepRun = func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error)

// around changes settings and restarts the machine, and when its agent has booted again reads what came of it.
//
// Crash windows: settings that the iLO has taken and the row does not know are set once more, which does no harm. When the row knows of
// them and nobody of the restart, goOn restarts the machine.
func (b *BIOS) around(step, key string, change func(*redfish.System, *firmware, store.Dict) error) stepRun {
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		if t.Node.DriverInternalInfo.Bool(key, false) {
			return drivers.Done, b.finish(ctx, t, step)
		}
		err := b.bmcs.Do(ctx, t, step, func(s *redfish.System) error {
			f, err := readFirmware(s)
			if err != nil {
				return err
			}
			return change(s, f, args)
		})
		if err != nil {
			return drivers.Done, b.failed(t, "Step "+step+" failed on the node %s with error: %w", err)
		}
		// gofail: var iloSettingsChanged struct{}
		t.Node.DriverInternalInfo[key] = true
		drivers.AsyncStep{}.Note(t.Node)
		if err := t.Worker.Save(ctx, t); err != nil {
			return drivers.Done, err
		}
		// gofail: var iloSettingsNoted struct{}
		return restart(ctx, t, key)
	}
}

// goOn goes on with a step that may have begun before: after the restart as it does anyway.
func goOn(key string, run stepRun) stepRun {
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		if t.Node.DriverInternalInfo.Bool(key, false) && drivers.RebootDue(t.Node) {
			return restart(ctx, t, key)
		}
		return run(ctx, t, args)
	}
}

// finish looks what the BIOS said to the change.
func (b *BIOS) finish(ctx context.Context, t *drivers.Task, step string) error {
	// The flow writes this with its next step, or with its failure: until then the step is where it is.
	delete(t.Node.DriverInternalInfo, keyApplied)
	delete(t.Node.DriverInternalInfo, keyReset)
	var messages []any
	err := b.bmcs.Do(ctx, t, step, func(s *redfish.System) error {
		f, err := readFirmware(s)
		if err == nil {
			messages = f.messages
		}
		return err
	})
	// One message tells of success; what was refused comes beside it.
	if err == nil && len(messages) > 1 {
		err = fmt.Errorf("%v", messages)
	}
	if err != nil {
		return b.failed(t, "Step "+step+" failed on the node %s with error: %w", err)
	}
	return b.CacheSettings(ctx, t)
}

var _ drivers.BIOS = (*BIOS)(nil)
