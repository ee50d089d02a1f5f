package neutron

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Flat is the network interface flat: all is on one network, that of the tenants. Only cleaning and inspection have ports of their
// own.
type Flat struct{ base }

// NewFlat returns the network interface flat.
func NewFlat(cfg Config, client *Client) *Flat { return &Flat{base{cfg, client}} }

// Validate checks that there is a network for cleaning.
func (f *Flat) Validate(ctx context.Context, t *drivers.Task) error {
	_, err := f.networkID(ctx, t, cleaning)
	return err
}

// ValidateRescue accepts every node: a rescue uses the tenant's network.
func (*Flat) ValidateRescue(context.Context, *drivers.Task) error { return nil }

// bind gives the tenant's virtual interfaces the node as their host.
func (f *Flat) bind(ctx context.Context, t *drivers.Task) error {
	w, err := wiringOf(ctx, t)
	if err != nil {
		return err
	}
	bound := 0
	for _, c := range w.all() {
		vif := c.vif()
		if vif == "" {
			continue
		}
		var mac any
		if c.address() != "" {
			mac = c.address()
		}
		err := f.client.Update(ctx, t, vif, Attributes{"binding:host_id": t.Node.UUID, "binding:vnic_type": vnicBareMetal,
			"mac_address": mac})
		switch {
		case context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case err != nil:
			return networkError("Unable to set binding:host_id for neutron port %s. Error: %w", vif, err)
		}
		bound++
	}
	if bound == 0 && f.cfg.FlatMustBind {
		return networkError("Failed to bind any flat network ports for node %s", t.Node.UUID)
	}
	return nil
}

// unbind takes the binding of the tenant's virtual interfaces away.
func (f *Flat) unbind(ctx context.Context, t *drivers.Task) error {
	w, err := wiringOf(ctx, t)
	if err != nil {
		return err
	}
	for _, c := range w.top() {
		if vif := c.vif(); vif != "" {
			if err := f.client.unbind(ctx, t, vif, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// AddProvisioningNetwork binds the tenant's virtual interfaces.
func (f *Flat) AddProvisioningNetwork(ctx context.Context, t *drivers.Task) error {
	return f.bind(ctx, t)
}

// RemoveProvisioningNetwork unbinds them.
func (f *Flat) RemoveProvisioningNetwork(ctx context.Context, t *drivers.Task) error {
	return f.unbind(ctx, t)
}

// ConfigureTenantNetworks binds the tenant's virtual interfaces.
func (f *Flat) ConfigureTenantNetworks(ctx context.Context, t *drivers.Task) error {
	return f.bind(ctx, t)
}

// UnconfigureTenantNetworks unbinds them.
func (f *Flat) UnconfigureTenantNetworks(ctx context.Context, t *drivers.Task) error {
	return f.unbind(ctx, t)
}

// AddCleaningNetwork makes ports on the cleaning network.
func (f *Flat) AddCleaningNetwork(ctx context.Context, t *drivers.Task) error {
	return f.addRamdiskNetwork(ctx, t, cleaning, nil)
}

// RemoveCleaningNetwork removes them.
func (f *Flat) RemoveCleaningNetwork(ctx context.Context, t *drivers.Task) error {
	return f.removeRamdiskNetwork(ctx, t, cleaning)
}

// AddRescuingNetwork binds the tenant's virtual interfaces.
func (f *Flat) AddRescuingNetwork(ctx context.Context, t *drivers.Task) error { return f.bind(ctx, t) }

// RemoveRescuingNetwork unbinds them.
func (f *Flat) RemoveRescuingNetwork(ctx context.Context, t *drivers.Task) error {
	return f.unbind(ctx, t)
}

// AddInspectionNetwork makes ports on the inspection network.
func (f *Flat) AddInspectionNetwork(ctx context.Context, t *drivers.Task) error {
	return f.addRamdiskNetwork(ctx, t, inspection, nil)
}

// RemoveInspectionNetwork removes them.
func (f *Flat) RemoveInspectionNetwork(ctx context.Context, t *drivers.Task) error {
	return f.removeRamdiskNetwork(ctx, t, inspection)
}

// AddServicingNetwork binds the tenant's virtual interfaces.
func (f *Flat) AddServicingNetwork(ctx context.Context, t *drivers.Task) error { return f.bind(ctx, t) }

// RemoveServicingNetwork unbinds them.
func (f *Flat) RemoveServicingNetwork(ctx context.Context, t *drivers.Task) error {
	return f.unbind(ctx, t)
}

var _ drivers.Network = (*Flat)(nil)
