package neutron

import (
	"context"
	"errors"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// VIFAttach gives a Neutron port to one of the node's ports or port groups. On a node that is active it is plugged at once.
func (b *base) VIFAttach(ctx context.Context, t *drivers.Task, vif drivers.VIF) error {
	w, err := wiringOf(ctx, t)
	if err != nil {
		return err
	}
	if b.cfg.Traits != nil {
		return b.attachByTraits(ctx, t, w, vif)
	}
	networks, err := b.allowedNetworks(ctx, t, w, vif.ID)
	if err != nil {
		return err
	}
	c, err := w.free(t, vif, networks)
	if err != nil {
		return err
	}
	return b.attachTo(ctx, t, w, c, vif)
}

// attachTo gives a Neutron port to a port or port group.
func (b *base) attachTo(ctx context.Context, t *drivers.Task, w wiring, c connector, vif drivers.VIF) error {
	if mac := c.address(); mac != "" {
		if err := b.client.setAddress(ctx, t, vif.ID, mac); err != nil {
			if store.KindOf(err) != store.FailedToUpdateMacOnPort {
				return err
			}
			return networkError("Unable to attach VIF %s because Ironic can not update Neutron port %s MAC address to match "+
				"physical MAC address %s", vif.ID, vif.ID, mac)
		}
	}
	// The row is written last, so that an attempt that was cut off is made again as a whole. A failure to bind leaves the
	// interface attached, as in ironic.
	var failure error
	switch {
	case t.Node.ProvisionState == store.Active:
		failure = b.plug(ctx, t, w, c, vif.ID)
	case b.cfg.BindsEarly:
		failure = b.bindEarly(ctx, t, vif.ID)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return errors.Join(failure, c.change(ctx, t, tenantKey, vif.ID))
}

// bindEarly names the host to Neutron, which may give the port its addresses only then.
func (b *base) bindEarly(ctx context.Context, t *drivers.Task, vif string) error {
	s, err := b.client.AsRequester(ctx, t)
	if err != nil {
		return err
	}
	p, err := s.Port(ctx, vif)
	switch {
	case missing(err):
		return networkError("The neutron port %s was not found when we expect it to exist. We cannot proceed.", vif)
	case err != nil:
		return networkError("An unknown error was encountered while attempting to retrieve neutron port %s. Error: %w", vif, err)
	case p.HostID != "":
		if err := b.client.unbind(ctx, t, vif, true); err != nil {
			return err
		}
	}
	err = b.client.Update(ctx, t, vif, Attributes{"binding:vnic_type": vnicBareMetal, "binding:host_id": t.Node.UUID,
		"binding:profile": store.Dict{}})
	if err != nil {
		return networkError("Could not seed network configuration for VIF %sto node %s, possible network, state, or access "+
			"permission issue. %w", vif, t.Node.UUID, err)
	}
	return nil
}

// allowedNetworks are the physical networks on which a virtual interface may be attached; none allows all.
func (b *base) allowedNetworks(ctx context.Context, t *drivers.Task, w wiring, vif string) (map[string]bool, error) {
	own := map[string]bool{}
	for _, p := range w.ports {
		if p.PhysicalNetwork != nil {
			own[*p.PhysicalNetwork] = true
		}
	}
	if len(own) == 0 && !b.cfg.AlwaysAsksPhysNets {
		return nil, nil
	}
	s, err := b.client.AsRequester(ctx, t)
	if err != nil {
		return nil, err
	}
	allowed, err := b.physicalNetworks(ctx, s, vif)
	if err != nil || b.cfg.AlwaysAsksPhysNets {
		return allowed, err
	}
	shared := 0
	for name := range allowed {
		if own[name] {
			shared++
		}
	}
	if shared > 1 {
		return nil, store.Errorf(store.VifInvalidForAttach, "Unable to attach VIF %s to node %s. Reason: Node has ports which map "+
			"to multiple segments of the routed network to which the VIF is attached. Currently neutron only supports hosts which "+
			"map to one segment of a routed network", vif, t.Node.UUID)
	}
	return allowed, nil
}

// free chooses the port or port group for a virtual interface: one whose physical network is among those of the interface before
// one that has none, a port group before a port, a port that is PXE-enabled before another.
func (w wiring) free(t *drivers.Task, vif drivers.VIF, networks map[string]bool) (connector, error) {
	candidates, err := w.candidates(t, vif, networks)
	if err != nil {
		return connector{}, err
	}
	if len(candidates) == 0 {
		return connector{}, store.Errorf(store.NoFreePhysicalPorts, "Unable to attach VIF %s, not enough free physical ports.", vif.ID)
	}
	best, bestRank := candidates[0], -1
	for _, c := range candidates {
		rank, err := w.rank(c, networks)
		if err != nil {
			return connector{}, err
		}
		if rank > bestRank {
			best, bestRank = c, rank
		}
	}
	return best, nil
}

func (w wiring) rank(c connector, networks map[string]bool) (int, error) {
	rank, network := 0, c.physicalNetwork()
	if c.group != nil {
		rank = 0b011
		var err error
		if network, err = w.groupNetwork(c.group); err != nil {
			return 0, err
		}
	} else if pxeEnabled(c.port) {
		rank = 0b001
	}
	if network != nil && networks[*network] {
		rank |= 0b100
	}
	return rank, nil
}

// candidates are the ports and port groups that are free. The ports of a port group one of which is in use stand for themselves.
func (w wiring) candidates(t *drivers.Task, vif drivers.VIF, networks map[string]bool) ([]connector, error) {
	var free []connector
	members := map[int64][]connector{}
	split := map[int64]bool{}
	for _, p := range w.ports {
		c := connector{port: p}
		if vif.Port != "" && vif.Port != p.UUID {
			continue
		}
		if err := checkPort(t, p); err != nil {
			t.Log.Warn().Err(err).Msg("A port is not used")
			continue
		}
		taken, err := c.taken(vif.ID)
		switch {
		case err != nil:
			return nil, err
		case taken:
			if p.PortgroupID != nil {
				split[*p.PortgroupID] = true
			}
		case len(networks) > 0 && p.PhysicalNetwork != nil && !networks[*p.PhysicalNetwork]:
		case p.PortgroupID != nil:
			members[*p.PortgroupID] = append(members[*p.PortgroupID], c)
		case vif.Portgroup == "":
			free = append(free, c)
		}
	}
	if vif.Port != "" {
		return free, nil
	}
	for _, g := range w.groups {
		if vif.Portgroup != "" && vif.Portgroup != g.UUID {
			continue
		}
		c := connector{group: g}
		taken, err := c.taken(vif.ID)
		switch {
		case err != nil:
			return nil, err
		case taken, len(members[g.ID]) == 0:
		case !split[g.ID]:
			free = append(free, c)
		case vif.Portgroup == "":
			free = append(free, members[g.ID]...)
		}
	}
	return free, nil
}

// taken tells that a virtual interface is attached; that it is this one is an error.
func (c connector) taken(vif string) (bool, error) {
	attached := c.vif()
	if attached == vif {
		return true, store.Errorf(store.VifAlreadyAttached,
			"Unable to attach VIF because VIF %s is already attached to Ironic %s %s", vif, c.class(), c.uuid())
	}
	return attached != "", nil
}

// VIFDetach forgets a virtual interface, and unbinds it from a node whose instance is running or being taken away.
func (b *base) VIFDetach(ctx context.Context, t *drivers.Task, id string) error {
	w, err := wiringOf(ctx, t)
	if err != nil {
		return err
	}
	all := append(w.asGroups(), w.asPorts(func(*store.Port) bool { return true })...)
	i := slices.IndexFunc(all, func(c connector) bool { return c.vif() == id })
	if i < 0 {
		return store.Errorf(store.VifNotAttached, "Unable to detach VIF %s from node %s because it is not attached to it.", id,
			t.Node.UUID)
	}
	// The row is written last, so that an attempt that was cut off is made again. What can't be unbound is forgotten
	// nevertheless, as in ironic.
	var failure error
	state := t.Node.ProvisionState
	if state == store.Active || state == store.Deleting || state == store.Available && b.cfg.UnbindsAvailable {
		failure = b.client.unbind(ctx, t, id, true)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if c := all[i]; c.dynamic() {
		return errors.Join(failure, w.dissolve(ctx, t, c.group))
	}
	return errors.Join(failure, all[i].forget(ctx, t))
}

// VIFList returns what tenants have attached, to ports before port groups.
func (*base) VIFList(ctx context.Context, t *drivers.Task) ([]string, error) {
	w, err := wiringOf(ctx, t)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range w.all() {
		if vif := c.vif(); vif != "" {
			ids = append(ids, vif)
		}
	}
	return ids, nil
}
