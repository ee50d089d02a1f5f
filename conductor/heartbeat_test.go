package conductor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// beat sends a heartbeat with the token that the node knows.
func beatArgs(n *store.Node) map[string]any {
	return map[string]any{"node_id": n.UUID, "callback_url": "http://127.0.0.1:9999", "agent_version": "9.1",
		"agent_token": "t0k3n"}
}

// waiting enrolls a node whose agent is expected.
func (w *worker) waiting(t *testing.T, state string, change func(*store.Node)) *store.Node {
	t.Helper()
	return w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.TargetProvisionState, n.PowerState = state, store.Active, store.PowerOn
		n.DriverInternalInfo = store.Dict{"agent_secret_token": "t0k3n"}
		if change != nil {
			change(n)
		}
	})
}

func TestHeartbeatRefusals(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.RequireAgentTLS = true })
	n := w.waiting(t, store.DeployWait, nil)
	for _, c := range []struct {
		name, text string
		args       map[string]any
	}{
		{"no version", "Agent did not transmit a version, and a version is required. Please update the agent being used.",
			map[string]any{"agent_version": nil}},
		{"no token", "Invalid or missing agent token received.", map[string]any{"agent_token": nil}},
		{"an empty token", "Invalid or missing agent token received.", map[string]any{"agent_token": ""}},
		{"a wrong token", "Invalid or missing agent token received.", map[string]any{"agent_token": "t0k3m"}},
		{"no TLS", "TLS is required by configuration", nil},
	} {
		args := beatArgs(n)
		for k, v := range c.args {
			args[k] = v
		}
		equal(t, c.name, w.refused(t, store.InvalidParameterValue, "heartbeat", args), c.text)
	}
	got := w.row(t, n.UUID)
	if got.DriverInternalInfo["agent_url"] != nil || got.ProvisionState != store.DeployWait {
		t.Errorf("a refused heartbeat left %v, %s", got.DriverInternalInfo, got.ProvisionState)
	}
	w.unlocked(t)
}

func TestAnAgentMayNotChangeItsCertificate(t *testing.T) {
	w := startWorker(t, nil)
	n := w.waiting(t, store.Deploying, nil)
	args := beatArgs(n)
	args["agent_verify_ca"] = "a certificate"
	w.must(t, "heartbeat", args)
	path := filepath.Join(w.cfg.CertificatesPath, n.UUID+".crt")
	waitUntil(t, "the certificate is known", func() bool {
		return w.row(t, n.UUID).DriverInternalInfo.String("agent_verify_ca") == path
	})
	w.unlocked(t)
	w.must(t, "heartbeat", args)
	args["agent_verify_ca"] = "another certificate"
	equal(t, "refusal", w.refused(t, store.InvalidParameterValue, "heartbeat", args),
		`Detected change in ramdisk provided "agent_verify_ca"`)
	stored, err := os.ReadFile(path)
	if err != nil || string(stored) != "a certificate" {
		t.Errorf("stored %q, %v", stored, err)
	}
	w.unlocked(t)
}

func TestHeartbeatsByState(t *testing.T) {
	w := startWorker(t, nil)
	for _, c := range []struct {
		state    string
		fast     bool
		recorded bool
	}{
		{state: store.Deploying, recorded: true}, {state: store.Cleaning, recorded: true}, {state: store.Available},
		{state: store.Active}, {state: store.Enroll}, {state: store.Available, fast: true, recorded: true},
		{state: store.Manageable, fast: true, recorded: true}, {state: store.DeployFail},
	} {
		n := w.waiting(t, c.state, func(n *store.Node) { n.DriverInfo = store.Dict{"fast_track": c.fast} })
		args := beatArgs(n)
		args["agent_status"], args["agent_status_message"] = "end", "done"
		w.must(t, "heartbeat", args)
		w.unlocked(t)
		got := w.row(t, n.UUID)
		info := got.DriverInternalInfo
		equal(t, "recorded in "+c.state, info.String("agent_url") == "http://127.0.0.1:9999", c.recorded)
		if !c.recorded {
			continue
		}
		equal(t, "version", info.String("agent_version"), "9.1")
		equal(t, "status", info.String("agent_status")+info.String("agent_status_message"), "enddone")
		if _, err := time.Parse(isoMicro, info.String("agent_last_heartbeat")); err != nil {
			t.Error(err)
		}
		equal(t, "provision state", got.ProvisionState, c.state)
	}
	if did := w.script.did(); len(did) != 0 {
		t.Errorf("the hardware was asked: %q", did)
	}
}

// An agent that stayed on beats on; the log tells so once for each state.
func TestHeartbeatsThatNobodyWaitsForAreMentionedOnce(t *testing.T) {
	s := strayBeats{states: map[string]string{}}
	for _, beat := range []struct {
		node, state string
		first       bool
	}{
		{"a", store.Active, true}, {"a", store.Active, false}, {"b", store.Active, true}, {"a", store.Available, true},
		{"a", store.Active, true}, {"a", store.Active, false},
	} {
		equal(t, "mention "+beat.node+" "+beat.state, s.first(beat.node, beat.state), beat.first)
	}
	s.forget("a")
	equal(t, "mention after a wanted heartbeat", s.first("a", store.Active), true)
}

// The first heartbeat of a deployment brings the agent's own steps into the list; the flow goes on where it waited.
func TestTheFirstHeartbeatLoadsTheAgentsSteps(t *testing.T) {
	w := startWorker(t, nil)
	wash := drivers.Step{Interface: drivers.TypeDeploy, Name: "wash", Priority: 60}
	w.script.use(behaviour{
		steps:  deploySteps(step("deploy", 100, drivers.Waiting, nil), step("boot", 20, drivers.Done, nil)),
		inBand: deploySteps(wash),
	})
	n := w.available(t, func(n *store.Node) { n.DriverInternalInfo = store.Dict{} })
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
	w.settled(t, n.UUID, store.DeployWait)
	w.giveToken(t, n)

	w.must(t, "heartbeat", beatArgs(n))
	waitUntil(t, "the agent washes", func() bool {
		got := w.row(t, n.UUID)
		return got.Reservation == "" && stepID(got.DeployStep) == "deploy.wash"
	})
	got := w.row(t, n.UUID)
	var list []string
	for _, s := range dictList(got.DriverInternalInfo.List("deploy_steps")) {
		list = append(list, stepID(s))
	}
	equal(t, "steps", strings.Join(list, " "), "deploy.deploy deploy.wash deploy.boot")
	equal(t, "validated", got.DriverInternalInfo.Bool("steps_validated", false), true)
	equal(t, "asked", strings.Join(w.script.did("agent.refresh deploy", "agent.status", "agent.execute deploy.wash"), ", "),
		"agent.refresh deploy, agent.status, agent.execute deploy.wash")

	for _, s := range []struct {
		status drivers.StepStatus
		state  string
	}{
		{drivers.StepStatus{State: drivers.StepRunning}, store.DeployWait},
		{drivers.StepStatus{State: drivers.StepUnknown}, store.DeployWait},
		{drivers.StepStatus{State: drivers.StepSucceeded}, store.Active},
	} {
		acts := w.script.called("")
		acts.status = func() (drivers.StepStatus, error) { return s.status, nil }
		w.script.use(acts)
		w.must(t, "heartbeat", beatArgs(n))
		w.unlocked(t)
		w.settled(t, n.UUID, s.state)
	}
}

// giveToken writes the token that heartbeats of the test carry.
func (w *worker) giveToken(t *testing.T, n *store.Node) {
	t.Helper()
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	held.Node.DriverInternalInfo["agent_secret_token"] = "t0k3n"
	if err := errors.Join(held.save(t.Context()), held.release(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func TestHeartbeatsMoveAFlowOn(t *testing.T) {
	w := startWorker(t, nil)
	broken := errors.New("smoke")
	erase := store.Dict{"interface": "deploy", "step": "erase", "priority": 10}
	reboots := store.Dict{"interface": "deploy", "step": "erase", "priority": 10, "reboot_requested": true}
	status := func(s drivers.StepState) behaviour {
		return behaviour{status: func() (drivers.StepStatus, error) {
			return drivers.StepStatus{State: s, Error: "the agent's words"}, nil
		}, inBand: map[drivers.StepKind][]drivers.Step{
			drivers.CleanStep:  {{Interface: drivers.TypeDeploy, Name: "erase", Priority: 10}},
			drivers.DeployStep: {{Interface: drivers.TypeDeploy, Name: "erase", Priority: 10}}}, steps: map[drivers.StepKind][]drivers.Step{
			drivers.CleanStep: {}, drivers.DeployStep: {}}}
	}
	with := func(b behaviour, change func(*behaviour)) behaviour { change(&b); return b }
	for _, c := range []struct {
		name, from string
		step       store.Dict
		manual     bool
		node       func(*store.Node)
		acts       behaviour
		state      string
		lastError  string
		power      string
		did        string
		info       string // "key=value" that has to be there
		notInfo    string
	}{
		{name: "a clean step that succeeded", from: store.CleanWait, step: erase, acts: status(drivers.StepSucceeded),
			state: store.Available},
		{name: "a manual clean step that succeeded", from: store.CleanWait, step: erase, manual: true,
			acts: status(drivers.StepSucceeded), state: store.Manageable},
		{name: "a clean step that failed", from: store.CleanWait, step: erase, acts: status(drivers.StepFailed),
			state: store.CleanFail, lastError: "Clean step deploy.erase failed on node %s. the agent's words",
			did: "agent.logs cleaning"},
		{name: "a deploy step that failed", from: store.DeployWait, step: erase, acts: status(drivers.StepFailed),
			state: store.DeployFail, lastError: "Deploy step deploy.erase failed on node %s. the agent's words",
			did: "agent.logs , deploy.clean up", power: store.PowerOn},
		{name: "a clean step that is running", from: store.CleanWait, step: erase, acts: status(drivers.StepRunning),
			state: store.CleanWait},
		{name: "a driver that polls by itself", from: store.CleanWait, step: erase, acts: status(drivers.StepSucceeded),
			node: func(n *store.Node) { n.DriverInternalInfo["cleaning_polling"] = true }, state: store.CleanWait},
		{name: "an agent back from a reboot", from: store.CleanWait, step: erase, acts: status(drivers.StepNotStarted),
			node: func(n *store.Node) {
				n.DriverInternalInfo["cleaning_reboot"] = true
				n.DriverInternalInfo["skip_current_clean_step"] = false
			}, state: store.CleanWait, did: "agent.execute deploy.erase", notInfo: "cleaning_reboot"},
		{name: "a step that wants a reboot", from: store.CleanWait, step: reboots, acts: status(drivers.StepSucceeded),
			state: store.CleanWait, did: "agent.reboot, power rebooting", info: "cleaning_reboot=True", notInfo: "agent_secret_token"},
		{name: "a deploy step that wants a reboot", from: store.DeployWait, step: reboots, acts: status(drivers.StepSucceeded),
			state: store.DeployWait, did: "agent.reboot, power rebooting", info: "deployment_reboot=True"},
		{name: "a reboot that fails", from: store.CleanWait, step: reboots, state: store.CleanFail,
			acts: with(status(drivers.StepSucceeded), func(b *behaviour) { b.setPower = func(context.Context, string) error { return broken } }),
			lastError: "Reboot requested by clean step {'interface': 'deploy', 'step': 'erase', 'priority': 10, " +
				"'reboot_requested': True} failed for node %s: smoke", did: "agent.reboot, power rebooting"},
		{name: "another version while cleaning", from: store.CleanWait, step: erase, acts: status(drivers.StepVersionMismatch),
			state: store.CleanWait, did: "agent.refresh clean, agent.execute deploy.erase"},
		{name: "another version while cleaning by hand", from: store.CleanWait, step: erase, manual: true,
			acts: status(drivers.StepVersionMismatch), state: store.CleanWait,
			did: "agent.refresh clean, agent.execute deploy.erase"},
		{name: "another version while deploying", from: store.DeployWait, step: erase, acts: status(drivers.StepVersionMismatch),
			state: store.DeployWait, did: "agent.refresh deploy, agent.execute deploy.erase"},
		{name: "another version that can't be asked", from: store.CleanWait, step: erase, state: store.CleanFail,
			acts:      with(status(drivers.StepVersionMismatch), func(b *behaviour) { b.refresh = func() error { return broken } }),
			lastError: "Could not continue cleaning on node %s: smoke.", did: "agent.refresh clean"},
		{name: "an agent that gives no answer", from: store.CleanWait, step: erase, state: store.CleanFail,
			acts:      behaviour{status: func() (drivers.StepStatus, error) { return drivers.StepStatus{}, broken }},
			lastError: "Node failed to check cleaning progress: smoke"},
		{name: "an agent that gives no answer while deploying", from: store.DeployWait, step: erase, state: store.DeployFail,
			acts:      behaviour{status: func() (drivers.StepStatus, error) { return drivers.StepStatus{}, broken }},
			lastError: "Failed to process the next deploy step: smoke", did: "agent.logs , power power off", power: store.PowerOff},
		{name: "a ramdisk that has just booted to clean", from: store.CleanWait, acts: status(drivers.StepNotStarted),
			state: store.CleanWait, did: "agent.refresh clean, agent.execute deploy.erase"},
		{name: "one that lists no steps", from: store.CleanWait, state: store.CleanFail,
			acts:      behaviour{refresh: func() error { return broken }},
			lastError: "Node failed to start the first cleaning step: smoke", did: "agent.refresh clean"},
		{name: "steps that can't be listed", from: store.DeployWait, state: store.DeployFail,
			node:      func(n *store.Node) { delete(n.DriverInternalInfo, "agent_cached_deploy_steps") },
			acts:      behaviour{refresh: func() error { return broken }},
			lastError: "Failed to load in-band deploy steps: smoke", power: store.PowerOff,
			did: "agent.refresh deploy, agent.logs , power power off"},
		{name: "in maintenance", from: store.CleanWait, step: erase, acts: status(drivers.StepSucceeded), state: store.CleanWait,
			node: func(n *store.Node) { n.Maintenance = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.script.use(c.acts)
			n := w.waiting(t, c.from, func(n *store.Node) {
				if c.from == store.CleanWait {
					n.TargetProvisionState, n.CleanStep = store.Available, c.step
					n.DriverInternalInfo["clean_steps"], n.DriverInternalInfo["clean_step_index"] = []any{map[string]any(erase)}, 0
				} else {
					n.DeployStep = c.step
					n.DriverInternalInfo["deploy_steps"], n.DriverInternalInfo["deploy_step_index"] = []any{map[string]any(erase)}, 0
					n.DriverInternalInfo["agent_cached_deploy_steps"] = store.Dict{"deploy": []any{}}
					n.DriverInternalInfo["steps_validated"] = true
				}
				if c.manual {
					n.TargetProvisionState = store.Manageable
				}
				if c.node != nil {
					c.node(n)
				}
			})
			w.must(t, "heartbeat", beatArgs(n))
			w.unlocked(t)
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, withNode(c.lastError, n.UUID))
			if c.power != "" {
				equal(t, "power state", got.PowerState, c.power)
			}
			var did []string
			for _, call := range w.script.did() {
				if call != "power.read" && call != "agent.status" && !strings.HasPrefix(call, "cleaning.") {
					did = append(did, call)
				}
			}
			equal(t, "did", strings.Join(did, ", "), c.did)
			if key, value, _ := strings.Cut(c.info, "="); key != "" {
				equal(t, key, got.DriverInternalInfo.String(key), value)
			}
			if v, there := got.DriverInternalInfo[c.notInfo]; there {
				t.Errorf("%s is left: %v", c.notInfo, v)
			}
		})
	}
}

func TestHeartbeatsInMaintenanceEndTheFlowWhereThatIsWanted(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.AllowProvisioningInMaintenance = false })
	for state, want := range map[string][2]string{
		store.CleanWait:  {store.CleanFail, "Cleaning aborted as node is in maintenance mode"},
		store.DeployWait: {store.DeployFail, "Deploy aborted as node is in maintenance mode"},
		store.RescueWait: {store.RescueFail, "Rescue aborted as node is in maintenance mode"},
	} {
		n := w.waiting(t, state, func(n *store.Node) { n.Maintenance = true })
		w.must(t, "heartbeat", beatArgs(n))
		w.unlocked(t)
		equal(t, "last error", w.settled(t, n.UUID, want[0]).LastError, want[1])
	}
}

// A lookup gets the token once; whoever asks again gets a value that opens nothing.
func TestALookupGetsTheTokenOnce(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.DeployWait })
	token := func() string {
		t.Helper()
		answer := w.must(t, "get_node_with_token", map[string]any{"node_id": n.UUID})
		got, _, err := w.codec.DecodeNode(answer)
		if err != nil {
			t.Fatal(err)
		}
		return got.DriverInternalInfo.String("agent_secret_token")
	}
	first := token()
	equal(t, "length of the token", len(first), 43)
	equal(t, "second answer", token(), maskedToken)
	equal(t, "stored", w.row(t, n.UUID).DriverInternalInfo.String("agent_secret_token"), first)
	w.unlocked(t)
}

// A lookup waits until its node is free. When the machine was switched meanwhile its agent is gone, and the next one is to get the token.
func TestALookupOfAnAgentThatIsGoneGetsNoToken(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Deploying })
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	refused := make(chan string)
	go func() {
		defer close(refused)
		if reply := w.call(t, "get_node_with_token", map[string]any{"node_id": n.UUID}); reply.Failure != nil {
			refused <- reply.Failure.Class
		}
	}()
	waitUntil(t, "the lookup waits", func() bool { return len(w.local.Locks()) == 2 })
	held.Node.DriverInternalInfo[keyPowerChanged] = "2026-11-26T05:00:00.000000"
	if err := errors.Join(held.save(t.Context()), held.release(t.Context())); err != nil {
		t.Fatal(err)
	}
	equal(t, "failure", <-refused, string(store.TemporaryFailure))
	equal(t, "stored", w.row(t, n.UUID).DriverInternalInfo.String("agent_secret_token"), "")
	w.unlocked(t)
}

// A heartbeat that comes while the node is held is not lost.
func TestAHeartbeatWaitsForTheHolder(t *testing.T) {
	w := startWorker(t, nil)
	n := w.waiting(t, store.Deploying, nil)
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	w.must(t, "heartbeat", beatArgs(n))
	waitUntil(t, "the heartbeat is put aside", func() bool { return len(w.local.Locks()) == 1 })
	equal(t, "agent known", w.row(t, n.UUID).DriverInternalInfo["agent_url"] != nil, false)
	if err := held.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the heartbeat is taken", func() bool {
		return w.row(t, n.UUID).DriverInternalInfo["agent_url"] != nil
	})
	w.unlocked(t)
}

// A heartbeat that waits is that of an agent which is gone once the node's power was cut.
func TestAHeartbeatDoesNotOutliveItsAgent(t *testing.T) {
	w := startWorker(t, nil)
	n := w.waiting(t, store.Deploying, nil)
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	w.must(t, "heartbeat", beatArgs(n))
	waitUntil(t, "the heartbeat is put aside", func() bool { return len(w.local.Locks()) == 1 })
	if err := held.setPower(t.Context(), store.Reboot, 0); err != nil {
		t.Fatal(err)
	}
	_, waits := w.postponed.take(n.UUID)
	equal(t, "the heartbeat waits", waits, false)
	if err := held.release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// What comes while another worker holds the node is not kept: the agent may be gone when the node is free.
func TestAHeartbeatIsLeftToAnotherHolder(t *testing.T) {
	w := startWorker(t, nil)
	n := w.waiting(t, store.Deploying, nil)
	if _, err := w.db.Reserve(t.Context(), n.UUID, "worker-2"); err != nil {
		t.Fatal(err)
	}
	w.must(t, "heartbeat", beatArgs(n))
	w.unlocked(t)
	waitUntil(t, "the heartbeat is dealt with", func() bool { return w.pool.Busy() == 0 })
	_, waits := w.postponed.take(n.UUID)
	equal(t, "the heartbeat waits", waits, false)
}

// A worker that stops leaves a flow that waits as it is: the agent's next heartbeat goes on with it.
func TestAHeartbeatThatIsCutShortFailsNothing(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.GracefulShutdownTimeout = 0 })
	asked := make(chan struct{})
	w.script.use(behaviour{status: func() (drivers.StepStatus, error) {
		close(asked)
		<-w.workCtx.Done()
		return drivers.StepStatus{}, w.workCtx.Err()
	}})
	n := w.waiting(t, store.CleanWait, func(n *store.Node) {
		n.CleanStep = store.Dict{"interface": "deploy", "step": "erase"}
	})
	w.must(t, "heartbeat", beatArgs(n))
	<-asked
	w.stop()
	got := w.row(t, n.UUID)
	equal(t, "provision state", got.ProvisionState, store.CleanWait)
	equal(t, "last error", got.LastError, "")
	equal(t, "reservation", got.Reservation, "")
}
