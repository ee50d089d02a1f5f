package conductor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// heartbeat is one sign of life of an agent (reference/deploy.md §4.2).
type heartbeat struct {
	callbackURL   string
	token         string
	version       string
	verifyCA      string // PEM as sent, then the path where it was stored
	status        string
	statusMessage string
}

// heartbeatActs are the states in which a heartbeat moves a flow on.
var heartbeatActs = []string{store.DeployWait, store.CleanWait}

// heartbeatRecords are the states in which a heartbeat is noted and nothing else; those of fast track only with it.
var heartbeatRecords = []string{store.Deploying, store.Cleaning, store.Rescuing, store.DeployHold, store.CleanHold,
	store.Servicing, store.ServiceHold}

var heartbeatFastTrack = []string{store.Enroll, store.Manageable, store.Available}

// beat takes a heartbeat in the background. A node that waits for nobody is left alone.
func (t *task) beat(ctx context.Context, h heartbeat) {
	if !t.wantsHeartbeat() {
		t.Log.Warn().Str("state", t.Node.ProvisionState).Msg("Heartbeat in a provision state that waits for none")
		return
	}
	if !t.lockForHeartbeat(ctx, h) {
		return
	}
	info := t.Node.DriverInternalInfo
	info[keyAgentURL] = h.callbackURL
	info["agent_version"] = nullable(h.version)
	info[keyAgentHeartbeat] = t.c.now().UTC().Format(isoMicro)
	for key, value := range map[string]string{keyAgentVerifyCA: h.verifyCA, "agent_status": h.status,
		"agent_status_message": h.statusMessage} {
		if value != "" {
			info[key] = value
		}
	}
	if t.saveOrLose(ctx) != nil || !slices.Contains(heartbeatActs, t.Node.ProvisionState) {
		return
	}
	if t.Node.Maintenance {
		t.beatInMaintenance(ctx)
		return
	}
	if t.Node.ProvisionState == store.DeployWait {
		t.beatDeployWait(ctx)
	} else {
		t.beatCleanWait(ctx)
	}
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (t *task) wantsHeartbeat() bool {
	state := t.Node.ProvisionState
	return slices.Contains(heartbeatActs, state) || slices.Contains(heartbeatRecords, state) ||
		slices.Contains(heartbeatFastTrack, state) && t.fastTrackAble()
}

func (t *task) beatInMaintenance(ctx context.Context) {
	if t.c.cfg.AllowProvisioningInMaintenance {
		t.Log.Warn().Msg("Heartbeat from a node in maintenance; taking no action")
		return
	}
	if t.Node.ProvisionState == store.CleanWait {
		t.cleanFailed(ctx, cleanFailure{text: "Cleaning aborted as node is in maintenance mode"})
		return
	}
	t.agentDeployFailed(ctx, "Deploy aborted as node is in maintenance mode", false)
}

// beatDeployWait loads the agent's steps at its first heartbeat and then looks how the running step stands.
func (t *task) beatDeployWait(ctx context.Context) {
	failed := func(what string, err error) {
		if err != nil && !lost(err) && (t.Node.ProvisionState == store.Deploying || t.Node.ProvisionState == store.DeployWait) {
			t.agentDeployFailed(ctx, fmt.Sprintf("%s: %s", what, err), true)
		}
	}
	agent, ok := t.Hardware.Deploy.(drivers.Agent)
	if !ok {
		return
	}
	if len(t.Node.DriverInternalInfo.Dict("agent_cached_deploy_steps")) == 0 {
		if err := agent.RefreshSteps(ctx, t.Task, drivers.DeployStep); err != nil {
			failed("Failed to load in-band deploy steps", err)
			return
		}
	}
	if err := t.touch(ctx); err != nil {
		failed("Failed to load in-band deploy steps", err)
		return
	}
	if t.Node.DriverInternalInfo.Bool("deployment_polling", false) {
		return
	}
	failed("Failed to process the next deploy step", t.processNextStep(ctx, agent, drivers.DeployStep))
}

// beatCleanWait starts the first step when the ramdisk has just booted, else it looks how the running step stands.
func (t *task) beatCleanWait(ctx context.Context) {
	failed := func(what string, err error) {
		if err != nil && !lost(err) && (t.Node.ProvisionState == store.Cleaning || t.Node.ProvisionState == store.CleanWait) {
			t.cleanFailed(ctx, cleanFailure{text: fmt.Sprintf("%s: %s", what, err)})
		}
	}
	agent, ok := t.Hardware.Deploy.(drivers.Agent)
	if !ok {
		return
	}
	if err := t.touch(ctx); err != nil {
		failed("Failed checking if cleaning is done", err)
		return
	}
	if len(t.Node.CleanStep) > 0 {
		if !t.Node.DriverInternalInfo.Bool("cleaning_polling", false) {
			failed("Node failed to check cleaning progress", t.processNextStep(ctx, agent, drivers.CleanStep))
		}
		return
	}
	const what = "Node failed to start the first cleaning step"
	if err := t.processEvent(ctx, eventResume, eventOptions{target: manualTarget(t.Node)}); err != nil {
		failed(what, err)
		return
	}
	if err := agent.RefreshSteps(ctx, t.Task, drivers.CleanStep); err != nil {
		failed(what, err)
		return
	}
	if err := t.setCleanSteps(ctx, false); err != nil {
		failed(what, err)
		return
	}
	t.continueClean(ctx)
}

// touch refreshes provision_updated_at, from which callback timeouts count.
func (t *task) touch(ctx context.Context) error {
	return t.c.db.TouchProvisioning(ctx, t.Node.ID)
}

// processNextStep reads how the agent's command stands and goes on accordingly.
func (t *task) processNextStep(ctx context.Context, agent drivers.Agent, kind drivers.StepKind) error {
	status, err := agent.StepStatus(ctx, t.Task, kind)
	if err != nil {
		return err
	}
	current := *stepColumn(t.Node, kind)
	switch status.State {
	case drivers.StepRunning, drivers.StepUnknown:
		return nil
	case drivers.StepNotStarted:
		delete(t.Node.DriverInternalInfo, rebootFlag(kind))
		if err := t.save(ctx); err != nil {
			return err
		}
		return t.resume(ctx, kind)
	case drivers.StepFailed:
		t.stepFailed(ctx, kind, fmt.Sprintf("%s step %s failed on node %s. %s", kindTitle(kind), stepID(current),
			t.Node.UUID, status.Error))
		return nil
	case drivers.StepVersionMismatch:
		return t.restartSteps(ctx, agent, kind)
	}
	if current.Bool("reboot_requested", false) {
		return t.rebootAfterStep(ctx, kind)
	}
	return t.resume(ctx, kind)
}

func kindTitle(kind drivers.StepKind) string {
	if kind == drivers.CleanStep {
		return "Clean"
	}
	return "Deploy"
}

func rebootFlag(kind drivers.StepKind) string {
	if kind == drivers.CleanStep {
		return "cleaning_reboot"
	}
	return "deployment_reboot"
}

// stepFailed ends the flow with what the agent said.
func (t *task) stepFailed(ctx context.Context, kind drivers.StepKind, text string) {
	label := ""
	if kind == drivers.CleanStep {
		label = "cleaning"
	}
	if agent, ok := t.Hardware.Deploy.(drivers.Agent); ok {
		agent.CollectLogs(ctx, t.Task, label, true)
	}
	if kind == drivers.CleanStep {
		t.cleanFailed(ctx, cleanFailure{text: text})
		return
	}
	// The node stays on, as with any failed step; only a heartbeat that can't be worked on switches it off.
	t.deployFailed(ctx, text, true)
}

// resume leaves the wait state and goes on with the next step under the same lock. Ironic casts a message to itself
// instead, which can get lost between two locks.
func (t *task) resume(ctx context.Context, kind drivers.StepKind) error {
	target := ""
	if kind == drivers.CleanStep {
		target = manualTarget(t.Node)
	}
	if err := t.processEvent(ctx, eventResume, eventOptions{target: target}); err != nil {
		return err
	}
	if kind == drivers.CleanStep {
		t.continueClean(ctx)
	} else {
		t.continueDeploy(ctx)
	}
	return nil
}

// rebootAfterStep reboots into the agent because the step asked for it; the flow goes on when the agent is back.
func (t *task) rebootAfterStep(ctx context.Context, kind drivers.StepKind) error {
	if err := t.setPower(ctx, store.Reboot, 0); err != nil {
		return fmt.Errorf("reboot requested by %s step %s failed: %w", kind, stepID(*stepColumn(t.Node, kind)), err)
	}
	t.Node.DriverInternalInfo[rebootFlag(kind)] = true
	return t.save(ctx)
}

// restartSteps starts over after the agent's hardware managers changed. An automated cleaning begins anew; a manual one
// and a deployment go on with the list that the user asked for, at the step that was refused.
func (t *task) restartSteps(ctx context.Context, agent drivers.Agent, kind drivers.StepKind) error {
	if err := agent.RefreshSteps(ctx, t.Task, kind); err != nil {
		return err
	}
	info := t.Node.DriverInternalInfo
	if kind == drivers.CleanStep {
		if manualTarget(t.Node) == "" {
			if err := t.setCleanSteps(ctx, false); err != nil {
				return err
			}
		} else {
			info["skip_current_clean_step"] = false
		}
	} else {
		if err := t.setDeploySteps(ctx, false, false); err != nil {
			return err
		}
		info["skip_current_deploy_step"] = false
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	return t.resume(ctx, kind)
}

// storeAgentCertificate keeps the certificate of a node's agent and returns its path. An agent that shows another one
// than before is refused: it is not the one that was booted.
func (c *Conductor) storeAgentCertificate(n *store.Node, pem string) (string, error) {
	path := filepath.Join(c.cfg.CertificatesPath, n.UUID+".crt")
	if known := n.DriverInternalInfo.String(keyAgentVerifyCA); known != "" {
		old, err := os.ReadFile(known)
		switch {
		case err == nil && strings.TrimSpace(string(old)) == strings.TrimSpace(pem):
			return known, nil
		case err == nil:
			return "", store.Errorf(store.InvalidParameterValue, `Detected change in ramdisk provided "agent_verify_ca"`)
		case !errors.Is(err, os.ErrNotExist):
			return "", fmt.Errorf("reading the agent's certificate of node %s: %w", n.UUID, err)
		}
	}
	if err := os.MkdirAll(c.cfg.CertificatesPath, 0o755); err != nil {
		return "", fmt.Errorf("storing the agent's certificate of node %s: %w", n.UUID, err)
	}
	if err := os.WriteFile(path, []byte(pem), 0o644); err != nil {
		return "", fmt.Errorf("storing the agent's certificate of node %s: %w", n.UUID, err)
	}
	return path, nil
}
