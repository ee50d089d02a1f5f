package conductor

import (
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// A move that was saved and not announced is announced by whoever holds the node next, under its own message id, once.
func TestAMoveThatIsOwedIsAnnounced(t *testing.T) {
	// One that was killed again before it came to it has given the node back.
	for name, holder := range map[string]string{"held": "worker-1", "given back": ""} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			before := idleOn(t, r)
			const id = "6e0a4fd2-7a0e-4f0c-9d5b-1c3c2f6d1a00"
			n := before.enroll(t, func(n *store.Node) {
				n.ProvisionState = store.Active
				n.DriverInternalInfo = store.Dict{keyOwed: store.Dict{"id": id, "event": "done", "status": "end",
					"state": store.Deploying, "target": store.Active, "flow": flowDeploy}}
			})
			if holder != "" {
				if _, err := before.db.Reserve(t.Context(), n.UUID, holder); err != nil {
					t.Fatal(err)
				}
			}
			before.closeMemory()
			w := r.start(t)
			w.announced(t, n.UUID, "provision_set.end")
			w.bus.waitFor(t, func(types []string) bool { return slices.Contains(types, "baremetal.node.deploy_progress.end") })
			w.unlocked(t)
			got := w.settled(t, n.UUID, store.Active)
			_, owes := got.DriverInternalInfo[keyOwed]
			equal(t, "still owed", owes, false)
			if !w.bus.sentID(id) {
				t.Error("the announcement has another message id than the row")
			}
		})
	}
}

// A worker that runs looks mostly at rows that were written to lately, and at all of them now and then.
func TestWhatIsOwedIsFoundInRowsWrittenToLately(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.HeartbeatTimeout = 2 * owedWholeSpacing })
	owed := store.Dict{"id": "6e0a4fd2-7a0e-4f0c-9d5b-1c3c2f6d1a00", "event": "done", "status": "end", "state": store.Deploying,
		"target": store.Active, "flow": flowDeploy}
	n := w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.DriverInternalInfo = store.Active, store.Dict{keyOwed: owed}
	})
	owes := func(after string, want bool) {
		t.Helper()
		if err := w.settleLeft(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.unlocked(t)
		got, err := w.db.Node(t.Context(), n.UUID)
		if err != nil {
			t.Fatal(err)
		}
		_, has := got.DriverInternalInfo[keyOwed]
		equal(t, "owed after "+after, has, want)
	}
	w.exec(t, "UPDATE nodes SET updated_at = '2020-01-01 00:00:00.000000'")
	owes("a look at rows that were written to lately", true)
	if err := w.db.TouchProvisioning(t.Context(), n.ID); err != nil {
		t.Fatal(err)
	}
	owes("somebody wrote to the row", false)

	n = w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.DriverInternalInfo = store.Active, store.Dict{keyOwed: owed}
	})
	owes("a look past a row that nobody has written to", true)
	w.clock.forward(owedWholeSpacing)
	owes("a look at all rows", false)
}
