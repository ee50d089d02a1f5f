package conductor

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// What a machine that installs itself says of it in its heartbeats.
const (
	keyInstallStatus  = "agent_status"
	keyInstallMessage = "agent_status_message"
	installStarted    = "start"
	installEnded      = "end"
)

// beatInstaller acts on the heartbeat of a machine that installs itself. What is neither its beginning nor its end is an error.
func (t *task) beatInstaller(ctx context.Context, installer drivers.Installer) {
	info := t.Node.DriverInternalInfo
	message := info.String(keyInstallMessage)
	switch info.String(keyInstallStatus) {
	case installStarted:
		t.Log.Info().Str("message", message).Msg("The installation has begun")
		if err := t.touch(ctx); err != nil {
			t.Log.Error().Err(err).Msg("Noting that the installation has begun failed")
			return
		}
		t.c.Report(t.Task, drivers.Progress{Doing: "waiting for the installer", Waiting: true})
	case installEnded:
		t.Log.Info().Str("message", message).Msg("The installation has ended")
		t.endInstall(ctx, installer)
	default:
		if t.workerWasAway(drivers.DeployStep) {
			err := t.beginAgain(ctx, drivers.DeployStep, "the worker that its installer read from was away")
			if t.failsFlow(ctx, err, store.Deploying, store.DeployWait) {
				t.agentDeployFailed(ctx, message+": "+err.Error(), false)
			}
			return
		}
		t.agentDeployFailed(ctx, message, false)
	}
}

// endInstall has a machine that is installed boot its instance. As in ironic the steps that would follow are left out, and the row
// keeps the step. When the worker dies in the middle, the step's Resume does the rest.
func (t *task) endInstall(ctx context.Context, installer drivers.Installer) {
	err := t.processEvent(ctx, eventResume, eventOptions{})
	if err == nil {
		err = installer.FinishInstall(ctx, t.Task)
	}
	if err == nil {
		err = t.installDone(ctx)
	}
	if err == nil || lost(err) || t.cutShort(ctx, err.Error()) {
		return
	}
	text := fmt.Sprintf("An error occurred after deployment, while preparing to reboot the node %s: %s", t.Node.UUID, err)
	if step := t.Node.DeployStep; len(step) > 0 {
		text = fmt.Sprintf("Deploy step %s failed: %s", stepID(step), text)
	}
	t.agentDeployFailed(ctx, text, true)
}

// installDone ends the deployment, even when the worker stops meanwhile.
func (t *task) installDone(ctx context.Context) error {
	ctx, cancel := lingering(ctx)
	defer cancel()
	return t.processEvent(ctx, eventDone, eventOptions{flow: flowDeploy})
}
