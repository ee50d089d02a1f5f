package conductor

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type portObjArgs struct {
	Port json.RawMessage `json:"port_obj" python:"object,uuid,node_id"`
}

func (c *Conductor) createPort(ctx context.Context, rq oslo.Context, a portObjArgs) (any, error) {
	port, _, err := c.codec.DecodePort(a.Port)
	if err != nil {
		return nil, err
	}
	create := func(ctx context.Context, t *task) error {
		settle, err := t.checkPhysicalNetwork(ctx, port, nil)
		if err != nil {
			return err
		}
		if err := t.c.db.CreatePort(ctx, port); err != nil {
			return err
		}
		return settle(ctx)
	}
	if c.cfg.Release >= messaging.V22_0 {
		// Newer releases let a port come while the node is at work.
		err = c.readNode(ctx, rq, rowID(port.NodeID), "port create", create)
	} else {
		err = c.withNode(ctx, rq, rowID(port.NodeID), lockMode{purpose: "port create"}, create)
	}
	return port, err
}

// connectivityStates are those in which connectivityFields may change: no instance uses the node's ports.
var connectivityStates = []string{store.Enroll, store.Inspecting, store.InspectWait, store.Manageable}

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
	err = c.withNode(ctx, rq, rowID(port.NodeID), lockMode{purpose: "port update"},
		func(ctx context.Context, t *task) error {
			if err := t.mayUpdatePort(port, changes); err != nil {
				return err
			}
			old, err := t.c.db.Port(ctx, port.UUID)
			if err != nil {
				return err
			}
			settle, err := t.checkPhysicalNetwork(ctx, port, changes)
			if err != nil {
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
			if err := t.c.db.SavePort(ctx, port); err != nil {
				return err
			}
			return settle(ctx)
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
	if !touched || node.Maintenance || slices.Contains(connectivityStates, node.ProvisionState) {
		return nil
	}
	return store.Errorf(store.InvalidState, "Port %s can not have any connectivity attributes (%s) updated unless node %s "+
		"is in a %s state or in maintenance mode. The current state is %s.", port.UUID,
		strings.Join(connectivityFields, ", "), node.UUID, strings.Join(connectivityStates, ", "), node.ProvisionState)
}

type destroyPortArgs struct {
	Port json.RawMessage `json:"port" python:"object,uuid,node_id"`
}

func (c *Conductor) destroyPort(ctx context.Context, rq oslo.Context, a destroyPortArgs) (any, error) {
	port, _, err := c.codec.DecodePort(a.Port)
	if err != nil {
		return nil, err
	}
	return nil, c.withNode(ctx, rq, rowID(port.NodeID), lockMode{purpose: "port deletion"},
		func(ctx context.Context, t *task) error {
			// Newer releases ask the network interface what is bound, and noop binds nothing.
			ignored := c.cfg.Release > messaging.V2025_2 && t.Node.NetworkInterface == "noop"
			if vif, use := attachedVIF(port); vif != "" && !t.Node.Maintenance && !ignored {
				if c.cfg.Release > messaging.V2025_2 {
					return store.Errorf(store.InvalidState, "Cannot delete the port %s as it is bound to VIF %s for use.", port.UUID, vif)
				}
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
