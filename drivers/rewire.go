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

// keyPowered is the key in driver_internal_info of a machine that is on for its networks' sake only.
const keyPowered = "ironmaster_on_for_networks"

// Rewire changes a node's networks. A machine whose cards have to run for that, and that is off, is switched on before, into its
// firmware, and off again afterwards (power_state_for_network_configuration in ironic/conductor/utils.py).
//
// Crash window: a machine that was left on in its firmware is known by the row. It is switched off and on again, for what comes next takes
// one that is on for one that boots what it shall.
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
		if !t.Node.DriverInternalInfo.Bool(keyPowered, false) {
			return changed()
		}
		if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
			return err
		}
	}
	if t.Node.DriverInternalInfo == nil {
		t.Node.DriverInternalInfo = store.Dict{}
	}
	t.Node.DriverInternalInfo[keyPowered] = true
	if err := t.Worker.Save(ctx, t); err != nil {
		return err
	}
	err = whilePowered(ctx, t, network, changed)
	if err != nil && ctx.Err() != nil {
		return err
	}
	// After a failure the machine stays on, as in ironic, and is its flow's to deal with.
	delete(t.Node.DriverInternalInfo, keyPowered)
	if saveErr := t.Worker.Save(ctx, t); err == nil {
		return saveErr
	}
	return err
}

// whilePowered changes the networks of a machine that is off, while it is on.
func whilePowered(ctx context.Context, t *Task, network PoweredNetwork, changed func() error) error {
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
