package neutron

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Separate is the network interface neutron: each kind of ramdisk is on a network of its own, and tenants are on theirs. The
// switches are Neutron's.
type Separate struct{ base }

// NewSeparate returns the network interface neutron.
func NewSeparate(cfg Config, client *Client) *Separate { return &Separate{base{cfg, client}} }

// Validate checks that there are networks for cleaning and provisioning.
func (n *Separate) Validate(ctx context.Context, t *drivers.Task) error {
	if !n.cfg.ChecksAsAdmin || t.Admin {
		for _, u := range []use{cleaning, provisioning} {
			if _, err := n.networkID(ctx, t, u); err != nil {
				return err
			}
		}
	}
	disabled := t.Node.DisablePowerOff
	if n.cfg.ChecksPowerOff && disabled != nil && *disabled && !n.cfg.AllowDisabledPowerOff {
		return store.Errorf(store.InvalidParameterValue, "Nodes with disable_power_off cannot be used with the neutron network "+
			"interface (disallowed in the configuration)")
	}
	return nil
}

// ValidateRescue checks that there is a network for rescuing.
func (n *Separate) ValidateRescue(ctx context.Context, t *drivers.Task) error {
	_, err := n.networkID(ctx, t, rescuing)
	return err
}

func (n *Separate) add(ctx context.Context, t *drivers.Task, u use) error {
	return n.addRamdiskNetwork(ctx, t, u, n.cfg.of(u).SecurityGroups)
}

// AddProvisioningNetwork makes ports on the provisioning network.
func (n *Separate) AddProvisioningNetwork(ctx context.Context, t *drivers.Task) error {
	return n.add(ctx, t, provisioning)
}

// RemoveProvisioningNetwork removes them.
func (n *Separate) RemoveProvisioningNetwork(ctx context.Context, t *drivers.Task) error {
	return n.removeRamdiskNetwork(ctx, t, provisioning)
}

// AddCleaningNetwork makes ports on the cleaning network.
func (n *Separate) AddCleaningNetwork(ctx context.Context, t *drivers.Task) error {
	return n.add(ctx, t, cleaning)
}

// RemoveCleaningNetwork removes them.
func (n *Separate) RemoveCleaningNetwork(ctx context.Context, t *drivers.Task) error {
	return n.removeRamdiskNetwork(ctx, t, cleaning)
}

// AddRescuingNetwork makes ports on the rescuing network.
func (n *Separate) AddRescuingNetwork(ctx context.Context, t *drivers.Task) error {
	return n.add(ctx, t, rescuing)
}

// RemoveRescuingNetwork removes them.
func (n *Separate) RemoveRescuingNetwork(ctx context.Context, t *drivers.Task) error {
	return n.removeRamdiskNetwork(ctx, t, rescuing)
}

// AddInspectionNetwork makes ports on the inspection network.
func (n *Separate) AddInspectionNetwork(ctx context.Context, t *drivers.Task) error {
	return n.add(ctx, t, inspection)
}

// RemoveInspectionNetwork removes them.
func (n *Separate) RemoveInspectionNetwork(ctx context.Context, t *drivers.Task) error {
	return n.removeRamdiskNetwork(ctx, t, inspection)
}

// AddServicingNetwork makes ports on the servicing network.
func (n *Separate) AddServicingNetwork(ctx context.Context, t *drivers.Task) error {
	return n.add(ctx, t, servicing)
}

// RemoveServicingNetwork removes them.
func (n *Separate) RemoveServicingNetwork(ctx context.Context, t *drivers.Task) error {
	return n.removeRamdiskNetwork(ctx, t, servicing)
}

// ConfigureTenantNetworks plugs the tenant's virtual interfaces. A node without any is a failure.
func (n *Separate) ConfigureTenantNetworks(ctx context.Context, t *drivers.Task) error {
	w, err := wiringOf(ctx, t)
	if err != nil {
		return err
	}
	if len(w.ports) == 0 {
		return networkError("No ports are associated with node %s", t.Node.UUID)
	}
	plugged := 0
	for _, c := range w.top() {
		if vif := c.vif(); vif != "" {
			if err := n.plug(ctx, t, w, c, vif); err != nil {
				return err
			}
			plugged++
		}
	}
	if plugged == 0 {
		return networkError("No neutron ports or portgroups are associated with node %s", t.Node.UUID)
	}
	return nil
}

// UnconfigureTenantNetworks unbinds the tenant's virtual interfaces, so that the machine is never on its network and on a
// ramdisk's at once.
func (n *Separate) UnconfigureTenantNetworks(ctx context.Context, t *drivers.Task) error {
	w, err := wiringOf(ctx, t)
	if err != nil {
		return err
	}
	for _, c := range w.top() {
		if vif := c.vif(); vif != "" {
			if isSmart(c.port) {
				if err := n.awaitAgent(ctx, t, host(c.port), true); err != nil {
					return err
				}
			}
			// The MAC address of a port group that has none is Neutron's own.
			if err := n.client.unbind(ctx, t, vif, c.address() != ""); err != nil {
				return err
			}
		}
	}
	return nil
}

var _ drivers.Network = (*Separate)(nil)
