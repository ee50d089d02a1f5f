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
	return []drivers.Step{
		{
			Interface: drivers.TypeBIOS, Name: "apply_configuration", RequiresRamdisk: true,
			Args: map[string]drivers.StepArg{"settings": {Required: true, Description: "Dictionary with current BIOS configuration."}},
			Run: func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
				return b.restarting(ctx, t, kind, "apply_configuration", "apply_bios", func(s *redfish.System, f *firmware) error {
					return apply(s, f, args)
				})
			},
		},
		{
			Interface: drivers.TypeBIOS, Name: "factory_reset", RequiresRamdisk: true,
			Run: func(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
				return b.restarting(ctx, t, kind, "factory_reset", "reset_bios", func(s *redfish.System, f *firmware) error {
					return f.reset(s)
				})
			},
		},
	}
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

// restarting changes settings and restarts the machine, and when its agent has booted again reads what came of it. A worker that dies
// before it has written down that it restarted the machine does both once more, which does no harm.
func (b *BIOS) restarting(ctx context.Context, t *drivers.Task, kind drivers.StepKind, step, mark string,
	change func(*redfish.System, *firmware) error) (drivers.Outcome, error) {
	info := t.Node.DriverInternalInfo
	if info.Bool(mark, false) {
		return drivers.Done, b.finish(ctx, t, step)
	}
	err := b.bmcs.Do(ctx, t, step, func(s *redfish.System) error {
		f, err := readFirmware(s)
		if err != nil {
			return err
		}
		return change(s, f)
	})
	if err != nil {
		return drivers.Done, b.failed(t, "Step "+step+" failed on the node %s with error: %w", err)
	}
	if err := t.Worker.SetPower(ctx, t, store.Reboot); err != nil {
		return drivers.Done, err
	}
	reboot, skip := "cleaning_reboot", "skip_current_clean_step"
	if kind == drivers.DeployStep {
		reboot, skip = "deployment_reboot", "skip_current_deploy_step"
	}
	info[mark], info[reboot], info[skip] = true, true, false
	return drivers.Waiting, t.Worker.Save(ctx, t)
}

// finish looks what the BIOS said to the change.
func (b *BIOS) finish(ctx context.Context, t *drivers.Task, step string) error {
	delete(t.Node.DriverInternalInfo, "apply_bios")
	delete(t.Node.DriverInternalInfo, "reset_bios")
	if err := t.Worker.Save(ctx, t); err != nil {
		return err
	}
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
