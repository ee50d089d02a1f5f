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

// rowID is the number of a row, as those who name rows by text have it.
func rowID(id int64) string { return strconv.FormatInt(id, 10) }

// keepUUID refuses a change of a record's UUID.
func keepUUID(changes []string, what string) error {
	if slices.Contains(changes, "uuid") {
		return store.Errorf(store.InvalidParameterValue, "Cannot overwrite UUID for an existing %s.", what)
	}
	return nil
}

type portgroupObjArgs struct {
	Portgroup json.RawMessage `json:"portgroup_obj" python:"object,uuid,node_id"`
}

func (c *Conductor) updatePortgroup(ctx context.Context, rq oslo.Context, a portgroupObjArgs) (any, error) {
	group, changes, err := c.codec.DecodePortgroup(a.Portgroup)
	if err != nil {
		return nil, err
	}
	err = c.withNode(ctx, rq, rowID(group.NodeID), lockMode{purpose: "update portgroup"},
		func(ctx context.Context, t *task) error {
			if slices.Contains(changes, "node_id") {
				if err := t.mayTakePortgroup(ctx, group); err != nil {
					return err
				}
			}
			if err := t.Hardware.Network.Validate(ctx, t.Task); err != nil {
				return err
			}
			if err := keepUUID(changes, "portgroup"); err != nil {
				return err
			}
			old, err := c.db.Portgroup(ctx, group.UUID)
			if err != nil {
				return err
			}
			changed := *old
			store.CopyFields(&changed, group, changes)
			if err := t.Hardware.Network.PortgroupChanged(ctx, t.Task, &changed, old); err != nil {
				return err
			}
			if err := c.db.SavePortgroup(ctx, &changed); err != nil {
				return err
			}
			group, err = c.db.Portgroup(ctx, group.UUID)
			return err
		})
	return group, err
}

// mayTakePortgroup tells whether a port group of another node can become one of this node.
func (t *task) mayTakePortgroup(ctx context.Context, group *store.Portgroup) error {
	if !t.Node.Maintenance && !slices.Contains(connectivityStates, t.Node.ProvisionState) {
		return store.Errorf(store.InvalidState, "Portgroup %s can not be associated to node %s unless the node is in a %s "+
			"state or in maintenance mode.%s", group.UUID, t.Node.UUID, strings.Join(connectivityStates, ", "), t.c.currentState(t.Node))
	}
	members, err := t.c.db.PortsOfPortgroup(ctx, group.ID)
	if err != nil {
		return err
	}
	if len(members) > 0 {
		return store.Errorf(store.PortgroupNotEmpty, "Portgroup %s can not be associated with node %s because there are ports "+
			"associated with this portgroup.", group.UUID, t.Node.UUID)
	}
	return nil
}

type portgroupArgs struct {
	Portgroup json.RawMessage `json:"portgroup" python:"object,uuid,node_id"`
}

func (c *Conductor) destroyPortgroup(ctx context.Context, rq oslo.Context, a portgroupArgs) (any, error) {
	group, _, err := c.codec.DecodePortgroup(a.Portgroup)
	if err != nil {
		return nil, err
	}
	name := group.UUID
	if c.cfg.Release >= messaging.V2025_1 {
		name = rowID(group.ID) // Its failures name the row.
	}
	return nil, c.withNode(ctx, rq, rowID(group.NodeID), lockMode{purpose: "portgroup deletion"},
		func(ctx context.Context, t *task) error { return c.db.DestroyPortgroup(ctx, group, name) })
}

type portgroupNetworkArgs struct {
	Portgroup       json.RawMessage `json:"portgroup" python:"object,uuid,node_id"`
	PhysicalNetwork *string         `json:"new_physical_network"`
}

// updatePortgroupPhysicalNetwork moves a port group with all of its ports to another physical network, or to none.
func (c *Conductor) updatePortgroupPhysicalNetwork(ctx context.Context, rq oslo.Context, a portgroupNetworkArgs) (any, error) {
	group, _, err := c.codec.DecodePortgroup(a.Portgroup)
	if err != nil {
		return nil, err
	}
	return nil, c.withNode(ctx, rq, rowID(group.NodeID), lockMode{purpose: "portgroup physical_network update"},
		func(ctx context.Context, t *task) error {
			group, err := c.db.Portgroup(ctx, group.UUID)
			if err != nil {
				return err
			}
			group.PhysicalNetwork = a.PhysicalNetwork
			if err := c.db.SavePortgroup(ctx, group); err != nil {
				return err
			}
			members, err := c.db.PortsOfPortgroup(ctx, group.ID)
			if err != nil {
				return err
			}
			for _, port := range members {
				port.PhysicalNetwork = a.PhysicalNetwork
				if err := c.db.SavePort(ctx, port); err != nil {
					return err
				}
			}
			return nil
		})
}
