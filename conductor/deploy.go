package conductor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// deployRequest is what do_node_deploy asks for.
type deployRequest struct {
	event       string
	configDrive any
	steps       []store.Dict
	// fault is how Python fails to read what was sent in the place of steps.
	fault error
}

// startDeploy checks that the node can be deployed and moves it to "deploying"; the work goes on after the reply.
func (t *task) startDeploy(ctx context.Context, r deployRequest) error {
	node := t.Node
	if node.Maintenance {
		return inMaintenance("provisioning", node)
	}
	if r.event == eventRebuild && node.Protected {
		return nodeProtected(node)
	}
	if !t.c.machine.Allows(node.ProvisionState, r.event) {
		return invalidRequest(r.event, node)
	}
	if mode := strings.ToLower(node.Properties.String("boot_mode")); slices.Contains(t.c.live().DisallowedBootModes, strings.TrimSpace(mode)) {
		return store.Errorf(store.BootModeNotAllowed, "'%s' boot mode is not allowed for provisioning operation.", mode)
	}
	if err := t.c.refuseDisallowed(drivers.DeployStep, r.steps, r.fault); err != nil {
		return err
	}
	if err := t.prepareInstanceInfo(ctx, r.event); err != nil {
		return err
	}
	before := node.DeployInterface
	if err := t.validateDeploy(ctx, r.steps, r.fault); err != nil {
		// Ironic leaves the node with an interface that nobody asked for. One that the instance was deployed with stays.
		if node.DeployInterface != before && t.restoreDeploy() {
			if saving := t.save(ctx); saving != nil {
				return saving
			}
		}
		var e *store.Error
		if errors.As(err, &e) && isInvalidParameter(e.Kind) {
			failure := store.Errorf(store.InstanceDeployFailure,
				"Failed to validate deploy or power info for node %s: %s", node.UUID, e.Message)
			failure.Code = 400
			return failure
		}
		return err
	}
	// What the request brings goes into the row together with the new state: whoever resumes the flow finds it there.
	shown := infoOf(node)
	if !emptyConfigDrive(r.configDrive) {
		node.InstanceInfo["configdrive"] = r.configDrive
	}
	delete(node.DriverInternalInfo, keyUserSteps)
	if len(r.steps) > 0 {
		node.DriverInternalInfo[keyUserSteps] = anyList(r.steps)
	}
	return asInvalidRequest(t.processEvent(ctx, r.event, eventOptions{
		shown: shown,
		background: func(ctx context.Context, t *task) {
			t.reportFlow(ctx, flowDeploy, flowStart, t.imageReason)
			t.deploy(ctx)
		},
		undo: func() {
			if !emptyConfigDrive(r.configDrive) {
				delete(node.InstanceInfo, "configdrive")
			}
			delete(node.DriverInternalInfo, keyUserSteps)
			if node.DeployInterface != before {
				t.restoreDeploy()
			}
		},
	}), r.event, node)
}

// keyUserSteps is where driver_internal_info holds the steps that a user gave for a deployment.
const keyUserSteps = "user_deploy_steps"

// prepareInstanceInfo infers the kind of the image and keeps the answer in the row.
func (t *task) prepareInstanceInfo(ctx context.Context, event string) error {
	if event == eventRebuild {
		// Glance may hold another kernel and ramdisk by now; those of other sources were given by the user.
		if t.c.images.IsGlance(t.Node.InstanceInfo.String("image_source")) {
			delete(t.Node.InstanceInfo, "kernel")
			delete(t.Node.InstanceInfo, "ramdisk")
			if t.c.cfg.Release > messaging.V2026_1 {
				delete(t.Node.InstanceInfo, "boot_iso")
				delete(t.Node.InstanceInfo, "original_image_source")
			}
		}
	} else {
		t.setAutomaticLessee()
	}
	changed, err := t.inferImageKind(ctx)
	if err != nil || !changed {
		return err
	}
	return t.save(ctx)
}

// journalImageReason is the journal's key of why the node's image counts as what it does.
const journalImageReason = "image.kind_reason"

// inferImageKind updates the row's image type; it reports whether anything was written.
func (t *task) inferImageKind(ctx context.Context) (bool, error) {
	changed, reason, err := t.c.images.InferKind(ctx, t.Task)
	if err != nil {
		return false, err
	}
	if reason != "" && !t.Shared {
		t.imageReason = reason
		if err := t.c.local.Put(t.Node.UUID, journalImageReason, reason); err != nil {
			t.Log.Warn().Err(err).Msg("Keeping the reason for the image's kind failed")
		}
	}
	if reason != "" {
		level := zerolog.DebugLevel
		if changed && !t.Shared {
			level = zerolog.InfoLevel
		}
		t.Log.WithLevel(level).Str("reason", reason).Str("image_type", t.Node.InstanceInfo.String("image_type")).
			Msg("Inferred the kind of the image")
	}
	return changed, nil
}

func (t *task) validateDeploy(ctx context.Context, steps []store.Dict, fault error) error {
	if err := t.chooseDeploy(ctx); err != nil {
		return err
	}
	if err := t.Hardware.Power.Validate(ctx, t.Task); err != nil {
		return err
	}
	if err := t.Hardware.Deploy.Validate(ctx, t.Task); err != nil {
		return err
	}
	if err := checkInstanceTraits(t.Node); err != nil {
		return err
	}
	if _, _, err := t.checkedDeploySteps(ctx, cloneSteps(steps), true); err != nil {
		return err
	}
	return fault
}

func cloneSteps(steps []store.Dict) []store.Dict {
	out := make([]store.Dict, len(steps))
	for i, s := range steps {
		out[i] = s.Clone()
	}
	return out
}

// checkInstanceTraits refuses an instance that asks for traits which the node lacks.
func checkInstanceTraits(n *store.Node) error {
	value, ok := n.InstanceInfo["traits"]
	if !ok || value == nil {
		return nil
	}
	items, isList := value.([]any)
	malformed := !isList
	var missing []string
	for _, item := range items {
		name, isText := item.(string)
		if malformed = malformed || !isText; isText && !slices.Contains(n.Traits, name) {
			missing = append(missing, name)
		}
	}
	if malformed {
		return store.Errorf(store.InvalidParameterValue,
			"Error parsing traits from Node %s instance_info field. A list of strings is expected.", n.UUID)
	}
	if len(missing) > 0 {
		return store.Errorf(store.InvalidParameterValue,
			"Cannot specify instance traits that are not also set on the node. Node %s is missing traits %s",
			n.UUID, strings.Join(missing, ", "))
	}
	return nil
}

// deploy is the flow's first part, up to the first step that waits. All of it may run again.
func (t *task) deploy(ctx context.Context) {
	user := t.Node.DriverInternalInfo[keyUserSteps]
	t.wipeDeploy(ctx)
	if user != nil {
		t.Node.DriverInternalInfo[keyUserSteps] = user
	}
	if err := t.save(ctx); err != nil {
		t.stepNotSaved(ctx, err)
		return
	}
	if err := t.Hardware.Deploy.Prepare(ctx, t.Task); err != nil {
		if !lost(err) {
			t.deployFailed(ctx, "Failed to prepare to deploy: "+err.Error(), false)
		}
		return
	}
	// gofail: var deployPrepared struct{}
	if err := t.setDeploySteps(ctx, true, true); err != nil {
		if !lost(err) {
			t.deployFailed(ctx, "Cannot get deploy steps; failed to deploy: "+err.Error(), true)
		}
		return
	}
	if len(t.flowSteps(drivers.DeployStep)) == 0 {
		t.deployFailed(ctx, "No deploy steps returned by the driver", true)
		return
	}
	t.Node.ConductorAffinity = &t.c.conductorID
	if t.saveOrLose(ctx) != nil {
		return
	}
	// gofail: var deployListed struct{}
	t.flowBegan(ctx, drivers.DeployStep)
	t.runDeploySteps(ctx, 0, false)
}

func emptyConfigDrive(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case map[string]any:
		return len(v) == 0
	case store.Dict:
		return len(v) == 0
	}
	return false
}

// runDeploySteps runs steps from an index until one waits, fails or none is left. again tells that the first of them may have
// begun before.
func (t *task) runDeploySteps(ctx context.Context, index int, again bool) {
	for steps := t.flowSteps(drivers.DeployStep); index < len(steps); index, again = index+1, false {
		step := steps[index]
		if err := t.beginStep(ctx, drivers.DeployStep, index, step, again); err != nil {
			t.stepNotSaved(ctx, err)
			return
		}
		outcome, err := t.runStep(ctx, drivers.DeployStep, step, again)
		// gofail: var deployStepRan struct{}
		if !t.deployGoesOn(ctx, step, outcome, err) || !t.joinAgentSteps(ctx) {
			return
		}
		steps = t.flowSteps(drivers.DeployStep)
	}
	t.finishDeploy(ctx)
}

// joinAgentSteps takes the agent's own steps into the list as soon as they are known. With fast track that is in the middle
// of the first step, since the agent runs already. It reports whether the flow goes on.
func (t *task) joinAgentSteps(ctx context.Context) bool {
	info := t.Node.DriverInternalInfo
	if info.Bool("steps_validated", false) || len(info.Dict("agent_cached_deploy_steps")) == 0 {
		return true
	}
	if err := t.validateFinalSteps(ctx); err != nil {
		t.finalStepsInvalid(ctx, err)
		return false
	}
	return true
}

func (t *task) finalStepsInvalid(ctx context.Context, err error) {
	if !lost(err) {
		t.deployFailed(ctx, fmt.Sprintf("Failed to validate the final deploy steps list for node %s: %s", t.Node.UUID, err), true)
	}
}

// stepNotSaved handles a row that could not be written: a lost lock ends the work here, anything else the deployment.
func (t *task) stepNotSaved(ctx context.Context, err error) {
	if !lost(err) {
		t.deployFailed(ctx, fmt.Sprintf("Unexpected error when processing next deploy step. %s", withKind(err)), true)
	}
}

// deployGoesOn acts on how a step ended and tells whether the next one follows at once.
func (t *task) deployGoesOn(ctx context.Context, step store.Dict, outcome drivers.Outcome, err error) bool {
	info := t.Node.DriverInternalInfo
	var told *drivers.StepFailure
	switch {
	case lost(err), err != nil && t.cutShort(ctx, err.Error()):
		return false
	case outcome == drivers.Again, store.KindOf(err) == store.AgentInProgress,
		store.KindOf(err) == store.AgentConnectionFailed && info.Bool("deployment_reboot", false):
		// The agent is busy or still booting: the same step runs again on its next heartbeat.
		info["skip_current_deploy_step"] = false
		t.awaitAgent(ctx, drivers.DeployStep, "")
		return false
	case store.KindOf(err) == store.InstanceDeployFailure:
		// The deploy interface gave up on the machine, and kept the agent's logs if there were any.
		text := stepFailure(step.String("interface"), step.String("step"), err)
		t.agentDeployFailed(ctx, strings.TrimSuffix(text, "."), false)
		// Upstream's deploy interface ends the deployment before the flow hears of it.
		t.flowBroke(ctx, drivers.DeployStep, step.String("step"))
		return false
	case errors.As(err, &told):
		t.flowBroke(ctx, drivers.DeployStep, step.String("step"))
		t.deployFailed(ctx, told.Text, true)
		return false
	case err != nil:
		t.flowBroke(ctx, drivers.DeployStep, step.String("step"))
		if t.Node.ProvisionState != store.DeployFail {
			t.deployFailed(ctx, stepFailure(step.String("interface"), step.String("step"), err), true)
		}
		return false
	case t.Node.ProvisionState == store.DeployFail:
		return false
	case outcome == drivers.Waiting:
		if t.Node.ProvisionState != store.DeployWait {
			t.wait(ctx, "")
		}
		return false
	}
	return true
}

// wait moves a flow to its wait state, even when the worker stops meanwhile: the agent is at work already.
func (t *task) wait(ctx context.Context, target string) {
	ctx, cancel := lingering(ctx)
	defer cancel()
	err := t.processEvent(ctx, eventWait, eventOptions{target: target})
	if err != nil {
		if !lost(err) {
			t.Log.Error().Err(err).Msg("Moving the node to a wait state failed")
		}
		return
	}
	t.c.Report(t.Task, drivers.Progress{Doing: "waiting for the agent", Waiting: true})
}

// finishDeploy ends a deployment whose steps are done, even when the worker stops meanwhile.
func (t *task) finishDeploy(ctx context.Context) {
	ctx, cancel := lingering(ctx)
	defer cancel()
	t.restoreConsole(ctx, consoleInDeploy, "")
	t.flowEnded(ctx, drivers.DeployStep)
	// The cursor goes in the same UPDATE that ends the flow: a row without it would be taken for a deployment that has just
	// begun, and begin again.
	t.Node.DeployStep = store.Dict{}
	t.wipeDeploy(ctx)
	if err := t.processEvent(ctx, eventDone, eventOptions{flow: flowDeploy}); err != nil {
		t.Log.Error().Err(err).Msg("Ending the deployment failed")
	}
}

// continueDeploy goes on after a step that waited. The first time the agent's own steps join the list.
func (t *task) continueDeploy(ctx context.Context) {
	info := t.Node.DriverInternalInfo
	if !info.Bool("steps_validated", false) {
		if err := t.validateFinalSteps(ctx); err != nil {
			t.finalStepsInvalid(ctx, err)
			return
		}
	}
	index, again, ok := t.nextIndex(drivers.DeployStep)
	if t.Node.DeployStep.Bool("abort_after", false) {
		t.Node.DriverInternalInfo[keyGivenUp] = true
		if err := t.processEvent(ctx, eventFail, eventOptions{}); err != nil {
			t.Log.Error().Err(err).Msg("Aborting the deployment failed")
			return
		}
		t.abortDeploy(ctx)
		return
	}
	if !ok {
		t.finishDeploy(ctx)
		return
	}
	t.runDeploySteps(ctx, index, again)
}

// abortDeploy leaves a deployment in order whose node is in "deploy failed" already.
func (t *task) abortDeploy(ctx context.Context) {
	if err := t.Hardware.Deploy.CleanUp(ctx, t.Task); err != nil {
		if !lost(err) {
			t.Log.Error().Err(err).Msg("Cleaning up an aborted deployment failed")
			t.deployFailed(ctx, "Failed to clean up deploying after aborting the operation", false)
		}
		return
	}
	t.Node.LastError = abortedText("deploy", t.Node.DeployStep)
	t.Node.DeployStep = store.Dict{}
	t.wipeDeploy(ctx)
	if t.saveOrLose(ctx) == nil {
		t.reportFlow(ctx, flowDeploy, flowError, t.Node.LastError)
	}
}

func (t *task) validateFinalSteps(ctx context.Context) error {
	if err := t.setDeploySteps(ctx, false, false); err != nil {
		return err
	}
	t.Node.DriverInternalInfo["steps_validated"] = true
	return t.save(ctx)
}

func nodeProtected(n *store.Node) error {
	return store.Errorf(store.NodeProtected, "Node %s is protected and cannot be undeployed, rebuilt or deleted", n.UUID)
}

func invalidRequest(action string, n *store.Node) error {
	return refusedIn(action, n.UUID, n.ProvisionState)
}

// refusedIn is the refusal of an action because of the state that a node is in: its provision state, or its power state.
func refusedIn(action, node, state string) error {
	return store.Errorf(store.InvalidStateRequested,
		`The requested action "%s" can not be performed on node "%s" while it is in state "%s".`, action, node, state)
}

// asInvalidRequest turns the state machine's refusal into what the user of an action is told.
func asInvalidRequest(err error, action string, n *store.Node) error {
	if store.KindOf(err) == store.InvalidState {
		return invalidRequest(action, n)
	}
	return err
}

// isInvalidParameter reports whether a kind is InvalidParameterValue or one of its subclasses.
func isInvalidParameter(kind store.Kind) bool {
	switch kind {
	case store.InvalidParameterValue, store.MissingParameterValue, store.InvalidImageRef,
		store.InterfaceNotFoundInEntrypoint, store.IncompatibleInterface, store.NoValidDefaultForInterface:
		return true
	}
	return false
}
