package agent

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// RebootAgent boots the agent afresh. One that runs already for fast track is switched off before, so that the machine
// comes up from what is prepared here.
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
	if err := d.prepareRamdisk(ctx, t); err != nil {
		return err
	}
	return t.Worker.SetPower(ctx, t, store.Reboot)
}
