package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// BIOSSettings is where the settings that users see are kept: the table bios_settings.
type BIOSSettings interface {
	// ReplaceBIOSSettings makes the stored settings of a node, by name, those given and no others.
	ReplaceBIOSSettings(ctx context.Context, nodeID int64, settings map[string]string) error
}

// BIOS is the bios interface fake: a firmware whose settings are what the database says.
type BIOS struct {
	plain
	delay    Delay
	settings BIOSSettings
}

// NewBIOS returns the bios interface fake.
func NewBIOS(c Config, settings BIOSSettings) *BIOS {
	return &BIOS{delay: c.BIOSDelay, settings: settings}
}

// CacheSettings leaves the stored settings alone.
func (b *BIOS) CacheSettings(ctx context.Context, _ *drivers.Task) error { return b.delay.wait(ctx) }

// Steps offers the clean steps of ironic's fake bios interface; all of them run only when asked for by name.
func (b *BIOS) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.CleanStep {
		return nil
	}
	return []drivers.Step{
		{
			Interface: drivers.TypeBIOS, Name: "apply_configuration", RequiresRamdisk: true, Run: b.apply,
			Args: map[string]drivers.StepArg{"settings": {
				Description: "List of BIOS settings, each item needs to contain a dictionary with name/value pairs",
				Required:    true,
			}},
		},
		{Interface: drivers.TypeBIOS, Name: "cache_bios_settings", RequiresRamdisk: true, Run: b.cache},
		{Interface: drivers.TypeBIOS, Name: "factory_reset", RequiresRamdisk: true, Run: b.reset},
	}
}

func (b *BIOS) apply(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if err := b.delay.wait(ctx); err != nil {
		return drivers.Done, err
	}
	wanted := map[string]string{}
	for _, item := range args.List("settings") {
		setting := store.Dict{"setting": item}.Dict("setting")
		name := setting.String("name")
		if name == "" {
			return drivers.Done, store.Errorf(store.InvalidParameterValue,
				"settings: every item needs a name and a value")
		}
		wanted[name] = setting.String("value")
	}
	return drivers.Done, b.settings.ReplaceBIOSSettings(ctx, t.Node.ID, wanted)
}

func (b *BIOS) cache(ctx context.Context, _ *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	return drivers.Done, b.delay.wait(ctx)
}

func (b *BIOS) reset(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	if err := b.delay.wait(ctx); err != nil {
		return drivers.Done, err
	}
	return drivers.Done, b.settings.ReplaceBIOSSettings(ctx, t.Node.ID, nil)
}

var _ drivers.BIOS = (*BIOS)(nil)
