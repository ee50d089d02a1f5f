package drivers

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/store"
)

// PoweredNetwork is a network interface of machines whose network cards are connected by an agent on the card: Smart NICs, which are
// off when their machine is.
type PoweredNetwork interface {
	Network
	// NeedsPower tells whether the node has such cards.
	NeedsPower(ctx context.Context, t *Task) (bool, error)
	// AwaitRestart waits until a card's agent has gone, as it does when the machine is switched on and the card starts anew.
	AwaitRestart(ctx context.Context, t *Task) error
	// Settle gives agents the time to do what they were told.
	Settle(ctx context.Context) error
}

// Rewire changes a node's networks. A machine whose cards have to run for that, and that is off, is switched on before, into its
// firmware, and off again afterwards (power_state_for_network_configuration in ironic/conductor/utils.py). All of it may run again: a
// machine that was left on is found so, and what comes next sets the power that it needs.
func Rewire(ctx context.Context, t *Task, change ...func(context.Context, *Task) error) error {
	changed := func() error {
		for _, step := range change {
			if err := step(ctx, t); err != nil {
				return err
			}
		}
		return nil
	}
	network, ok := t.Hardware.Network.(PoweredNetwork)
	if !ok {
		return changed()
	}
	needs, err := network.NeedsPower(ctx, t)
	if err != nil {
		return err
	}
	if !needs {
		return changed()
	}
	state, err := t.Hardware.Power.PowerState(ctx, t)
	if err != nil {
		return fmt.Errorf("reading the power state before the networks are changed: %w", err)
	}
	if state != store.PowerOff {
		return changed()
	}
	if err := SetBootDevice(ctx, t, store.BootDeviceBIOS, false); err != nil {
		return err
	}
	if err := t.Worker.SetPower(ctx, t, store.PowerOn); err != nil {
		return err
	}
	if err := network.AwaitRestart(ctx, t); err != nil {
		return err
	}
	if err := changed(); err != nil {
		return err
	}
	if err := network.Settle(ctx); err != nil {
		return err
	}
	return t.Worker.SetPower(ctx, t, store.PowerOff)
}
