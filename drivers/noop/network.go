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

// AddProvisioningNetwork does nothing.
func (*Network) AddProvisioningNetwork(context.Context, *drivers.Task) error { return nil }

// RemoveProvisioningNetwork does nothing.
func (*Network) RemoveProvisioningNetwork(context.Context, *drivers.Task) error { return nil }

// AddCleaningNetwork does nothing.
func (*Network) AddCleaningNetwork(context.Context, *drivers.Task) error { return nil }

// RemoveCleaningNetwork does nothing.
func (*Network) RemoveCleaningNetwork(context.Context, *drivers.Task) error { return nil }

// ConfigureTenantNetworks does nothing.
func (*Network) ConfigureTenantNetworks(context.Context, *drivers.Task) error { return nil }

// UnconfigureTenantNetworks does nothing.
func (*Network) UnconfigureTenantNetworks(context.Context, *drivers.Task) error { return nil }

// PortChanged accepts every change.
func (*Network) PortChanged(context.Context, *drivers.Task, *store.Port, *store.Port) error {
	return nil
}

// CurrentVIF is none, whatever the port's row says.
func (*Network) CurrentVIF(*drivers.Task, *store.Port) string { return "" }

// VIFDetach forgets nothing, for nothing was kept.
func (*Network) VIFDetach(context.Context, *drivers.Task, string) error { return nil }

var _ drivers.Network = (*Network)(nil)
