package conductor

import (
	"context"
	"fmt"
	"slices"
	"sync"

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
var heartbeatActs = []string{store.DeployWait, store.CleanWait, store.RescueWait, store.ServiceWait}

// heartbeatRecords are the states in which a heartbeat is noted and nothing else; those of fast track only with it.
var heartbeatRecords = []string{store.Deploying, store.Cleaning, store.Rescuing, store.DeployHold, store.CleanHold,
	store.Servicing, store.ServiceHold}

var heartbeatFastTrack = []string{store.Enroll, store.Manageable, store.Available}

// beat takes a heartbeat in the background. A node that waits for nobody is left alone.
func (t *task) beat(ctx context.Context, h heartbeat) {
	if !t.wantsHeartbeat(ctx) {
		t.noteResult(momentHeartbeat, "left alone", "nothing waits for it in "+t.Node.ProvisionState, nil)
		if t.c.strayBeats.first(t.Node.UUID, t.Node.ProvisionState) {
			t.Log.Warn().Str("state", t.Node.ProvisionState).Msg("Heartbeat in a provision state that waits for none; further " +
				"ones are not mentioned")
		}
		return
	}
	t.c.strayBeats.forget(t.Node.UUID)
	agent, ok := t.Hardware.Deploy.(drivers.Agent)
	if !ok {
		t.Log.Warn().Str("deploy_interface", t.Node.DeployInterface).Msg("Heartbeat for a deploy interface that has no agent")
		return
	}
	if !t.lockForHeartbeat(ctx, h) || t.noteBeat(ctx, h) != nil {
		return
	}
	t.actOnBeat(ctx, agent)
}

// noteBeat writes a heartbeat into the row.
func (t *task) noteBeat(ctx context.Context, h heartbeat) error {
	t.noteResult(momentHeartbeat, "taken", h.statusMessage, nil)
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
	// gofail: var heartbeatBeforeSave struct{}
	err := t.saveOrLose(ctx)
	// gofail: var heartbeatSaved struct{}
	return err
}

// actOnBeat moves a flow on that waited for the heartbeat in the row.
func (t *task) actOnBeat(ctx context.Context, agent drivers.Agent) {
	if !slices.Contains(heartbeatActs, t.Node.ProvisionState) {
		return
	}
	if t.Node.Maintenance {
		t.beatInMaintenance(ctx)
		return
	}
	switch t.Node.ProvisionState {
	case store.DeployWait:
		t.beatDeployWait(ctx, agent)
	case store.CleanWait:
		t.beatCleanWait(ctx, agent)
	case store.RescueWait:
		t.beatRescueWait(ctx, agent)
	case store.ServiceWait:
		t.beatServiceWait(ctx, agent)
	}
}

// strayBeats remembers in which state each node's heartbeat was last wanted by nobody: an agent that stayed on, such as one
// in an active node, sends one every few minutes.
type strayBeats struct {
	mu     sync.Mutex
	states map[string]string
}

// first tells whether the node's heartbeats in that state were not met before.
func (s *strayBeats) first(node, state string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	met := s.states[node] == state
	s.states[node] = state
	return !met
}

func (s *strayBeats) forget(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.states, node)
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (t *task) wantsHeartbeat(ctx context.Context) bool {
	state := t.Node.ProvisionState
	return slices.Contains(heartbeatActs, state) || slices.Contains(heartbeatRecords, state) ||
		slices.Contains(heartbeatFastTrack, state) && t.fastTrackAble(ctx)
}

func (t *task) beatInMaintenance(ctx context.Context) {
	if t.c.live().AllowProvisioningInMaintenance {
		t.Log.Warn().Msg("Heartbeat from a node in maintenance; taking no action")
		return
	}
	switch t.Node.ProvisionState {
	case store.DeployWait:
		t.agentDeployFailed(ctx, "Deploy aborted as node is in maintenance mode", false)
	case store.CleanWait:
		t.cleanFailed(ctx, flowFailure{text: "Cleaning aborted as node is in maintenance mode"})
	case store.RescueWait:
		t.rescueFailed(ctx, "Rescue aborted as node is in maintenance mode", false)
	case store.ServiceWait:
		t.serviceFailed(ctx, flowFailure{text: "Service aborted as node is in maintenance mode"})
	}
}

// beatDeployWait loads the agent's steps at its first heartbeat and then looks how the running step stands.
func (t *task) beatDeployWait(ctx context.Context, agent drivers.Agent) {
	if installer, ok := t.Hardware.Deploy.(drivers.Installer); ok {
		t.beatInstaller(ctx, installer)
		return
	}
	failed := func(what string, err error) {
		if t.failsFlow(ctx, err, store.Deploying, store.DeployWait) {
			t.agentDeployFailed(ctx, fmt.Sprintf("%s: %s", what, err), true)
		}
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
func (t *task) beatCleanWait(ctx context.Context, agent drivers.Agent) {
	failed := func(what string, err error) {
		if t.failsFlow(ctx, err, store.Cleaning, store.CleanWait) {
			t.cleanFailed(ctx, flowFailure{text: fmt.Sprintf("%s: %s", what, err)})
		}
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
	if err := t.firstCleanStep(ctx, agent); err != nil {
		failed(what, err)
	}
}

// firstCleanStep lists the steps of a cleaning whose agent has booted, and runs them from the first.
func (t *task) firstCleanStep(ctx context.Context, agent drivers.Agent) error {
	if err := agent.RefreshSteps(ctx, t.Task, drivers.CleanStep); err != nil {
		return err
	}
	if err := t.setCleanSteps(ctx, false); err != nil {
		return err
	}
	// gofail: var cleanListed struct{}
	t.continueClean(ctx)
	return nil
}

// failsFlow tells whether what went wrong while a heartbeat was worked on ends the flow. It does not when the flow has
// ended already, when the node is no longer ours, or when the worker stops before the wait was over: the next heartbeat
// finds everything as it was.
func (t *task) failsFlow(ctx context.Context, err error, running, waiting string) bool {
	state := t.Node.ProvisionState
	return err != nil && !lost(err) && !t.cutShort(ctx, err.Error()) && (state == running || state == waiting)
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
	case drivers.StepRunning:
		return nil
	case drivers.StepUnknown:
		if !t.stepIsDue(kind) {
			return nil
		}
		return t.resume(ctx, kind)
	case drivers.StepNotStarted:
		return t.agentBooted(ctx, kind)
	case drivers.StepFailed:
		if t.toBeginAgain() {
			return t.resume(ctx, kind)
		}
		if t.workerWasAway(kind) {
			return t.beginAgain(ctx, kind, "the worker that it read from was away")
		}
		t.stepFailed(ctx, kind, fmt.Sprintf("%s step %s failed on node %s. %s", termsOf[kind].title, stepID(current),
			t.Node.UUID, status.Error))
		return nil
	case drivers.StepVersionMismatch:
		return t.restartSteps(ctx, agent, kind)
	}
	if s := t.offeredStep(kind, current); s != nil && s.Finish != nil {
		if err := s.Finish.Run(ctx, t.Task, status.Result); err != nil {
			if lost(err) || ctx.Err() != nil {
				return err
			}
			t.stepFailed(ctx, kind, fmt.Sprintf("For node %s, post %s step hook %s failed for %s step %s.%s", t.Node.UUID, kind,
				s.Finish.Name, kind, store.PythonRepr(current), withKind(err)))
			return nil
		}
	}
	if current.Bool("reboot_requested", false) {
		t.rebootAfterStep(ctx, agent, kind)
		return nil
	}
	return t.resume(ctx, kind)
}

// stepIsDue tells that the row's step has to be run (again), since nobody could tell whether it ever began.
func (t *task) stepIsDue(kind drivers.StepKind) bool {
	return !t.Node.DriverInternalInfo.Bool(termsOf[kind].skip, true)
}

// agentBooted goes on after an agent has booted. One that boots in the middle of a step which it was to run, and which did not
// ask for that, has lost it.
func (t *task) agentBooted(ctx context.Context, kind drivers.StepKind) error {
	info := t.Node.DriverInternalInfo
	wanted := info.Bool(termsOf[kind].reboot, false)
	delete(info, termsOf[kind].reboot)
	if !wanted && !t.stepIsDue(kind) && t.agentRunsStep(kind) {
		return t.beginAgain(ctx, kind, "its agent was started anew")
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	return t.resume(ctx, kind)
}

// agentRunsStep tells that the row's step is one that runs in the agent while the flow waits. What a Python conductor has begun
// goes on as that would: it takes such a step for done.
func (t *task) agentRunsStep(kind drivers.StepKind) bool {
	if t.stepBegunBy() == "" || len(*stepColumn(t.Node, kind)) == 0 {
		return false
	}
	s := t.offeredStep(kind, *stepColumn(t.Node, kind))
	return s == nil || s.Run == nil || s.ReadsFromWorker || s.InBand || s.ByAgent
}

// workerWasAway tells that the row's step may have failed for no other reason than that the worker which it read from went
// away: another run began it.
func (t *task) workerWasAway(kind drivers.StepKind) bool {
	s, began := t.offeredStep(kind, *stepColumn(t.Node, kind)), t.stepBegunBy()
	return s != nil && s.ReadsFromWorker && began != "" && began != t.c.runName()
}

// stepBegunBy is the run that began the row's step, "" for a Python conductor and for a step that is to be sent.
func (t *task) stepBegunBy() string { return mark(t.Node).String(markStep) }

// maxTries is how often a step is begun anew at most.
const maxTries = 3

// beginAgain begins the row's step anew, now that its agent was asked and says that it did not do it.
func (t *task) beginAgain(ctx context.Context, kind drivers.StepKind, why string) error {
	current := *stepColumn(t.Node, kind)
	tries, _, err := mark(t.Node).Int(markTries)
	if err != nil || tries >= maxTries {
		t.stepFailed(ctx, kind, fmt.Sprintf("%s step %s on node %s was begun anew %d times, last because %s; giving up",
			termsOf[kind].title, stepID(current), t.Node.UUID, tries, why))
		return nil
	}
	t.Log.Warn().Str("step", stepID(current)).Str("why", why).Int64("tries", tries+1).Msg("Beginning a step anew")
	t.note(store.Dict{markTries: tries + 1, markStep: nil})
	t.Node.DriverInternalInfo[termsOf[kind].skip] = false
	if err := t.save(ctx); err != nil {
		return err
	}
	return t.resume(ctx, kind)
}

// toBeginAgain tells that the row's step is to begin anew: whoever found that out did not live to begin it.
func (t *task) toBeginAgain() bool {
	tries, _, err := mark(t.Node).Int(markTries)
	return err == nil && tries > 0 && t.stepBegunBy() == ""
}

// stepFailed ends the flow with what the agent said.
func (t *task) stepFailed(ctx context.Context, kind drivers.StepKind, text string) {
	if agent, ok := t.Hardware.Deploy.(drivers.Agent); ok {
		agent.CollectLogs(ctx, t.Task, termsOf[kind].logs, true)
	}
	t.flowFailed(ctx, kind, text)
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
	switch kind {
	case drivers.CleanStep:
		t.continueClean(ctx)
	case drivers.ServiceStep:
		t.continueService(ctx)
	default:
		t.continueDeploy(ctx)
	}
	return nil
}

// rebootAfterStep reboots into the agent because the step asked for it; the flow goes on when the agent is back.
func (t *task) rebootAfterStep(ctx context.Context, agent drivers.Agent, kind drivers.StepKind) {
	// Written before the reboot: an agent that comes up without it would be one that has lost its step.
	info := t.Node.DriverInternalInfo
	info[termsOf[kind].reboot] = true
	if t.saveOrLose(ctx) != nil {
		return
	}
	if err := agent.RebootAgent(ctx, t.Task); err != nil {
		if !lost(err) {
			t.flowFailed(ctx, kind, fmt.Sprintf("Reboot requested by %s step %s failed for node %s: %s", kind,
				store.PythonRepr(*stepColumn(t.Node, kind)), t.Node.UUID, err))
		}
		return
	}
	if !info.Bool(keyTokenPregenerated, false) {
		// The agent that comes up asks for a token of its own.
		delete(info, keyAgentToken)
	}
	_ = t.saveOrLose(ctx)
}

// flowFailed ends the flow of a kind.
func (t *task) flowFailed(ctx context.Context, kind drivers.StepKind, text string) {
	switch kind {
	case drivers.CleanStep:
		t.cleanFailed(ctx, flowFailure{text: text})
	case drivers.ServiceStep:
		t.serviceFailed(ctx, flowFailure{text: text})
	default:
		// The node stays on, as with any failed step; only a heartbeat that can't be worked on switches it off.
		t.deployFailed(ctx, text, true)
	}
}

// restartSteps starts over after the agent's hardware managers changed. An automated cleaning begins anew; a manual one
// and a deployment go on with the list that the user asked for, at the step that was refused. (Ironic computes clean steps
// even for a deployment.)
func (t *task) restartSteps(ctx context.Context, agent drivers.Agent, kind drivers.StepKind) error {
	err := agent.RefreshSteps(ctx, t.Task, kind)
	if err == nil {
		err = t.relistSteps(ctx, kind)
	}
	switch {
	case err == nil:
		return t.resume(ctx, kind)
	case lost(err):
		return err
	}
	t.flowFailed(ctx, kind, fmt.Sprintf("Could not continue %s on node %s: %s.", termsOf[kind].doing, t.Node.UUID, err))
	return nil
}

func (t *task) relistSteps(ctx context.Context, kind drivers.StepKind) error {
	if kind == drivers.CleanStep && !cleansByList(t.Node) {
		return t.setCleanSteps(ctx, false)
	}
	// The agent refused the step, so it is to be sent again as if it had never been.
	t.note(store.Dict{markStep: nil})
	t.Node.DriverInternalInfo[termsOf[kind].skip] = false
	if kind != drivers.DeployStep {
		return t.save(ctx)
	}
	return t.setDeploySteps(ctx, false, false)
}
