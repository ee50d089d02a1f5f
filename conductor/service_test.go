package conductor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// bootsAgent is a ramdisk that has to boot.
func bootsAgent(*drivers.Task) (drivers.Outcome, error) { return drivers.Waiting, nil }

func serviceSteps(steps ...drivers.Step) map[drivers.StepKind][]drivers.Step {
	return map[drivers.StepKind][]drivers.Step{drivers.ServiceStep: steps}
}

func asked(names ...string) []any {
	var steps []any
	for _, name := range names {
		steps = append(steps, store.Dict{"interface": "deploy", "step": name})
	}
	return steps
}

func TestServicing(t *testing.T) {
	smoke := errors.New("smoke")
	free := func(s drivers.Step) drivers.Step { s.RequiresRamdisk = false; return s }
	ramdisk := func(s drivers.Step) drivers.Step { s.RequiresRamdisk = true; return s }
	one, two := step("one", 0, drivers.Done, nil), step("two", 0, drivers.Done, nil)
	for _, c := range []struct {
		name    string
		release messaging.Release
		acts    behaviour
		steps   []any
		without any
		state   string
		text    string
		fault   string
		did     string
	}{
		{name: "steps that are done", release: messaging.V2025_1, acts: behaviour{steps: serviceSteps(one, two)},
			steps: asked("one", "two"), state: store.Active, did: "service.prepare, service.tear down"},
		{name: "steps without a ramdisk", release: messaging.V2025_1, acts: behaviour{steps: serviceSteps(free(one))},
			steps: asked("one"), without: true, state: store.Active},
		{name: "a step that needs the ramdisk that is not wanted", release: messaging.V2025_1, steps: asked("one"), without: true,
			acts: behaviour{steps: serviceSteps(ramdisk(one))}, state: store.ServiceFail, did: "service.tear down",
			text: "Cannot service node %s: service step {'interface': 'deploy', 'step': 'one'} requires booting a ramdisk"},
		{name: "a step that nobody knows", release: messaging.V2025_1, steps: asked("three"), state: store.ServiceFail,
			acts: behaviour{steps: serviceSteps(one)}, did: "service.prepare, service.tear down",
			text: "Cannot service node %s: node does not support this service step: {'interface': 'deploy', 'step': 'three'}"},
		{name: "reserved steps, which are left out", release: messaging.V2025_1, acts: behaviour{steps: serviceSteps(one)},
			steps: asked("hold", "one", "reboot"), state: store.Active, did: "service.prepare, service.tear down"},
		{name: "a ramdisk that boots", release: messaging.V2025_1, steps: asked("one"), state: store.ServiceWait,
			acts: behaviour{steps: serviceSteps(one), prepareService: bootsAgent}, did: "service.prepare"},
		{name: "a ramdisk that does not", release: messaging.V2025_1, steps: asked("one"), state: store.ServiceFail,
			acts: behaviour{prepareService: func(*drivers.Task) (drivers.Outcome, error) { return drivers.Done, smoke }},
			text: "Failed to prepare node %s for service: smoke", did: "service.prepare, service.tear down"},
		{name: "a step that waits", release: messaging.V2025_1, steps: asked("one"), state: store.ServiceWait,
			acts: behaviour{steps: serviceSteps(step("one", 0, drivers.Waiting, nil))}, did: "service.prepare"},
		{name: "a step that fails", release: messaging.V2025_1, steps: asked("one"), state: store.ServiceFail, fault: store.FaultService,
			acts: behaviour{steps: serviceSteps(step("one", 0, drivers.Done, smoke))},
			text: "Node %s failed step {'interface': 'deploy', 'step': 'one', 'abortable': False, 'priority': 0}: smoke",
			did:  "service.prepare, agent.logs service, service.tear down"},
		{name: "a ramdisk that stays", release: messaging.V2025_1, steps: asked("one"), state: store.ServiceFail,
			acts: behaviour{steps: serviceSteps(one), tearDownService: func(*drivers.Task) error { return smoke }},
			text: "Failed to tear down from service for node %s, reason: smoke", did: "service.prepare, service.tear down"},
		{name: "newest: steps that say nothing of a ramdisk", release: messaging.Newest, acts: behaviour{steps: serviceSteps(ramdisk(one))},
			steps: asked("one"), state: store.Active},
		{name: "newest: a step that says that it needs one", release: messaging.Newest, state: store.ServiceWait, did: "service.prepare",
			acts:  behaviour{steps: serviceSteps(one), prepareService: bootsAgent},
			steps: []any{store.Dict{"interface": "deploy", "step": "one", "requires_ramdisk": true}}},
		{name: "newest: a step that only the agent may know", release: messaging.Newest, steps: asked("three"), state: store.ServiceWait,
			acts: behaviour{steps: serviceSteps(one), prepareService: bootsAgent}, did: "service.prepare"},
		{name: "newest: one that nobody can know", release: messaging.Newest, steps: asked("three"), without: true,
			state: store.ServiceFail, acts: behaviour{steps: serviceSteps(one)}, did: "service.tear down",
			text: "Cannot service node %s: node does not support this service step: {'interface': 'deploy', 'step': 'three'}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := on(t, c.release)
			w.script.use(c.acts)
			n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Active })
			w.must(t, "do_node_service", map[string]any{"node_id": n.UUID, "service_steps": c.steps, "disable_ramdisk": c.without})
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, withNode(c.text, n.UUID))
			equal(t, "fault", got.Fault, c.fault)
			equal(t, "maintenance", got.Maintenance, c.fault != "")
			if c.state == store.Active {
				equal(t, "steps left", got.DriverInternalInfo["service_steps"] == nil && len(got.ServiceStep) == 0, true)
				equal(t, "target", got.TargetProvisionState, "")
			}
			equal(t, "did", strings.Join(w.script.did("service.prepare", "service.tear down", "agent.logs service"), ", "), c.did)
			w.unlocked(t)
		})
	}
}

func TestServicingRefusals(t *testing.T) {
	w := on(t, messaging.V2025_1)
	service := func(change func(*store.Node)) map[string]any {
		return map[string]any{"service_steps": asked("one"), "node_id": w.enroll(t, func(n *store.Node) {
			n.ProvisionState = store.Active
			change(n)
		}).UUID}
	}
	args := service(func(n *store.Node) { n.Maintenance = true })
	equal(t, "refusal", w.refused(t, store.NodeInMaintenance, "do_node_service", args),
		"The service operation can't be performed on node "+args["node_id"].(string)+" because it's in maintenance mode.")
	args = service(func(n *store.Node) { n.ProvisionState = store.Available })
	equal(t, "refusal", w.refused(t, store.InvalidStateRequested, "do_node_service", args),
		`The requested action "service" can not be performed on node "`+args["node_id"].(string)+`" while it is in state "available".`)
	w.script.use(behaviour{networkValidate: func() error { return store.Errorf(store.InvalidParameterValue, "no network") }})
	args = service(func(*store.Node) {})
	equal(t, "refusal", w.refused(t, store.InvalidParameterValue, "do_node_service", args),
		"Validation of node "+args["node_id"].(string)+" for servicing failed: no network")
	args = service(func(*store.Node) {})
	delete(args, "service_steps")
	equal(t, "refusal", w.refused(t, store.InvalidStateRequested, "continue_node_service", args), "Cannot continue servicing on "+
		args["node_id"].(string)+". Node is in active state; should be in one of service wait, servicing")
	w.unlocked(t)
}

func TestServicingIsUnknownToOldReleases(t *testing.T) {
	w := startWorker(t, nil)
	for _, method := range []string{"do_node_service", "continue_node_service"} {
		reply := w.call(t, method, map[string]any{"node_id": "33333333-3333-3333-3333-333333333333", "service_steps": []any{}})
		if reply.Failure == nil || !strings.Contains(reply.Failure.Message, "does not support RPC method "+method) {
			t.Errorf("%s answers %s, %+v", method, reply.Result, reply.Failure)
		}
	}
}

// awaitsAgent is a node in "service wait" with a step, if any.
func (w *worker) awaitsAgent(t *testing.T, current store.Dict, list []any, change func(*store.Node)) *store.Node {
	t.Helper()
	return w.waiting(t, store.ServiceWait, func(n *store.Node) {
		n.ServiceStep = current
		n.DriverInternalInfo["service_steps"] = list
		if current != nil {
			n.DriverInternalInfo["service_step_index"] = 0
		}
		if change != nil {
			change(n)
		}
	})
}

func TestHeartbeatsMoveAServicingOn(t *testing.T) {
	w := on(t, messaging.V2025_1)
	smoke := errors.New("smoke")
	erase := store.Dict{"interface": "deploy", "step": "erase", "priority": 0}
	reboots := store.Dict{"interface": "deploy", "step": "erase", "priority": 0, "reboot_requested": true}
	status := func(s drivers.StepState) behaviour {
		return behaviour{status: func() (drivers.StepStatus, error) {
			return drivers.StepStatus{State: s, Error: "the agent's words"}, nil
		}, inBand: map[drivers.StepKind][]drivers.Step{
			drivers.ServiceStep: {{Interface: drivers.TypeDeploy, Name: "erase"}}}, steps: serviceSteps()}
	}
	for _, c := range []struct {
		name  string
		step  store.Dict
		node  func(*store.Node)
		acts  behaviour
		state string
		text  string
		did   string
	}{
		{name: "a ramdisk that has just booted", acts: status(drivers.StepNotStarted), state: store.ServiceWait,
			did: "agent.refresh service, agent.execute deploy.erase"},
		{name: "one that lists no steps", acts: behaviour{refresh: func() error { return smoke }}, state: store.ServiceFail,
			text: "Node failed to start the first service step: smoke", did: "agent.refresh service, service.tear down"},
		{name: "a step that runs", step: erase, acts: status(drivers.StepRunning), state: store.ServiceWait, did: "agent.status"},
		{name: "a step that is done", step: erase, acts: status(drivers.StepSucceeded), state: store.Active,
			did: "agent.status, service.tear down"},
		{name: "a step that failed", step: erase, acts: status(drivers.StepFailed), state: store.ServiceFail,
			text: "Service step deploy.erase failed on node %s. the agent's words",
			did:  "agent.status, agent.logs , service.tear down"},
		{name: "a step that wants a reboot", step: reboots, acts: status(drivers.StepSucceeded), state: store.ServiceWait,
			did: "agent.status, agent.reboot, power rebooting"},
		{name: "another version", step: erase, acts: status(drivers.StepVersionMismatch), state: store.ServiceWait,
			did: "agent.status, agent.refresh service, agent.execute deploy.erase"},
		{name: "a driver that polls by itself", step: erase, acts: status(drivers.StepSucceeded), state: store.ServiceWait,
			node: func(n *store.Node) { n.DriverInternalInfo["servicing_polling"] = true }},
		{name: "an agent that gives no answer", step: erase, state: store.ServiceFail,
			acts: behaviour{status: func() (drivers.StepStatus, error) { return drivers.StepStatus{}, smoke }},
			text: "Node failed to check service progress: smoke", did: "agent.status, service.tear down"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.script.use(c.acts)
			n := w.awaitsAgent(t, c.step, []any{map[string]any(erase)}, c.node)
			w.must(t, "heartbeat", beatArgs(n))
			w.unlocked(t)
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, withNode(c.text, n.UUID))
			equal(t, "maintenance", got.Maintenance, c.state == store.ServiceFail && c.step != nil)
			equal(t, "did", strings.Join(w.script.did(), ", "), c.did)
		})
	}
}

func TestServicingsAreGivenUp(t *testing.T) {
	erase := store.Dict{"interface": "deploy", "step": "erase"}
	abortable := store.Dict{"interface": "deploy", "step": "erase", "abortable": true}
	list := []any{map[string]any(erase)}
	both := []any{map[string]any(erase), map[string]any{"interface": "deploy", "step": "two"}}
	abort := func(w *worker, n *store.Node) {
		w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "abort"})
	}
	const afterErase = `By request, the service operation was aborted during or after the completion of step "deploy.erase"`
	t.Run("at once", func(t *testing.T) {
		w := on(t, messaging.Newest)
		n := w.awaitsAgent(t, abortable, list, nil)
		abort(w, n)
		waitUntil(t, "the node is in order", func() bool { return w.row(t, n.UUID).LastError == afterErase })
		got := w.settled(t, n.UUID, store.Active)
		equal(t, "step", len(got.ServiceStep), 0)
		equal(t, "steps", got.DriverInternalInfo["service_steps"] == nil, true)
		equal(t, "did", strings.Join(w.script.did("service.tear down"), ", "), "service.tear down")
	})
	t.Run("after the step", func(t *testing.T) {
		w := on(t, messaging.Newest)
		n := w.awaitsAgent(t, erase, list, nil)
		abort(w, n)
		abort(w, n)
		equal(t, "abort after", w.settled(t, n.UUID, store.ServiceWait).ServiceStep.Bool("abort_after", false), true)
		w.must(t, "continue_node_service", map[string]any{"node_id": n.UUID})
		equal(t, "last error", w.settled(t, n.UUID, store.ServiceFail).LastError, afterErase)
	})
	t.Run("after a step that others follow, up to 29.0", func(t *testing.T) {
		w := on(t, messaging.V2025_1)
		last := erase.Clone()
		last["abort_after"] = true
		n := w.awaitsAgent(t, last, both, nil)
		w.must(t, "continue_node_service", map[string]any{"node_id": n.UUID})
		equal(t, "last error", w.settled(t, n.UUID, store.ServiceFail).LastError, afterErase)
		n = w.awaitsAgent(t, last, list, nil)
		w.must(t, "continue_node_service", map[string]any{"node_id": n.UUID})
		equal(t, "last error after the last step", w.settled(t, n.UUID, store.Active).LastError, "")
	})
	t.Run("up to 29.0 without any work", func(t *testing.T) {
		w := on(t, messaging.V2025_1)
		n := w.awaitsAgent(t, erase, list, nil)
		abort(w, n)
		got := w.settled(t, n.UUID, store.ServiceFail)
		equal(t, "step", stepID(got.ServiceStep), "deploy.erase")
		equal(t, "did", len(w.script.did()), 0)
	})
	t.Run("when it has failed", func(t *testing.T) {
		w := on(t, messaging.Newest)
		n := w.awaitsAgent(t, nil, list, func(n *store.Node) { n.ProvisionState, n.Maintenance = store.ServiceFail, true })
		text := w.refused(t, store.InvalidState, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "abort"})
		equal(t, "refusal", strings.HasPrefix(text, `Can not abort service on node "`+n.UUID+`" while it is in maintenance mode.`), true)
		n = w.awaitsAgent(t, nil, list, func(n *store.Node) { n.ProvisionState = store.ServiceFail })
		abort(w, n)
		w.settled(t, n.UUID, store.Active)
	})
	t.Run("with a tear-down that fails", func(t *testing.T) {
		w := on(t, messaging.Newest)
		w.script.use(behaviour{tearDownService: func(*drivers.Task) error { return errors.New("smoke") }})
		n := w.awaitsAgent(t, abortable, list, nil)
		abort(w, n)
		got := w.settled(t, n.UUID, store.Active)
		equal(t, "last error", got.LastError, "Failed to tear down service after aborting the operation")
		equal(t, "fault", got.Fault, store.FaultService)
	})
}

// Ironic's flow goes on in "service wait", from which nothing ends well.
func TestAServicingThatIsUnheldFails(t *testing.T) {
	w := on(t, messaging.V2025_1)
	n := w.awaitsAgent(t, store.Dict{"interface": "power", "step": "hold"}, nil, func(n *store.Node) {
		n.ProvisionState = store.ServiceHold
		delete(n.DriverInternalInfo, "service_step_index")
	})
	w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "unhold"})
	got := w.settled(t, n.UUID, store.ServiceFail)
	equal(t, "last error", got.LastError, "Unexpected error when processing next service step. InvalidState: Can not transition from "+
		"state 'service wait' on event 'done' (no defined transition)")
	equal(t, "maintenance", got.Maintenance, false)
}

// What a servicing that was given up, or timed out, leaves in the row tells the next start that nobody has left the node in order.
func TestAServicingThatWasCutShortIsEnded(t *testing.T) {
	erase := store.Dict{"interface": "deploy", "step": "erase"}
	const given = `By request, the service operation was aborted during or after the completion of step "deploy.erase"`
	for _, c := range []struct{ name, state, lastError, want, fault string }{
		{"given up after its step", store.ServiceFail, given, given, ""},
		{"given up at once", store.Active, "", given, ""},
		{"timed out", store.ServiceFail, serviceTimedOut + "Failed.", serviceTimedOut + "Failed.", store.FaultService},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Release = messaging.Newest })
			first := r.start(t)
			first.stop()
			n := &store.Node{Driver: "fake-hardware", ProvisionState: c.state, LastError: c.lastError, Reservation: r.cfg.Host,
				ServiceStep: erase, DriverInternalInfo: store.Dict{"service_steps": []any{map[string]any(erase)}, keyGivenUp: c.state == store.Active}}
			if _, err := first.hardware.Fill(n); err != nil {
				t.Fatal(err)
			}
			if err := r.db.CreateNode(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			r.script.use(behaviour{})
			w := r.start(t)
			waitUntil(t, "the step is gone", func() bool {
				return len(w.row(t, n.UUID).ServiceStep) == 0 || w.row(t, n.UUID).LastError != c.lastError
			})
			w.unlocked(t)
			got := w.row(t, n.UUID)
			equal(t, "state", got.ProvisionState, c.state)
			equal(t, "last error", got.LastError, c.want)
			equal(t, "fault", got.Fault, c.fault)
			equal(t, "did", strings.Join(w.script.did("service.tear down"), ", "), "service.tear down")
		})
	}
}

func TestSilentServicingsFail(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.Release, c.ServiceCallbackTimeout = messaging.V2025_1, time.Hour })
	n := w.awaitsAgent(t, store.Dict{"interface": "deploy", "step": "erase"}, nil, nil)
	w.exec(t, "UPDATE nodes SET provision_updated_at = ? WHERE id = ?", time.Now().UTC().Add(-2*time.Hour).Format(time.DateTime), n.ID)
	if err := w.failSilentServices(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := w.settled(t, n.UUID, store.ServiceFail)
	equal(t, "last error", got.LastError, "Timeout reached while servicing the node. Please check if the ramdisk responsible for the "+
		"servicing is running on the node. Failed on step {'interface': 'deploy', 'step': 'erase'}.")
	equal(t, "fault", got.Fault, store.FaultService)
	equal(t, "target", got.TargetProvisionState, store.Active)
}
