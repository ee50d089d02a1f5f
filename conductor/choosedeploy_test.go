package conductor

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// A deploy interface that chooses another one is back in its place once the node has been cleaned, or when nothing came of it.
func TestADeployInterfaceGivesWay(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.AutomatedClean = false })
	n := w.available(t, func(n *store.Node) { n.DeployInterface = "choosing" })
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
	waitUntil(t, "the node is active", func() bool { return w.row(t, n.UUID).ProvisionState == store.Active })
	got := w.row(t, n.UUID)
	equal(t, "deploy interface", got.DeployInterface, "fake")
	equal(t, "its own", got.DriverInternalInfo.String(keyOriginalDeploy), "choosing")
	w.unlocked(t)
	w.must(t, "do_node_tear_down", map[string]any{"node_id": n.UUID})
	waitUntil(t, "the node is available", func() bool { return w.row(t, n.UUID).ProvisionState == store.Available })
	got = w.row(t, n.UUID)
	equal(t, "deploy interface afterwards", got.DeployInterface, "choosing")
	equal(t, "nothing is remembered", got.DriverInternalInfo[keyOriginalDeploy], nil)
}

func TestARefusedDeploymentLeavesTheDeployInterface(t *testing.T) {
	w := startWorker(t, nil)
	w.script.use(behaviour{deployValidate: func() error { return store.Errorf(store.InvalidParameterValue, "no image") }})
	n := w.available(t, func(n *store.Node) { n.DeployInterface = "choosing" })
	w.refused(t, store.InstanceDeployFailure, "do_node_deploy", map[string]any{"node_id": n.UUID})
	got := w.row(t, n.UUID)
	equal(t, "deploy interface", got.DeployInterface, "choosing")
	equal(t, "nothing is remembered", got.DriverInternalInfo[keyOriginalDeploy], nil)
}

func TestAFailedAdoptionLeavesTheDeployInterface(t *testing.T) {
	w := startWorker(t, nil)
	w.script.use(behaviour{prepare: func(*drivers.Task) error { return errors.New("no") }})
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.DeployInterface = store.Manageable, "choosing" })
	w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "adopt"})
	waitUntil(t, "the adoption has failed", func() bool { return w.row(t, n.UUID).ProvisionState == store.AdoptFail })
	equal(t, "deploy interface", w.row(t, n.UUID).DeployInterface, "choosing")
}

// Since 39.0 another interface comes for a cleaning, a servicing and a tear-down, too.
func TestADeployInterfaceGivesWayForARamdisk(t *testing.T) {
	for _, c := range []struct {
		name    string
		release messaging.Release
		from    string
		method  string
		args    map[string]any
		state   string
		acts    string // the deploy interface that does the work
		fails   bool
	}{
		{name: "cleaning", release: messaging.Newest, from: store.Manageable, method: "do_node_clean",
			args: map[string]any{"clean_steps": asked("one")}, state: store.Manageable, acts: "fake"},
		{name: "a cleaning that fails", release: messaging.Newest, from: store.Manageable, method: "do_node_clean",
			args: map[string]any{"clean_steps": asked("one")}, state: store.CleanFail, acts: "fake", fails: true},
		{name: "servicing", release: messaging.Newest, from: store.Active, method: "do_node_service",
			args: map[string]any{"service_steps": asked("one"), "disable_ramdisk": nil}, state: store.Active, acts: "fake"},
		{name: "a servicing that fails", release: messaging.Newest, from: store.Active, method: "do_node_service",
			args: map[string]any{"service_steps": asked("one"), "disable_ramdisk": nil}, state: store.ServiceFail, acts: "fake", fails: true},
		{name: "tear-down", release: messaging.Newest, from: store.Active, method: "do_node_tear_down", args: map[string]any{},
			state: store.Available, acts: "fake"},
		{name: "before 39.0", release: messaging.V2026_1, from: store.Active, method: "do_node_tear_down", args: map[string]any{},
			state: store.Available, acts: "choosing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, func(cfg *Config) { cfg.Release, cfg.AutomatedClean = c.release, false })
			var acted atomic.Value
			notes := func(x *drivers.Task) error {
				acted.Store(x.Node.DeployInterface)
				return nil
			}
			var broken error
			if c.fails {
				broken = errors.New("smoke")
			}
			one := drivers.Step{Interface: drivers.TypeDeploy, Name: "one",
				Run: func(_ context.Context, x *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
					return drivers.Done, errors.Join(notes(x), broken)
				}}
			w.script.use(behaviour{tearDown: notes, steps: map[drivers.StepKind][]drivers.Step{drivers.CleanStep: {one},
				drivers.ServiceStep: {one}}})
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState, n.PowerState, n.DeployInterface = c.from, store.PowerOn, "choosing"
			})
			c.args["node_id"] = n.UUID
			w.must(t, c.method, c.args)
			w.unlocked(t)
			got := w.settled(t, n.UUID, c.state)
			equal(t, "acted", acted.Load(), any(c.acts))
			equal(t, "deploy interface", got.DeployInterface, "choosing")
			equal(t, "nothing is remembered", got.DriverInternalInfo[keyOriginalDeploy], nil)
		})
	}
}

// The instance of a node stays with the interface that deployed it when something else is refused.
func TestARefusedRebuildLeavesTheInterfaceOfTheInstance(t *testing.T) {
	w := startWorker(t, nil)
	w.script.use(behaviour{deployValidate: func() error { return store.Errorf(store.InvalidParameterValue, "no image") }})
	n := w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.DeployInterface = store.Active, "fake"
		n.DriverInternalInfo = store.Dict{keyOriginalDeploy: "choosing"}
	})
	w.refused(t, store.InstanceDeployFailure, "do_node_deploy", map[string]any{"node_id": n.UUID, "rebuild": true})
	got := w.row(t, n.UUID)
	equal(t, "deploy interface", got.DeployInterface, "fake")
	equal(t, "its own", got.DriverInternalInfo.String(keyOriginalDeploy), "choosing")
}

func TestADeploymentWithoutAFreeWorkerLeavesTheDeployInterface(t *testing.T) {
	w := startWorker(t, nil)
	n := w.available(t, func(n *store.Node) { n.DeployInterface = "choosing" })
	w.pool.resize(0, 0)
	w.refused(t, store.NoFreeConductorWorker, "do_node_deploy", map[string]any{"node_id": n.UUID})
	got := w.row(t, n.UUID)
	equal(t, "deploy interface", got.DeployInterface, "choosing")
	equal(t, "nothing is remembered", got.DriverInternalInfo[keyOriginalDeploy], nil)
}

// What an operator sets outlasts the next cleaning.
func TestADeployInterfaceThatIsSetStays(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.DeployInterface = store.Manageable, "fake"
		n.DriverInternalInfo = store.Dict{keyOriginalDeploy: "choosing", "other": "kept"}
	})
	wanted := *n
	wanted.DeployInterface = "installing"
	w.must(t, "update_node", map[string]any{"node_obj": patched(w.codec.EncodeNode(&wanted), "deploy_interface")})
	got := w.row(t, n.UUID)
	equal(t, "deploy interface", got.DeployInterface, "installing")
	equal(t, "nothing is remembered", got.DriverInternalInfo[keyOriginalDeploy], nil)
	equal(t, "the rest", got.DriverInternalInfo.String("other"), "kept")
}
