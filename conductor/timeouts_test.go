package conductor

import (
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

func TestSilentAgentsFailTheirFlow(t *testing.T) {
	w := startWorker(t, func(c *Config) {
		c.DeployCallbackTimeout, c.CleanCallbackTimeout, c.RescueCallbackTimeout = time.Hour, time.Hour, time.Hour
	})
	long := time.Now().UTC().Add(-2 * time.Hour)
	step := store.Dict{"interface": "deploy", "step": "erase"}
	for _, c := range []struct {
		name      string
		node      store.Node
		fresh     bool
		state     string
		target    string
		lastError string
		fault     string
		did       string
	}{
		{name: "a deployment", node: store.Node{ProvisionState: store.DeployWait, TargetProvisionState: store.Active},
			state: store.DeployFail, target: store.Active, did: "deploy.clean up",
			lastError: "Timeout reached while waiting for callback for node %s"},
		{name: "a cleaning that waits for its ramdisk", node: store.Node{ProvisionState: store.CleanWait,
			TargetProvisionState: store.Available}, state: store.CleanFail, target: store.Available, did: "cleaning.tear down",
			lastError: "Timeout reached while cleaning the node. Please check if the ramdisk responsible for the cleaning is " +
				"running on the node. Failed on step {}."},
		{name: "a manual cleaning in a step", node: store.Node{ProvisionState: store.CleanWait, CleanStep: step,
			TargetProvisionState: store.Manageable}, state: store.CleanFail, target: store.Manageable, fault: store.FaultClean,
			did: "cleaning.tear down",
			lastError: "Timeout reached while cleaning the node. Please check if the ramdisk responsible for the cleaning is " +
				"running on the node. Failed on step {'interface': 'deploy', 'step': 'erase'}."},
		{name: "a rescue", node: store.Node{ProvisionState: store.RescueWait, TargetProvisionState: store.Rescue},
			state: store.RescueFail, target: store.Rescue, did: "power.read, power power off, rescue.clean up",
			lastError: "Timeout reached while waiting for rescue ramdisk callback for node"},
		{name: "a deployment that was heard of", fresh: true, node: store.Node{ProvisionState: store.DeployWait,
			TargetProvisionState: store.Active}, state: store.DeployWait, target: store.Active},
		{name: "a node in maintenance", node: store.Node{ProvisionState: store.DeployWait, Maintenance: true,
			TargetProvisionState: store.Active}, state: store.DeployWait, target: store.Active},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.script.use(behaviour{})
			n := w.enroll(t, func(n *store.Node) {
				*n = c.node
				n.Driver = "fake-hardware"
			})
			if !c.fresh {
				w.exec(t, "UPDATE nodes SET provision_updated_at = ? WHERE id = ?", long.Format(time.DateTime), n.ID)
			}
			for _, look := range []func() error{
				func() error { return w.failSilentDeploys(t.Context()) }, func() error { return w.failSilentCleans(t.Context()) },
				func() error { return w.failSilentRescues(t.Context()) },
			} {
				if err := look(); err != nil {
					t.Fatal(err)
				}
			}
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, withNode(c.lastError, n.UUID))
			equal(t, "target", got.TargetProvisionState, c.target)
			equal(t, "fault", got.Fault, c.fault)
			equal(t, "did", strings.Join(w.script.did(), ", "), c.did)
		})
	}
	w.unlocked(t)
}

// Only so many nodes are failed at a time, the oldest first; those that somebody holds are left to them.
func TestTimeoutsAreDealtWithInTurn(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.DeployCallbackTimeout, c.PeriodicMaxWorkers = time.Hour, 2 })
	var nodes []*store.Node
	for i := range 4 {
		n := w.waiting(t, store.DeployWait, nil)
		w.exec(t, "UPDATE nodes SET provision_updated_at = ? WHERE id = ?",
			time.Now().UTC().Add(time.Duration(i-10)*time.Hour).Format(time.DateTime), n.ID)
		nodes = append(nodes, n)
	}
	held := w.lock(t, nodes[0].UUID, lockMode{purpose: "a test"})
	if err := w.failSilentDeploys(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.settled(t, nodes[1].UUID, store.DeployFail)
	w.settled(t, nodes[2].UUID, store.DeployFail)
	equal(t, "the youngest", w.row(t, nodes[3].UUID).ProvisionState, store.DeployWait)
	equal(t, "the one that is held", w.row(t, nodes[0].UUID).ProvisionState, store.DeployWait)
	if err := held.release(t.Context()); err != nil {
		t.Fatal(err)
	}
}
