package conductor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// ramdiskFlow tells cleaning from servicing where both do the same: steps that mostly run in a ramdisk, which is taken away
// in the end.
type ramdiskFlow struct {
	kind                 drivers.StepKind
	flow, fault, history string
	// doing names the flow in texts: "cleaning".
	doing string
	// logs names the flow in the files of the agent's logs.
	logs string
	// states are those that a flow which failed is found in.
	states []string
	// withoutRamdisk is the key that tells that no ramdisk was booted.
	withoutRamdisk string
	// target is what the node is to become in the end, where that is not plain.
	target   string
	tearDown func(context.Context, *drivers.Task) error
	// alsoFailed tells, after why the flow failed, that it could not be torn down either.
	alsoFailed func(error) string
	// wipe removes what the flow kept for itself, and clear as much of it as upstream does when the flow failed.
	wipe  func(context.Context)
	clear func()
	// restore brings the node's own deploy interface back after a failure.
	restore func()
	// powerOff tells that a node is switched off after a failure.
	powerOff bool
}

func (t *task) cleaning() ramdiskFlow {
	return ramdiskFlow{
		kind: drivers.CleanStep, flow: flowClean, fault: store.FaultClean, history: historyCleaning, doing: "cleaning",
		logs: "cleaning", states: []string{store.Cleaning, store.CleanWait, store.CleanFail}, withoutRamdisk: keyDisableRamdisk,
		target: manualTarget(t.Node), tearDown: t.Hardware.Deploy.TearDownCleaning, alsoFailed: t.tearDownText, wipe: t.wipeClean,
		clear: func() {}, restore: func() { t.restoreDeploy() }, powerOff: t.c.live().PowerOffInCleanFail,
	}
}

func (t *task) servicing() ramdiskFlow {
	return ramdiskFlow{
		kind: drivers.ServiceStep, flow: flowService, fault: store.FaultService, history: historyServicing, doing: "service",
		logs: "service", states: []string{store.Servicing, store.ServiceWait, store.ServiceFail},
		withoutRamdisk: keyServiceWithoutRamdisk, tearDown: t.Hardware.Deploy.TearDownService,
		alsoFailed: func(error) string { return "Also failed to tear down servicing." }, wipe: func(context.Context) { t.wipeService() },
		clear: func() { removeStepFlags(t.Node) }, restore: t.restoreAfterRamdisk, powerOff: t.c.live().PowerOffInServiceFail,
	}
}

// tearDownText tells of a failed cleaning that could not be torn down either, in the words of the release.
func (t *task) tearDownText(err error) string {
	if t.c.cfg.Release < messaging.V2024_1 {
		return "Also failed to tear down cleaning."
	}
	return fmt.Sprintf("Also Failed to tear down cleaning on node %s, reason: %s", t.Node.UUID, err)
}

// goesOn acts on how a step ended and tells whether the next one follows at once.
func (t *task) goesOn(ctx context.Context, f ramdiskFlow, outcome drivers.Outcome, err error) bool {
	info, terms, step := t.Node.DriverInternalInfo, termsOf[f.kind], *stepColumn(t.Node, f.kind)
	var told *drivers.StepFailure
	switch {
	case lost(err), err != nil && t.cutShort(ctx, err.Error()):
		return false
	case outcome == drivers.Again, store.KindOf(err) == store.AgentInProgress,
		store.KindOf(err) == store.AgentConnectionFailed && info.Bool(terms.reboot, false):
		info[terms.skip] = false
		t.awaitAgent(ctx, f.kind, f.target)
		return false
	case errors.As(err, &told):
		t.flowBroke(ctx, f.kind, step.String("step"))
		t.ramdiskFlowFailed(ctx, f, flowFailure{text: told.Text})
		return false
	case err != nil:
		t.flowBroke(ctx, f.kind, step.String("step"))
		t.collectLogs(ctx, f, true)
		t.ramdiskFlowFailed(ctx, f, flowFailure{
			text: fmt.Sprintf("Node %s failed step %s: %s", t.Node.UUID, t.wording.of(step), err)})
		return false
	case outcome == drivers.Waiting:
		t.wait(ctx, f.target)
		return false
	}
	return true
}

// collectLogs keeps what the agent wrote, where one was booted.
func (t *task) collectLogs(ctx context.Context, f ramdiskFlow, failed bool) {
	agent, ok := t.Hardware.Deploy.(drivers.Agent)
	if ok && !t.Node.DriverInternalInfo.Bool(f.withoutRamdisk, false) {
		agent.CollectLogs(ctx, t.Task, f.logs, failed)
	}
}

// flowFailure says how a failed cleaning or servicing is left.
type flowFailure struct {
	// text is what the user sees.
	text string
	// keepRamdisk leaves the ramdisk's boot as it is, because tearing it down failed already or never began.
	keepRamdisk bool
	// stateIsSet tells that the node has left the states of work already.
	stateIsSet bool
}

// cleanFailed ends a cleaning in "clean failed", with maintenance when a step was running.
func (t *task) cleanFailed(ctx context.Context, failure flowFailure) {
	t.ramdiskFlowFailed(ctx, t.cleaning(), failure)
}

// serviceFailed ends a servicing in "service failed", with maintenance when a step was running.
func (t *task) serviceFailed(ctx context.Context, failure flowFailure) {
	t.ramdiskFlowFailed(ctx, t.servicing(), failure)
}

func (t *task) ramdiskFlowFailed(ctx context.Context, f ramdiskFlow, failure flowFailure) {
	if t.cutShort(ctx, failure.text) {
		return
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	t.Log.Error().Str("error", failure.text).Str("flow", f.doing).Msg("The flow failed")
	node, step := t.Node, stepColumn(t.Node, f.kind)
	stepRan := len(*step) > 0
	if stepRan {
		node.Fault, node.Maintenance = f.fault, true
	}
	if !failure.keepRamdisk {
		if err := f.tearDown(ctx, t.Task); err != nil {
			if lost(err) {
				return
			}
			t.Log.Error().Err(err).Str("flow", f.doing).Msg("Tearing down a failed flow failed")
			failure.text += ". " + f.alsoFailed(err)
		}
	}
	if slices.Contains(f.states, node.ProvisionState) {
		*step = store.Dict{}
		wipePlace(node, f.kind)
		f.clear()
		wipeAgent(node)
	}
	delete(node.DriverInternalInfo, keyGivenUp)
	f.restore()
	t.record(ctx, f.history, failure.text)
	if stepRan && (node.MaintenanceReason == nil || *node.MaintenanceReason == "") {
		node.MaintenanceReason = &failure.text
	}
	if t.saveOrLose(ctx) != nil {
		return
	}
	// Of the flow's states the last is the one of a failure.
	failed := f.states[len(f.states)-1]
	if !failure.stateIsSet && node.ProvisionState != failed {
		t.failEvent(ctx, f.target)
	}
	t.reportFlow(ctx, f.flow, flowError, failure.text)
	if f.powerOff && node.ProvisionState == failed {
		// Ironic does so before it moves the node, and the power action then wipes the reason from last_error.
		t.powerOffFailed(ctx, failure.text)
	}
}

// abortedBegins is how the text of an abort begins.
const abortedBegins = "By request, "

// abortedText is what the user reads after an abort.
func abortedText(flow string, step store.Dict) string {
	text := fmt.Sprintf(abortedBegins+"the %s operation was aborted", flow)
	if len(step) > 0 {
		text += fmt.Sprintf(` during or after the completion of step "%s"`, stepID(step))
	}
	return text
}

// abortClean leaves a node in order whose cleaning was aborted. It is in "clean failed" already.
func (t *task) abortClean(ctx context.Context) { t.abortRamdiskFlow(ctx, t.cleaning()) }

// abortService leaves a node in order whose servicing was given up. It is in "service failed" or "active" already.
func (t *task) abortService(ctx context.Context) { t.abortRamdiskFlow(ctx, t.servicing()) }

func (t *task) abortRamdiskFlow(ctx context.Context, f ramdiskFlow) {
	if err := f.tearDown(ctx, t.Task); err != nil {
		if !lost(err) {
			t.Log.Error().Err(err).Str("flow", f.doing).Msg("Tearing down an aborted flow failed")
			t.ramdiskFlowFailed(ctx, f, flowFailure{keepRamdisk: true, stateIsSet: true,
				text: fmt.Sprintf("Failed to tear down %s after aborting the operation", f.doing)})
		}
		return
	}
	step := stepColumn(t.Node, f.kind)
	t.Node.LastError = abortedText(string(f.kind), *step)
	*step = store.Dict{}
	f.wipe(ctx)
	t.restoreAfterRamdisk()
	if t.saveOrLose(ctx) == nil {
		t.reportFlow(ctx, f.flow, flowError, t.Node.LastError)
	}
}
