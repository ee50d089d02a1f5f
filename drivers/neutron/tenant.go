package neutron

import (
	"context"
	"errors"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// plug binds a tenant's virtual interface to a port or port group.
func (b *base) plug(ctx context.Context, t *drivers.Task, w wiring, c connector, vif string) error {
	vnic, at := kindOf(t, c.port)
	bind := Attributes{"binding:vnic_type": vnic, "binding:host_id": at}
	if c.address() != "" {
		bind["mac_address"] = c.address()
	}
	profile := store.Dict{}
	links := []any{}
	if c.group != nil {
		for _, p := range w.members(c.group) {
			links = append(links, link(p))
		}
		profile["local_group_information"] = groupInformation(c.group)
	} else {
		links = append(links, link(c.port))
		if id := c.port.Extra.String("client-id"); id != "" {
			bind["extra_dhcp_opts"] = []any{clientIDOption(id)}
		}
	}
	profile["local_link_information"] = links
	if name := c.physicalNetwork(); b.cfg.TellsPhysicalNet && name != nil && *name != "" {
		profile["physical_network"] = *name
	}
	bind["binding:profile"] = profile
	if isSmart(c.port) {
		if err := b.awaitAgent(ctx, t, at, true); err != nil {
			return err
		}
	}
	err := b.client.Update(ctx, t, vif, bind)
	// gofail: var vifBound struct{}
	if err == nil {
		var s *Session
		if s, err = b.client.AsRequester(ctx, t); err == nil {
			err = b.awaitBinding(ctx, t, s, vif, isSmart(c.port))
		}
	}
	if err != nil && kinded(err) == nil && context.Cause(ctx) == nil {
		return networkError("Could not add public network VIF %s to node %s, possible network issue. %w", vif, t.Node.UUID, err)
	}
	return err
}

// kinded is err when it has a kind that users know, else nil.
func kinded(err error) error {
	if store.KindOf(err) != "" || errors.Is(err, store.ErrLockLost) {
		return err
	}
	return nil
}

// clientIDOption is DHCP's option 61 (RFC 2132).
func clientIDOption(id string) store.Dict { return store.Dict{"opt_name": "61", "opt_value": id} }

// groupInformation is what a switch has to know of a bond. The properties are those of Linux's bonding driver, with its prefix.
func groupInformation(g *store.Portgroup) store.Dict {
	properties := store.Dict{}
	for name, value := range g.Properties {
		if !strings.HasPrefix(name, "bond") {
			name = "bond_" + name
		}
		properties[name] = value
	}
	return store.Dict{"id": g.UUID, "name": g.Name, "bond_mode": g.Mode, "bond_properties": properties}
}

// unbind takes the binding of a port away, and the machine's MAC address unless it is to be kept: Neutron changes that of ports
// alone that are not bound. A port that is gone is no failure.
func (c *Client) unbind(ctx context.Context, t *drivers.Task, vif string, resetMAC bool) error {
	err := c.Update(ctx, t, vif, Attributes{"binding:host_id": "", "binding:profile": store.Dict{}})
	// gofail: var vifUnbound struct{}
	if err == nil && resetMAC {
		err = c.Update(ctx, t, vif, Attributes{"mac_address": nil})
	}
	switch {
	case err == nil, missing(err):
		return nil
	case context.Cause(ctx) != nil:
		return err
	}
	return networkError("Unable to clear binding profile for neutron port %s. Error: %w", vif, err)
}

// setAddress gives a port the machine's MAC address. Neutron refuses it for a port that is bound, maybe to another machine.
func (c *Client) setAddress(ctx context.Context, t *drivers.Task, vif, mac string) error {
	err := c.Update(ctx, t, vif, Attributes{"mac_address": mac})
	if err == nil || context.Cause(ctx) != nil {
		return err
	}
	t.Log.Error().Err(err).Str("vif", vif).Msg("The MAC address of a Neutron port could not be set")
	return store.Errorf(store.FailedToUpdateMacOnPort, "Update MAC address on port: %s failed.", vif)
}
