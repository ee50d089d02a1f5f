package conductor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestAdopt(t *testing.T) {
	w := startWorker(t, nil)
	broken := errors.New("smoke")
	for _, c := range []struct {
		name, from, state, lastError, power string
		acts                                behaviour
		events                              []string
	}{
		{name: "well", from: store.Manageable, state: store.Active, power: store.PowerOn,
			events: []string{"provision_set.start", "provision_set.end"}},
		{name: "after a failure", from: store.AdoptFail, state: store.Active, power: store.PowerOn,
			events: []string{"provision_set.start", "provision_set.end"}},
		{name: "preparing fails", from: store.Manageable, state: store.AdoptFail,
			acts:      behaviour{prepare: func(*drivers.Task) error { return broken }},
			lastError: "Error while attempting to adopt node %s: smoke.",
			events:    []string{"provision_set.start", "provision_set.error"}},
		{name: "taking over fails", from: store.Manageable, state: store.AdoptFail,
			acts:      behaviour{takeOver: func(*drivers.Task) error { return broken }},
			lastError: "Error while attempting to adopt node %s: smoke.",
			events:    []string{"provision_set.start", "provision_set.error"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = c.from, store.PowerOn })
			w.script.use(c.acts)
			w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": "adopt"})
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, withNode(c.lastError, n.UUID))
			equal(t, "power state", got.PowerState, c.power)
			w.announced(t, n.UUID, c.events...)
			for _, call := range w.script.did() {
				if strings.HasPrefix(call, "power ") {
					t.Errorf("adoption touched the power: %q", w.script.did())
				}
			}
		})
	}
}

// An active node that the ring has moved here is prepared for this worker, once.
func TestNodesThatTheRingMovesAreTakenOver(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.PeriodicMaxWorkers = 2 })
	old := w.conductorID + 7
	w.exec(t, "INSERT INTO conductors (id, hostname, online) VALUES (?, 'worker-0', 0)", old)
	active := func(change func(*store.Node)) *store.Node {
		return w.enroll(t, func(n *store.Node) {
			n.ProvisionState, n.ConductorAffinity = store.Active, &old
			if change != nil {
				change(n)
			}
		})
	}
	mine := active(func(n *store.Node) { n.ConductorAffinity = &w.conductorID })
	sick := active(func(n *store.Node) { n.Maintenance = true })
	var moved []string
	for range 3 {
		moved = append(moved, active(nil).UUID)
	}
	count := func() (taken int) {
		for _, uuid := range moved {
			if *w.row(t, uuid).ConductorAffinity == w.conductorID {
				taken++
			}
		}
		return taken
	}
	for _, want := range []int{2, 3} {
		if err := w.takeOverNodes(t.Context()); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "the nodes are taken over", func() bool { return count() == want })
		w.unlocked(t)
	}
	equal(t, "preparations", len(w.script.did("deploy.prepare")), 3)
	equal(t, "takeovers", len(w.script.did("deploy.take over")), 3)
	equal(t, "affinity of a node in maintenance", *w.row(t, sick.UUID).ConductorAffinity, old)
	equal(t, "updates of a node that is ours", w.row(t, mine.UUID).UpdatedAt.Equal(mine.UpdatedAt), true)
}

// What a dead worker holds is freed, and what it had begun fails with a reason.
func TestNodesOfADeadConductorAreFreed(t *testing.T) {
	w := startWorker(t, nil)
	w.exec(t, "INSERT INTO conductors (id, hostname, online, updated_at) VALUES (99, 'worker-0', 1, ?)",
		time.Now().UTC().Add(-time.Hour).Format(time.DateTime))
	for _, c := range []struct {
		name      string
		node      store.Node
		state     string
		lastError string
		fault     string
	}{
		{name: "at rest", node: store.Node{ProvisionState: store.Manageable}, state: store.Manageable},
		{name: "deploying", node: store.Node{ProvisionState: store.Deploying, TargetProvisionState: store.Active},
			state: store.DeployFail, lastError: "Operation was aborted due to conductor take over"},
		{name: "cleaning", node: store.Node{ProvisionState: store.Cleaning, TargetProvisionState: store.Available,
			CleanStep: store.Dict{"interface": "deploy", "step": "erase"}},
			state: store.CleanFail, lastError: "Operation was aborted due to conductor take over", fault: store.FaultClean},
		{name: "switching", node: store.Node{ProvisionState: store.Active, TargetPowerState: store.PowerOn},
			state: store.Active, lastError: "Pending power operation was aborted due to conductor take over"},
		{name: "in maintenance", node: store.Node{ProvisionState: store.Deploying, TargetProvisionState: store.Active,
			Maintenance: true, TargetPowerState: store.PowerOn}, state: store.Deploying},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.enroll(t, func(n *store.Node) {
				*n = c.node
				n.Driver = "fake-hardware"
			})
			if _, err := w.db.Reserve(t.Context(), n.UUID, "worker-0"); err != nil {
				t.Fatal(err)
			}
			if err := w.adoptOrphans(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, c.lastError)
			equal(t, "fault", got.Fault, c.fault)
			if c.name != "in maintenance" {
				equal(t, "target power state", got.TargetPowerState, "")
			}
		})
	}
	w.unlocked(t)
}

// A worker holds the children of a node that it switches off, so what it leaves of them when it dies is seen to as well.
func TestChildrenOfANodeAreLeftInOrder(t *testing.T) {
	w := on(t, messaging.V2025_1)
	w.exec(t, "INSERT INTO conductors (id, hostname, online, updated_at) VALUES (99, 'worker-0', 1, ?)",
		time.Now().UTC().Add(-time.Hour).Format(time.DateTime))
	parent := w.enroll(t, nil)
	child := func(change func(*store.Node)) *store.Node {
		return w.enroll(t, func(n *store.Node) {
			n.ParentNode = parent.UUID
			change(n)
		})
	}
	held := child(func(n *store.Node) { n.ProvisionState, n.TargetPowerState = store.Manageable, store.PowerOff })
	if _, err := w.db.Reserve(t.Context(), held.UUID, "worker-0"); err != nil {
		t.Fatal(err)
	}
	if err := w.adoptOrphans(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "target power state", w.settled(t, held.UUID, store.Manageable).TargetPowerState, "")

	failed := child(func(n *store.Node) {
		n.ProvisionState, n.DeployStep = store.DeployFail, store.Dict{"interface": "deploy", "step": "deploy"}
	})
	if err := w.settleClaimed(t.Context(), []string{failed.UUID}); err != nil {
		t.Fatal(err)
	}
	w.unlocked(t)
	equal(t, "step", len(w.row(t, failed.UUID).DeployStep), 0)

	debtor := child(func(n *store.Node) { n.ProvisionState = store.Manageable })
	debtor.DriverInternalInfo = store.Dict{keyOwed: store.Dict{"id": "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a", "event": "done"}}
	if err := w.db.SaveNode(t.Context(), debtor, sql.Guard{}); err != nil {
		t.Fatal(err)
	}
	if err := w.settleLeft(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.unlocked(t)
	equal(t, "owes", w.row(t, debtor.UUID).DriverInternalInfo.Dict(keyOwed) == nil, true)
}

func TestReservationsOfLivingConductorsStay(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HashRingResetInterval = 0 })
	addPeer(t, r)
	w := r.start(t)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.TargetProvisionState = store.Deploying, store.Active })
	if _, err := w.db.Reserve(context.Background(), n.UUID, "worker-2"); err != nil {
		t.Fatal(err)
	}
	if err := w.adoptOrphans(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := w.row(t, n.UUID)
	equal(t, "reservation", got.Reservation, "worker-2")
	equal(t, "provision state", got.ProvisionState, store.Deploying)
}

// addPeer makes another conductor known that is alive and has no hardware types.
func addPeer(t *testing.T, r *rig) {
	t.Helper()
	peer := &store.Conductor{Hostname: "worker-2"}
	if _, err := r.db.Register(t.Context(), peer, nil); err != nil {
		t.Fatal(err)
	}
}

// Two workers share the nodes by the ring; when one goes, the other takes over what was its.
func TestNodesFollowTheRing(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HashRingResetInterval = 0 })
	one, two := r.start(t), r.peer(t, "worker-2").start(t)
	var nodes []*store.Node
	for range 8 {
		nodes = append(nodes, one.enroll(t, func(n *store.Node) {
			n.ProvisionState, n.ConductorAffinity = store.Active, &one.conductorID
		}))
	}
	owners := func() map[int64]int {
		count := map[int64]int{}
		for _, n := range nodes {
			count[*one.row(t, n.UUID).ConductorAffinity]++
		}
		return count
	}
	mine, err := two.owned(t.Context(), sql.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []*worker{one, two} {
		if err := w.takeOverNodes(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.unlocked(t)
	}
	equal(t, "nodes of the second worker", owners()[two.conductorID], len(mine))
	two.stop()
	if err := one.takeOverNodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	one.unlocked(t)
	equal(t, "nodes of the first worker", owners()[one.conductorID], len(nodes))
}
