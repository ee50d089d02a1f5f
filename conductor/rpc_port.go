package conductor

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type portObjArgs struct {
	Port json.RawMessage `json:"port_obj"`
}

// portNode is the node that a port belongs to, as an id.
func portNode(p *store.Port) string { return strconv.FormatInt(p.NodeID, 10) }

func (c *Conductor) createPort(ctx context.Context, rq oslo.Context, a portObjArgs) (any, error) {
	port, _, err := c.codec.DecodePort(a.Port)
	if err != nil {
		return nil, err
	}
	create := func(ctx context.Context, t *task) error {
		if err := t.checkPhysicalNetwork(ctx, port, nil); err != nil {
			return err
		}
		return t.c.db.CreatePort(ctx, port)
	}
	if c.cfg.Release >= messaging.V2025_1 {
		// Newer releases let a port come while the node is at work.
		err = c.readNode(ctx, rq, portNode(port), "port create", create)
	} else {
		err = c.withNode(ctx, rq, portNode(port), lockMode{purpose: "port create"}, create)
	}
	return port, err
}

// connectivityFields decide where a port's traffic goes; an instance may be using them.
var connectivityFields = []string{"local_link_connection", "physical_network", "portgroup_id", "pxe_enabled"}

func (c *Conductor) updatePort(ctx context.Context, rq oslo.Context, a portObjArgs) (any, error) {
	port, changes, err := c.codec.DecodePort(a.Port)
	if err != nil {
		return nil, err
	}
	if slices.Contains(changes, "node_id") || slices.Contains(changes, "node_uuid") {
		// Upstream tries, and fails with a database error that reaches the user as KeyError.
		return nil, store.Errorf(store.InvalidParameterValue, "Port %s can not be moved to another node; delete it and "+
			"create it anew", port.UUID)
	}
	err = c.withNode(ctx, rq, portNode(port), lockMode{purpose: "port update"},
		func(ctx context.Context, t *task) error {
			if err := t.mayUpdatePort(port, changes); err != nil {
				return err
			}
			old, err := t.c.db.Port(ctx, port.UUID)
			if err != nil {
				return err
			}
			if err := t.checkPhysicalNetwork(ctx, port, changes); err != nil {
				return err
			}
			if err := t.Hardware.Network.Validate(ctx, t.Task); err != nil {
				return err
			}
			changed := *old
			store.CopyFields(&changed, port, changes)
			if err := t.Hardware.Network.PortChanged(ctx, t.Task, &changed, old); err != nil {
				return err
			}
			port = &changed
			return t.c.db.SavePort(ctx, port)
		})
	return port, err
}

func (t *task) mayUpdatePort(port *store.Port, changes []string) error {
	node := t.Node
	inUse := node.ProvisionState == store.Active || node.InstanceUUID != ""
	if inUse && slices.Contains(changes, "address") && !node.Maintenance {
		return store.Errorf(store.InvalidState, "Cannot update hardware address for port %s as node %s is active or has "+
			"instance UUID assigned", port.UUID, node.UUID)
	}
	touched := slices.ContainsFunc(connectivityFields, func(f string) bool { return slices.Contains(changes, f) })
	allowed := []string{store.Enroll, store.Inspecting, store.InspectWait, store.Manageable}
	if !touched || node.Maintenance || slices.Contains(allowed, node.ProvisionState) {
		return nil
	}
	return store.Errorf(store.InvalidState, "Port %s can not have any connectivity attributes (%s) updated unless node %s "+
		"is in a %s state or in maintenance mode. The current state is %s.", port.UUID,
		strings.Join(connectivityFields, ", "), node.UUID, strings.Join(allowed, ", "), node.ProvisionState)
}

// checkPhysicalNetwork keeps the ports of one port group on one physical network. changes is nil for a new port.
func (t *task) checkPhysicalNetwork(ctx context.Context, port *store.Port, changes []string) error {
	moved := changes == nil || slices.Contains(changes, "portgroup_id") || slices.Contains(changes, "physical_network")
	if port.PortgroupID == nil || !moved {
		return nil
	}
	ports, err := t.c.db.PortsOfNode(ctx, t.Node.ID)
	if err != nil {
		return err
	}
	for _, other := range ports {
		if other.ID == port.ID || other.PortgroupID == nil || *other.PortgroupID != *port.PortgroupID {
			continue
		}
		if !equalPtr(other.PhysicalNetwork, port.PhysicalNetwork) {
			group, err := t.c.db.Portgroup(ctx, strconv.FormatInt(*port.PortgroupID, 10))
			if err != nil {
				return err
			}
			return store.Errorf(store.Conflict, "Port with physical network %s cannot become a member of port group %s which "+
				"has ports in physical network %s.", networkName(port), group.UUID, networkName(other))
		}
	}
	return nil
}

func networkName(p *store.Port) string {
	if p.PhysicalNetwork == nil {
		return "None"
	}
	return *p.PhysicalNetwork
}

type destroyPortArgs struct {
	Port json.RawMessage `json:"port"`
}

func (c *Conductor) destroyPort(ctx context.Context, rq oslo.Context, a destroyPortArgs) (any, error) {
	port, _, err := c.codec.DecodePort(a.Port)
	if err != nil {
		return nil, err
	}
	return nil, c.withNode(ctx, rq, portNode(port), lockMode{purpose: "port deletion"},
		func(ctx context.Context, t *task) error {
			// Newer releases ask the network interface what is bound, and noop binds nothing.
			ignored := c.cfg.Release > messaging.V2025_2 && t.Node.NetworkInterface == "noop"
			if vif, use := attachedVIF(port); vif != "" && !t.Node.Maintenance && !ignored {
				return store.Errorf(store.InvalidState, "Cannot delete the port %s as it is bound to VIF %s for %s use.",
					port.UUID, vif, use)
			}
			return t.c.db.DestroyPort(ctx, port)
		})
}

// attachedVIF returns the virtual interface bound to a port and what for.
func attachedVIF(p *store.Port) (vif, use string) {
	for _, k := range []struct{ key, use string }{
		{"tenant_vif_port_id", "tenant"}, {"cleaning_vif_port_id", "cleaning"},
		{"provisioning_vif_port_id", "provisioning"}, {"rescuing_vif_port_id", "rescuing"},
		{"inspection_vif_port_id", "inspecting"},
	} {
		if vif := p.InternalInfo.String(k.key); vif != "" {
			return vif, k.use
		}
	}
	return "", ""
}
