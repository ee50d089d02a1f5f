package agent

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// PrepareService takes the node from its instance, and boots the agent on the servicing network.
func (d *Deploy) PrepareService(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	last := store.Reboot
	if canPowerOff(t) {
		last = store.PowerOn
		if err := powerOffUnseen(ctx, t); err != nil {
			return drivers.Done, err
		}
	}
	return d.cfg.bootBesideInstance(ctx, t, t.Hardware.Network.AddServicingNetwork, last)
}

// TearDownService takes the ramdisk away and boots the instance. After a failure the node stays as it is, to be looked at.
func (d *Deploy) TearDownService(ctx context.Context, t *drivers.Task) error {
	failed, last := t.Node.Fault == store.FaultService, store.Reboot
	if canPowerOff(t) {
		last = store.PowerOn
	}
	if !failed && last == store.PowerOn {
		if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
			return err
		}
	}
	if err := t.Hardware.Boot.CleanUpRamdisk(ctx, t); err != nil || failed {
		return err
	}
	network := t.Hardware.Network
	if err := drivers.Rewire(ctx, t, network.RemoveServicingNetwork, network.ConfigureTenantNetworks); err != nil {
		return err
	}
	if err := t.Hardware.Boot.PrepareInstance(ctx, t); err != nil {
		return err
	}
	return t.Worker.SetPower(ctx, t, last)
}

// powerOffUnseen switches the node off for a moment. The row says that it is on: whoever looks at it from outside, such as Nova's
// power sync, would otherwise take a node that is about to boot for one that its user switched off.
func powerOffUnseen(ctx context.Context, t *drivers.Task) error {
	if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
		return err
	}
	t.Node.PowerState = store.PowerOn
	return t.Worker.Save(ctx, t)
}
