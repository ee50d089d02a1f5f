package fake

import (
	"context"
	"errors"
	"fmt"

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
	settings, err := settingsOf(args["settings"])
	if err != nil {
		return drivers.Done, err
	}
	wanted := map[string]string{}
	for _, s := range settings {
		wanted[s.String("name")] = s.String("value")
	}
	return drivers.Done, b.settings.ReplaceBIOSSettings(ctx, t.Node.ID, wanted)
}

// settingsOf reads a list of objects with a name and a value. What is none fails as it does in ironic, which does not check its
// argument: in the words of Python.
func settingsOf(value any) ([]store.Dict, error) {
	items, isList := value.([]any)
	switch v := value.(type) {
	case string:
		for _, r := range v {
			items = append(items, string(r))
		}
	case map[string]any:
		for key := range v {
			items = append(items, key)
		}
	default:
		if !isList {
			return nil, fmt.Errorf("'%s' object is not iterable", store.PythonType(value))
		}
	}
	settings := make([]store.Dict, len(items))
	for _, key := range []string{"name", "value"} {
		for i, item := range items {
			object, isObject := item.(map[string]any)
			switch item.(type) {
			case string:
				return nil, errors.New("string indices must be integers, not 'str'")
			case []any:
				return nil, errors.New("list indices must be integers or slices, not str")
			default:
				if !isObject {
					return nil, fmt.Errorf("'%s' object is not subscriptable", store.PythonType(item))
				}
			}
			if _, given := object[key]; !given {
				return nil, errors.New("'" + key + "'")
			}
			settings[i] = object
		}
	}
	return settings, nil
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
