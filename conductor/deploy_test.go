package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func deploySteps(steps ...drivers.Step) map[drivers.StepKind][]drivers.Step {
	return map[drivers.StepKind][]drivers.Step{drivers.DeployStep: steps}
}

// available enrolls a node that can be deployed.
func (w *worker) available(t *testing.T, change func(*store.Node)) *store.Node {
	t.Helper()
	return w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.PowerState = store.Available, store.PowerOff
		n.InstanceInfo = store.Dict{"image_source": "http://127.0.0.1/disk.raw"}
		if change != nil {
			change(n)
		}
	})
}

func TestDeployFailures(t *testing.T) {
	w := startWorker(t, nil)
	broken := errors.New("smoke")
	fails := func(*drivers.Task) error { return broken }
	for _, c := range []struct {
		name      string
		acts      behaviour
		lastError string
		cleanedUp bool
	}{
		{name: "preparing", acts: behaviour{prepare: fails}, lastError: "Failed to prepare to deploy: smoke"},
		{name: "no steps", acts: behaviour{steps: deploySteps()}, lastError: "No deploy steps returned by the driver",
			cleanedUp: true},
		{name: "only steps that are off", acts: behaviour{steps: deploySteps(step("one", 0, drivers.Done, nil))},
			lastError: "No deploy steps returned by the driver", cleanedUp: true},
		{name: "a step", acts: behaviour{steps: deploySteps(step("one", 9, drivers.Done, broken))},
			lastError: "Deploy step deploy.one failed: smoke.", cleanedUp: true},
		{name: "a step and cleaning up", acts: behaviour{steps: deploySteps(step("one", 9, drivers.Done, broken)),
			cleanUp: fails}, cleanedUp: true,
			lastError: "Deploy step deploy.one failed: smoke.. Also failed to clean up due to: smoke"},
		{name: "an agent that should be there", acts: behaviour{steps: deploySteps(step("one", 9, drivers.Done,
			store.Errorf(store.AgentConnectionFailed, "no answer")))}, lastError: "Deploy step deploy.one failed: no answer.",
			cleanedUp: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.available(t, nil)
			w.script.use(c.acts)
			w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
			got := w.settled(t, n.UUID, store.DeployFail)
			equal(t, "last error", got.LastError, c.lastError)
			equal(t, "target", got.TargetProvisionState, store.Active)
			equal(t, "cleaned up", slices.Contains(w.script.did(), "deploy.clean up"), c.cleanedUp)
			equal(t, "deploy step", len(got.DeployStep), 0)
			for _, key := range []string{"deploy_step_index", "user_deploy_steps", "steps_validated", keyEpoch} {
				if v, there := got.DriverInternalInfo[key]; there {
					t.Errorf("%s is left: %v", key, v)
				}
			}
			equal(t, "image source", got.InstanceInfo.String("image_source"), n.InstanceInfo.String("image_source"))
			w.announced(t, n.UUID, "provision_set.start", "provision_set.error")
		})
	}
	w.unlocked(t)
}

// A deployment shows in the row where it stands: before each step, while it waits, and after its end.
func TestDeployShowsWhereItStands(t *testing.T) {
	w := startWorker(t, nil)
	var during *store.Node
	one := drivers.Step{Interface: drivers.TypeDeploy, Name: "one", Priority: 90,
		Run: func(_ context.Context, dt *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
			during = w.row(t, dt.Node.UUID)
			return drivers.Done, nil
		}}
	w.script.use(behaviour{steps: deploySteps(step("three", 10, drivers.Done, nil), one, step("two", 50, drivers.Waiting, nil))})
	n := w.available(t, nil)
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID, "configdrive": "abc"})
	waiting := w.settled(t, n.UUID, store.DeployWait)

	equal(t, "state during step one", during.ProvisionState, store.Deploying)
	equal(t, "step during step one", stepID(during.DeployStep), "deploy.one")
	equal(t, "holder during step one", during.Reservation, "worker-1")
	equal(t, "index during step one", during.DriverInternalInfo.String("deploy_step_index"), "0")
	var order []string
	for _, s := range dictList(during.DriverInternalInfo.List("deploy_steps")) {
		order = append(order, stepID(s))
	}
	equal(t, "order of the steps", strings.Join(order, " "), "deploy.one deploy.two deploy.three")
	equal(t, "config drive", during.InstanceInfo.String("configdrive"), "abc")
	mark := during.DriverInternalInfo.Dict(keyEpoch)
	equal(t, "host of the epoch", mark.String("host"), "worker-1")
	number, _, _ := mark.Int("number")
	equal(t, "epoch", uint64(number), w.local.Epoch())

	equal(t, "step while waiting", stepID(waiting.DeployStep), "deploy.two")
	equal(t, "index while waiting", waiting.DriverInternalInfo.String("deploy_step_index"), "1")
	equal(t, "target while waiting", waiting.TargetProvisionState, store.Active)
	equal(t, "affinity", *waiting.ConductorAffinity, w.conductorID)

	w.must(t, "continue_node_deploy", map[string]any{"node_id": n.UUID})
	done := w.settled(t, n.UUID, store.Active)
	equal(t, "step after the end", len(done.DeployStep), 0)
	equal(t, "last error", done.LastError, "")
	info := done.DriverInternalInfo
	if steps, there := info["deploy_steps"]; !there || steps != nil {
		t.Errorf("deploy_steps after the end: %v, %v", steps, there)
	}
	for _, key := range []string{"deploy_step_index", "steps_validated", keyEpoch} {
		if v, there := info[key]; there {
			t.Errorf("%s is left: %v", key, v)
		}
	}
	w.announced(t, n.UUID, "provision_set.start", "provision_set.success", "provision_set.success", "provision_set.end")
}

// A busy agent, or one that has not come back from a reboot, is waited for; then the same step runs again.
func TestAStepThatCameTooEarlyRunsAgain(t *testing.T) {
	w := startWorker(t, nil)
	for name, c := range map[string]struct {
		outcome drivers.Outcome
		err     error
		reboot  bool
	}{
		"a busy agent":           {err: store.Errorf(store.AgentInProgress, "busy")},
		"an agent that boots":    {err: store.Errorf(store.AgentConnectionFailed, "no answer"), reboot: true},
		"a step that says again": {outcome: drivers.Again},
	} {
		t.Run(name, func(t *testing.T) {
			runs := 0
			w.script.use(behaviour{steps: deploySteps(drivers.Step{Interface: drivers.TypeDeploy, Name: "one", Priority: 9,
				Run: func(_ context.Context, dt *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
					if runs++; runs > 1 {
						return drivers.Done, nil
					}
					if c.reboot {
						dt.Node.DriverInternalInfo["deployment_reboot"] = true
					}
					return c.outcome, c.err
				}})})
			n := w.available(t, nil)
			w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
			got := w.settled(t, n.UUID, store.DeployWait)
			equal(t, "skip flag", got.DriverInternalInfo["skip_current_deploy_step"], any(false))
			w.must(t, "continue_node_deploy", map[string]any{"node_id": n.UUID})
			w.settled(t, n.UUID, store.Active)
			equal(t, "runs", runs, 2)
		})
	}
}

func TestDeployRefusals(t *testing.T) {
	w := startWorker(t, nil)
	node := func(change func(*store.Node)) *store.Node { return w.available(t, change) }
	for _, c := range []struct {
		name string
		node *store.Node
		args map[string]any
		acts behaviour
		kind store.Kind
		text string
		code int
	}{
		{name: "in maintenance", node: node(func(n *store.Node) { n.Maintenance = true }), kind: store.NodeInMaintenance,
			text: "The provisioning operation can't be performed on node %s because it's in maintenance mode.", code: 400},
		{name: "a rebuild of a protected node", args: map[string]any{"rebuild": true}, kind: store.NodeProtected, code: 403,
			node: node(func(n *store.Node) { n.ProvisionState, n.Protected = store.Active, true }),
			text: "Node %s is protected and cannot be undeployed, rebuilt or deleted"},
		{name: "in another state", node: node(func(n *store.Node) { n.ProvisionState = store.Active }), code: 400,
			kind: store.InvalidStateRequested,
			text: `The requested action "deploy" can not be performed on node "%s" while it is in state "active".`},
		{name: "settings that don't do", node: node(nil), kind: store.InstanceDeployFailure, code: 400,
			acts: behaviour{deployValidate: func() error { return store.Errorf(store.MissingParameterValue, "no image") }},
			text: "Failed to validate deploy or power info for node %s: no image"},
		{name: "traits that are no list", kind: store.InstanceDeployFailure, code: 400,
			node: node(func(n *store.Node) { n.InstanceInfo["traits"] = "CUSTOM_A" }),
			text: "Failed to validate deploy or power info for node %s: Error parsing traits from Node %s instance_info field. " +
				"A list of strings is expected."},
		{name: "traits that the node lacks", kind: store.InstanceDeployFailure, code: 400,
			node: node(func(n *store.Node) { n.InstanceInfo["traits"] = []any{"CUSTOM_A"} }),
			text: "Failed to validate deploy or power info for node %s: Cannot specify instance traits that are not also set on " +
				"the node. Node %s is missing traits CUSTOM_A"},
		{name: "a core step", node: node(nil), kind: store.InstanceDeployFailure, code: 400,
			args: map[string]any{"deploy_steps": []any{store.Dict{"interface": "deploy", "step": "deploy", "priority": 5,
				"args": store.Dict{}}}},
			text: `Failed to validate deploy or power info for node %s: Validation of deploy steps from "deploy steps" argument ` +
				"failed.deploy step deploy on interface deploy is a core step and cannot be overridden by user steps. It may be " +
				"disabled by setting the priority to 0"},
		{name: "an argument that a step has not", node: node(nil), kind: store.InstanceDeployFailure, code: 400,
			args: map[string]any{"deploy_steps": []any{store.Dict{"interface": "deploy", "step": "tune", "priority": 5,
				"args": store.Dict{"colour": "red"}}}},
			acts: behaviour{steps: deploySteps(step("tune", 0, drivers.Done, nil))},
			text: `Failed to validate deploy or power info for node %s: Validation of deploy steps from "deploy steps" argument ` +
				"failed.deploy step {'args': {'colour': 'red'}, 'interface': 'deploy', 'priority': 5, 'step': 'tune'} has these " +
				"unexpected arguments: colour"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.script.use(c.acts)
			args := map[string]any{"node_id": c.node.UUID}
			for k, v := range c.args {
				args[k] = v
			}
			reply := w.call(t, "do_node_deploy", args)
			if reply.Failure == nil {
				t.Fatal("it was taken")
			}
			equal(t, "kind", reply.Failure.Class, string(c.kind))
			equal(t, "text", reply.Failure.Message, withNode(c.text, c.node.UUID))
			equal(t, "code", fmt.Sprint(reply.Failure.Kwargs["code"]), fmt.Sprint(c.code))
			got := w.row(t, c.node.UUID)
			equal(t, "provision state", got.ProvisionState, c.node.ProvisionState)
			equal(t, "reservation", got.Reservation, "")
		})
	}
	w.unlocked(t)
	w.live().MaxConcurrentDeploy = 1
	w.enroll(t, func(n *store.Node) { n.ProvisionState = store.DeployWait })
	w.refused(t, store.ConcurrentActionLimit, "do_node_deploy", map[string]any{"node_id": node(nil).UUID})
}

// The user's steps come before those of templates, which the instance's traits choose, and these before the drivers'.
func TestDeployStepsOfUserAndTemplates(t *testing.T) {
	w := startWorker(t, nil)
	ran := map[string]store.Dict{}
	var order []string
	noting := func(name string, priority int) drivers.Step {
		return drivers.Step{Interface: drivers.TypeDeploy, Name: name, Priority: priority,
			Args: map[string]drivers.StepArg{"from": {}},
			Run: func(_ context.Context, _ *drivers.Task, args store.Dict) (drivers.Outcome, error) {
				ran[name] = args
				order = append(order, name)
				return drivers.Done, nil
			}}
	}
	w.script.use(behaviour{steps: deploySteps(noting("deploy", 100), noting("tune", 0), noting("shine", 0), noting("spare", 80))})
	w.exec(t, "INSERT INTO deploy_templates (id, uuid, name) VALUES (1, 'u1', 'CUSTOM_FAST'), (2, 'u2', 'CUSTOM_FASTER')")
	w.exec(t, `INSERT INTO deploy_template_steps (deploy_template_id, interface, step, args, priority) VALUES
		(1, 'deploy', 'tune', '{"from":"template"}', 50), (1, 'deploy', 'shine', '{"from":"template"}', 60),
		(1, 'deploy', 'spare', '{}', 0), (2, 'deploy', 'tune', '{}', 50)`)
	n := w.available(t, func(n *store.Node) { n.InstanceInfo["traits"] = []any{"CUSTOM_FAST"} })
	if err := w.db.AddTraits(t.Context(), n, sql.Guard{}, []string{"CUSTOM_FAST"}); err != nil {
		t.Fatal(err)
	}
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID, "deploy_steps": []any{
		store.Dict{"interface": "deploy", "step": "tune", "priority": 70, "args": store.Dict{"from": "user"}}}})
	w.settled(t, n.UUID, store.Active)
	equal(t, "order", strings.Join(order, " "), "deploy tune shine")
	equal(t, "tune is the user's", ran["tune"].String("from"), "user")
	equal(t, "shine is the template's", ran["shine"].String("from"), "template")

	twice := w.available(t, func(n *store.Node) { n.InstanceInfo["traits"] = []any{"CUSTOM_FAST", "CUSTOM_FASTER"} })
	if err := w.db.AddTraits(t.Context(), twice, sql.Guard{}, []string{"CUSTOM_FAST", "CUSTOM_FASTER"}); err != nil {
		t.Fatal(err)
	}
	text := w.refused(t, store.InstanceDeployFailure, "do_node_deploy", map[string]any{"node_id": twice.UUID})
	if !strings.HasSuffix(text, "Matching deploy templates: CUSTOM_FAST,CUSTOM_FASTER. Errors: deploy steps from all deploy "+
		"templates matching this node's instance traits cannot have the same interface and step. Duplicate deploy steps for "+
		"deploy.tune") {
		t.Errorf("refused with %q", text)
	}
}

// A rebuild forgets kernel and ramdisk of an image that Glance has, for Glance may have others by now.
func TestRebuildAsksGlanceAgain(t *testing.T) {
	for glance, want := range map[bool]string{true: "", false: "file:///k"} {
		r := newRig(t, nil)
		r.images = someImages{glance: glance}
		w := r.start(t)
		n := w.available(t, func(n *store.Node) {
			n.ProvisionState = store.Active
			n.InstanceInfo["kernel"], n.InstanceInfo["ramdisk"] = "file:///k", "file:///r"
		})
		w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID, "rebuild": true})
		got := w.settled(t, n.UUID, store.Active)
		equal(t, "kernel", got.InstanceInfo.String("kernel"), want)
		equal(t, "kind of the image", got.InstanceInfo.String("image_type"), "whole-disk")
	}
}

type someImages struct {
	noImages
	glance bool
}

func (i someImages) IsGlance(string) bool { return i.glance }

func (someImages) InferKind(_ context.Context, t *drivers.Task) (bool, string, error) {
	t.Node.InstanceInfo["image_type"] = "whole-disk"
	return true, "a test says so", nil
}

func TestAutomaticLessee(t *testing.T) {
	for _, c := range []struct {
		name, source string
		instance     store.Dict
		lessee       string
	}{
		{name: "of the request", source: LesseeOfRequest, instance: store.Dict{"project_id": "project-2"}, lessee: "project-1"},
		{name: "of the instance", source: LesseeOfInstance, instance: store.Dict{"project_id": "project-2"}, lessee: "project-2"},
		{name: "of an instance that names none", source: LesseeOfInstance, instance: store.Dict{}},
		{name: "of nobody", source: "none", instance: store.Dict{"project_id": "project-2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, func(cfg *Config) { cfg.AutomaticLessee, cfg.LesseeSource = true, c.source })
			w.script.use(behaviour{})
			n := w.available(t, func(n *store.Node) { n.InstanceInfo = c.instance })
			rq := oslo.AdminContext()
			rq.ProjectID, rq.AuthTokenInfo = "project-1", json.RawMessage(`{"token":{"project":{"id":"project-1"}}}`)
			if _, err := w.doNodeDeploy(t.Context(), rq, deployArgs{NodeID: n.UUID}); err != nil {
				t.Fatal(err)
			}
			var lessee string
			if got := w.settled(t, n.UUID, store.Active).Lessee; got != nil {
				lessee = *got
			}
			equal(t, "lessee", lessee, c.lessee)
			w.must(t, "do_node_tear_down", map[string]any{"node_id": n.UUID})
			equal(t, "lessee after the tear-down", w.settled(t, n.UUID, store.Available).Lessee, nil)
		})
	}
}

// The operator's list is of boot modes in lower case; what a node says may have any, and blanks around it.
func TestDisallowedBootModes(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.Release, c.DisallowedBootModes = messaging.V2025_1, []string{"bios"} })
	w.script.use(behaviour{})
	n := w.available(t, func(n *store.Node) { n.Properties = store.Dict{"boot_mode": " BIOS"} })
	text := w.refused(t, store.BootModeNotAllowed, "do_node_deploy", map[string]any{"node_id": n.UUID})
	equal(t, "text", text, "' bios' boot mode is not allowed for provisioning operation.")
	equal(t, "state", w.row(t, n.UUID).ProvisionState, store.Available)
	n = w.available(t, func(n *store.Node) { n.Properties = store.Dict{"boot_mode": "uefi"} })
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
	w.settled(t, n.UUID, store.Active)
}

// Limits count the nodes of the whole deployment, or those of the worker's conductor group.
func TestLimitOfGroup(t *testing.T) {
	for perGroup, class := range map[bool]store.Kind{false: store.ConcurrentActionLimit, true: ""} {
		w := startWorker(t, func(c *Config) { c.MaxConcurrentDeploy, c.MaxConcurrentPerGroup = 1, perGroup })
		w.script.use(behaviour{})
		w.enroll(t, func(n *store.Node) { n.ProvisionState, n.ConductorGroup = store.DeployWait, "elsewhere" })
		_, err := w.doNodeDeploy(t.Context(), oslo.AdminContext(), deployArgs{NodeID: w.available(t, nil).UUID})
		equal(t, "refusal", store.KindOf(err), class)
	}
}
