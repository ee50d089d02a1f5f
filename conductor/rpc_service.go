package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type serviceArgs struct {
	NodeID       string         `json:"node_id"`
	ServiceSteps requestedSteps `json:"service_steps"`
	// DisableRamdisk is null when nobody says.
	DisableRamdisk *bool `json:"disable_ramdisk,omitempty"`
}

func (c *Conductor) doNodeService(ctx context.Context, rq oslo.Context, a serviceArgs) (any, error) {
	if a.ServiceSteps.fault != nil {
		return nil, store.Errorf(store.InvalidParameterValue, "Argument service_steps of do_node_service has the wrong type")
	}
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "node service"},
		func(ctx context.Context, t *task) error {
			if t.Node.Maintenance {
				return inMaintenance("service", t.Node)
			}
			if err := t.validateForSteps(ctx, false); err != nil {
				if isInvalidParameter(store.KindOf(err)) {
					return store.Errorf(store.InvalidParameterValue, "Validation of node %s for servicing failed: %s", t.Node.UUID, err)
				}
				return err
			}
			if err := c.refuseDisallowed(drivers.ServiceStep, a.ServiceSteps.list, nil); err != nil {
				return err
			}
			t.wording = a.ServiceSteps.wording
			r := serviceRequest{steps: a.ServiceSteps.list, disableRamdisk: a.DisableRamdisk}
			before := t.Node.DriverInternalInfo.Clone()
			r.store(t.Node)
			return asInvalidRequest(t.processEvent(ctx, eventService, eventOptions{
				target: store.Active,
				background: func(ctx context.Context, t *task) {
					t.reportFlow(ctx, flowService, flowStart, "")
					t.service(ctx, r)
				},
				undo: func() { t.Node.DriverInternalInfo = before },
			}), eventService, t.Node)
		})
}

// continueNodeService is what a Python conductor casts to itself; it may reach this worker after the node did.
func (c *Conductor) continueNodeService(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "continue node servicing", attempts: forever},
		func(ctx context.Context, t *task) error {
			before := moment{t.Node.ProvisionState, t.Node.TargetProvisionState}
			if before.State != store.ServiceWait && before.State != store.Servicing {
				return store.Errorf(store.InvalidStateRequested, "Cannot continue servicing on %s. Node is in %s state; should be in "+
					"one of %s, %s", t.Node.UUID, before.State, store.ServiceWait, store.Servicing)
			}
			// Ironic resumes a node that is in "servicing" too, where the state machine has no such event.
			if err := t.processEvent(ctx, eventResume, eventOptions{}); err != nil {
				return err
			}
			t.after(func(ctx context.Context, t *task) { t.continueService(ctx) }, t.waitAgain(before))
			return nil
		})
}

// requestServiceAbort gives up a servicing whose step may be cut off, else it is given up after the step. The node ends in
// "active".
func (t *task) requestServiceAbort(ctx context.Context) error {
	if later, err := t.abortsLater(ctx, drivers.ServiceStep); later {
		return err
	}
	// Crash window: what the failure says tells whoever holds the node next that nobody has left it in order.
	if err := t.processEvent(ctx, eventFail, eventOptions{lastError: abortedText("service", t.Node.ServiceStep)}); err != nil {
		return err
	}
	return t.abandonService(ctx)
}

// requestServiceEnd gives up a servicing that has failed.
func (t *task) requestServiceEnd(ctx context.Context) error {
	if t.Node.Maintenance {
		return store.Errorf(store.InvalidState, `Can not abort service on node "%s" while it is in maintenance mode. Please remove `+
			"the node from maintenance prior to issuing the request to abort the service operation.", t.Node.UUID)
	}
	return t.abandonService(ctx)
}

func (t *task) abandonService(ctx context.Context) error {
	t.Node.DriverInternalInfo[keyGivenUp] = true
	return t.processEvent(ctx, eventAbort, eventOptions{
		background: func(ctx context.Context, t *task) { t.abortService(ctx) },
		undo:       func() { delete(t.Node.DriverInternalInfo, keyGivenUp) },
	})
}

// requestServiceUnhold goes on after a step that held the node. As in ironic the flow goes on in "service wait", which no step
// leaves well.
func (t *task) requestServiceUnhold(ctx context.Context) error {
	return t.processEvent(ctx, eventUnhold, eventOptions{
		background: func(ctx context.Context, t *task) { t.continueService(ctx) },
	})
}
