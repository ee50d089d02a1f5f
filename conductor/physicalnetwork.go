package conductor

import (
	"context"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// checkPhysicalNetwork keeps the ports of one port group on one physical network. changes is nil for a new port. settle does
// what the group owes to the port, once that is saved.
func (t *task) checkPhysicalNetwork(ctx context.Context, port *store.Port, changes []string) (settle func(context.Context) error,
	err error) {
	settle = func(context.Context) error { return nil }
	moved := changes == nil || slices.Contains(changes, "portgroup_id") || slices.Contains(changes, "physical_network")
	if port.PortgroupID == nil || !moved {
		return settle, nil
	}
	group, err := t.c.db.Portgroup(ctx, rowID(*port.PortgroupID))
	if err != nil {
		return nil, err
	}
	networks, err := t.networksBeside(ctx, group, port)
	if err != nil {
		return nil, err
	}
	if len(networks) == 0 && group.PhysicalNetwork != nil {
		networks = append(networks, group.PhysicalNetwork)
	}
	if len(networks) == 0 {
		if t.c.cfg.Release >= messaging.Newest && port.PhysicalNetwork != nil {
			settle = func(ctx context.Context) error {
				group.PhysicalNetwork = port.PhysicalNetwork
				return t.c.db.SavePortgroup(ctx, group)
			}
		}
		return settle, nil
	}
	if !equalPtr(networks[0], port.PhysicalNetwork) {
		return nil, store.Errorf(store.Conflict, "Port with physical network %s cannot become a member of port group %s which has "+
			"ports in physical network %s.", textOrNone(port.PhysicalNetwork), group.UUID, textOrNone(networks[0]))
	}
	return settle, nil
}

// networksBeside are the physical networks of a port group's ports but for one port: none, or one. More are refused.
func (t *task) networksBeside(ctx context.Context, group *store.Portgroup, but *store.Port) ([]*string, error) {
	ports, err := t.c.db.PortsOfPortgroup(ctx, group.ID)
	if err != nil {
		return nil, err
	}
	var networks []*string
	for _, p := range ports {
		known := slices.ContainsFunc(networks, func(n *string) bool { return equalPtr(n, p.PhysicalNetwork) })
		if p.ID != but.ID && !known {
			networks = append(networks, p.PhysicalNetwork)
		}
	}
	if len(networks) < 2 {
		return networks, nil
	}
	names := make([]string, len(networks))
	for i, n := range networks {
		names[i] = textOrNone(n)
	}
	slices.Sort(names)
	return nil, store.Errorf(store.PortgroupPhysnetInconsistent, "Port group %s has member ports with inconsistent physical networks "+
		"(%s). All ports in a port group must have the same physical network.", group.UUID, strings.Join(names, ", "))
}

func textOrNone(s *string) string {
	if s == nil {
		return "None"
	}
	return *s
}
