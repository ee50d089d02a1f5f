package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Firmware is the firmware interface fake: always valid, with nothing to update. Ironic has it since 22.1.
type Firmware struct {
	plain
	delay Delay
}

// NewFirmware returns the firmware interface fake.
func NewFirmware(c Config) *Firmware { return &Firmware{delay: c.FirmwareDelay} }

// Steps offers an update that runs when asked for by name, and updates nothing.
func (f *Firmware) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.CleanStep {
		return nil
	}
	return []drivers.Step{{Interface: drivers.TypeFirmware, Name: "update", RequiresRamdisk: true,
		Args: map[string]drivers.StepArg{"settings": {
			Description: "List of Firmware components, each item needs to contain a dictionary with name/value pairs", Required: true,
		}},
		Run: func(ctx context.Context, _ *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
			return drivers.Done, f.delay.wait(ctx)
		}}}
}

// CacheComponents reads nothing.
func (f *Firmware) CacheComponents(ctx context.Context, _ *drivers.Task) error {
	return f.delay.wait(ctx)
}

var _ drivers.FirmwareCache = (*Firmware)(nil)
