package conductor

import (
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// A move through the state machine is announced once, whenever its worker dies.
func TestAMoveIsAnnouncedAfterACrash(t *testing.T) {
	for _, c := range []struct {
		name string
		// die does what was done of the move before the crash.
		die       func(t *testing.T, held *task, change *provisionChange)
		announced bool
	}{
		{"before the row", func(*testing.T, *task, *provisionChange) {}, false},
		{"after the row", moveTo, true},
		{"after the announcement", func(t *testing.T, held *task, change *provisionChange) {
			moveTo(t, held, change)
			held.notifyProvision(t.Context(), *change)
		}, true},
		{"after the row, and the node goes", func(t *testing.T, held *task, change *provisionChange) {
			moveTo(t, held, change)
			if err := held.c.db.DestroyNode(t.Context(), held.Node, held.guard()); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"before the row, which a peer moves later", func(t *testing.T, held *task, change *provisionChange) {
			var owed owedEvent
			if _, err := held.c.local.Get(held.Node.UUID, journalOwed, &owed); err != nil {
				t.Fatal(err)
			}
			owed.At = owed.At.Add(-held.c.cfg.HeartbeatTimeout)
			if err := held.c.local.Put(held.Node.UUID, journalOwed, owed); err != nil {
				t.Fatal(err)
			}
			moveTo(t, held, change)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			before := idleOn(t, r)
			n := before.enroll(t, func(n *store.Node) { n.ProvisionState, n.TargetProvisionState = store.Cleaning, store.Available })
			held := before.lock(t, n.UUID, lockMode{purpose: "a test"})
			change := provisionChange{from: moment{store.Cleaning, store.Available}, to: moment{store.Available, ""},
				event: eventDone, status: "end"}
			held.promise(&change)
			c.die(t, held, &change)
			before.closeMemory()

			after := idleOn(t, r)
			if err := after.announceOwed(t.Context()); err != nil {
				t.Fatal(err)
			}
			events, err := after.local.Peek(0, 10)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "announced", len(events) == 1 && events[0].ID == change.id, c.announced)
			equal(t, "announcements", len(events) > 1, false)
			left, err := after.local.Noted(journalOwed)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "promises left", len(left), 0)
		})
	}
}

func moveTo(t *testing.T, held *task, change *provisionChange) {
	t.Helper()
	held.Node.ProvisionState, held.Node.TargetProvisionState = change.to.State, change.to.Target
	if err := held.save(t.Context()); err != nil {
		t.Fatal(err)
	}
}
