package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type rescueArgs struct {
	NodeID         string `json:"node_id"`
	RescuePassword any    `json:"rescue_password"`
}

func (c *Conductor) doNodeRescue(ctx context.Context, rq oslo.Context, a rescueArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "node rescue"},
		func(ctx context.Context, t *task) error { return t.startRescue(ctx, a.RescuePassword) })
}

// noPassword is how Python fails to hash what is no text.
func noPassword(value any) error {
	kind := store.PythonType(value)
	if value == nil {
		kind = "None"
	}
	return oslo.Builtin("TypeError", "crypt() argument 1 must be str, not %s", kind)
}

// startRescue checks that the node can be rescued and moves it to "rescuing"; the work goes on after the reply. The password
// goes into the row, for the agent is told of it when it has booted.
func (t *task) startRescue(ctx context.Context, asked any) error {
	node := t.Node
	if node.Maintenance {
		return inMaintenance("rescuing", node)
	}
	password, isText := asked.(string)
	if !isText {
		return noPassword(asked)
	}
	hashed, err := hashPassword(password, t.c.live().RescuePasswordHash)
	if err != nil {
		return err
	}
	wipeAgent(node)
	node.InstanceInfo[drivers.KeyRescuePassword], node.InstanceInfo[drivers.KeyHashedRescuePassword] = password, hashed
	if err := t.validateRescue(ctx); err != nil {
		return t.refuseRescue(ctx, err)
	}
	err = t.processEvent(ctx, eventRescue, eventOptions{
		background: func(ctx context.Context, t *task) {
			t.reportFlow(ctx, flowRescue, flowStart, "")
			t.rescue(ctx)
		},
		undo: func() { drivers.ForgetRescuePassword(node) },
	})
	if store.KindOf(err) == store.InvalidState {
		return t.refuseRescue(ctx, invalidRequest(eventRescue, node))
	}
	return err
}

func (t *task) validateRescue(ctx context.Context) error {
	for _, i := range []drivers.Interface{t.Hardware.Power, t.Hardware.Rescue, t.Hardware.Network} {
		err := i.Validate(ctx, t.Task)
		kind := store.KindOf(err)
		if isInvalidParameter(kind) || kind == store.UnsupportedDriverExtension {
			return drivers.RescueFailure(t.Node, "Validation failed: %w", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refuseRescue keeps nothing of the password in the row.
func (t *task) refuseRescue(ctx context.Context, reason error) error {
	drivers.ForgetRescuePassword(t.Node)
	if err := t.save(ctx); err != nil {
		return err
	}
	return reason
}

func (c *Conductor) doNodeUnrescue(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "node unrescue"},
		func(ctx context.Context, t *task) error {
			delete(t.Node.DriverInternalInfo, keyAgentURL)
			if t.Node.Maintenance {
				return inMaintenance("unrescuing", t.Node)
			}
			if err := t.Hardware.Power.Validate(ctx, t.Task); isInvalidParameter(store.KindOf(err)) {
				return drivers.UnrescueFailure(t.Node, "Validation failed: %w", err)
			} else if err != nil {
				return err
			}
			return asInvalidRequest(t.processEvent(ctx, eventUnrescue, eventOptions{
				background: func(ctx context.Context, t *task) {
					t.reportFlow(ctx, flowUnrescue, flowStart, "")
					t.unrescue(ctx)
				},
			}), eventUnrescue, t.Node)
		})
}

// requestRescueAbort gives up a rescue whose agent is waited for. last_error says so until the node is left in order, for whoever
// has to do that should this worker be lost.
func (t *task) requestRescueAbort(ctx context.Context) error {
	return t.processEvent(ctx, eventAbort, eventOptions{lastError: rescueAborted,
		background: func(ctx context.Context, t *task) { t.abortRescue(ctx) },
	})
}
