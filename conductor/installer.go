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

// hearsInstaller tells that a heartbeat is the word of a machine that installs itself, for which its node waits or is about to.
func (t *task) hearsInstaller(h heartbeat) bool {
	_, installs := t.Hardware.Deploy.(drivers.Installer)
	return installs && h.status != "" && (t.Node.ProvisionState == store.Deploying || t.Node.ProvisionState == store.DeployWait)
}

// hear takes an installer's word, which comes once and which nobody can ask for. It is in the row before the caller is answered:
// whoever goes on with the deployment finds it there.
//
// An installer writes once its beginning was taken, and whoever boots its machine anew holds the node from before he reads the row
// until the machine's token is another one. So a beginning that finds the node locked is refused; the installer comes again. An end
// or an error that does stays in the inbox until the node is free.
func (t *task) hear(ctx context.Context, h heartbeat) error {
	t.leavesReserve = true
	err := t.upgrade(ctx, "heartbeat", 0)
	if store.KindOf(err) == store.NodeLocked && h.status != installStarted {
		t.noteResult(momentHeartbeat, "kept until the node is free", h.statusMessage, nil)
		t.holdsCall = true
		t.after(func(ctx context.Context, t *task) { t.hearLater(ctx, h) }, nil)
		return nil
	}
	if err != nil {
		return err
	}
	act, err := t.noteWord(ctx, h)
	if err == nil {
		t.after(act, nil)
	}
	return err
}

// hearLater takes an installer's word as soon as the node is free.
func (t *task) hearLater(ctx context.Context, h heartbeat) {
	err := t.upgrade(ctx, "heartbeat", forever)
	var act func(context.Context, *task)
	if err == nil {
		act, err = t.noteWord(ctx, h)
	}
	if err != nil {
		t.noteResult(momentHeartbeat, "refused", h.statusMessage, err)
		t.Log.Info().Err(err).Str("status", h.status).Msg("What an installer said came to nothing")
		return
	}
	act(ctx, t)
}

// noteWord writes an installer's word into the row, now that the node is locked, and returns what is to be done then. The machine may
// have been booted anew since it spoke, or the deployment have ended.
func (t *task) noteWord(ctx context.Context, h heartbeat) (func(context.Context, *task), error) {
	if !validAgentToken(t.Node, h.token) {
		return nil, invalidAgentToken()
	}
	agent, ok := t.Hardware.Deploy.(drivers.Agent)
	if !ok || !t.hearsInstaller(h) {
		return func(ctx context.Context, t *task) { t.beat(ctx, h) }, nil
	}
	return func(ctx context.Context, t *task) { t.actOnBeat(ctx, agent) }, t.noteBeat(ctx, h)
}

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
