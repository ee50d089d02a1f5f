package conductor

import (
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// Beside other workers a node in a transient state that nobody holds may be between two locks of one of them.
func TestLeftoversBesideOtherWorkers(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HashRingResetInterval, c.HeartbeatTimeout = 0, time.Hour })
	addPeer(t, r)
	before := idleOn(t, r)
	deploying := func(mark any) *store.Node {
		return before.enroll(t, func(n *store.Node) {
			n.ProvisionState, n.TargetProvisionState = store.Deploying, store.Active
			n.DriverInternalInfo = store.Dict{keyEpoch: mark}
		})
	}
	held, marked := deploying(nil), deploying(store.Dict{"host": "Worker-1", "number": 1})
	if _, err := r.db.Reserve(t.Context(), held.UUID, "worker-1"); err != nil {
		t.Fatal(err)
	}
	others := map[string]*store.Node{"ironic's": deploying(nil), "ironic's own": deploying(nil),
		"another's": deploying(store.Dict{"host": "worker-2", "number": 1})}
	before.closeMemory()

	w := r.start(t)
	w.settled(t, held.UUID, store.DeployFail)
	w.settled(t, marked.UUID, store.Active)
	for what, n := range others {
		equal(t, what, w.row(t, n.UUID).ProvisionState, store.Deploying)
	}
	doubtful := []*store.Node{w.row(t, others["ironic's"].UUID), w.row(t, others["ironic's own"].UUID)}
	w.exec(t, "UPDATE nodes SET provision_updated_at = '2030-01-01 00:00:00' WHERE uuid = ?", doubtful[0].UUID)
	w.failUnchanged(t.Context(), doubtful)
	equal(t, "one that moved on", w.row(t, doubtful[0].UUID).ProvisionState, store.Deploying)
	equal(t, "one that did not", w.row(t, doubtful[1].UUID).ProvisionState, store.DeployFail)
	equal(t, "one whose worker lives", w.row(t, others["another's"].UUID).ProvisionState, store.Deploying)
}
