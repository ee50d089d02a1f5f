package conductor

import (
	"context"
	"errors"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
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
		t.wipeDeploy(ctx)
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
		t.cleanFailed(ctx, flowFailure{text: text, stateIsSet: true})
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
