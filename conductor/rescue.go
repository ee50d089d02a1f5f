package conductor

import (
	"context"
	"errors"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// rescue is the flow's first part, up to where the agent has to boot. The node is in "rescuing". All of it may run again.
func (t *task) rescue(ctx context.Context) {
	outcome, err := t.Hardware.Rescue.Rescue(ctx, t.Task)
	// gofail: var rescueBooted struct{}
	switch {
	case lost(err):
	case err != nil:
		t.rescueBroke(ctx, flowRescue, fmt.Sprintf("Failed to rescue: %s", err))
	case outcome == drivers.Waiting:
		t.wait(ctx, "")
	default:
		t.endRescue(ctx, flowRescue)
	}
}

// rescueBroke ends a flow whose rescue interface gave up. What it has done stays, for somebody to look at.
func (t *task) rescueBroke(ctx context.Context, flow, text string) {
	if t.cutShort(ctx, text) {
		return
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	t.Log.Error().Str("error", text).Str("flow", flow).Msg("A rescue interface failed")
	if flow == flowRescue {
		drivers.ForgetRescuePassword(t.Node)
	}
	t.record(ctx, historyRescue, text)
	t.failEvent(ctx, "")
	t.reportFlow(ctx, flow, flowError, text)
}

func (t *task) endRescue(ctx context.Context, flow string) {
	ctx, cancel := lingering(ctx)
	defer cancel()
	if err := t.processEvent(ctx, eventDone, eventOptions{flow: flow}); err != nil && !lost(err) {
		t.Log.Error().Err(err).Str("flow", flow).Msg("Ending the flow failed")
	}
}

// unrescue brings the instance back. The node is in "unrescuing". All of it may run again.
func (t *task) unrescue(ctx context.Context) {
	err := t.Hardware.Rescue.Unrescue(ctx, t.Task)
	// gofail: var unrescued struct{}
	switch {
	case lost(err):
	case err != nil:
		t.rescueBroke(ctx, flowUnrescue, fmt.Sprintf("Failed to unrescue: %s", err))
	default:
		wipeAgent(t.Node)
		t.endRescue(ctx, flowUnrescue)
	}
}

// beatRescueWait tells an agent that has booted the user's password, and connects the node to its tenant.
func (t *task) beatRescueWait(ctx context.Context, agent drivers.Agent) {
	err := t.finalizeRescue(ctx, agent)
	if t.failsFlow(ctx, err, store.Rescuing, store.RescueWait) {
		t.rescueFailed(ctx, fmt.Sprintf("Node failed to perform rescue operation: %s", err), false)
	}
}

// finalizeRescue moves a rescue from its agent's first heartbeat to its end.
//
// Crash window: an agent that took the password answers nobody any more. That the password was about to be sent is in the row
// before it is sent; whoever goes on from there, and gets no answer, boots the ramdisk anew (goOnAwaitingRescue).
func (t *task) finalizeRescue(ctx context.Context, agent drivers.Agent) error {
	t.note(store.Dict{markStep: t.c.runName()})
	if err := t.save(ctx); err != nil {
		return err
	}
	// gofail: var rescueBeforePassword struct{}
	if err := agent.FinalizeRescue(ctx, t.Task, t.c.live().RequireRescuePasswordHashed); err != nil {
		return err
	}
	// gofail: var rescuePasswordSent struct{}
	t.note(store.Dict{markEnding: true})
	settle, cancel := lingering(ctx)
	defer cancel()
	if err := t.processEvent(settle, eventResume, eventOptions{}); err != nil {
		return err
	}
	return t.leaveRescueRamdisk(ctx)
}

// leaveRescueRamdisk ends a rescue whose agent has taken the password. It may run again.
func (t *task) leaveRescueRamdisk(ctx context.Context) error {
	if err := t.Hardware.Rescue.CleanUp(ctx, t.Task); err != nil {
		return err
	}
	// gofail: var rescueCleanedUp struct{}
	if err := drivers.Rewire(ctx, t.Task, t.Hardware.Network.ConfigureTenantNetworks); err != nil {
		return err
	}
	t.endRescue(ctx, flowRescue)
	return nil
}

// goOnRescuing goes on with a rescue that was cut short while the node was held.
func (t *task) goOnRescuing(ctx context.Context) {
	if !mark(t.Node).Bool(markEnding, false) {
		t.rescue(ctx)
		return
	}
	if err := t.leaveRescueRamdisk(ctx); t.failsFlow(ctx, err, store.Rescuing, store.RescueWait) {
		t.rescueFailed(ctx, fmt.Sprintf("Node failed to perform rescue operation: %s", err), false)
	}
}

// goOnAwaitingRescue goes on with a rescue that was cut short while its agent was waited for. An agent that was told the
// password, and does not answer, has either taken it or is gone: its ramdisk boots anew, and it is told again.
func (t *task) goOnAwaitingRescue(ctx context.Context, agent drivers.Agent) {
	heard := t.Node.DriverInternalInfo.String(keyAgentURL) != ""
	var err error
	if heard && t.stepBegunBy() == "" {
		// Its next heartbeat brings the flow on.
		return
	}
	if heard {
		err = t.finalizeRescue(ctx, agent)
		heard = !errors.Is(err, &store.Error{Kind: store.AgentConnectionFailed})
	}
	if !heard {
		t.note(store.Dict{markStep: nil})
		err = agent.RebootAgent(ctx, t.Task)
	}
	switch {
	case t.failsFlow(ctx, err, store.Rescuing, store.RescueWait):
		t.rescueFailed(ctx, fmt.Sprintf("Node failed to perform rescue operation: %s", err), false)
	case err == nil && !heard && t.saveOrLose(ctx) == nil:
		t.c.Report(t.Task, drivers.Progress{Doing: "waiting for the agent", Waiting: true})
	}
}

// rescueFailed leaves a rescue in order that its agent or nobody ended. stateIsSet tells that the node is in "rescue failed"
// already.
func (t *task) rescueFailed(ctx context.Context, text string, stateIsSet bool) {
	if t.cutShort(ctx, text) {
		return
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	t.Log.Error().Str("error", text).Msg("Rescue failed")
	err := t.setPower(ctx, store.PowerOff, 0)
	if err == nil {
		err = t.Hardware.Rescue.CleanUp(ctx, t.Task)
	}
	switch {
	case lost(err):
		return
	case store.KindOf(err) != "":
		text = fmt.Sprintf("Rescue operation was unsuccessful, clean up failed for node: %s", err)
	case err != nil:
		text = fmt.Sprintf("Rescue failed, but an unhandled exception was encountered while aborting: %s", err)
	}
	// Whatever went wrong, nobody needs the password any more.
	drivers.ForgetRescuePassword(t.Node)
	delete(t.Node.DriverInternalInfo, keyAgentURL)
	t.record(ctx, historyRescue, text)
	if t.saveOrLose(ctx) != nil {
		return
	}
	if !stateIsSet {
		t.failEvent(ctx, "")
	}
	t.reportFlow(ctx, flowRescue, flowError, text)
}

const (
	rescueAborted     = abortedBegins + "the rescue operation was aborted."
	rescueAbortFailed = "Failed to clean up rescue after aborting the operation"
)

// abortRescue leaves a rescue in order whose node is in "rescue failed" already.
func (t *task) abortRescue(ctx context.Context) {
	err := t.Hardware.Rescue.CleanUp(ctx, t.Task)
	if lost(err) || err != nil && t.cutShort(ctx, err.Error()) {
		return
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	drivers.ForgetRescuePassword(t.Node)
	if err != nil {
		t.Log.Error().Err(err).Msg("Cleaning up an aborted rescue failed")
		text := rescueAbortFailed
		t.record(ctx, historyRescue, text)
		t.Node.Maintenance, t.Node.MaintenanceReason, t.Node.Fault = true, &text, store.FaultRescueAbort
		_ = t.saveOrLose(ctx)
		return
	}
	t.addHistory(ctx, historyRescue, "INFO", rescueAborted)
	t.Node.LastError = ""
	delete(t.Node.DriverInternalInfo, keyAgentURL)
	if t.saveOrLose(ctx) == nil {
		t.reportFlow(ctx, flowRescue, flowError, rescueAborted)
	}
}

// leftRescue tells that a rescue has come to nothing, and that nobody has left the node in order: the password would be gone.
func leftRescue(n *store.Node) bool {
	_, kept := n.InstanceInfo[drivers.KeyRescuePassword]
	return kept && n.ProvisionState == store.RescueFail
}
