package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type raidConfigArgs struct {
	NodeID string `json:"node_id"`
	Target any    `json:"target_raid_config"`
}

// setTargetRAIDConfig records the RAID configuration that a node is to get; an empty one takes it back.
func (c *Conductor) setTargetRAIDConfig(ctx context.Context, rq oslo.Context, a raidConfigArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "setting target RAID config"},
		func(ctx context.Context, t *task) error {
			target, err := t.checkedRAIDConfig(ctx, a.Target)
			if err != nil {
				return err
			}
			t.Node.TargetRAIDConfig = target
			return t.save(ctx)
		})
}

// checkedRAIDConfig holds what is asked for against the node's RAID interface. What is empty is not looked at there, and fails as in
// Python where it can be made no dict of.
func (t *task) checkedRAIDConfig(ctx context.Context, asked any) (store.Dict, error) {
	switch target := asked.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		if len(target) == 0 {
			return target, nil
		}
		return target, t.Hardware.RAID.ValidateRAIDConfig(ctx, t.Task, target)
	}
	if store.PythonTrue(asked) {
		if err := t.Hardware.RAID.ValidateRAIDConfig(ctx, t.Task, store.Dict{}); store.KindOf(err) == store.UnsupportedDriverExtension {
			return nil, err
		}
		return nil, store.Errorf(store.InvalidParameterValue, "RAID config validation error: %s is not of type 'object'",
			store.PythonRepr(asked))
	}
	if asked == "" {
		return nil, oslo.Builtin("SyntaxError", "invalid syntax (<unknown>, line 0)")
	}
	_, err := iterated(asked)
	return store.Dict{}, err
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
