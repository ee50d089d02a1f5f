package agent

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// RebootAgent boots the agent afresh. One that runs already for fast track is switched off before, so that the machine
// comes up from what is prepared here. The next agent gets another token: late heartbeats of the last one, which may wait in
// the queue of a worker that was away, are not to be taken for its own.
func (d *Deploy) RebootAgent(ctx context.Context, t *drivers.Task) error {
	running, err := d.fastTrack(ctx, t)
	if err != nil {
		return err
	}
	if running {
		if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
			return err
		}
	}
	info := internalInfo(t.Node)
	delete(info, "agent_secret_token")
	delete(info, "agent_secret_token_pregenerated")
	if err := d.prepareRamdisk(ctx, t); err != nil {
		return err
	}
	return t.Worker.SetPower(ctx, t, store.Reboot)
}
