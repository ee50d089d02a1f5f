package neutron

import (
	"context"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// PortChanged tells Neutron of another MAC address or client-id, and keeps ports out of port groups whose ports don't stand for
// themselves.
func (b *base) PortChanged(ctx context.Context, t *drivers.Task, port, old *store.Port) error {
	vif := connector{port: port}.vif()
	if vif != "" && port.Address != old.Address {
		if err := b.client.setAddress(ctx, t, vif, port.Address); err != nil {
			return err
		}
	}
	if id := port.Extra.String("client-id"); id != old.Extra.String("client-id") {
		if err := b.clientIDChanged(ctx, t, port, vif, id); err != nil {
			return err
		}
	}
	if port.PortgroupID == nil {
		return nil
	}
	moved := old.PortgroupID == nil || *old.PortgroupID != *port.PortgroupID
	if !moved && pxeEnabled(port) == pxeEnabled(old) && vif == "" {
		return nil
	}
	w, err := wiringOf(ctx, t)
	if err != nil {
		return err
	}
	for _, g := range w.groups {
		if reasons := standing(port, "was set to True", "the port"); g.ID == *port.PortgroupID && !standalone(g) && reasons != "" {
			return store.Errorf(store.Conflict, "Port group %s doesn't support standalone ports. This port %s cannot be  a member of "+
				"that port group because of: %s", g.UUID, port.UUID, reasons)
		}
	}
	return nil
}

func (b *base) clientIDChanged(ctx context.Context, t *drivers.Task, port *store.Port, vif, id string) error {
	if vif != "" {
		return b.cfg.SetClientID(ctx, t, vif, id)
	}
	if t.Node.InstanceUUID != "" {
		t.Log.Warn().Str("port", port.UUID).Msg("A port of an instance has no virtual interface that would need its new client-id")
	}
	return nil
}

// standing says by what a port stands for itself, beside its port group; "" when it does not.
func standing(p *store.Port, enabled, where string) string {
	var reasons []string
	if pxeEnabled(p) {
		reasons = append(reasons, "'pxe_enabled' "+enabled)
	}
	if vif := (connector{port: p}).vif(); vif != "" {
		reasons = append(reasons, fmt.Sprintf("VIF %s is attached to %s", vif, where))
	}
	return strings.Join(reasons, ", ")
}

// standalone tells whether the ports of a port group stand for themselves, which is so unless the group says otherwise.
func standalone(g *store.Portgroup) bool {
	return g.StandalonePortsSupported == nil || *g.StandalonePortsSupported
}

// PortgroupChanged tells Neutron of another MAC address, and keeps a port group's ports from standing for themselves no longer
// while one does.
func (b *base) PortgroupChanged(ctx context.Context, t *drivers.Task, group, old *store.Portgroup) error {
	vif := connector{group: group}.vif()
	if vif != "" && group.Address != "" && group.Address != old.Address {
		if err := b.client.setAddress(ctx, t, vif, group.Address); err != nil {
			return err
		}
	}
	if standalone(group) || !standalone(old) {
		return nil
	}
	w, err := wiringOf(ctx, t)
	if err != nil {
		return err
	}
	for _, p := range w.members(group) {
		if reasons := standing(p, "is set to True", "this port"); reasons != "" {
			return store.Errorf(store.Conflict, "standalone_ports_supported can not be set to False, because the port group %s "+
				"contains port with %s", group.UUID, reasons)
		}
	}
	return nil
}
