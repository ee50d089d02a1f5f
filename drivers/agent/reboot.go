package agent

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// RebootAgent boots the agent afresh. One that runs already for fast track is switched off before, so that the machine
// comes up from what is prepared here. The next agent gets another token: late heartbeats of the last one, which may wait in
// the queue of a worker that was away, are not to be taken for its own.
//
// A machine whose agent was not heard of may be on its way up, because a worker that is gone switched it on: its BMC still
// shows a one-time boot device that the machine is just using up. It is brought to rest before the device is set, and then
// only switched on: should the former worker's request arrive after all, that is the boot that is wanted.
func (d *Deploy) RebootAgent(ctx context.Context, t *drivers.Task) error {
	running, err := d.fastTrack(ctx, t)
	if err != nil {
		return err
	}
	info, last := internalInfo(t.Node), store.Reboot
	rest := info.String("agent_url") == "" && canPowerOff(t)
	if rest {
		last = store.PowerOn
	}
	delete(info, drivers.KeyAgentToken)
	delete(info, drivers.KeyTokenPregenerated)
	if running || rest {
		// Crash window: the row without the token is saved before the machine is switched off. A heartbeat that comes when
		// this worker is back may be of the agent that is gone by then.
		if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
			return err
		}
	}
	if err := d.cfg.prepareRamdisk(ctx, t); err != nil {
		return err
	}
	return t.Worker.SetPower(ctx, t, last)
}

// PrepareAgentBoot makes the agent ready to boot on a machine that somebody else restarts. The agent that runs is not listened to any
// more.
func (d *Deploy) PrepareAgentBoot(ctx context.Context, t *drivers.Task) error {
	info := internalInfo(t.Node)
	delete(info, drivers.KeyAgentToken)
	delete(info, drivers.KeyTokenPregenerated)
	if err := d.cfg.prepareRamdisk(ctx, t); err != nil {
		return err
	}
	return t.Worker.Save(ctx, t)
}

func canPowerOff(t *drivers.Task) bool {
	disabled := t.Node.DisablePowerOff != nil && *t.Node.DisablePowerOff
	return !disabled && slices.Contains(t.Hardware.Power.SupportedPowerStates(t), store.PowerOff)
}
