package conductor

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// journalOwed is the journal's key of a move through the state machine whose announcement is owed.
const journalOwed = "conductor.owed_event"

// owedEvent is the announcement of a move, promised before the row is written: the row is in the shared database and the
// outbox in the worker's file, so that a crash can come between.
//
// Crash windows: after the promise and before the row, the next start finds the row elsewhere and drops the promise; after
// the row and before the outbox, it finds the row there and announces the move, with the same message id.
type owedEvent struct {
	ID            string
	At            time.Time
	From, To      moment
	Event, Status string
	// Request is without secrets, as notifications have it.
	Request oslo.Context
}

// promise writes down that a move will be announced, if anybody wants to know.
func (t *task) promise(change *provisionChange) {
	if !t.c.notifies(levelOf(change.eventType())) {
		return
	}
	change.id = uuid.NewString()
	err := t.c.local.Put(t.Node.UUID, journalOwed, owedEvent{ID: change.id, At: t.c.now(), From: change.from, To: change.to,
		Event: change.event, Status: change.status, Request: t.request.Redacted()})
	if err != nil {
		t.Log.Error().Err(err).Msg("Promising a notification failed; a crash may lose it")
	}
}

// announceOwed keeps the promises of an earlier life of this worker. It comes before anything moves a node.
func (c *Conductor) announceOwed(ctx context.Context) error {
	nodes, err := c.local.Noted(journalOwed)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if err := c.settleOwed(ctx, node); err != nil {
			return fmt.Errorf("announcing how node %s was left: %w", node, err)
		}
	}
	return nil
}

func (c *Conductor) settleOwed(ctx context.Context, uuid string) error {
	var owed owedEvent
	if _, err := c.local.Get(uuid, journalOwed, &owed); err != nil {
		return err
	}
	node, err := c.db.Peek(ctx, uuid)
	if err != nil && store.KindOf(err) != store.NodeNotFound {
		return err
	}
	change := provisionChange{from: owed.From, to: owed.To, event: owed.Event, status: owed.Status, id: owed.ID}
	if err != nil || !c.cameTrue(owed, node) || !c.notifies(levelOf(change.eventType())) {
		return c.local.Settle(uuid, journalOwed)
	}
	c.newTask(owed.Request, node, "announcing").notifyProvision(ctx, change)
	return nil
}

// cameTrue tells whether the row was moved as promised, by this worker. A peer that made the same move did so later than this
// one could have: it waits for heartbeat_timeout before it takes a flow over. Databases may keep times in whole seconds.
func (c *Conductor) cameTrue(owed owedEvent, n *store.Node) bool {
	if n.ProvisionState != owed.To.State || n.TargetProvisionState != owed.To.Target {
		return false
	}
	after := n.ProvisionUpdatedAt.Sub(owed.At.Truncate(time.Second))
	return after >= 0 && after < c.lapse()
}
