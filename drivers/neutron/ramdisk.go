package neutron

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// addRamdiskNetwork connects the node's ports to the network of a ramdisk. What an earlier attempt left there goes first.
func (b *base) addRamdiskNetwork(ctx context.Context, t *drivers.Task, u use, groups []string) error {
	network, err := b.networkID(ctx, t, u)
	if err != nil {
		return err
	}
	w, err := wiringOf(ctx, t)
	if err != nil {
		return err
	}
	b.rollBack(ctx, t, w, network)
	vifs, err := b.createPorts(ctx, t, w, network, groups)
	// gofail: var neutronPortsBound struct{}
	if err != nil {
		return err
	}
	for _, p := range w.ports {
		if vif := vifs[p.UUID]; vif != "" {
			if err := (connector{port: p}).change(ctx, t, u.vifKey(), vif); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeRamdiskNetwork takes the node's ports from the network of a ramdisk.
func (b *base) removeRamdiskNetwork(ctx context.Context, t *drivers.Task, u use) error {
	network, err := b.networkID(ctx, t, u)
	if err != nil {
		return err
	}
	w, err := wiringOf(ctx, t)
	if err != nil {
		return err
	}
	if err := b.removePorts(ctx, t, w, network); err != nil {
		return err
	}
	// gofail: var neutronPortsRemoved struct{}
	for _, p := range w.ports {
		if _, there := p.InternalInfo[u.vifKey()]; there {
			if err := (connector{port: p}).change(ctx, t, u.vifKey(), ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// rollBack removes ports as far as it can: what can't be removed is only told, because something else failed already, or because
// it would be in the way at worst.
func (b *base) rollBack(ctx context.Context, t *drivers.Task, w wiring, network string) {
	if err := b.removePorts(ctx, t, w, network); err != nil {
		t.Log.Error().Err(err).Str("network", network).Msg("Neutron ports could not be rolled back")
	}
}

// session is who creates and removes ports.
func (b *base) session(ctx context.Context, t *drivers.Task) (*Session, error) {
	if b.cfg.ActsAsService {
		return b.client.AsService(ctx, t)
	}
	return b.client.AsRequester(ctx, t)
}

// booting are the ports by which a ramdisk is reached.
func (b *base) booting(t *drivers.Task, w wiring) (ports []*store.Port, all bool) {
	all = b.cfg.AddAllPorts || b.cfg.AllPortsUnlessPXE && !drivers.Can(t.Hardware.Boot, drivers.CanBootPXE)
	return slices.DeleteFunc(slices.Clone(w.ports), func(p *store.Port) bool { return !all && !pxeEnabled(p) }), all
}

func pxeEnabled(p *store.Port) bool { return p.PXEEnabled == nil || *p.PXEEnabled }

// removePorts deletes the Neutron ports of the node's ramdisk on a network: those with its MAC addresses, and those that an
// attempt made which was cut off before they got one.
func (b *base) removePorts(ctx context.Context, t *drivers.Task, w wiring, network string) error {
	booting, _ := b.booting(t, w)
	if len(booting) == 0 {
		return nil
	}
	macs := make([]string, len(booting))
	for i, p := range booting {
		macs[i] = p.Address
	}
	s, err := b.session(ctx, t)
	if err != nil {
		return err
	}
	found, err := s.Ports(ctx, map[string][]string{"network_id": {network}, "mac_address": macs})
	if err == nil {
		var begun []Port
		begun, err = s.begun(ctx, t, w, network)
		found = append(found, begun...)
	}
	if err != nil {
		return networkError("Could not get given network VIF for %s from neutron, possible network issue. %w", t.Node.UUID, err)
	}
	for _, p := range found {
		if err := s.DeletePort(ctx, p.ID); err != nil {
			return networkError("Could not remove VIF %s of node %s, possibly a network issue: %w", p.ID, t.Node.UUID, err)
		}
	}
	return nil
}

// begun are the ports on a network that were made for the node and not bound. A tenant's own have an owner, or are attached.
func (s *Session) begun(ctx context.Context, t *drivers.Task, w wiring, network string) ([]Port, error) {
	devices := []string{t.Node.UUID}
	if t.Node.InstanceUUID != "" {
		devices = append(devices, t.Node.InstanceUUID)
	}
	found, err := s.Ports(ctx, map[string][]string{"network_id": {network}, "device_id": devices})
	attached := map[string]bool{}
	for _, c := range w.all() {
		attached[c.vif()] = true
	}
	return slices.DeleteFunc(found, func(p Port) bool {
		return p.DeviceOwner != "" || p.HostID != "" || p.VNICType != vnicBareMetal && p.VNICType != vnicSmartNIC || attached[p.ID]
	}), err
}
