package conductor

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// adoptOrphans frees our nodes from the reservations of workers that are gone, announces what those owe, and fails what
// conductors of Python had begun: takeOverFlows goes on with the flows of ours. Unlike ironic it frees child nodes, too, which a
// worker holds while it switches their parent off: nobody else would.
func (c *Conductor) adoptOrphans(ctx context.Context) error {
	gone, err := c.goneConductors(ctx)
	if err != nil || len(gone) == 0 {
		return err
	}
	hosts := slices.Collect(maps.Keys(gone))
	set, err := c.ringsNow(ctx)
	if err != nil {
		return err
	}
	nodes, err := c.ownedBy(ctx, set, sql.Filter{ReservedByAnyOf: hosts, IncludeChildren: true},
		append([]string{"reservation", "maintenance", "target_power_state"}, owing...)...)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if resumes(n) {
			continue
		}
		if err := c.adoptOrphan(ctx, n, gone[n.Reservation]); err != nil {
			c.log.Error().Err(err).Str("node", n.UUID).Msg("Freeing a node from a dead conductor failed")
		}
	}
	return nil
}

// goneConductors are the other workers that are not there any more, by host name. After this worker's clock was set, the times
// in their rows say nothing, and a worker is gone whose row was seen without a change for heartbeat_timeout.
func (c *Conductor) goneConductors(ctx context.Context) (map[string]store.Conductor, error) {
	step, limit := c.clockStep(), c.cfg.HeartbeatTimeout
	if step != 0 {
		limit = -step.Abs() - c.cfg.HeartbeatTimeout // all of them
	}
	offline, err := c.db.OfflineConductors(ctx, limit)
	gone := map[string]store.Conductor{}
	for _, o := range offline {
		still := c.witness.unchanged(o, c.uptime())
		if !strings.EqualFold(o.Hostname, c.cfg.Host) && (step == 0 || still >= c.cfg.HeartbeatTimeout) {
			gone[o.Hostname] = o
		}
	}
	return gone, err
}

func (c *Conductor) adoptOrphan(ctx context.Context, n *store.Node, gone store.Conductor) error {
	if taken, err := c.db.TakeOver(ctx, n.ID, gone, ""); err != nil || !taken {
		return err
	}
	c.log.Warn().Str("node", n.UUID).Str("conductor", n.Reservation).
		Msg("Removed the reservation of a conductor that went offline")
	transient := n.ProvisionState == store.Deploying || n.ProvisionState == store.Cleaning
	if !unsettled(n) && (n.Maintenance || !transient && n.TargetPowerState == "") {
		return nil
	}
	err := c.withNode(ctx, oslo.AdminContext(), n.UUID, lockMode{purpose: "power state clean up"},
		func(ctx context.Context, t *task) error {
			if t.Node.Maintenance || t.Node.TargetPowerState == "" {
				return settleNode(ctx, t)
			}
			t.Node.TargetPowerState = ""
			t.record(ctx, historyTakeover, "Pending power operation was aborted due to conductor take over")
			return t.save(ctx)
		})
	if err != nil || !transient || n.Maintenance {
		return err
	}
	states := []string{store.Deploying, store.Cleaning}
	// Not by failNodes: the rings that others go by may still have the node with the conductor that is gone.
	return c.withNode(ctx, oslo.AdminContext(), n.UUID, lockMode{purpose: "node state check"},
		func(ctx context.Context, t *task) error {
			return t.failStuck(ctx, failing{states: states, work: func(ctx context.Context, t *task) { t.abortOnTakeOver(ctx) }})
		})
}

// takeOverNodes prepares this worker for active nodes that the ring has moved to it.
func (c *Conductor) takeOverNodes(ctx context.Context) error {
	nodes, err := c.owned(ctx, sql.Filter{Reserved: pointer(false), Maintenance: pointer(false),
		ProvisionStates: []string{store.Active}}, "conductor_affinity")
	if err != nil {
		return err
	}
	looked := len(nodes)
	nodes = slices.DeleteFunc(nodes, func(n *store.Node) bool { return equalPtr(n.ConductorAffinity, &c.conductorID) })
	c.eachLocked(ctx, nodes, c.live().PeriodicMaxWorkers, "node take over", takeOverLocked)
	c.meterGauge("SyncLocalStateNodeCount", looked)
	return nil
}

// takeOverLocked looks again now that the lock is held, and goes on in the background.
func takeOverLocked(_ context.Context, t *task) error {
	node := t.Node
	if node.Maintenance || node.ProvisionState != store.Active || equalPtr(node.ConductorAffinity, &t.c.conductorID) {
		return nil
	}
	t.after(func(ctx context.Context, t *task) {
		if err := t.takeOver(ctx); err != nil && !lost(err) {
			t.Log.Error().Err(err).Msg("Taking over the node failed")
		}
	}, nil)
	return nil
}

// cleanImages forgets images that no deployment needs any more.
func (c *Conductor) cleanImages(ctx context.Context) error {
	return c.images.CleanUp(ctx, func(ctx context.Context) (map[string]bool, error) {
		nodes, err := c.db.Nodes(ctx, sql.Filter{Columns: []string{"uuid"}, IncludeChildren: true,
			ProvisionStates: []string{store.Deploying, store.DeployWait, store.DeployHold}})
		busy := map[string]bool{}
		for _, n := range nodes {
			busy[n.UUID] = true
		}
		return busy, err
	})
}
