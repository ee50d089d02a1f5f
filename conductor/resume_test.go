package conductor

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
	"github.com/ironmaster/ironmaster/store/sql/sqltest"
)

// noting is a step that notes how it was carried out.
func (s *script) noting(name string, priority int) drivers.Step {
	note := func(how string) func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
		return func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
			s.called(how + " " + name)
			return drivers.Done, nil
		}
	}
	return drivers.Step{Interface: drivers.TypeDeploy, Name: name, Priority: priority, Run: note("run"), Resume: note("resume")}
}

func begun(name string) store.Dict { return store.Dict{"interface": "deploy", "step": name} }

// interrupted is a row as a worker that died leaves it, and what is to become of it.
type interrupted struct {
	name   string
	node   store.Node
	mark   store.Dict
	state  string
	did    []string
	events []string
	// takeover cases are of nodes that wait: their own worker does otherwise than one that takes them over.
	takeover bool
}

func interruptedFlows() []interrupted {
	deploying := func(info store.Dict, step string) store.Node {
		n := store.Node{ProvisionState: store.Deploying, TargetProvisionState: store.Active, DriverInternalInfo: info}
		if step != "" {
			n.DeployStep = begun(step)
		}
		return n
	}
	cleaning := func(target string, info store.Dict, step string) store.Node {
		n := store.Node{ProvisionState: store.Cleaning, TargetProvisionState: target, DriverInternalInfo: info}
		if step != "" {
			n.CleanStep = begun(step)
		}
		return n
	}
	two := []any{map[string]any{"interface": "deploy", "step": "one"}, map[string]any{"interface": "deploy", "step": "two"}}
	statusOf := func(status string) store.Dict { return store.Dict{keyInstallStatus: status, keyAgentURL: ""} }
	installing := func(info store.Dict) store.Node {
		return store.Node{DeployInterface: "installing", ProvisionState: store.DeployWait, TargetProvisionState: store.Active,
			DeployStep: begun("one"), DriverInternalInfo: info}
	}
	end := []string{"provision_set.end"}
	return []interrupted{
		{name: "a deployment that prepared", node: deploying(nil, ""), state: store.Active,
			did: []string{"deploy.prepare", "run one", "run two"}, events: end},
		{name: "a deployment before its first step", node: deploying(store.Dict{"deploy_steps": two}, ""), state: store.Active,
			did: []string{"deploy.prepare", "run one", "run two"}, events: end},
		{name: "a deployment in its first step", node: deploying(store.Dict{"deploy_steps": two, "deploy_step_index": 0}, "one"),
			state: store.Active, did: []string{"resume one", "run two"}, events: end},
		{name: "a deployment in its last step", node: deploying(store.Dict{"deploy_steps": two, "deploy_step_index": 1}, "two"),
			state: store.Active, did: []string{"resume two"}, events: end},
		{name: "a step of the agent", node: deploying(store.Dict{"deploy_step_index": 0, "deploy_steps": []any{
			map[string]any{"interface": "deploy", "step": "burn"}}}, "burn"), state: store.DeployWait,
			did: []string{"agent.resume deploy.burn"}, events: []string{"provision_set.success"}},
		{name: "a cleaning that prepared", node: cleaning(store.Available, nil, ""), state: store.Available,
			did: []string{"cleaning.prepare", "run one", "run two", "cleaning.tear down"}, events: end},
		{name: "a manual cleaning that prepared", node: cleaning(store.Manageable, store.Dict{"clean_steps": two[1:]}, ""),
			state: store.Manageable, did: []string{"cleaning.prepare", "run two", "cleaning.tear down"}, events: end},
		{name: "a cleaning in a step", node: cleaning(store.Available, store.Dict{"clean_steps": two, "clean_step_index": 0}, "one"),
			state: store.Available, did: []string{"resume one", "run two", "cleaning.tear down"}, events: end},
		{name: "a rescue", node: store.Node{ProvisionState: store.Rescuing, TargetProvisionState: store.Rescue}, state: store.Rescue,
			did: []string{"rescue"}, events: end},
		{name: "a rescue whose agent has the password", node: store.Node{ProvisionState: store.Rescuing,
			TargetProvisionState: store.Rescue}, mark: store.Dict{markEnding: true}, state: store.Rescue,
			did: []string{"rescue.clean up"}, events: end},
		{name: "an unrescue", node: store.Node{ProvisionState: store.Unrescuing, TargetProvisionState: store.Active},
			state: store.Active, did: []string{"unrescue"}, events: end},
		{name: "a cleaning whose steps are over", node: cleaning(store.Available, nil, ""), mark: store.Dict{markEnding: false},
			state: store.Available, did: []string{"cleaning.tear down"}, events: end},
		{name: "a tear-down", node: store.Node{ProvisionState: store.Deleting, TargetProvisionState: store.Available},
			mark: store.Dict{markFrom: store.Active}, state: store.Available, events: []string{"provision_set.success", "provision_set.end"},
			did: []string{"deploy.clean up", "deploy.tear down", "cleaning.prepare", "run one", "run two", "cleaning.tear down"}},
		{name: "a verification", node: store.Node{ProvisionState: store.Verifying, TargetProvisionState: store.Manageable},
			state: store.Manageable, events: end},
		{name: "an adoption", node: store.Node{ProvisionState: store.Adopting, TargetProvisionState: store.Active},
			state: store.Active, did: []string{"deploy.prepare", "deploy.take over"}, events: end},
		{name: "an inspection", node: store.Node{ProvisionState: store.Inspecting, TargetProvisionState: store.Manageable},
			state: store.Manageable, did: []string{"inspect.begin"}, events: end},
		{name: "a machine that boots from the lost worker", takeover: true, node: store.Node{ProvisionState: store.DeployWait,
			TargetProvisionState: store.Active, DeployStep: begun("one"), DriverInternalInfo: store.Dict{"deploy_steps": two,
				"deploy_step_index": 0}}, state: store.DeployWait, did: []string{"agent.reboot"},
			events: []string{"power_set.start", "power_set.end"}},
		{name: "an installer that has begun", takeover: true, node: installing(statusOf("start")), state: store.DeployWait},
		{name: "an installer that has ended", takeover: true, node: installing(statusOf("end")), state: store.Active,
			did: []string{"finish install"}, events: []string{"provision_set.success", "provision_set.end"}},
		{name: "an installer that was not heard of", takeover: true, node: installing(nil), state: store.DeployWait,
			did: []string{"agent.reboot"}, events: []string{"power_set.start", "power_set.end"}},
		{name: "an agent at work", takeover: true, node: store.Node{ProvisionState: store.DeployWait, DeployStep: begun("one"),
			TargetProvisionState: store.Active, DriverInternalInfo: store.Dict{"deploy_steps": two, "deploy_step_index": 0,
				"agent_url": "http://192.0.2.1", "agent_cached_deploy_steps": store.Dict{"deploy": []any{}}, "steps_validated": true}},
			state: store.Active, did: []string{"run two"}, events: []string{"provision_set.success", "provision_set.end"}},
	}
}

// crashed puts a row as a dead run of host left it, still reserved.
func (w idleWorker) crashed(t *testing.T, c interrupted, host string) *store.Node {
	t.Helper()
	n := w.enroll(t, func(n *store.Node) {
		*n = c.node
		n.Driver, n.PowerState = "fake-hardware", store.PowerOff
		n.DriverInternalInfo = c.node.DriverInternalInfo.Clone()
		if n.DriverInternalInfo == nil {
			n.DriverInternalInfo = store.Dict{}
		}
		m := store.Dict{markHost: host, markNumber: 1}
		for key, value := range c.mark {
			m[key] = value
		}
		n.DriverInternalInfo[keyEpoch] = m
	})
	if _, err := w.db.Reserve(t.Context(), n.UUID, host); err != nil {
		t.Fatal(err)
	}
	return n
}

func (s *script) usualSteps() behaviour {
	steps := []drivers.Step{s.noting("one", 90), s.noting("two", 80)}
	return behaviour{steps: map[drivers.StepKind][]drivers.Step{drivers.DeployStep: steps, drivers.CleanStep: steps},
		status: func() (drivers.StepStatus, error) { return drivers.StepStatus{State: drivers.StepSucceeded}, nil }}
}

// checkResumed waits until a flow has gone on and looks at what was done for it.
func (w *worker) checkResumed(t *testing.T, n *store.Node, c interrupted) {
	t.Helper()
	waitUntil(t, "the flow belongs to "+w.cfg.Host, func() bool {
		now := w.row(t, n.UUID)
		return now.Reservation == "" && now.ProvisionState == c.state && (mark(now) == nil || markedBy(now, w.cfg.Host))
	})
	got := w.row(t, n.UUID)
	equal(t, "last error", got.LastError, "")
	var did []string
	for _, call := range w.script.did() {
		for _, kind := range []string{"run ", "resume ", "agent.resume", "agent.reboot", "finish install", "deploy.", "cleaning.", "rescue", "unrescue", "inspect."} {
			if strings.HasPrefix(call, kind) {
				did = append(did, call)
			}
		}
	}
	if !slices.Equal(did, c.did) {
		t.Errorf("it did %q, want %q", did, c.did)
	}
	w.announced(t, n.UUID, c.events...)
	_, owes := got.DriverInternalInfo[keyOwed]
	equal(t, "owes an announcement", owes, false)
}

func TestOwnFlowsGoOnAtAStart(t *testing.T) {
	for _, c := range interruptedFlows() {
		if c.takeover {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.script.use(r.script.usualSteps())
			before := idleOn(t, r)
			n := before.crashed(t, c, "worker-1")
			before.closeMemory()
			r.start(t).checkResumed(t, n, c)
		})
	}
}

func TestFlowsOfLostWorkersAreTakenOver(t *testing.T) {
	for _, c := range interruptedFlows() {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.script.use(r.script.usualSteps())
			w := r.start(t)
			w.exec(t, "INSERT INTO conductors (id, hostname, online, updated_at) VALUES (99, 'worker-0', 1, ?)",
				time.Now().UTC().Add(-time.Hour).Format(time.DateTime))
			n := (idleWorker{worker: w}).crashed(t, c, "worker-0")
			if err := w.takeOverFlows(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.checkResumed(t, n, c)
			x, _, _ := w.explain(t, n.UUID)
			if missing := inOrder(x.lines(), []string{"worker goes on with the flow of worker-0, which is gone"}); missing != "" {
				t.Errorf("%q is missing in %q", missing, x.lines())
			}
		})
	}
}

// A worker that has stopped in order lets its flows go at once. One that has left the ring and drains keeps them.
func TestFlowsOfAWorkerThatStoppedAreTakenOverAtOnce(t *testing.T) {
	r := newRig(t, nil)
	r.script.use(r.script.usualSteps())
	w := r.start(t)
	other := r.peer(t, "worker-0")
	other.db = sqltest.OpenAt(t, r.url, nil)
	if _, err := other.db.Register(t.Context(), &store.Conductor{Hostname: "worker-0"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := other.db.Unregister(t.Context(), "worker-0"); err != nil {
		t.Fatal(err)
	}
	var left []*store.Node
	for _, c := range interruptedFlows() {
		n := (idleWorker{worker: w}).crashed(t, c, "worker-0")
		if err := w.db.Release(t.Context(), n.ID, "worker-0"); err != nil {
			t.Fatal(err)
		}
		left = append(left, n)
	}
	if err := w.takeOverFlows(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.unlocked(t)
	for i, c := range interruptedFlows() {
		equal(t, c.name+" is left", markedBy(w.row(t, left[i].UUID), "worker-0"), true)
	}
	if err := errors.Join(other.db.Retire(t.Context(), "worker-0", r.cfg.HeartbeatTimeout), w.takeOverFlows(t.Context())); err != nil {
		t.Fatal(err)
	}
	for i, c := range interruptedFlows() {
		waitUntil(t, c.name+" goes on", func() bool {
			n := w.row(t, left[i].UUID)
			return n.Reservation == "" && n.ProvisionState == c.state && !markedBy(n, "worker-0")
		})
	}
}

// A Python conductor marks nothing, and lets go of a node between two parts of its flow.
func TestFlowsOfPythonConductorsAreNotTakenOver(t *testing.T) {
	w := startWorker(t, nil)
	for _, c := range interruptedFlows() {
		n := (idleWorker{worker: w}).crashed(t, c, "")
		if err := errors.Join(w.db.Release(t.Context(), n.ID, ""), w.takeOverFlows(t.Context())); err != nil {
			t.Fatal(err)
		}
		w.unlocked(t)
		got := w.row(t, n.UUID)
		equal(t, c.name, got.ProvisionState, c.node.ProvisionState)
		equal(t, "marked", mark(got).String(markHost), "")
	}
}

// A worker whose flow is under way elsewhere is left alone, whoever the ring says should have the node.
func TestFlowsOfLivingWorkersAreLeftToThem(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HashRingResetInterval = 0 })
	addPeer(t, r)
	w := r.start(t)
	for _, c := range interruptedFlows() {
		n := (idleWorker{worker: w}).crashed(t, c, "worker-2")
		if err := w.takeOverFlows(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.unlocked(t)
		got := w.row(t, n.UUID)
		equal(t, c.name, got.ProvisionState, c.node.ProvisionState)
		equal(t, "reservation", got.Reservation, "worker-2")
	}
}

// A stop leaves a flow where it is, without a word of failure, and the next start goes on with it.
func TestAStopHandsFlowsToTheNextStart(t *testing.T) {
	r := newRig(t, func(c *Config) { c.GracefulShutdownTimeout = 0 })
	w := r.start(t)
	running := make(chan struct{})
	stuck := drivers.Step{Interface: drivers.TypeDeploy, Name: "one", Priority: 90,
		Run: func(ctx context.Context, _ *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
			close(running)
			<-ctx.Done()
			return drivers.Done, errors.New("cut off")
		}}
	w.script.use(behaviour{steps: deploySteps(stuck)})
	n := w.available(t, nil)
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
	<-running
	w.stop()
	left, err := r.db.Node(t.Context(), n.UUID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "provision state", left.ProvisionState, store.Deploying)
	equal(t, "reservation", left.Reservation, "")
	equal(t, "last error", left.LastError, "")
	r.script.use(behaviour{steps: deploySteps(r.script.noting("one", 90))})
	w = r.start(t)
	w.settled(t, n.UUID, store.Active)
	equal(t, "how the step went on", fmt.Sprint(w.script.did("run one", "resume one")), "[resume one]")
}

// What a user gives with a request is in the row from the first moment on.
func TestADeploymentFindsWhatItsRequestBrought(t *testing.T) {
	r := newRig(t, nil)
	w := r.start(t)
	prepared := make(chan struct{})
	w.script.use(behaviour{steps: deploySteps(w.script.noting("one", 90), w.script.noting("extra", 0)),
		prepare: func(*drivers.Task) error { <-prepared; return nil }})
	n := w.available(t, nil)
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID, "configdrive": "ZHJpdmU=", "deploy_steps": []any{
		store.Dict{"interface": "deploy", "step": "extra", "args": store.Dict{}, "priority": 50}}})
	row := w.row(t, n.UUID)
	equal(t, "config drive", row.InstanceInfo.String("configdrive"), "ZHJpdmU=")
	equal(t, "steps given", len(row.DriverInternalInfo.List(keyUserSteps)), 1)
	close(prepared)
	w.settled(t, n.UUID, store.Active)
	equal(t, "steps", fmt.Sprint(w.script.did("run one", "run extra")), "[run one run extra]")
}

// A request that began its flow before the restart is not run again; one that did not is.
func TestARequestThatBeganItsFlowIsNotRunAgain(t *testing.T) {
	r := newRig(t, nil)
	r.script.use(r.script.usualSteps())
	before := idleOn(t, r)
	n := before.crashed(t, interruptedFlows()[2], "worker-1")
	before.exec(t, "UPDATE nodes SET driver_internal_info = REPLACE(driver_internal_info, '\"number\": 1', "+
		"'\"number\": 1, \"call\": \"req-1\", \"origin\": \"worker-1\"') WHERE uuid = ?", n.UUID)
	body := cast(t, "do_node_deploy", "req-1", map[string]any{"node_id": n.UUID, "rebuild": true})
	if _, err := before.local.Accept(local.Call{ID: "req-1", Body: body, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	before.closeMemory()
	w := r.start(t)
	w.settled(t, n.UUID, store.Active)
	waitUntil(t, "the inbox is empty", func() bool {
		calls, err := w.local.Pending()
		return err == nil && len(calls) == 0
	})
	equal(t, "steps", fmt.Sprint(w.script.did("run one", "resume one", "run two")), "[resume one run two]")
}

// A flow had failed, and its worker died before the node was left in order: whoever comes next does that.
func TestAFailureThatWasCutShortIsEnded(t *testing.T) {
	for _, c := range []struct {
		name      string
		node      store.Node
		did, text string
	}{
		{"an aborted cleaning", store.Node{ProvisionState: store.CleanFail, CleanStep: begun("one"), LastError: "By request, the clean " +
			"operation was aborted"}, "cleaning.tear down", `By request, the clean operation was aborted during or after the completion of ` +
			`step "deploy.one"`},
		{"a cleaning that timed out", store.Node{ProvisionState: store.CleanFail, CleanStep: begun("one")}, "cleaning.tear down",
			"The operation failed, and its conductor was lost before it had left the node in order"},
		{"an aborted deployment", store.Node{ProvisionState: store.DeployFail, DeployStep: begun("one"),
			DriverInternalInfo: store.Dict{keyGivenUp: true}}, "deploy.clean up",
			`By request, the deploy operation was aborted during or after the completion of step "deploy.one"`},
		{"a deployment that timed out", store.Node{ProvisionState: store.DeployFail, DeployStep: begun("one")}, "deploy.clean up",
			"The operation failed, and its conductor was lost before it had left the node in order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			before := idleOn(t, r)
			n := before.crashed(t, interrupted{node: c.node}, "worker-1")
			before.closeMemory()
			w := r.start(t)
			waitUntil(t, "the step is gone", func() bool {
				got := w.row(t, n.UUID)
				return got.Reservation == "" && len(got.CleanStep)+len(got.DeployStep) == 0
			})
			equal(t, "last error", w.row(t, n.UUID).LastError, c.text)
			equal(t, "torn down", slices.Contains(w.script.did(), c.did), true)
		})
	}
}

// What the row keeps of a flow goes when the node is at rest, but for the request of another worker's inbox.
// A request that a flow goes on with, such as what a ramdisk found, leaves the one in mind that began it on another worker.
func TestARequestIsRememberedBesideTheOneThatGoesOn(t *testing.T) {
	w := idle(t, nil)
	n := w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.TargetProvisionState = store.Deploying, store.Active
		n.DriverInternalInfo = store.Dict{keyEpoch: store.Dict{markHost: "worker-1", markNumber: 1, markCall: "req-1", markOrigin: "worker-0"}}
	})
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	for _, id := range []string{"req-2", "req-3", "req-3"} {
		held.markRequest(withCall(t.Context(), &acceptedCall{id: id}))
	}
	if err := held.save(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun, err := w.begunCalls(t.Context())
	if err != nil || len(begun) != 2 || !begun["req-2"] || !begun["req-3"] {
		t.Errorf("this worker's requests are %v, %v", begun, err)
	}
	if err := errors.Join(held.processEvent(t.Context(), eventDone, eventOptions{}), held.release(t.Context())); err != nil {
		t.Fatal(err)
	}
	if got, want := mark(w.row(t, n.UUID)), (store.Dict{markCall: "req-1", markOrigin: "worker-0"}); !reflect.DeepEqual(got, want) {
		t.Errorf("at rest the row keeps %v, want %v", got, want)
	}
}

func TestWhatTheRowKeepsOfAFlow(t *testing.T) {
	w := idle(t, nil)
	for origin, kept := range map[string]bool{"worker-1": false, "worker-0": true} {
		n := w.enroll(t, func(n *store.Node) {
			n.ProvisionState, n.TargetProvisionState = store.Deploying, store.Active
			n.DriverInternalInfo = store.Dict{"ironmaster_original": store.Dict{"source": "x"}, keyEpoch: store.Dict{
				markHost: "worker-1", markNumber: 1, markCall: "req-1", markOrigin: origin, markTries: 2}}
		})
		held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
		if err := errors.Join(held.processEvent(t.Context(), eventDone, eventOptions{}), held.release(t.Context())); err != nil {
			t.Fatal(err)
		}
		info := w.row(t, n.UUID).DriverInternalInfo
		equal(t, "request of "+origin+" kept", info.Dict(keyEpoch).String(markCall) == "req-1", kept)
		equal(t, "host kept", info.Dict(keyEpoch)[markHost] != nil, false)
		equal(t, "the image's original kept", info["ironmaster_original"] != nil, false)
	}
}

// A reservation that could not be given back, because the database was away, is given back later.
func TestAReservationLeftBehindIsFreed(t *testing.T) {
	w := idle(t, nil)
	n := w.enroll(t, nil)
	if _, err := w.db.Reserve(t.Context(), n.UUID, "worker-1"); err != nil {
		t.Fatal(err)
	}
	_, err := w.lockExclusive(t.Context(), oslo.AdminContext(), n.UUID, lockMode{purpose: "a test", attempts: 1})
	equal(t, "kind", store.KindOf(err), store.NodeLocked)
	w.leftBehind.add(n.UUID)
	if err := w.freeLeftBehind(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "reservation", w.row(t, n.UUID).Reservation, "")
	equal(t, "left behind", len(w.leftBehind.list()), 0)
}
