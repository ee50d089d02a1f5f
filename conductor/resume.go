package conductor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// A flow that was cut short goes on from its row: the state says which flow it is, driver_internal_info and the step columns
// how far it came, the mark (epoch.go) whose it was. What was under way in the moment of the cut is asked of the BMC and the
// agent by the step's Resume. The worker whose flow it was goes on with it at its next start; when that worker is gone, the
// one that the ring maps the node to does.

// orphanSpacing is how often a worker looks for flows that nobody runs. It bounds, with heartbeat_timeout, how long a flow
// stands still when its worker dies.
const orphanSpacing = 2 * time.Second

// resumesAtOnce is how many nodes are locked at a time to go on with their flows.
const resumesAtOnce = 8

// resumable are the states in which a worker holds the node and knows how to go on. In the others of StuckStates no flow of
// this worker can be.
var resumable = []string{store.Deploying, store.Cleaning, store.Deleting, store.Verifying, store.Adopting,
	store.Rescuing, store.Unrescuing, store.Inspecting, store.Servicing}

// awaiting are the states in which the node's agent is at work, or a machine boots.
var awaiting = []string{store.DeployWait, store.CleanWait, store.RescueWait, store.ServiceWait, store.InspectWait}

// resumes tells that takeOverFlows goes on with a node's flow.
func resumes(n *store.Node) bool {
	return mark(n).String(markHost) != "" &&
		(slices.Contains(resumable, n.ProvisionState) || slices.Contains(awaiting, n.ProvisionState))
}

// cursor are the columns that tell what has become of a flow.
var cursor = []string{"provision_state", "reservation", "driver_internal_info", "provision_updated_at"}

// resumeOwn goes on with the flows of this worker's earlier runs. What machines and agents that wait were promised is served
// again, at the same addresses.
func (c *Conductor) resumeOwn(ctx context.Context) error {
	nodes, err := c.db.Nodes(ctx, sql.Filter{Reserved: pointer(false), IncludeChildren: true, OrderBy: "provision_updated_at",
		ProvisionStates: append(slices.Clone(resumable), awaiting...), Columns: append([]string{"uuid"}, cursor...)})
	if err != nil {
		return err
	}
	nodes = slices.DeleteFunc(nodes, func(n *store.Node) bool { return !markedBy(n, c.cfg.Host) })
	c.eachToResume(ctx, nodes, func(ctx context.Context, n *store.Node) error {
		if n.ProvisionState == store.InspectWait {
			return c.awaitAgain(ctx, n)
		}
		if slices.Contains(awaiting, n.ProvisionState) {
			return errors.Join(c.serveAgain(ctx, n), c.awaitAgain(ctx, n))
		}
		return c.resumeNode(ctx, n)
	})
	return nil
}

// serveAgain publishes again what a node that waits may be reading.
func (c *Conductor) serveAgain(ctx context.Context, n *store.Node) error {
	return c.readNode(ctx, oslo.AdminContext(), n.UUID, "serving again", func(ctx context.Context, t *task) error {
		t.rememberProgress(waitingKind(t.Node))
		return t.Hardware.Deploy.TakeOver(ctx, t.Task)
	})
}

// eachToResume does the work for several nodes at a time. What fails is looked at again by takeOverFlows.
func (c *Conductor) eachToResume(ctx context.Context, nodes []*store.Node, work func(context.Context, *store.Node) error) {
	var some errgroup.Group
	some.SetLimit(resumesAtOnce)
	for _, n := range nodes {
		some.Go(func() error {
			err := work(ctx, n)
			switch kind := store.KindOf(err); {
			case err == nil, kind == store.NodeLocked, kind == store.NodeNotFound, kind == store.NoFreeConductorWorker, ctx.Err() != nil:
			default:
				c.log.Error().Err(err).Str("node", n.UUID).Str("state", n.ProvisionState).Msg("Resuming a flow failed")
			}
			return nil
		})
	}
	_ = some.Wait()
}

// takeOverFlows goes on with flows that nobody runs: those of workers that are gone and whose nodes the ring maps to this one,
// and this worker's own that were cut short.
func (c *Conductor) takeOverFlows(ctx context.Context) error {
	nodes, err := c.db.Nodes(ctx, sql.Filter{IncludeChildren: true, OrderBy: "provision_updated_at",
		ProvisionStates: append(slices.Clone(resumable), awaiting...),
		Columns:         append([]string{"uuid", "driver", "conductor_group"}, cursor...)})
	if err != nil || len(nodes) == 0 {
		return err
	}
	gone, err := c.goneConductors(ctx)
	if err != nil {
		return err
	}
	set, err := c.ringsNow(ctx)
	if err != nil {
		return err
	}
	held := c.heldNodes()
	nodes = slices.DeleteFunc(nodes, func(n *store.Node) bool {
		host := mark(n).String(markHost)
		if host == "" || n.Reservation != "" && !strings.EqualFold(n.Reservation, host) {
			// A Python conductor's: it lets go of a node between two parts of its flow, and takes it again.
			return true
		}
		if markedBy(n, c.cfg.Host) {
			return slices.Contains(awaiting, n.ProvisionState) || held[n.UUID]
		}
		_, isGone := gone[host]
		return !isGone || set.Host(n.Driver, n.ConductorGroup, n.UUID) != c.cfg.Host
	})
	c.eachToResume(ctx, nodes, func(ctx context.Context, n *store.Node) error {
		if n.Reservation != "" && !markedBy(n, c.cfg.Host) {
			if taken, err := c.db.TakeOver(ctx, n.ID, gone[n.Reservation], ""); err != nil || !taken {
				return err
			}
		}
		return c.resumeNode(ctx, n)
	})
	return nil
}

// resumeNode locks a node whose flow was cut short and goes on with it in the background.
func (c *Conductor) resumeNode(ctx context.Context, n *store.Node) error {
	before := mark(n)
	return c.withNode(ctx, oslo.AdminContext(), n.UUID, lockMode{purpose: "resuming " + n.ProvisionState, attempts: 1},
		func(_ context.Context, t *task) error {
			if t.Node.ProvisionState != n.ProvisionState || mark(t.Node).String(markHost) != before.String(markHost) {
				return nil
			}
			t.Foreign = !markedBy(t.Node, c.cfg.Host)
			t.after(func(ctx context.Context, t *task) { t.goOn(ctx) }, nil)
			return nil
		})
}

// goOn goes on with the flow that the row tells of.
func (t *task) goOn(ctx context.Context) {
	kind, text := "own", "goes on with its flow, which was cut short"
	if t.Foreign {
		kind, text = "takeover", "goes on with the flow of "+mark(t.Node).String(markHost)+", which is gone"
	}
	t.Log.Info().Str("kind", kind).Str("state", t.Node.ProvisionState).Str("step", stepID(runningStep(t.Node))).
		Str("was", mark(t.Node).String(markHost)).Msg("Resuming a flow")
	t.turn(momentWorker, text)
	t.Node.TargetPowerState = ""
	t.note(store.Dict{markHost: t.c.cfg.Host, markNumber: int64(t.c.local.Epoch())})
	if t.saveOrLose(ctx) != nil {
		return
	}
	t.c.metrics.resumes.WithLabelValues(kind).Inc()
	t.rememberStepless()
	switch t.Node.ProvisionState {
	case store.Deploying:
		t.goOnDeploying(ctx)
	case store.Cleaning:
		t.goOnCleaning(ctx)
	case store.Deleting:
		t.tearDown(ctx, mark(t.Node).String(markFrom))
	case store.Verifying:
		t.verify(ctx)
	case store.Adopting:
		t.adopt(ctx)
	case store.Rescuing:
		t.goOnRescuing(ctx)
	case store.Unrescuing:
		t.unrescue(ctx)
	case store.Inspecting:
		t.goOnInspecting(ctx)
	case store.InspectWait:
		t.inspectAnew(ctx)
	case store.Servicing:
		t.goOnServicing(ctx)
	case store.DeployWait, store.CleanWait, store.RescueWait, store.ServiceWait:
		t.goOnWaiting(ctx, waitingKind(t.Node))
	}
}

func (t *task) goOnDeploying(ctx context.Context) {
	t.rememberProgress(drivers.DeployStep)
	if t.polledOut(drivers.DeployStep) {
		t.continueDeploy(ctx)
		return
	}
	index, began := t.cursor(drivers.DeployStep)
	if !began {
		// What was prepared is not served any more, and nobody has used it yet.
		t.deploy(ctx)
		return
	}
	t.runDeploySteps(ctx, index, !t.toBeginAgain())
}

func (t *task) goOnCleaning(ctx context.Context) {
	t.rememberProgress(drivers.CleanStep)
	m := mark(t.Node)
	if _, ending := m[markEnding]; ending {
		t.leaveClean(ctx, m.Bool(markEnding, false))
		return
	}
	if t.polledOut(drivers.CleanStep) {
		t.continueClean(ctx)
		return
	}
	if index, began := t.cursor(drivers.CleanStep); began {
		t.runCleanSteps(ctx, index, !t.toBeginAgain())
		return
	}
	if agent, ok := t.Hardware.Deploy.(drivers.Agent); ok && t.Node.DriverInternalInfo.String(keyAgentURL) != "" {
		// The agent had booted when the flow was cut short.
		if err := t.firstCleanStep(ctx, agent); err == nil || lost(err) || t.cutShort(ctx, err.Error()) {
			return
		}
	}
	t.clean(ctx, t.storedCleanRequest())
}

// cursor is the index of the step that the row names; began is false when none has begun.
func (t *task) cursor(kind drivers.StepKind) (index int, began bool) {
	at, known, err := t.Node.DriverInternalInfo.Int(string(kind) + "_step_index")
	return int(at), err == nil && known && len(*stepColumn(t.Node, kind)) > 0
}

// goOnWaiting makes a flow that waits this worker's own. An agent that was heard of tells how its step stands. A machine whose
// agent was not boots anew: it may have looked for its ISO while nobody served it, and would wait until its time is over.
func (t *task) goOnWaiting(ctx context.Context, kind drivers.StepKind) {
	agent, ok := t.Hardware.Deploy.(drivers.Agent)
	if !ok || t.Node.Maintenance {
		return
	}
	if t.Node.ProvisionState == store.RescueWait {
		t.goOnAwaitingRescue(ctx, agent)
		return
	}
	t.rememberProgress(kind)
	info := t.Node.DriverInternalInfo
	if polledStep(t.Node) {
		// Its BMC is at work on the machine, which must not be rebooted before that is over.
		if info.String(keyAgentURL) == "" {
			t.note(store.Dict{markBoot: info.String(keyPowerChanged)})
			_ = t.saveOrLose(ctx)
		}
		return
	}
	if _, ok := t.Hardware.Deploy.(drivers.Installer); ok && kind == drivers.DeployStep && info.String(keyInstallStatus) != "" {
		// Its word may not have been acted on.
		t.actOnBeat(ctx, agent)
		return
	}
	if info.String(keyAgentURL) != "" && !info.Bool(termsOf[kind].reboot, false) {
		t.askAgent(ctx, agent, kind)
		return
	}
	if err := agent.RebootAgent(ctx, t.Task); err != nil {
		if !lost(err) {
			t.flowFailed(ctx, kind, bootedAnewInVain(t.Node, err))
		}
		return
	}
	if t.saveOrLose(ctx) == nil {
		t.c.Report(t.Task, drivers.Progress{Doing: "waiting for the agent", Waiting: true})
	}
}

// awaitAgent moves a flow to its wait state whose step is to run once its agent is heard.
func (t *task) awaitAgent(ctx context.Context, kind drivers.StepKind, target string) {
	info := t.Node.DriverInternalInfo
	agent, ok := t.Hardware.Deploy.(drivers.Agent)
	boot := mark(t.Node).String(markBoot)
	if ok && boot != "" && boot == info.String(keyPowerChanged) && info.String(keyAgentURL) == "" {
		t.Log.Info().Msg("The machine was to boot its agent while its conductor was away; booting it anew")
		if err := agent.RebootAgent(ctx, t.Task); err != nil {
			if !lost(err) && !t.cutShort(ctx, err.Error()) {
				t.flowFailed(ctx, kind, bootedAnewInVain(t.Node, err))
			}
			return
		}
	}
	t.wait(ctx, target)
}

func bootedAnewInVain(n *store.Node, err error) string {
	return fmt.Sprintf("Booting node %s anew after its conductor was away failed: %s", n.UUID, err)
}

// askAgent looks how the step of a node that waits stands, as its next heartbeat would. An agent that does not answer is
// waited for.
func (t *task) askAgent(ctx context.Context, agent drivers.Agent, kind drivers.StepKind) {
	if _, err := agent.StepStatus(ctx, t.Task, kind); err != nil {
		t.Log.Info().Err(err).Msg("The agent can't be asked at the moment; its next heartbeat is waited for")
		return
	}
	switch kind {
	case drivers.CleanStep:
		t.beatCleanWait(ctx, agent)
	case drivers.ServiceStep:
		t.beatServiceWait(ctx, agent)
	default:
		t.beatDeployWait(ctx, agent)
	}
}

// awaitAgain looks after one of this worker's own nodes that waited while the worker was away: a heartbeat may have gone by
// unheard, the machine was about to be switched on, or could not read what it boots from.
func (c *Conductor) awaitAgain(ctx context.Context, n *store.Node) error {
	// Nobody comes back to the node: a request of its own that holds it for a moment is waited for.
	return c.withNode(ctx, oslo.AdminContext(), n.UUID, lockMode{purpose: "resuming " + n.ProvisionState},
		func(_ context.Context, t *task) error {
			t.rememberStepless()
			switch {
			case t.Node.ProvisionState != n.ProvisionState:
			case n.ProvisionState == store.InspectWait:
				t.after(func(ctx context.Context, t *task) { t.inspectAnew(ctx) }, nil)
			default:
				t.after(func(ctx context.Context, t *task) { t.goOnWaiting(ctx, waitingKind(t.Node)) }, nil)
			}
			return nil
		})
}
