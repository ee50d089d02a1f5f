package conductor

import (
	"context"
	"errors"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// The handlers of this file leave a failed flow in order (reference/states.md §8). When the reservation was lost they do
// nothing: the row belongs to somebody else now.

// deployFailed ends a deployment in "deploy failed". cleanUp also undoes what prepared the boot.
func (t *task) deployFailed(ctx context.Context, text string, cleanUp bool) {
	if t.cutShort(ctx, text) {
		return
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	t.Log.Error().Str("error", text).Msg("Deployment failed")
	if text != "" {
		t.record(ctx, historyDeploying, text)
	}
	if t.saveOrLose(ctx) != nil {
		return
	}
	cleanupText := ""
	if cleanUp {
		if err := t.Hardware.Deploy.CleanUp(ctx, t.Task); err != nil {
			if lost(err) {
				return
			}
			t.Log.Error().Err(err).Msg("Cleaning up after a failed deployment failed")
			cleanupText = text + ". Also failed to clean up due to: " + err.Error()
		}
	}
	switch t.Node.ProvisionState {
	case store.Deploying, store.DeployWait, store.DeployFail:
		t.Node.DeployStep = store.Dict{}
		t.wipeDeploy()
	}
	if cleanupText != "" {
		t.record(ctx, historyDeploying, cleanupText)
	}
	if t.saveOrLose(ctx) != nil {
		return
	}
	if t.Node.ProvisionState != store.DeployFail {
		t.failEvent(ctx, "")
	}
	t.reportFlow(ctx, flowDeploy, flowError, text)
}

// cutShort tells that what failed did so because this worker stops, or may not act any more. Then nothing is recorded: the
// row says where the flow stands, and whoever may act goes on with it (resume.go).
func (t *task) cutShort(ctx context.Context, text string) bool {
	if ctx.Err() == nil {
		return false
	}
	t.Log.Info().Str("state", t.Node.ProvisionState).Str("cause", text).Msg("The flow is left where it is; it will be resumed")
	return true
}

// agentDeployFailed is deployFailed for what an agent reported: its logs are kept and the node is switched off.
func (t *task) agentDeployFailed(ctx context.Context, text string, collectLogs bool) {
	if t.cutShort(ctx, text) {
		return
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	if agent, ok := t.Hardware.Deploy.(drivers.Agent); ok && collectLogs {
		agent.CollectLogs(ctx, t.Task, "", true)
	}
	t.deployFailed(ctx, text, false)
	if t.Node.ProvisionState != store.DeployFail || !t.c.live().PowerOffAfterDeployFailure {
		return
	}
	t.powerOffFailed(ctx, text)
}

// powerOffFailed switches off a node whose flow failed. What the power action says in last_error, even that all is well,
// gives way to why the flow failed.
func (t *task) powerOffFailed(ctx context.Context, text string) {
	if err := t.setPower(ctx, store.PowerOff, 0); err != nil {
		t.Log.Error().Err(err).Msg("Switching off a node whose flow failed did not work; it may need a hand")
		if lost(err) {
			return
		}
	}
	if t.Node.LastError != text {
		t.Node.LastError = text
		_ = t.saveOrLose(ctx)
	}
}

// cleanFailure says how a failed cleaning is left.
type cleanFailure struct {
	// text is what the user sees.
	text string
	// keepRamdisk leaves the ramdisk's boot as it is, because tearing it down failed already or never began.
	keepRamdisk bool
	// stateIsSet tells that the node is in "clean failed" already.
	stateIsSet bool
}

// tearDownText tells of a failed cleaning that could not be torn down either, in the words of the release.
func (t *task) tearDownText(err error) string {
	if t.c.cfg.Release < messaging.V2025_1 {
		return "Also failed to tear down cleaning."
	}
	return fmt.Sprintf("Also Failed to tear down cleaning on node %s, reason: %s", t.Node.UUID, err)
}

// cleanFailed ends a cleaning in "clean failed", with maintenance when a step was running.
func (t *task) cleanFailed(ctx context.Context, f cleanFailure) {
	if t.cutShort(ctx, f.text) {
		return
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	t.Log.Error().Str("error", f.text).Msg("Cleaning failed")
	node := t.Node
	stepRan := len(node.CleanStep) > 0
	if stepRan {
		node.Fault, node.Maintenance = store.FaultClean, true
	}
	if !f.keepRamdisk {
		if err := t.Hardware.Deploy.TearDownCleaning(ctx, t.Task); err != nil {
			if lost(err) {
				return
			}
			t.Log.Error().Err(err).Msg("Tearing down a failed cleaning failed")
			f.text += ". " + t.tearDownText(err)
		}
	}
	switch node.ProvisionState {
	case store.Cleaning, store.CleanWait, store.CleanFail:
		node.CleanStep = store.Dict{}
		wipePlace(node, drivers.CleanStep)
		wipeAgent(node)
	}
	target := manualTarget(node)
	t.restoreDeploy()
	t.record(ctx, historyCleaning, f.text)
	if stepRan && (node.MaintenanceReason == nil || *node.MaintenanceReason == "") {
		node.MaintenanceReason = &f.text
	}
	if t.saveOrLose(ctx) != nil {
		return
	}
	if !f.stateIsSet && node.ProvisionState != store.CleanFail {
		t.failEvent(ctx, target)
	}
	t.reportFlow(ctx, flowClean, flowError, f.text)
	if t.c.live().PowerOffInCleanFail && node.ProvisionState == store.CleanFail {
		// Ironic does so before it moves the node, and the power action then wipes the reason from last_error.
		t.powerOffFailed(ctx, f.text)
	}
}

// manualTarget is the target state that tells a manual cleaning, "" for an automated one.
func manualTarget(n *store.Node) string {
	if n.TargetProvisionState == store.Manageable {
		return store.Manageable
	}
	return ""
}

func (t *task) failEvent(ctx context.Context, target string) {
	ctx, cancel := lingering(ctx)
	defer cancel()
	if err := t.processEvent(ctx, eventFail, eventOptions{target: target}); err != nil {
		t.Log.Error().Err(err).Str("state", t.Node.ProvisionState).Msg("Moving the node to a failed state did not work")
	}
}

// saveOrLose saves and tells in the log when the node is no longer ours.
func (t *task) saveOrLose(ctx context.Context) error {
	err := t.save(ctx)
	if errors.Is(err, store.ErrLockLost) {
		t.Log.Warn().Msg("The reservation is gone; another worker owns the node now, this one lets go")
	} else if err != nil {
		t.Log.Error().Err(err).Msg("Saving the node failed")
	}
	return err
}

// abortOnTakeOver leaves a node whose worker died in a state that its users understand. The fail event is through.
func (t *task) abortOnTakeOver(ctx context.Context) {
	const text = "Operation was aborted due to conductor take over"
	if t.Node.ProvisionState == store.CleanFail {
		t.cleanFailed(ctx, cleanFailure{text: text, stateIsSet: true})
		return
	}
	t.record(ctx, historyTakeover, text)
	_ = t.saveOrLose(ctx)
}

// withKind puts the class of an error before its text, as ironic does with what it did not expect.
func withKind(err error) string {
	if kind := store.KindOf(err); kind != "" {
		return fmt.Sprintf("%s: %s", kind, err)
	}
	return err.Error()
}

// lost reports that err means the reservation is gone, after which nothing may be touched.
func lost(err error) bool { return errors.Is(err, store.ErrLockLost) }

func stepFailure(iface, step string, err error) string {
	return fmt.Sprintf("Deploy step %s.%s failed: %s.", iface, step, err)
}
