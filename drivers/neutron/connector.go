package neutron

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// connector is a port or a port group: what a virtual interface is attached to.
type connector struct {
	port  *store.Port
	group *store.Portgroup
}

func (c connector) class() string {
	if c.group != nil {
		return "Portgroup"
	}
	return "Port"
}

func (c connector) uuid() string {
	if c.group != nil {
		return c.group.UUID
	}
	return c.port.UUID
}

func (c connector) address() string {
	if c.group != nil {
		return c.group.Address
	}
	return c.port.Address
}

func (c connector) physicalNetwork() *string {
	if c.group != nil {
		return c.group.PhysicalNetwork
	}
	return c.port.PhysicalNetwork
}

func (c connector) internalInfo() store.Dict {
	if c.group != nil {
		return c.group.InternalInfo
	}
	return c.port.InternalInfo
}

// vif is the virtual interface that a tenant has attached, "" for none.
func (c connector) vif() string { return c.internalInfo().String(tenantKey) }

// change sets or, with "", takes away a key of internal_info and saves the row.
func (c connector) change(ctx context.Context, t *drivers.Task, key, vif string) error {
	info := c.internalInfo().Clone()
	if info == nil {
		info = store.Dict{}
	}
	if vif == "" {
		delete(info, key)
	} else {
		info[key] = vif
	}
	if c.group != nil {
		c.group.InternalInfo = info
		return t.Worker.SavePortgroup(ctx, t, c.group)
	}
	c.port.InternalInfo = info
	return t.Worker.SavePort(ctx, t, c.port)
}

// forget takes away a tenant's virtual interface, also from where releases before Queens had it.
func (c connector) forget(ctx context.Context, t *drivers.Task) error {
	extra := c.extra()
	if _, old := (*extra)["vif_port_id"]; old {
		*extra = extra.Clone()
		delete(*extra, "vif_port_id")
	}
	return c.change(ctx, t, tenantKey, "")
}

func (c connector) extra() *store.Dict {
	if c.group != nil {
		return &c.group.Extra
	}
	return &c.port.Extra
}

// wiring is a node's ports and port groups.
type wiring struct {
	ports  []*store.Port
	groups []*store.Portgroup
}

func wiringOf(ctx context.Context, t *drivers.Task) (w wiring, err error) {
	if w.ports, err = t.Worker.Ports(ctx, t); err != nil {
		return w, fmt.Errorf("reading the node's ports: %w", err)
	}
	if w.groups, err = t.Worker.Portgroups(ctx, t); err != nil {
		return w, fmt.Errorf("reading the node's port groups: %w", err)
	}
	return w, nil
}

func (w wiring) asPorts(keep func(*store.Port) bool) []connector {
	var all []connector
	for _, p := range w.ports {
		if keep(p) {
			all = append(all, connector{port: p})
		}
	}
	return all
}

func (w wiring) asGroups() []connector {
	all := make([]connector, len(w.groups))
	for i, g := range w.groups {
		all[i] = connector{group: g}
	}
	return all
}

// all are the ports, then the port groups.
func (w wiring) all() []connector {
	return append(w.asPorts(func(*store.Port) bool { return true }), w.asGroups()...)
}

// top are the ports that are in no group, then the port groups.
func (w wiring) top() []connector {
	return append(w.asPorts(func(p *store.Port) bool { return p.PortgroupID == nil }), w.asGroups()...)
}

// members are the ports of a port group.
func (w wiring) members(g *store.Portgroup) []*store.Port {
	return slices.DeleteFunc(slices.Clone(w.ports), func(p *store.Port) bool { return p.PortgroupID == nil || *p.PortgroupID != g.ID })
}

// groupNetwork is the physical network of a port group's ports, nil for none; it is an error when they differ.
func (w wiring) groupNetwork(g *store.Portgroup) (*string, error) {
	var name *string
	names := map[string]bool{}
	for _, p := range w.members(g) {
		name = p.PhysicalNetwork
		if name == nil {
			names["None"] = true
		} else {
			names[*name] = true
		}
	}
	if len(names) > 1 {
		sorted := make([]string, 0, len(names))
		for n := range names {
			sorted = append(sorted, n)
		}
		slices.Sort(sorted)
		return nil, store.Errorf(store.PortgroupPhysnetInconsistent, "Port group %s has member ports with inconsistent physical "+
			"networks (%s). All ports in a port group must have the same physical network.", g.UUID, strings.Join(sorted, ", "))
	}
	return name, nil
}
