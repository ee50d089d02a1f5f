package conductor

import (
	"context"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// guard is what has to be true of the row for a write to go through.
func (t *task) guard() sql.Guard {
	before, _ := t.Node.Snapshot["provision_state"].(string)
	return sql.Guard{Reservation: t.c.cfg.Host, ProvisionState: before}
}

// eventOptions is what a sender adds to an event.
type eventOptions struct {
	// target overrides the target state.
	target string
	// lastError is recorded together with the new state.
	lastError string
	// flow is the flow that ends well with the event.
	flow string
	// background goes on from the new state once the RPC was answered.
	background func(context.Context, *task)
	// shown is what the announcement shows of the node where the request's own parts were written together with the state: ironic
	// writes those once its background work has begun.
	shown *shownInfo
	// undo takes back what was changed in the row together with the state, when no worker was free.
	undo func()
}

// shownInfo is what a node's columns held before the parts of a request were written.
type shownInfo struct{ instance, internal store.Dict }

func infoOf(n *store.Node) *shownInfo {
	return &shownInfo{n.InstanceInfo.Clone(), n.DriverInternalInfo.Clone()}
}

// processEvent moves the node through the state machine, writes the row once and announces the change: at once, or, when
// background work goes on from here, after a worker was found for it.
func (t *task) processEvent(ctx context.Context, event string, o eventOptions) error {
	node := t.Node
	from := moment{State: node.ProvisionState, Target: node.TargetProvisionState}
	tr, err := t.c.machine.Step(from, eventRequest{Event: event, Target: o.target, Background: o.background != nil})
	if err != nil {
		return err
	}
	node.ProvisionState, node.TargetProvisionState = tr.State, tr.Target
	if o.background != nil {
		t.markRequest(ctx)
	}
	t.markEpoch()
	if tr.ClearsError || o.lastError != "" {
		node.LastError = o.lastError
	}
	change := provisionChange{from: from, event: event, status: tr.Status, flow: o.flow, shown: o.shown}
	id := t.owe(change)
	// gofail: var eventBeforeSave struct{}
	if err := t.save(ctx); err != nil {
		return err
	}
	// gofail: var eventSaved struct{}
	t.logTransition(from)
	if o.background == nil {
		t.announceMove(ctx, id, change)
		return nil
	}
	t.announce = func(ctx context.Context) { t.announceMove(ctx, id, change) }
	t.after(o.background, func(ctx context.Context, err error) {
		if o.undo != nil {
			o.undo()
		}
		t.undoProvision(ctx, from, err)
	})
	return nil
}

// undoProvision puts the node back into the state that it had before the event, because no worker was free.
func (t *task) undoProvision(ctx context.Context, before moment, err error) {
	if store.KindOf(err) != store.NoFreeConductorWorker {
		return
	}
	t.Node.ProvisionState, t.Node.TargetProvisionState = before.State, before.Target
	delete(t.Node.DriverInternalInfo, keyOwed)
	t.markEpoch()
	t.record(ctx, historyProvisioning, noFreeWorkers)
	if err := t.save(ctx); err != nil {
		t.Log.Error().Err(err).Msg("Recording that no worker was free failed")
	}
}

const noFreeWorkers = "No free conductor workers available"

func (t *task) logTransition(from moment) {
	node := t.Node
	level := t.Log.Info()
	if strings.HasSuffix(node.ProvisionState, "failed") || node.ProvisionState == store.ErrorState {
		level = t.Log.Error()
	}
	t.turn(momentState, fmt.Sprintf("%s -> %s", from.State, node.ProvisionState))
	level.Str("from", from.State).Str("to", node.ProvisionState).Str("target", node.TargetProvisionState).
		Msg("Node moved to another provision state")
}

// Event types of node_history, ironic's vocabulary.
const (
	historyProvisioning = "provisioning"
	historyDeploying    = "deploying"
	historyCleaning     = "cleaning"
	historyRescue       = "rescue"
	historyServicing    = "servicing"
	historyVerify       = "verify"
	historyVerifying    = "verifying"
	historyUnprovision  = "unprovision"
	historyAdoption     = "adoption"
	historyTakeover     = "takeover"
	historyMonitoring   = "monitoring"
	historyConductor    = "conductor"
	historyTransition   = "transition"
	historyConsole      = "console"
	historyInspection   = "introspection"
	historyStartFailure = "startup failure"
	historyUnknown      = "UNKNOWN"
)

// record sets last_error and keeps the text in the node's history. The caller saves the node.
func (t *task) record(ctx context.Context, eventType, text string) {
	t.Node.LastError = text
	t.turn(momentError, text)
	t.addHistory(ctx, eventType, "ERROR", text)
}

// addHistory keeps an event in the node's history.
func (t *task) addHistory(ctx context.Context, eventType, severity, text string) {
	if !t.c.live().NodeHistory {
		return
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	entry := store.HistoryEntry{
		NodeID: t.Node.ID, Conductor: t.c.cfg.Host, EventType: eventType, Severity: severity, Event: text, User: t.UserID,
		State: t.Node.ProvisionState, TargetState: t.Node.TargetProvisionState,
	}
	if since := t.Node.ProvisionUpdatedAt; !since.IsZero() {
		seconds := int64(t.c.now().Sub(since).Seconds())
		entry.Duration = &seconds
	}
	if err := t.c.db.AddHistory(ctx, entry); err != nil {
		t.Log.Error().Err(err).Msg("Writing to the node's history failed")
	}
}
