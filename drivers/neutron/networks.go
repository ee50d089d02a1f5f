package neutron

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// use is what a ramdisk's network is for: the word in the keys of internal_info and driver_info.
type use string

const (
	cleaning     use = "cleaning"
	provisioning use = "provisioning"
	rescuing     use = "rescuing"
	inspection   use = "inspection"
	servicing    use = "servicing"
)

// tenantKey is where internal_info holds the virtual interface of a port's tenant.
const tenantKey = "tenant_vif_port_id"

// vifKey is where internal_info holds the Neutron port of a ramdisk.
func (u use) vifKey() string { return string(u) + "_vif_port_id" }

// keys are those of internal_info, in the order in which they count.
var keys = []string{cleaning.vifKey(), provisioning.vifKey(), rescuing.vifKey(), inspection.vifKey(), servicing.vifKey(), tenantKey}

func (n Networks) of(u use) Ramdisk {
	switch u {
	case cleaning:
		return n.Cleaning
	case provisioning:
		return n.Provisioning
	case rescuing:
		return n.Rescuing
	case inspection:
		return n.Inspection
	}
	return n.Servicing
}

// networkID finds the network for a use: the node's own, else the configured one.
func (b *base) networkID(ctx context.Context, t *drivers.Task, u use) (string, error) {
	key := string(u) + "_network"
	wanted := t.Node.DriverInfo.String(key)
	if wanted == "" {
		wanted = b.cfg.of(u).Network
	}
	what := string(u) + " network"
	if b.cfg.NamesOptions && u != servicing {
		what = key
	}
	if wanted == "" {
		text := "UUID or name of %s is not set in configuration"
		if b.cfg.NamesOptions {
			text += " or in node driver_info."
		}
		return "", store.Errorf(store.MissingParameterValue, text, what)
	}
	s, err := b.client.AsRequester(ctx, t)
	if err != nil {
		return "", err
	}
	n, err := s.findNetwork(ctx, wanted, what)
	if err != nil {
		return "", err
	}
	return n.ID, nil
}

// findNetwork finds the one network of a UUID or name.
func (s *Session) findNetwork(ctx context.Context, idOrName, what string) (*Network, error) {
	found, err := s.NetworkLike(ctx, idOrName)
	switch {
	case err != nil:
		return nil, networkError("Could not retrieve network: %w", err)
	case len(found) == 0:
		return nil, store.Errorf(store.InvalidParameterValue, "%s with name or UUID %s was not found", what, idOrName)
	case len(found) == 1:
		return &found[0], nil
	}
	ids := make([]string, len(found))
	for i, n := range found {
		ids[i] = n.ID
	}
	return nil, store.Errorf(store.InvalidParameterValue, "More than one %s was found for name %s: %s", what, idOrName,
		strings.Join(ids, ", "))
}

// physicalNetworks are those of the network that a Neutron port is on; none when it says nothing of them.
func (b *base) physicalNetworks(ctx context.Context, s *Session, vif string) (map[string]bool, error) {
	p, err := s.Port(ctx, vif)
	switch {
	case missing(err):
		return nil, store.Errorf(store.InvalidParameterValue, "Neutron port %s was not found", vif)
	case err != nil:
		return nil, networkError("Could not retrieve neutron port: %w", err)
	}
	n, err := s.findNetwork(ctx, p.NetworkID, "network")
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	if n.Segments == nil {
		if n.PhysicalNetwork != "" {
			names[n.PhysicalNetwork] = true
		}
		return names, nil
	}
	if b.cfg.SubnetSegments {
		for _, ip := range p.FixedIPs {
			name, err := s.physicalNetworkOfSubnet(ctx, ip.SubnetID)
			if err != nil {
				return nil, err
			}
			if name != "" {
				return map[string]bool{name: true}, nil
			}
		}
	}
	for _, segment := range n.Segments {
		if segment.PhysicalNetwork != "" {
			names[segment.PhysicalNetwork] = true
		}
	}
	return names, nil
}

// physicalNetworkOfSubnet is that of a subnet's segment, "" when it has none.
func (s *Session) physicalNetworkOfSubnet(ctx context.Context, id string) (string, error) {
	subnet, err := s.Subnet(ctx, id)
	switch {
	case missing(err):
		return "", store.Errorf(store.InvalidParameterValue, "Neutron subnet %s was not found", id)
	case err != nil:
		return "", networkError("Could not retrieve neutron subnet: %w", err)
	case subnet.SegmentID == "":
		return "", nil
	}
	segment, err := s.Segment(ctx, subnet.SegmentID)
	switch {
	case missing(err):
		return "", store.Errorf(store.InvalidParameterValue, "Neutron segment %s was not found", subnet.SegmentID)
	case err != nil:
		return "", networkError("Could not retrieve neutron segment: %w", err)
	}
	return segment.PhysicalNetwork, nil
}
