package conductor

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// keyOwed holds, in driver_internal_info, the announcement of the row's last move until it is in the outbox. It is written in
// the same UPDATE as the move and taken away by the next one, so that no move goes unannounced: whoever holds the node next,
// this worker after a restart or a peer, announces it, under the same message id.
//
// Crash window: between the outbox and the row's next UPDATE the announcement is made once more, with that id, by which a
// consumer can tell.
const keyOwed = "ironmaster_owed"

// owe notes in the row, which the caller saves, what is going to be announced. It returns the message id, "" when nobody
// listens and nothing is owed.
func (t *task) owe(change provisionChange) string {
	delete(t.Node.DriverInternalInfo, keyOwed)
	if t.c.notifier == nil || change.flow == "" && !t.c.notifies(levelOf(change.status)) {
		return ""
	}
	id := uuid.NewString()
	t.Node.DriverInternalInfo[keyOwed] = store.Dict{"id": id, "event": change.event, "status": change.status,
		"state": change.from.State, "target": change.from.Target, "flow": change.flow}
	return id
}

// announceMove announces a move and settles what is owed of it. The row learns of that with its next UPDATE, at the latest
// when the node is released.
func (t *task) announceMove(ctx context.Context, id string, change provisionChange) {
	t.notifyProvision(ctx, id, change)
	if change.flow != "" {
		t.reportFlowEnd(ctx, id, change.flow)
	}
	if id != "" {
		delete(t.Node.DriverInternalInfo, keyOwed)
		t.settled = true
	}
}

// settleOwed announces what the last holder of the node did not live to announce.
func (t *task) settleOwed(ctx context.Context) {
	owed := t.Node.DriverInternalInfo.Dict(keyOwed)
	if owed == nil {
		return
	}
	t.Log.Info().Str("event", owed.String("event")).Msg("Announcing a move that its worker did not live to announce")
	t.announceMove(ctx, owed.String("id"), provisionChange{event: owed.String("event"), status: owed.String("status"),
		from: moment{State: owed.String("state"), Target: owed.String("target")}, flow: owed.String("flow")})
}

// owing are the columns by which unsettled tells.
var owing = []string{"provision_state", "driver_internal_info", "deploy_step", "clean_step", "service_step", "last_error",
	"instance_info"}

// settleClaimed ends what earlier runs of this worker had left to do on nodes at rest that they held: an announcement, which
// taking the lock makes, and the tear-down of a flow that has failed.
func (c *Conductor) settleClaimed(ctx context.Context, claimed []string) error {
	if len(claimed) == 0 {
		return nil
	}
	nodes, err := c.db.Nodes(ctx, sql.Filter{UUIDs: claimed, Reserved: pointer(false), IncludeChildren: true,
		Columns: append([]string{"uuid"}, owing...)})
	if err != nil {
		return err
	}
	nodes = slices.DeleteFunc(nodes, func(n *store.Node) bool { return !unsettled(n) })
	c.eachLocked(ctx, nodes, 0, "settling", settleNode)
	return nil
}

// owedSpacing is how often is looked for announcements that nobody is left to make.
//
// To find one text in all rows takes a database of 10,000 nodes a tenth of a second of processor time and more. So most looks are at
// rows that were written to lately: whoever leaves an announcement behind has written to the row, and so has whoever freed it of a
// worker that is gone. owedWholeSpacing is how often all rows are looked at, and lately is twice that, which leaves room for clocks
// that differ and for nodes that become this worker's some time after they were freed.
const (
	owedSpacing      = 10 * time.Second
	owedWholeSpacing = 10 * time.Minute
)

// settleLeft announces what is owed of nodes that nobody holds: a row that says so is held for as long as its worker lives, and
// one that was killed again, before it came to what it had claimed, does not know of it any more.
func (c *Conductor) settleLeft(ctx context.Context) error {
	filter := sql.Filter{Reserved: pointer(false), IncludeChildren: true, InfoHas: keyOwed}
	began := c.uptime()
	whole := began-c.owedLooked >= owedWholeSpacing
	if !whole {
		filter.ChangedWithin = 2 * owedWholeSpacing
	}
	nodes, err := c.owned(ctx, filter, owing...)
	if err != nil {
		return err
	}
	if whole {
		c.owedLooked = began
	}
	nodes = slices.DeleteFunc(nodes, func(n *store.Node) bool { return !unsettled(n) })
	c.eachLocked(ctx, nodes, 0, "settling", settleNode)
	return nil
}

// unsettled tells that the last holder of a node at rest did not live to do all that it owed.
func unsettled(n *store.Node) bool {
	return n.DriverInternalInfo.Dict(keyOwed) != nil || failedInStep(n)
}

// failedInStep tells that a flow has failed, and that the worker which was to leave its node in order did not get that far: it
// would have taken the step out of the row, or the password of a rescue.
func failedInStep(n *store.Node) bool {
	return n.ProvisionState == store.CleanFail && len(n.CleanStep) > 0 ||
		n.ProvisionState == store.DeployFail && len(n.DeployStep) > 0 || leftRescue(n) || leftService(n)
}

// settleNode leaves a node in order whose flow has failed.
func settleNode(_ context.Context, t *task) error {
	if failedInStep(t.Node) {
		t.after(func(ctx context.Context, t *task) { t.leaveFailed(ctx) }, nil)
	}
	return nil
}

func (t *task) leaveFailed(ctx context.Context) {
	// What the user is told of a deployment's abort comes into the row when that is over, as in ironic.
	aborted := strings.HasPrefix(t.Node.LastError, abortedBegins) || t.Node.DriverInternalInfo.Bool(keyGivenUp, false)
	text := t.Node.LastError
	if text == "" {
		text = "The operation failed, and its conductor was lost before it had left the node in order"
	}
	switch state := t.Node.ProvisionState; {
	case aborted && state == store.RescueFail:
		t.abortRescue(ctx)
	case state == store.RescueFail:
		t.rescueFailed(ctx, text, true)
	case state == store.Active, aborted && state == store.ServiceFail:
		t.abortService(ctx)
	case state == store.ServiceFail:
		t.serviceFailed(ctx, flowFailure{text: text, stateIsSet: true})
	case aborted && state == store.CleanFail:
		t.abortClean(ctx)
	case aborted:
		t.abortDeploy(ctx)
	case state == store.CleanFail:
		t.cleanFailed(ctx, flowFailure{text: text, stateIsSet: true})
	default:
		t.deployFailed(ctx, text, true)
	}
}

// flowEventID is the message id of the progress event that goes with an announcement: the same whoever makes it.
func flowEventID(announcement string) string {
	id, err := uuid.Parse(announcement)
	if err != nil {
		return uuid.NewString()
	}
	return uuid.NewSHA1(id, []byte("progress")).String()
}
