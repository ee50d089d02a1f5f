package conductor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// A child node, such as a card with a processor of its own, has its power from its parent unless driver_info says that it has a
// supply of its own. So a parent is on before its child is, and its children are off before it is, as with ironic 28.0 and newer;
// only plain on and off reach the relatives.

const keyOwnPowerSupply = "has_dedicated_power_supply"

// switchRelatives brings the node's relatives to where they have to be before the node itself is switched.
func (t *task) switchRelatives(ctx context.Context, requested string, timeout time.Duration) (err error) {
	if t.c.cfg.Release < messaging.V28_0 {
		return nil
	}
	switch {
	case requested == store.PowerOn && t.Node.ParentNode != "" && !t.Node.DriverInfo.Bool(keyOwnPowerSupply, false):
		err = t.powerOnParent(ctx, timeout)
	case requested == store.PowerOff:
		err = t.powerOffChildren(ctx, timeout)
	}
	if lost(err) {
		// It is the relative's reservation that is gone: the node's own is there still, and its flow has to end.
		return errors.New(err.Error())
	}
	return err
}

func (t *task) powerOnParent(ctx context.Context, timeout time.Duration) error {
	parent, err := t.c.lockShared(ctx, t.request, t.Node.ParentNode, "power on parent node")
	if err != nil {
		return fmt.Errorf("reading the parent node: %w", err)
	}
	reached, err := parent.claimForPower(ctx, store.PowerOn)
	switch {
	case store.KindOf(err) == store.NodeLocked:
		err = store.Errorf(store.ParentNodeLocked, "Node %s parent_node %s is presently locked and we are unable to perform any action "+
			"on it at this time. Please retry after the current operation is completed.", t.Node.UUID, parent.Node.UUID)
	case err == nil && !reached:
		err = parent.setPower(ctx, store.PowerOn, timeout)
	}
	return errors.Join(err, parent.release(ctx))
}

// powerOffChildren holds all children that are on before it switches any of them off.
func (t *task) powerOffChildren(ctx context.Context, timeout time.Duration) (err error) {
	nodes, err := t.c.db.Nodes(ctx, sql.Filter{Parent: t.Node.UUID, Columns: []string{"uuid", "driver_info"}})
	if err != nil {
		return err
	}
	var held []*task
	defer func() {
		for _, child := range held {
			err = errors.Join(err, child.release(ctx))
		}
	}()
	var on []*task
	for _, n := range nodes {
		if n.DriverInfo.Bool(keyOwnPowerSupply, false) {
			continue
		}
		child, err := t.c.lockShared(ctx, t.request, n.UUID, "child node power off")
		if err != nil {
			return fmt.Errorf("reading the child node %s: %w", n.UUID, err)
		}
		held = append(held, child)
		reached, err := child.claimForPower(ctx, store.PowerOff)
		if store.KindOf(err) == store.NodeLocked {
			return store.Errorf(store.ChildNodeLocked, "Node %s child_node %s is presently locked and we are unable to perform any action "+
				"on it at this time. Please retry after the current operation is completed.", t.Node.UUID, n.UUID)
		}
		if err != nil {
			return err
		}
		if !reached {
			on = append(on, child)
		}
	}
	for _, child := range on {
		if err := child.setPower(ctx, store.PowerOff, timeout); err != nil {
			return err
		}
	}
	return nil
}

// claimForPower locks the node unless its machine is in the power state already.
func (t *task) claimForPower(ctx context.Context, state string) (reached bool, err error) {
	current, err := t.Hardware.Power.PowerState(ctx, t.Task)
	if err != nil || current == state {
		return err == nil, err
	}
	return false, t.upgrade(ctx, t.purpose, 0)
}
