package conductor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// withNode fills a node's UUID in for %s.
func withNode(text, node string) string { return strings.ReplaceAll(text, "%s", node) }

func cleanSteps(steps ...drivers.Step) map[drivers.StepKind][]drivers.Step {
	return map[drivers.StepKind][]drivers.Step{drivers.CleanStep: steps}
}

func TestProvide(t *testing.T) {
	broken := errors.New("smoke")
	for _, c := range []struct {
		name      string
		automated bool
		node      func(*store.Node)
		acts      behaviour
		state     string
		lastError string
		fault     string
		did       string
	}{
		{name: "with cleaning", automated: true, state: store.Available, did: "cleaning.prepare, cleaning.tear down",
			acts: behaviour{steps: cleanSteps(step("erase", 10, drivers.Done, nil), step("off", 0, drivers.Done, broken))}},
		{name: "switched off for all", state: store.Available},
		{name: "switched off for all but this one", node: func(n *store.Node) { n.AutomatedClean = pointer(true) },
			state: store.Available, did: "cleaning.prepare, cleaning.tear down"},
		{name: "switched off for this one", automated: true, node: func(n *store.Node) { n.AutomatedClean = pointer(false) },
			state: store.Available},
		{name: "a node whose retirement came meanwhile", automated: true, state: store.Manageable,
			did: "cleaning.prepare, cleaning.tear down",
			acts: behaviour{prepareCleaning: func(t *drivers.Task) (drivers.Outcome, error) {
				t.Node.Retired = pointer(true)
				return drivers.Done, nil
			}}},
		{name: "settings that don't do", automated: true, acts: behaviour{networkValidate: func() error { return broken }},
			state: store.CleanFail, lastError: "Validation of node %s for cleaning failed: smoke", did: "cleaning.tear down"},
		{name: "a preparation that fails", automated: true, state: store.CleanFail,
			acts:      behaviour{prepareCleaning: func(*drivers.Task) (drivers.Outcome, error) { return drivers.Done, broken }},
			lastError: "Failed to prepare node %s for cleaning: smoke", did: "cleaning.prepare, cleaning.tear down"},
		{name: "a step that fails", automated: true, acts: behaviour{steps: cleanSteps(step("erase", 10, drivers.Done, broken))},
			state: store.CleanFail, fault: store.FaultClean, did: "cleaning.prepare, agent.logs cleaning, cleaning.tear down",
			lastError: "Node %s failed step {'step': 'erase', 'priority': 10, 'abortable': False, " +
				"'argsinfo': None, 'interface': 'deploy', 'requires_ramdisk': False}: smoke"},
		{name: "a step and the tear-down that fail", automated: true, state: store.CleanFail, fault: store.FaultClean,
			acts: behaviour{steps: cleanSteps(step("erase", 10, drivers.Done, broken)),
				tearDownCleaning: func(*drivers.Task) error { return broken }},
			did: "cleaning.prepare, agent.logs cleaning, cleaning.tear down",
			lastError: "Node %s failed step {'step': 'erase', 'priority': 10, 'abortable': False, " +
				"'argsinfo': None, 'interface': 'deploy', 'requires_ramdisk': False}: smoke. Also failed to tear down cleaning."},
		{name: "a tear-down that fails", automated: true, state: store.CleanFail,
			acts:      behaviour{tearDownCleaning: func(*drivers.Task) error { return broken }},
			lastError: "Failed to tear down from cleaning for node %s, reason: smoke", did: "cleaning.prepare, cleaning.tear down"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, func(cfg *Config) { cfg.AutomatedClean = c.automated })
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState = store.Manageable
				if c.node != nil {
					c.node(n)
				}
			})
			w.script.use(c.acts)
			w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "provide"})
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, withNode(c.lastError, n.UUID))
			equal(t, "fault", got.Fault, c.fault)
			equal(t, "maintenance", got.Maintenance, c.fault != "")
			equal(t, "did", strings.Join(w.script.did(), ", "), c.did)
			equal(t, "clean step", len(got.CleanStep), 0)
			for _, key := range []string{"clean_step_index", "cleaning_reboot", "skip_current_clean_step", keyEpoch} {
				if v, there := got.DriverInternalInfo[key]; there {
					t.Errorf("%s is left: %v", key, v)
				}
			}
			if c.fault != "" {
				equal(t, "maintenance reason", *got.MaintenanceReason, got.LastError)
			}
			if c.state == store.CleanFail {
				equal(t, "target", got.TargetProvisionState, store.Available)
			}
		})
	}
}

func TestProvideRefusals(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.AllowProvisioningInMaintenance = false })
	sick := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.Maintenance = store.Manageable, true })
	equal(t, "refusal", w.refused(t, store.NodeInMaintenance, "do_provisioning_action",
		map[string]any{"node_id": sick.UUID, "action": "provide"}),
		"The providing operation can't be performed on node "+sick.UUID+" because it's in maintenance mode.")
	old := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.Retired = store.Manageable, pointer(true) })
	w.refused(t, store.NodeIsRetired, "do_provisioning_action", map[string]any{"node_id": old.UUID, "action": "provide"})
	for _, action := range []string{"provide", "abort", "adopt", "dance", "unhold"} {
		n := w.enroll(t, nil)
		equal(t, "refusal", w.refused(t, store.InvalidStateRequested, "do_provisioning_action",
			map[string]any{"node_id": n.UUID, "action": action}), `The requested action "`+action+
			`" can not be performed on node "`+n.UUID+`" while it is in state "enroll".`)
	}
	w.unlocked(t)
}

func TestManualClean(t *testing.T) {
	w := startWorker(t, nil)
	erase, raid := step("erase", 10, drivers.Done, nil), step("raid", 0, drivers.Done, nil)
	erase.Abortable = true
	raid.Args = map[string]drivers.StepArg{"level": {Description: "of the array", Required: true}, "spare": {}}
	inBand := step("burn", 0, drivers.Done, nil)
	inBand.RequiresRamdisk = true
	offered := cleanSteps(erase, raid, inBand)
	one := func(step store.Dict) []any { return []any{step} }
	for _, c := range []struct {
		name      string
		steps     []any
		disable   bool
		lastError string
	}{
		{name: "a step that nothing else would run", steps: one(store.Dict{"interface": "deploy", "step": "raid",
			"args": store.Dict{"level": "1"}})},
		{name: "without a ramdisk", steps: one(store.Dict{"interface": "deploy", "step": "erase"}), disable: true},
		{name: "no steps", steps: []any{}},
		{name: "a step that needs a ramdisk", steps: one(store.Dict{"interface": "deploy", "step": "burn"}), disable: true,
			lastError: "Cannot clean node %s: clean step {'interface': 'deploy', 'step': 'burn'} requires booting a ramdisk"},
		{name: "an unknown step", steps: one(store.Dict{"interface": "deploy", "step": "wash"}),
			lastError: "Cannot clean node %s: node does not support this clean step: {'interface': 'deploy', 'step': 'wash'}"},
		{name: "an unknown argument", steps: one(store.Dict{"interface": "deploy", "step": "erase",
			"args": store.Dict{"times": "3"}}), lastError: "Cannot clean node %s: clean step {'args': {'times': '3'}, " +
			"'interface': 'deploy', 'step': 'erase'} has these unexpected arguments: times"},
		{name: "a missing argument", steps: one(store.Dict{"interface": "deploy", "step": "raid"}),
			lastError: "Cannot clean node %s: clean step {'interface': 'deploy', 'step': 'raid'} is missing these required " +
				"arguments: level (of the array)"},
		{name: "a step that is none", steps: []any{nil},
			lastError: "Cannot clean node %s: 'NoneType' object is not subscriptable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.script.use(behaviour{steps: offered})
			n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
			w.must(t, "do_node_clean", map[string]any{"node_id": n.UUID, "clean_steps": c.steps, "disable_ramdisk": c.disable})
			if c.lastError == "" {
				got := w.settled(t, n.UUID, store.Manageable)
				equal(t, "last error", got.LastError, "")
				equal(t, "a ramdisk was prepared", slices.Contains(w.script.did(), "cleaning.prepare"), !c.disable)
				return
			}
			got := w.settled(t, n.UUID, store.CleanFail)
			equal(t, "last error", got.LastError, withNode(c.lastError, n.UUID))
			equal(t, "target", got.TargetProvisionState, store.Manageable)
			equal(t, "maintenance", got.Maintenance, false)
		})
	}
	w.unlocked(t)
}

func TestManualCleanRefusals(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.MaxConcurrentClean = 1 })
	clean := func(n *store.Node) map[string]any { return map[string]any{"node_id": n.UUID, "clean_steps": []any{}} }
	sick := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.Maintenance = store.Manageable, true })
	w.refused(t, store.NodeInMaintenance, "do_node_clean", clean(sick))
	available := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Available })
	equal(t, "refusal", w.refused(t, store.InvalidStateRequested, "do_node_clean", clean(available)),
		`The requested action "manual clean" can not be performed on node "`+available.UUID+`" while it is in state "available".`)
	w.script.use(behaviour{networkValidate: func() error { return store.Errorf(store.InvalidParameterValue, "no network") }})
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	equal(t, "refusal", w.refused(t, store.InvalidParameterValue, "do_node_clean", clean(n)),
		"Validation of node "+n.UUID+" for cleaning failed: no network")
	w.enroll(t, func(n *store.Node) { n.ProvisionState = store.CleanWait })
	w.refused(t, store.ConcurrentActionLimit, "do_node_clean", clean(n))
	w.refused(t, store.ConcurrentActionLimit, "do_node_tear_down", map[string]any{"node_id": n.UUID})
	equal(t, "provision state", w.row(t, n.UUID).ProvisionState, store.Manageable)
	w.unlocked(t)
}

func TestAbort(t *testing.T) {
	w := startWorker(t, nil)
	abortable := step("erase", 10, drivers.Waiting, nil)
	abortable.Abortable = true
	unlucky := errors.New("smoke")
	abort := func(n *store.Node) {
		w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "abort"})
	}
	begin := func(t *testing.T, first drivers.Step, acts behaviour) *store.Node {
		t.Helper()
		acts.steps = cleanSteps(first, step("second", 5, drivers.Done, nil))
		w.script.use(acts)
		n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
		w.must(t, "do_node_clean", map[string]any{"node_id": n.UUID, "clean_steps": []any{
			store.Dict{"interface": "deploy", "step": first.Name}, store.Dict{"interface": "deploy", "step": "second"}}})
		return w.settled(t, n.UUID, store.CleanWait)
	}
	t.Run("at once", func(t *testing.T) {
		n := begin(t, abortable, behaviour{})
		equal(t, "clean step", stepID(n.CleanStep), "deploy.erase")
		abort(n)
		got := w.settled(t, n.UUID, store.CleanFail)
		equal(t, "last error", got.LastError,
			`By request, the clean operation was aborted during or after the completion of step "deploy.erase"`)
		equal(t, "target", got.TargetProvisionState, store.Manageable)
		equal(t, "clean step", len(got.CleanStep), 0)
		equal(t, "maintenance", got.Maintenance, false)
	})
	t.Run("with a tear-down that fails", func(t *testing.T) {
		n := begin(t, abortable, behaviour{tearDownCleaning: func(*drivers.Task) error { return unlucky }})
		abort(n)
		got := w.settled(t, n.UUID, store.CleanFail)
		equal(t, "last error", got.LastError, "Failed to tear down cleaning after aborting the operation")
		equal(t, "maintenance", got.Maintenance, true)
	})
	t.Run("after the step", func(t *testing.T) {
		n := begin(t, step("erase", 10, drivers.Waiting, nil), behaviour{})
		abort(n)
		abort(n)
		got := w.settled(t, n.UUID, store.CleanWait)
		equal(t, "abort after", got.CleanStep.Bool("abort_after", false), true)
		w.must(t, "continue_node_clean", map[string]any{"node_id": n.UUID})
		got = w.settled(t, n.UUID, store.CleanFail)
		equal(t, "last error", got.LastError,
			`By request, the clean operation was aborted during or after the completion of step "deploy.erase"`)
	})
	t.Run("after the last step", func(t *testing.T) {
		w.script.use(behaviour{steps: cleanSteps(step("erase", 10, drivers.Waiting, nil))})
		n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
		w.must(t, "do_node_clean", map[string]any{"node_id": n.UUID, "clean_steps": []any{
			store.Dict{"interface": "deploy", "step": "erase"}}})
		abort(w.settled(t, n.UUID, store.CleanWait))
		w.must(t, "continue_node_clean", map[string]any{"node_id": n.UUID})
		equal(t, "last error", w.settled(t, n.UUID, store.Manageable).LastError, "")
	})
}

func TestFailedCleaningSwitchesTheNodeOffWhereThatIsWanted(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.PowerOffInCleanFail = true })
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Manageable, store.PowerOn })
	w.script.use(behaviour{steps: cleanSteps(step("erase", 10, drivers.Done, errors.New("smoke")))})
	w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "provide"})
	got := w.settled(t, n.UUID, store.CleanFail)
	equal(t, "power state", got.PowerState, store.PowerOff)
	equal(t, "why it failed is kept", strings.HasSuffix(got.LastError, "smoke"), true)
}
