package neutron

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

const vnicBareMetal = "baremetal"

// createPorts makes a bound Neutron port for each port by which a ramdisk is reached, and returns them by the port's UUID. Some
// may fail, but not all.
func (b *base) createPorts(ctx context.Context, t *drivers.Task, w wiring, network string, groups []string) (map[string]string, error) {
	s, err := b.session(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := s.checkSecurityGroups(ctx, groups); err != nil {
		return nil, err
	}
	booting, all := b.booting(t, w)
	if len(booting) == 0 {
		return nil, b.noPorts(t, all)
	}
	vifs := map[string]string{}
	var failed []string
	for _, p := range booting {
		vif, err := b.createPort(ctx, t, s, p, network, groups)
		if err != nil {
			// What is worth a kind of its own is about Neutron, not about this port.
			if cause := cmp.Or(context.Cause(ctx), kinded(err)); cause != nil {
				return nil, cause
			}
			t.Log.Warn().Err(err).Str("port", p.UUID).Str("network", network).Msg("A Neutron port could not be made")
			failed = append(failed, p.UUID)
			continue
		}
		vifs[p.UUID] = vif
	}
	if len(vifs) == 0 {
		b.rollBack(ctx, t, w, network)
		return nil, networkError("Failed to create neutron ports for node's %s ports %s.", t.Node.UUID, pythonList(failed))
	}
	if len(failed) > 0 {
		t.Log.Warn().Strs("ports", failed).Msg("Some ports are not connected")
	}
	return vifs, nil
}

func (b *base) noPorts(t *drivers.Task, all bool) error {
	enabled := "PXE-enabled "
	if all {
		enabled = ""
	}
	if b.cfg.BlankTwice {
		enabled += " "
	}
	return networkError("No available %sports on node %s.", enabled, t.Node.UUID)
}

func (s *Session) checkSecurityGroups(ctx context.Context, wanted []string) error {
	if len(wanted) == 0 {
		return nil
	}
	there, err := s.SecurityGroups(ctx, wanted)
	if err != nil {
		return networkError("Could not retrieve security groups from neutron: %w", err)
	}
	lacking := slices.DeleteFunc(slices.Clone(wanted), func(id string) bool { return slices.Contains(there, id) })
	if len(lacking) > 0 {
		return networkError("Could not find these security groups (specified via ironic config) in neutron: %s", pythonList(lacking))
	}
	return nil
}

// createPort makes a Neutron port and binds it: what only administrators may set is set with the rights of [neutron].
func (b *base) createPort(ctx context.Context, t *drivers.Task, s *Session, p *store.Port, network string, groups []string) (string, error) {
	if err := checkPort(t, p); err != nil {
		return "", err
	}
	vnic, at := kindOf(t, p)
	create := Attributes{"network_id": network, "admin_state_up": true, "binding:vnic_type": vnic,
		"device_id": cmp.Or(t.Node.InstanceUUID, t.Node.UUID)}
	if len(groups) > 0 {
		create["security_groups"] = groups
	}
	if !pxeEnabled(p) {
		create["fixed_ips"] = []any{}
	}
	if id := p.Extra.String("client-id"); id != "" {
		create["extra_dhcp_opts"] = []any{clientIDOption(id)}
	}
	profile := store.Dict{"local_link_information": []any{link(p)}}
	if b.cfg.TellsPhysicalNet && p.PhysicalNetwork != nil && *p.PhysicalNetwork != "" {
		profile["physical_network"] = *p.PhysicalNetwork
	}
	bind := Attributes{"binding:host_id": at, "device_owner": "baremetal:none", "mac_address": p.Address,
		"binding:profile": profile}
	if isSmart(p) {
		if err := b.awaitAgent(ctx, t, at, true); err != nil {
			return "", err
		}
	}
	// gofail: var neutronBeforePort struct{}
	made, err := s.CreatePort(ctx, create)
	// gofail: var neutronPortMade struct{}
	if err != nil {
		return "", err
	}
	if err := b.finishPort(ctx, t, s, made, bind, isSmart(p)); err != nil {
		if undo := s.DeletePort(ctx, made.ID); undo != nil {
			t.Log.Warn().Err(undo).Str("vif", made.ID).Msg("A Neutron port that could not be bound is left")
		}
		return "", err
	}
	return made.ID, nil
}

func (b *base) finishPort(ctx context.Context, t *drivers.Task, s *Session, made *Port, bind Attributes, smart bool) error {
	if err := b.client.Update(ctx, t, made.ID, bind); err != nil {
		return err
	}
	if err := b.addStatefulAddresses(ctx, s, made); err != nil {
		return err
	}
	return b.awaitBinding(ctx, t, s, made.ID, smart)
}

// addStatefulAddresses reserves more addresses on a network with stateful DHCPv6: firmware, boot loader and ramdisk ask for one
// each, and none lets go of its own.
func (b *base) addStatefulAddresses(ctx context.Context, s *Session, p *Port) error {
	count := b.cfg.StatefulAddresses
	if count <= 1 || len(p.FixedIPs) == 0 || !strings.Contains(p.FixedIPs[0].IPAddress, ":") {
		return nil
	}
	subnet, err := s.Subnet(ctx, p.FixedIPs[0].SubnetID)
	if err != nil || subnet.IPv6AddressMode != "dhcpv6-stateful" {
		return err
	}
	addresses := slices.Clone(p.FixedIPs)
	for range count - 1 {
		addresses = append(addresses, ports.IP{SubnetID: subnet.ID})
	}
	return s.UpdatePort(ctx, p.ID, Attributes{"fixed_ips": addresses})
}

// awaitBinding waits until a port is active, where a binding that fails is to be a failure: always with Smart NICs, but for nodes
// that say otherwise on newer releases.
func (b *base) awaitBinding(ctx context.Context, t *drivers.Task, s *Session, vif string, smart bool) error {
	wanted := smart || t.Node.NetworkInterface == "neutron" && b.cfg.FailOnBindingFailure
	if !b.cfg.ChecksBinding && !smart || b.cfg.ChecksBinding && !t.Node.DriverInfo.Bool("fail_on_binding_failure", wanted) {
		return nil
	}
	for left := b.cfg.StatusAttempts; ; left-- {
		p, err := s.Port(ctx, vif)
		switch {
		case missing(err):
			return store.Errorf(store.InvalidParameterValue, "Neutron port %s was not found", vif)
		case err != nil:
			return networkError("Could not retrieve neutron port: %w", err)
		case p.Status == "ACTIVE":
			return nil
		case p.VIFType == "binding_failed":
			return &Failure{text: "Binding failed for neutron port " + vif}
		case left <= 1:
			return networkError("Port %s failed to reach status ACTIVE", vif)
		}
		if err := drivers.Pause(ctx, b.cfg.StatusInterval); err != nil {
			return err
		}
	}
}

// Update changes a port that the requester must be able to see, with the rights of [neutron].
func (c *Client) Update(ctx context.Context, t *drivers.Task, vif string, a Attributes) error {
	s, err := c.AsRequester(ctx, t)
	if err != nil {
		return err
	}
	if _, err := s.Port(ctx, vif); err != nil {
		return err
	}
	if s, err = c.AsService(ctx, t); err != nil {
		return err
	}
	return s.UpdatePort(ctx, vif, a)
}

// link is how a port says which switch it is plugged into.
func link(p *store.Port) store.Dict {
	if p.LocalLinkConnection == nil {
		return store.Dict{}
	}
	return p.LocalLinkConnection
}

// checkPort tells a port that can't be connected: neutron has to know the switch. InfiniBand's subnet manager knows by itself, and
// such a port has a client-id.
func checkPort(t *drivers.Task, p *store.Port) error {
	described := p.LocalLinkConnection.String("port_id") != "" && p.LocalLinkConnection.String("hostname") != ""
	switch {
	case p.Extra.String("client-id") != "":
		return nil
	case t.Node.NetworkInterface == "neutron" && len(p.LocalLinkConnection) == 0:
		return fmt.Errorf("port %s has no local_link_connection, which the network interface neutron needs", p.UUID)
	case isSmart(p) && !described:
		return fmt.Errorf("port %s is of a Smart NIC, and has no port_id and hostname in its local_link_connection", p.UUID)
	case described && !isSmart(p):
		return fmt.Errorf("port %s is of no Smart NIC, but has port_id and hostname in its local_link_connection", p.UUID)
	}
	return nil
}

// pythonList renders names as Python prints a list.
func pythonList(names []string) string { return "['" + strings.Join(names, "', '") + "']" }
