package agent

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// switchToTenantNetwork is the step deploy.switch_to_tenant_network. The node is off.
func (d *Deploy) switchToTenantNetwork(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	network := t.Hardware.Network
	if err := drivers.Rewire(ctx, t, network.RemoveProvisioningNetwork, network.ConfigureTenantNetworks); err != nil {
		return drivers.Done, store.Errorf(store.InstanceDeployFailure,
			"Error changing node %s to tenant networks after deploy. %s: %w", t.Node.UUID, errorClass(err), err)
	}
	return drivers.Done, nil
}
