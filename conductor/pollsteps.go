package conductor

import (
	"context"
	"errors"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// Steps that a BMC carries out by itself wait without an agent's help: their interfaces are asked how they stand
// (drivers.Polled).

// polledStates are those in which a flow may wait for a step at a BMC.
var polledStates = []string{store.DeployWait, store.CleanWait, store.ServiceWait}

// pollSteps asks the interfaces of a type about the nodes that wait for them.
func (c *Conductor) pollSteps(typ drivers.InterfaceType) func(context.Context) error {
	return func(ctx context.Context) error {
		nodes, err := c.polledNodes(ctx, typ, sql.Filter{Reserved: pointer(false), ProvisionStates: polledStates})
		if err != nil {
			return err
		}
		c.eachLocked(ctx, nodes, 0, "checking a step at the BMC", func(ctx context.Context, t *task) error { return t.pollStep(ctx, typ) })
		return nil
	}
}

// discardSteps has the interfaces of a type forget the steps of flows that failed.
func (c *Conductor) discardSteps(typ drivers.InterfaceType) func(context.Context) error {
	failed := []string{store.CleanFail, store.DeployFail, store.ServiceFail}
	return func(ctx context.Context) error {
		nodes, err := c.polledNodes(ctx, typ, sql.Filter{Reserved: pointer(false), Maintenance: pointer(true), ProvisionStates: failed})
		if err != nil {
			return err
		}
		c.eachLocked(ctx, nodes, 0, "checking a failed step at the BMC", func(ctx context.Context, t *task) error {
			polled, ok := t.Hardware.Get(typ).(drivers.Polled)
			if !ok || !slices.Contains(failed, t.Node.ProvisionState) || !polled.UnderWay(t.Node) {
				return nil
			}
			if err := polled.Discard(ctx, t.Task); err != nil {
				return err
			}
			return t.save(ctx)
		})
		return nil
	}
}

// polledNodes are this worker's nodes of which an interface says that a step of its own is under way.
func (c *Conductor) polledNodes(ctx context.Context, typ drivers.InterfaceType, f sql.Filter) ([]*store.Node, error) {
	f.OrderBy = "provision_updated_at"
	nodes, err := c.owned(ctx, f, "provision_state", "driver_internal_info", "instance_info", string(typ)+"_interface")
	return slices.DeleteFunc(nodes, func(n *store.Node) bool {
		polled, ok := c.hardware.Interface(n, typ).(drivers.Polled)
		return !ok || !polled.UnderWay(n)
	}), err
}

// pollStep asks how a step stands, and goes on with the flow when it is done.
//
// Crash window: what the interface notes of a step that is done is written by the flow's next move, with it. A worker that dies
// before finds the step as it was, and asks again. One that dies after the move and before the next step has begun finds the step's flags
// still (polledOut).
func (t *task) pollStep(ctx context.Context, typ drivers.InterfaceType) error {
	polled, ok := t.Hardware.Get(typ).(drivers.Polled)
	if !ok || !slices.Contains(polledStates, t.Node.ProvisionState) || !polled.UnderWay(t.Node) {
		return nil
	}
	t.after(func(ctx context.Context, t *task) {
		done, err := polled.Poll(ctx, t.Task)
		kind := waitingKind(t.Node)
		var failure *drivers.StepFailure
		switch {
		case lost(err), err != nil && t.cutShort(ctx, err.Error()):
		case errors.As(err, &failure):
			t.flowFailed(ctx, kind, failure.Text)
		case err != nil:
			t.Log.Warn().Err(err).Msg("How the step at the BMC stands can't be told; it is asked again")
		case done:
			if err := t.resume(ctx, kind); err != nil && !lost(err) {
				t.Log.Error().Err(err).Msg("Going on after a step at the BMC failed")
			}
		}
	}, nil)
	return nil
}

// polledStep tells that a node waits for a step at its BMC, which its heartbeats and its worker's restart do not move.
func polledStep(n *store.Node) bool {
	for _, terms := range termsOf {
		if n.DriverInternalInfo.Bool(terms.polling, false) {
			return true
		}
	}
	return false
}

// polledOut tells that the step that the row names was at its BMC, and that its interface knows of nothing under way any more: it is over,
// and a worker has died before it began the next one.
func (t *task) polledOut(kind drivers.StepKind) bool {
	if !t.Node.DriverInternalInfo.Bool(termsOf[kind].polling, false) {
		return false
	}
	polled, ok := t.Hardware.Get(drivers.InterfaceType(stepColumn(t.Node, kind).String("interface"))).(drivers.Polled)
	return ok && !polled.UnderWay(t.Node)
}
