package conductor

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type deployArgs struct {
	NodeID      string         `json:"node_id"`
	Rebuild     bool           `json:"rebuild,omitempty"`
	ConfigDrive any            `json:"configdrive,omitempty"`
	DeploySteps requestedSteps `json:"deploy_steps,omitempty"`
}

func (c *Conductor) doNodeDeploy(ctx context.Context, rq oslo.Context, a deployArgs) (any, error) {
	if err := c.limit(ctx, "provisioning", c.live().MaxConcurrentDeploy, store.Deploying, store.DeployWait); err != nil {
		return nil, err
	}
	event := eventDeploy
	if a.Rebuild {
		event = eventRebuild
	}
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "node deployment"},
		func(ctx context.Context, t *task) error {
			t.wording = a.DeploySteps.wording
			return t.startDeploy(ctx, deployRequest{event: event, configDrive: a.ConfigDrive, steps: a.DeploySteps.list, fault: a.DeploySteps.faultOfDeploy()})
		})
}

// Where the lessee of an instance is read ([conductor]automatic_lessee_source).
const (
	// LesseeOfInstance is the project that instance_info names, as Nova does.
	LesseeOfInstance = "instance"
	// LesseeOfRequest is the project of the token, which stays the user's where a service asks on behalf of one.
	LesseeOfRequest = "request"
)

// setAutomaticLessee lends the node to the project that it is deployed for, until it is torn down.
func (t *task) setAutomaticLessee() {
	var project string
	switch t.c.live().LesseeSource {
	case LesseeOfInstance:
		project = t.Node.InstanceInfo.String("project_id")
	case LesseeOfRequest:
		project = tokenProject(t.request.AuthTokenInfo)
	}
	if !t.c.live().AutomaticLessee || t.Node.Lessee != nil || project == "" {
		return
	}
	t.Node.Lessee = &project
	t.Node.DriverInternalInfo["automatic_lessee"] = true
}

// tokenProject reads the project's id out of what Keystone said about a token.
func tokenProject(info json.RawMessage) string {
	var known struct {
		Token struct {
			Project struct {
				ID string `json:"id"`
			} `json:"project"`
		} `json:"token"`
	}
	if json.Unmarshal(info, &known) != nil {
		return ""
	}
	return known.Token.Project.ID
}

// limit refuses work when too many nodes of the whole deployment, or of this worker's conductor group, are at it already. The
// number is not told: it would help an attacker.
func (c *Conductor) limit(ctx context.Context, action string, most int, states ...string) error {
	var group *string
	if c.live().MaxConcurrentPerGroup {
		group = &c.cfg.Group
	}
	n, err := c.db.CountNodes(ctx, group, states...)
	if err != nil {
		return err
	}
	if n < most {
		return nil
	}
	return store.Errorf(store.ConcurrentActionLimit, "Unable to process request at this time. The concurrent action limit "+
		"for %s has been reached. Please contact your administrator and try again later.", action)
}

type nodeArgs struct {
	NodeID string `json:"node_id"`
}

func (c *Conductor) doNodeTearDown(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	err := c.limit(ctx, "unprovisioning", c.live().MaxConcurrentClean, store.Deleting, store.Cleaning, store.CleanWait)
	if err != nil {
		return nil, err
	}
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "node tear down"},
		func(ctx context.Context, t *task) error {
			delete(t.Node.DriverInternalInfo, keyAgentURL)
			if t.Node.Protected {
				return nodeProtected(t.Node)
			}
			if err := t.Hardware.Power.Validate(ctx, t.Task); err != nil {
				if isInvalidParameter(store.KindOf(err)) {
					return store.Errorf(store.InstanceDeployFailure,
						"Failed to validate power driver interface. Can not delete instance. Error: %s", err)
				}
				return err
			}
			from := t.Node.ProvisionState
			t.note(store.Dict{markFrom: from})
			return asInvalidRequest(t.processEvent(ctx, eventDelete, eventOptions{
				background: func(ctx context.Context, t *task) { t.tearDown(ctx, from) },
			}), eventDelete, t.Node)
		})
}

type cleanArgs struct {
	NodeID         string         `json:"node_id"`
	CleanSteps     requestedSteps `json:"clean_steps"`
	DisableRamdisk bool           `json:"disable_ramdisk,omitempty"`
}

func (c *Conductor) doNodeClean(ctx context.Context, rq oslo.Context, a cleanArgs) (any, error) {
	err := c.limit(ctx, "cleaning", c.live().MaxConcurrentClean, store.Deleting, store.Cleaning, store.CleanWait)
	if err != nil {
		return nil, err
	}
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "node manual cleaning"},
		func(ctx context.Context, t *task) error {
			if t.Node.Maintenance {
				return inMaintenance("cleaning", t.Node)
			}
			if err := t.validateForSteps(ctx, false); err != nil {
				if isInvalidParameter(store.KindOf(err)) {
					return store.Errorf(store.InvalidParameterValue, "%s", cleanValidation(t.Node, err))
				}
				return err
			}
			if err := c.refuseDisallowed(drivers.CleanStep, a.CleanSteps.list, a.CleanSteps.faultOfSome()); err != nil {
				return err
			}
			t.wording = a.CleanSteps.wording
			r := cleanRequest{manual: true, steps: a.CleanSteps.list, oddSteps: a.CleanSteps.odd, isOdd: a.CleanSteps.fault != nil, disableRamdisk: a.DisableRamdisk}
			before := infoOf(t.Node)
			r.store(t.Node)
			return asInvalidRequest(t.processEvent(ctx, eventClean, eventOptions{
				target:     store.Manageable,
				shown:      before,
				background: func(ctx context.Context, t *task) { t.startClean(ctx, r) },
				undo:       func() { t.Node.DriverInternalInfo = before.internal },
			}), "manual clean", t.Node)
		})
}

func inMaintenance(op string, n *store.Node) error {
	return store.Errorf(store.NodeInMaintenance,
		"The %s operation can't be performed on node %s because it's in maintenance mode.", op, n.UUID)
}

type actionArgs struct {
	NodeID string `json:"node_id"`
	Action string `json:"action" python:"key"`
}

func (c *Conductor) doProvisioningAction(ctx context.Context, rq oslo.Context, a actionArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "provision action " + a.Action},
		func(ctx context.Context, t *task) error { return t.provisioningAction(ctx, a.Action) })
}

func (t *task) provisioningAction(ctx context.Context, action string) error {
	node := t.Node
	newer := t.c.cfg.Release > messaging.V2025_2
	var work func(context.Context, *task)
	switch {
	case action == eventProvide && node.ProvisionState == store.Manageable:
		if node.Maintenance && !t.c.live().AllowProvisioningInMaintenance {
			return inMaintenance("providing", node)
		}
		if node.Retired != nil && *node.Retired {
			return store.Errorf(store.NodeIsRetired,
				"The providing operation can't be performed on node %s because it is retired.", node.UUID)
		}
		return t.requestAutomatedClean(ctx)
	case action == eventManage && node.ProvisionState == store.Enroll:
		work = func(ctx context.Context, t *task) { t.verify(ctx) }
	case action == eventAdopt && (node.ProvisionState == store.Manageable || node.ProvisionState == store.AdoptFail):
		work = func(ctx context.Context, t *task) { t.adopt(ctx) }
	case action == eventAbort && (node.ProvisionState == store.CleanWait || node.ProvisionState == store.CleanHold):
		return t.requestAbort(ctx)
	case action == eventAbort && node.ProvisionState == store.RescueWait:
		return t.requestRescueAbort(ctx)
	case action == eventAbort && node.ProvisionState == store.InspectWait:
		return t.abortInspection(ctx)
	case action == eventUnhold && node.ProvisionState == store.ServiceHold:
		return t.requestServiceUnhold(ctx)
	case action == eventAbort && newer && (node.ProvisionState == store.ServiceWait || node.ProvisionState == store.ServiceHold):
		return t.requestServiceAbort(ctx)
	case action == eventAbort && newer && node.ProvisionState == store.ServiceFail:
		return t.requestServiceEnd(ctx)
	case action == eventAbort && newer && node.ProvisionState == store.DeployWait:
		return t.requestDeployAbort(ctx)
	case action == eventAbort && node.ProvisionState == store.DeployHold:
		delete(node.DriverInternalInfo, keyAgentURL)
		t.note(store.Dict{markFrom: store.DeployHold})
		work = func(ctx context.Context, t *task) { t.tearDown(ctx, store.DeployHold) }
	}
	return asInvalidRequest(t.processEvent(ctx, action, eventOptions{background: work}), action, node)
}

// abortsLater notes that a flow is to be aborted after its running step, when that may not be cut off.
func (t *task) abortsLater(ctx context.Context, kind drivers.StepKind) (later bool, err error) {
	step := *stepColumn(t.Node, kind)
	if len(step) == 0 || step.Bool("abortable", false) {
		return false, nil
	}
	if step.Bool("abort_after", false) {
		return true, nil
	}
	step["abort_after"] = true
	return true, t.save(ctx)
}

// requestAbort aborts a cleaning at once when its step allows that, else after the step.
func (t *task) requestAbort(ctx context.Context) error {
	if later, err := t.abortsLater(ctx, drivers.CleanStep); later {
		return err
	}
	return t.processEvent(ctx, eventAbort, eventOptions{
		target: manualTarget(t.Node), lastError: abortedText("clean", t.Node.CleanStep),
		background: func(ctx context.Context, t *task) { t.abortClean(ctx) },
	})
}

// requestDeployAbort aborts a deployment at once when its step allows that, else after the step.
func (t *task) requestDeployAbort(ctx context.Context) error {
	if later, err := t.abortsLater(ctx, drivers.DeployStep); later {
		return err
	}
	delete(t.Node.DriverInternalInfo, keyAgentURL)
	t.Node.DriverInternalInfo[keyGivenUp] = true
	return t.processEvent(ctx, eventAbort, eventOptions{
		background: func(ctx context.Context, t *task) { t.abortDeploy(ctx) },
		undo:       func() { delete(t.Node.DriverInternalInfo, keyGivenUp) },
	})
}

// continueNodeDeploy and continueNodeClean are what a Python conductor casts to itself; in a mixed cluster such a message
// may reach this worker after the node did.
func (c *Conductor) continueNodeDeploy(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "continue node deploying", attempts: forever},
		func(ctx context.Context, t *task) error {
			before := moment{t.Node.ProvisionState, t.Node.TargetProvisionState}
			switch t.Node.ProvisionState {
			case store.DeployWait:
				if err := t.processEvent(ctx, eventResume, eventOptions{}); err != nil {
					return err
				}
			case store.Deploying:
			default:
				return store.Errorf(store.InvalidStateRequested, "Cannot continue deploying on %s. Node is in %s state; "+
					"should be in one of %s, %s", t.Node.UUID, t.Node.ProvisionState, store.DeployWait, store.Deploying)
			}
			t.after(func(ctx context.Context, t *task) { t.continueDeploy(ctx) }, t.waitAgain(before))
			return nil
		})
}

func (c *Conductor) continueNodeClean(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "continue node cleaning", attempts: forever},
		func(ctx context.Context, t *task) error {
			if t.Node.ProvisionState != store.CleanWait {
				return store.Errorf(store.InvalidStateRequested, "Cannot continue cleaning on %s, node is in %s state, "+
					"should be %s", t.Node.UUID, t.Node.ProvisionState, store.CleanWait)
			}
			before := moment{t.Node.ProvisionState, t.Node.TargetProvisionState}
			if err := t.processEvent(ctx, eventResume, eventOptions{target: manualTarget(t.Node)}); err != nil {
				return fmt.Errorf("resuming the cleaning: %w", err)
			}
			t.after(func(ctx context.Context, t *task) { t.continueClean(ctx) }, t.waitAgain(before))
			return nil
		})
}

// waitAgain puts a node back into its wait state for which no worker was free: the agent's next heartbeat goes on. Ironic
// leaves it in the running state, where nothing comes to it any more.
func (t *task) waitAgain(before moment) func(context.Context, error) {
	return func(ctx context.Context, err error) {
		if store.KindOf(err) == store.NoFreeConductorWorker {
			t.Node.ProvisionState, t.Node.TargetProvisionState = before.State, before.Target
			t.noWorker(ctx, err)
		}
	}
}

// noWorker records that background work could not start.
func (t *task) noWorker(ctx context.Context, err error) {
	if store.KindOf(err) != store.NoFreeConductorWorker {
		return
	}
	t.record(ctx, historyConductor, noFreeWorkers)
	_ = t.saveOrLose(ctx)
}
