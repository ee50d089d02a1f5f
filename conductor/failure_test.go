package conductor

import (
	"context"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// A node that somebody takes over while a failed flow is being left in order is theirs: nothing more is written about it.
func TestAFailureWritesNothingOnceTheNodeIsLost(t *testing.T) {
	w := startWorker(t, nil)
	taken := func(task *drivers.Task) error {
		w.exec(t, "UPDATE nodes SET reservation = 'another' WHERE id = ?", task.Node.ID)
		return store.ErrLockLost
	}
	w.script.use(behaviour{cleanUp: taken, tearDownCleaning: taken})
	for _, c := range []struct {
		state   string
		fail    func(context.Context, *task)
		history int // what was written before the node was lost
	}{
		{store.Deploying, func(ctx context.Context, t *task) { t.deployFailed(ctx, "smoke", true) }, 1},
		{store.Cleaning, func(ctx context.Context, t *task) { t.cleanFailed(ctx, flowFailure{text: "smoke"}) }, 0},
	} {
		t.Run(c.state, func(t *testing.T) {
			n := w.enroll(t, func(n *store.Node) { n.ProvisionState = c.state })
			held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
			c.fail(t.Context(), held)
			if err := held.release(t.Context()); err != nil {
				t.Fatal(err)
			}
			entries, err := sql.Select[store.NodeHistory](t.Context(), w.db, "node_history",
				sql.Selection{Where: []sql.Condition{sql.Equals("node_history.node_id", n.ID)}})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "history", len(entries), c.history)
			equal(t, "state", w.row(t, n.UUID).ProvisionState, c.state)
		})
	}
}
