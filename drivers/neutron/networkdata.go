package neutron

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// NetworkData describes the networks that the node is on now; what an operator wrote into the node goes before.
func (b *base) NetworkData(ctx context.Context, t *drivers.Task) (store.Dict, error) {
	if len(t.Node.NetworkData) > 0 {
		return t.Node.NetworkData, nil
	}
	all, err := t.Worker.Ports(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("reading the node's ports: %w", err)
	}
	data := store.Dict{}
	for _, p := range all {
		vif := b.CurrentVIF(p.InternalInfo)
		if vif == "" {
			continue
		}
		s, err := b.client.AsRequester(ctx, t)
		if err != nil {
			return nil, err
		}
		if err := b.describe(ctx, s, p, vif, data); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// describe adds one Neutron port, its network and its subnets.
func (b *base) describe(ctx context.Context, s *Session, p *store.Port, vif string, data store.Dict) error {
	port, err := s.Port(ctx, vif)
	if err != nil {
		return networkError("Unable to get port info for %s. Error: %w", vif, err)
	}
	network, err := s.Network(ctx, port.NetworkID)
	if err != nil {
		return networkError("Unable to get network info for %s. Error: %w", port.NetworkID, err)
	}
	name := port.Name
	if name == "" {
		name = p.UUID
	}
	add(data, "links", store.Dict{"id": name, "type": "vif", "ethernet_mac_address": port.MACAddress, "vif_id": port.ID,
		"mtu": network.MTU})
	for _, ip := range port.FixedIPs {
		if err := b.describeSubnet(ctx, s, port, name, ip.SubnetID, ip.IPAddress, data); err != nil {
			return err
		}
	}
	return nil
}

func (b *base) describeSubnet(ctx context.Context, s *Session, port *Port, link, id, address string, data store.Dict) error {
	subnet, err := s.Subnet(ctx, id)
	if err != nil {
		return networkError("Unable to get subnet info for %s. Error: %w", id, err)
	}
	_, mask, err := dotted(subnet.CIDR)
	if err != nil {
		return networkError("Subnet %s: %w", id, err)
	}
	routes := []any{}
	if subnet.GatewayIP != "" {
		zero := "0.0.0.0"
		if subnet.IPVersion == 6 {
			zero = "::0"
		}
		routes = append(routes, store.Dict{"network": zero, "netmask": zero, "gateway": subnet.GatewayIP})
	}
	for _, r := range subnet.HostRoutes {
		to, toMask, err := dotted(r.DestinationCIDR)
		if err != nil {
			return networkError("Subnet %s: %w", id, err)
		}
		routes = append(routes, store.Dict{"network": to, "netmask": toMask, "gateway": r.NextHop})
	}
	add(data, "networks", store.Dict{"id": id, "network_id": port.NetworkID, "type": fmt.Sprintf("ipv%d", subnet.IPVersion),
		"link": link, "ip_address": address, "netmask": mask, "routes": routes})
	for _, server := range subnet.DNSNameservers {
		if b.cfg.NameServers {
			add(data, "services", store.Dict{"type": "dns", "address": server})
		}
	}
	return nil
}

func add(data store.Dict, key string, what store.Dict) { data[key] = append(data.List(key), what) }

// dotted splits a prefix into network and mask, both written as addresses.
func dotted(prefix string) (network, mask string, err error) {
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		return "", "", fmt.Errorf("prefix %q: %w", prefix, err)
	}
	return p.Masked().Addr().String(), net.IP(net.CIDRMask(p.Bits(), p.Addr().BitLen())).String(), nil
}
