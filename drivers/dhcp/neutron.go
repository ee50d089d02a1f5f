package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/neutron"
	"github.com/ironmaster/ironmaster/store"
)

// Neutron gives DHCP options to the Neutron ports that a node is connected by.
type Neutron struct {
	client *neutron.Client
	// setupDelay is waited after a change ([neutron]port_setup_delay): Neutron's agents need a while to hear of it.
	setupDelay time.Duration
}

// NewNeutron returns the provider. It asks nobody yet.
func NewNeutron(client *neutron.Client, setupDelay time.Duration) *Neutron {
	return &Neutron{client, setupDelay}
}

// Update gives the options to each of the node's Neutron ports. It fails when none of them takes them.
func (n *Neutron) Update(ctx context.Context, t *drivers.Task, options []Option) error {
	vifs, err := currentVIFs(ctx, t)
	if err != nil {
		return err
	}
	if len(vifs) == 0 {
		return store.Errorf(store.FailedToUpdateDHCPOptOnPort,
			"No VIFs found for node %s when attempting to update DHCP BOOT options.", t.Node.UUID)
	}
	var failed []string
	for _, v := range vifs {
		if err := n.updatePort(ctx, t, v.vif, options); err != nil {
			t.Log.Error().Err(err).Str("vif", v.vif).Msg("A Neutron port did not take its DHCP options")
			failed = append(failed, v.vif)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if len(failed) == len(vifs) {
		return store.Errorf(store.FailedToUpdateDHCPOptOnPort, "Failed to set DHCP BOOT options for any port on node %s.",
			t.Node.UUID)
	}
	if len(failed) > 0 {
		t.Log.Warn().Strs("vifs", failed).Msg("Some Neutron ports did not take their DHCP options")
	}
	return drivers.Pause(ctx, n.setupDelay)
}

// updatePort sends those options that fit the versions of the port's addresses.
func (n *Neutron) updatePort(ctx context.Context, t *drivers.Task, vif string, options []Option) error {
	versions := map[int]bool{}
	all, err := n.fixedIPs(ctx, t, vif)
	if err != nil {
		return err
	}
	for _, ip := range all {
		if version := ipVersion(ip); version != 0 {
			versions[version] = true
		}
	}
	if len(versions) == 0 {
		t.Log.Error().Str("vif", vif).Msg("A Neutron port has no IP address, so it gets no DHCP options")
	}
	fitting := []any{}
	for _, o := range options {
		if versions[o.IPVersion] {
			fitting = append(fitting, store.Dict{"opt_name": o.Name, "opt_value": o.value(), "ip_version": o.IPVersion})
		}
	}
	return n.client.Update(ctx, t, vif, neutron.Attributes{"extra_dhcp_opts": fitting})
}

// SetClientID tells DHCP's option 61 of one Neutron port (RFC 2132); "" takes it back. Where neither goes by the version of IP, it
// is for IPv4.
func (n *Neutron) SetClientID(ctx context.Context, t *drivers.Task, vif, id string) error {
	err := n.updatePort(ctx, t, vif, []Option{{Name: "61", Value: id, IPVersion: 4}})
	if err == nil || context.Cause(ctx) != nil {
		return err
	}
	t.Log.Error().Err(err).Str("vif", vif).Msg("A Neutron port did not take its client-id")
	return store.Errorf(store.FailedToUpdateDHCPOptOnPort, "Update DHCP options on port: %s failed.", vif)
}

func (n *Neutron) fixedIPs(ctx context.Context, t *drivers.Task, vif string) ([]string, error) {
	s, err := n.client.AsRequester(ctx, t)
	if err != nil {
		return nil, err
	}
	port, err := s.Port(ctx, vif)
	if err != nil {
		return nil, err
	}
	addresses := make([]string, len(port.FixedIPs))
	for i, ip := range port.FixedIPs {
		addresses[i] = ip.IPAddress
	}
	return addresses, nil
}

// Clean does nothing: options go with the Neutron port.
func (n *Neutron) Clean(context.Context, *drivers.Task) error { return nil }

// Addresses returns the first address of each Neutron port that the node is connected by. Ports that tell none are left out.
func (n *Neutron) Addresses(ctx context.Context, t *drivers.Task) ([]string, error) {
	vifs, err := currentVIFs(ctx, t)
	if err != nil || len(vifs) == 0 {
		return nil, err
	}
	var addresses []string
	for _, v := range vifs {
		all, err := n.fixedIPs(ctx, t, v.vif)
		if err == nil && (len(all) == 0 || ipVersion(all[0]) == 0) {
			err = errors.New("the port has no IP address")
		}
		if err != nil {
			t.Log.Warn().Err(err).Str("vif", v.vif).Str("port", v.port).Msg("The IP address of a port is not known")
			continue
		}
		addresses = append(addresses, all[0])
	}
	return addresses, context.Cause(ctx)
}

// TagsIPXE is true: Neutron's DHCP agent runs a dnsmasq that tags iPXE.
func (*Neutron) TagsIPXE() bool { return true }

// ipVersion is 4 or 6, and 0 for what is no address.
func ipVersion(text string) int {
	address, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return 0
	case address.Is4():
		return 4
	}
	return 6
}

// connection is one of the node's ports or port groups, and the Neutron port that it is connected by.
type connection struct{ port, vif string }

func currentVIFs(ctx context.Context, t *drivers.Task) ([]connection, error) {
	ports, err := t.Worker.Ports(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("reading the node's ports: %w", err)
	}
	groups, err := t.Worker.Portgroups(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("reading the node's port groups: %w", err)
	}
	var connected []connection
	add := func(uuid string, info store.Dict) {
		if vif := t.Hardware.Network.CurrentVIF(info); vif != "" {
			connected = append(connected, connection{uuid, vif})
		}
	}
	for _, p := range ports {
		add(p.UUID, p.InternalInfo)
	}
	for _, g := range groups {
		add(g.UUID, g.InternalInfo)
	}
	return connected, nil
}
