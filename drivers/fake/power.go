package fake

import (
	"context"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Power is the power interface fake: the machine's power is what the node's row says it is.
type Power struct {
	plain
	delay Delay
}

// NewPower returns the power interface fake.
func NewPower(c Config) *Power { return &Power{delay: c.PowerDelay} }

// PowerState returns what the node's row says.
func (p *Power) PowerState(ctx context.Context, t *drivers.Task) (string, error) {
	return t.Node.PowerState, p.delay.wait(ctx)
}

// SetPowerState writes the state into the node, soft ones as they are asked for, which the caller then corrects.
func (p *Power) SetPowerState(ctx context.Context, t *drivers.Task, state string, _ time.Duration) error {
	if err := p.delay.wait(ctx); err != nil {
		return err
	}
	known := []string{store.PowerOn, store.PowerOff, store.SoftReboot, store.SoftPowerOff}
	if !slices.Contains(known, state) {
		return store.Errorf(store.InvalidParameterValue,
			"set_power_state called with an invalid power state: %s.", state)
	}
	t.Node.PowerState = state
	return nil
}

// Reboot leaves everything as it is.
func (p *Power) Reboot(ctx context.Context, _ *drivers.Task, _ time.Duration) error {
	return p.delay.wait(ctx)
}

// SupportedPowerStates are all that there are.
func (*Power) SupportedPowerStates(*drivers.Task) []string {
	return []string{store.PowerOn, store.PowerOff, store.Reboot, store.SoftReboot, store.SoftPowerOff}
}

// SupportsPowerSync is true, though nothing ever needs to be synchronised.
func (*Power) SupportsPowerSync(*drivers.Task) bool { return true }

var _ drivers.Power = (*Power)(nil)
