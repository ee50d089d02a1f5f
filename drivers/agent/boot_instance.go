package agent

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// bootInstance is the step deploy.boot_instance. A node that cannot be switched on was rebooted when its agent was torn down.
func (d *Deploy) bootInstance(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	if !canPowerOn(t) {
		return drivers.Done, nil
	}
	if err := t.Worker.SetPower(ctx, t, store.PowerOn); err != nil {
		return drivers.Done, store.Errorf(store.InstanceDeployFailure,
			"Error booting node %s after deploy. %s: %w", t.Node.UUID, errorClass(err), err)
	}
	return drivers.Done, nil
}
