package noop

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Network is the network interface noop: one flat network that somebody else takes care of.
type Network struct{ permissive }

// NewNetwork returns the network interface noop.
func NewNetwork() *Network { return &Network{} }

// ValidateRescue accepts every node.
func (*Network) ValidateRescue(context.Context, *drivers.Task) error { return nil }

// ValidateInspection accepts every node.
func (*Network) ValidateInspection(context.Context, *drivers.Task) error { return nil }

// AddProvisioningNetwork does nothing.
func (*Network) AddProvisioningNetwork(context.Context, *drivers.Task) error { return nil }

// RemoveProvisioningNetwork does nothing.
func (*Network) RemoveProvisioningNetwork(context.Context, *drivers.Task) error { return nil }

// AddCleaningNetwork does nothing.
func (*Network) AddCleaningNetwork(context.Context, *drivers.Task) error { return nil }

// RemoveCleaningNetwork does nothing.
func (*Network) RemoveCleaningNetwork(context.Context, *drivers.Task) error { return nil }

// AddRescuingNetwork does nothing.
func (*Network) AddRescuingNetwork(context.Context, *drivers.Task) error { return nil }

// RemoveRescuingNetwork does nothing.
func (*Network) RemoveRescuingNetwork(context.Context, *drivers.Task) error { return nil }

// AddInspectionNetwork does nothing.
func (*Network) AddInspectionNetwork(context.Context, *drivers.Task) error { return nil }

// RemoveInspectionNetwork does nothing.
func (*Network) RemoveInspectionNetwork(context.Context, *drivers.Task) error { return nil }

// AddServicingNetwork does nothing.
func (*Network) AddServicingNetwork(context.Context, *drivers.Task) error { return nil }

// RemoveServicingNetwork does nothing.
func (*Network) RemoveServicingNetwork(context.Context, *drivers.Task) error { return nil }

// ConfigureTenantNetworks does nothing.
func (*Network) ConfigureTenantNetworks(context.Context, *drivers.Task) error { return nil }

// UnconfigureTenantNetworks does nothing.
func (*Network) UnconfigureTenantNetworks(context.Context, *drivers.Task) error { return nil }

// PortChanged accepts every change.
func (*Network) PortChanged(context.Context, *drivers.Task, *store.Port, *store.Port) error {
	return nil
}

// PortgroupChanged accepts every change.
func (*Network) PortgroupChanged(context.Context, *drivers.Task, *store.Portgroup, *store.Portgroup) error {
	return nil
}

// VIFAttach accepts every virtual interface and keeps none.
func (*Network) VIFAttach(context.Context, *drivers.Task, drivers.VIF) error { return nil }

// VIFDetach forgets nothing, for nothing was kept.
func (*Network) VIFDetach(context.Context, *drivers.Task, string) error { return nil }

// VIFList is empty.
func (*Network) VIFList(context.Context, *drivers.Task) ([]string, error) { return nil, nil }

// CurrentVIF is none, whatever the row says.
func (*Network) CurrentVIF(store.Dict) string { return "" }

// NetworkData is what an operator wrote into the node.
func (*Network) NetworkData(_ context.Context, t *drivers.Task) (store.Dict, error) {
	return t.Node.NetworkData, nil
}

var _ drivers.Network = (*Network)(nil)
