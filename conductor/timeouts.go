package conductor

import (
	"context"
	"fmt"
	"slices"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// failing is a search for nodes whose work has come to nothing, and what is then done with them.
type failing struct {
	filter sql.Filter
	states []string
	// keepTarget keeps the node's target state, by which a manual cleaning is known.
	keepTarget bool
	work       func(context.Context, *task)
	// flow is what comes to an end, and text the reason, when there is no work to tell of it.
	flow, text string
	// lastError, where there is one, is recorded together with the failure.
	lastError func(*store.Node) string
	// most is how many nodes are dealt with at a time; 0 is no limit.
	most int
}

// failNodes moves nodes that are stuck to their failed state. Nodes that somebody else locks meanwhile are left to them.
func (c *Conductor) failNodes(ctx context.Context, f failing) error {
	f.filter.OrderBy = "provision_updated_at"
	nodes, err := c.owned(ctx, f.filter)
	if err != nil {
		return err
	}
	c.eachLocked(ctx, nodes, f.most, "node state check", func(ctx context.Context, t *task) error { return t.failStuck(ctx, f) })
	return nil
}

func (t *task) failStuck(ctx context.Context, f failing) error {
	wanted := f.filter.Maintenance
	if wanted != nil && *wanted != t.Node.Maintenance || !slices.Contains(f.states, t.Node.ProvisionState) {
		return nil
	}
	o := eventOptions{background: f.work}
	if f.keepTarget {
		o.target = t.Node.TargetProvisionState
	}
	if f.lastError != nil {
		o.lastError = f.lastError(t.Node)
	}
	if f.work == nil {
		t.record(ctx, historyTransition, f.text)
	}
	err := t.processEvent(ctx, eventFail, o)
	if err == nil && f.work == nil {
		t.reportFlow(ctx, f.flow, flowError, f.text)
	}
	return err
}

func pointer[T any](v T) *T { return &v }

// failSilentDeploys fails deployments whose agent has not been heard of for deploy_callback_timeout.
func (c *Conductor) failSilentDeploys(ctx context.Context) error {
	limit := c.live().DeployCallbackTimeout
	if limit <= 0 {
		return nil
	}
	return c.failNodes(ctx, failing{
		filter: sql.Filter{Reserved: pointer(false), Maintenance: pointer(false),
			ProvisionStates: []string{store.DeployWait}, ProvisionedBefore: c.waitLimit(limit)},
		states: []string{store.DeployWait}, most: c.live().PeriodicMaxWorkers,
		work: func(ctx context.Context, t *task) {
			t.deployFailed(ctx, "Timeout reached while waiting for callback for node "+t.Node.UUID, true)
		},
	})
}

// failSilentRescues fails rescues whose agent has not been heard of for rescue_callback_timeout.
func (c *Conductor) failSilentRescues(ctx context.Context) error {
	limit := c.live().RescueCallbackTimeout
	if limit <= 0 {
		return nil
	}
	return c.failNodes(ctx, failing{
		filter: sql.Filter{Reserved: pointer(false), Maintenance: pointer(false),
			ProvisionStates: []string{store.RescueWait}, ProvisionedBefore: c.waitLimit(limit)},
		states: []string{store.RescueWait}, keepTarget: true, most: c.live().PeriodicMaxWorkers,
		work: func(ctx context.Context, t *task) {
			t.rescueFailed(ctx, "Timeout reached while waiting for rescue ramdisk callback for node", true)
		},
	})
}

// failSilentServices fails servicings whose agent has not been heard of for service_callback_timeout.
func (c *Conductor) failSilentServices(ctx context.Context) error {
	limit := c.live().ServiceCallbackTimeout
	if limit <= 0 || c.cfg.Release < messaging.V27_0 {
		return nil
	}
	return c.failNodes(ctx, failing{
		filter: sql.Filter{Reserved: pointer(false), Maintenance: pointer(false),
			ProvisionStates: []string{store.ServiceWait}, ProvisionedBefore: c.waitLimit(limit)},
		states: []string{store.ServiceWait}, keepTarget: true, most: c.live().PeriodicMaxWorkers, lastError: serviceTimeout,
		work: func(ctx context.Context, t *task) {
			t.serviceFailed(ctx, flowFailure{stateIsSet: true, text: serviceTimeout(t.Node)})
		},
	})
}

// failSilentCleans fails cleanings whose agent has not been heard of for clean_callback_timeout.
func (c *Conductor) failSilentCleans(ctx context.Context) error {
	limit := c.live().CleanCallbackTimeout
	if limit <= 0 {
		return nil
	}
	return c.failNodes(ctx, failing{
		filter: sql.Filter{Reserved: pointer(false), Maintenance: pointer(false),
			ProvisionStates: []string{store.CleanWait}, ProvisionedBefore: c.waitLimit(limit)},
		states: []string{store.CleanWait}, keepTarget: true, most: c.live().PeriodicMaxWorkers,
		work: func(ctx context.Context, t *task) {
			t.cleanFailed(ctx, flowFailure{stateIsSet: true, text: fmt.Sprintf("Timeout reached while cleaning the node. "+
				"Please check if the ramdisk responsible for the cleaning is running on the node. Failed on step %s.",
				store.PythonRepr(t.Node.CleanStep))})
		},
	})
}
