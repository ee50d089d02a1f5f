package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type raidConfigArgs struct {
	NodeID string     `json:"node_id"`
	Target store.Dict `json:"target_raid_config"`
}

// setTargetRAIDConfig records the RAID configuration that a node is to get; an empty one takes it back.
func (c *Conductor) setTargetRAIDConfig(ctx context.Context, rq oslo.Context, a raidConfigArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "setting target RAID config"},
		func(ctx context.Context, t *task) error {
			if len(a.Target) > 0 {
				if err := t.Hardware.RAID.ValidateRAIDConfig(ctx, t.Task, a.Target); err != nil {
					return err
				}
			}
			t.Node.TargetRAIDConfig = a.Target
			return t.save(ctx)
		})
}

// getRAIDLogicalDiskProperties tells what the RAID interface that nodes of a hardware type have by default takes.
func (c *Conductor) getRAIDLogicalDiskProperties(_ context.Context, _ oslo.Context, a driverArgs) (any, error) {
	iface, err := c.defaultInterface(a.DriverName, drivers.TypeRAID)
	if err != nil {
		return nil, err
	}
	raid, ok := iface.(drivers.RAID)
	if !ok {
		return nil, drivers.UnsupportedBy(a.DriverName, string(drivers.TypeRAID))
	}
	return raid.LogicalDiskProperties(), nil
}
