package conductor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// powerCounts remembers how often in a row a node's power state could not be brought in line.
type powerCounts struct {
	mu    sync.Mutex
	count map[string]int
}

func (p *powerCounts) get(node string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count[node]
}

func (p *powerCounts) set(node string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n == 0 {
		delete(p.count, node)
		return
	}
	p.count[node] = n
}

// notSynced are the states in which the power state is another one's business or not known to be ours.
var notSynced = []string{store.DeployWait, store.CleanWait, store.Enroll, store.AdoptFail}

// syncPowerStates compares what the database says with what the BMCs say (reference/states.md §5.1). It returns when every
// node has had its turn; those whose BMCs are slow are still being asked then. Nodes that failed before do not wait for
// others, so that they are found dead soon, and others do not wait for them.
func (c *Conductor) syncPowerStates(ctx context.Context) error {
	nodes, err := c.owned(ctx, sql.Filter{Maintenance: pointer(false)}, "provision_state", "target_power_state", "reservation")
	if err != nil {
		return err
	}
	var failed, others []*store.Node
	for _, n := range nodes {
		switch {
		case !wantsPowerSync(n):
		case c.powerCounts.get(n.UUID) > 0:
			failed = append(failed, n)
		default:
			others = append(others, n)
		}
	}
	var rounds errgroup.Group
	rounds.Go(func() error { return c.visitAll(ctx, failed, true, c.syncPowerOf) })
	rounds.Go(func() error { return c.visitAll(ctx, others, false, c.syncPowerOf) })
	if err := rounds.Wait(); err != nil {
		return err
	}
	c.meterGauge("PowerSyncNodesCount", len(failed)+len(others))
	return nil
}

// visitAll runs an errand for each node, with its row as it was read a moment ago.
func (c *Conductor) visitAll(ctx context.Context, nodes []*store.Node, doubtful bool,
	run func(ctx context.Context, row *store.Node, read time.Time, p *place)) error {
	for batch := range slices.Chunk(nodes, syncBatch) {
		rows, err := c.peekAll(ctx, batch)
		if err != nil {
			return err
		}
		read := c.now()
		for _, n := range rows {
			e := errand{ctx, n.UUID, doubtful, func(ctx context.Context, p *place) { run(ctx, n, read, p) }}
			if err := c.visit(c.controllerOf(n), e); err != nil {
				return err
			}
		}
	}
	return nil
}

// syncBatch is how many rows a power sync reads at a time: a statement for each node would cost more than all else, and all
// rows of a large fleet at once would fill the memory.
const syncBatch = 100

// peekAll reads nodes that are only looked at, in the order in which they are given. Those that are gone are left out.
func (c *Conductor) peekAll(ctx context.Context, nodes []*store.Node) ([]*store.Node, error) {
	order := make(map[string]int, len(nodes))
	uuids := make([]string, len(nodes))
	for i, n := range nodes {
		uuids[i], order[n.UUID] = n.UUID, i
	}
	rows, err := c.db.Nodes(ctx, sql.Filter{UUIDs: uuids, IncludeChildren: true, Peek: true})
	slices.SortFunc(rows, func(a, b *store.Node) int { return cmp.Compare(order[a.UUID], order[b.UUID]) })
	return rows, err
}

func wantsPowerSync(n *store.Node) bool {
	return !slices.Contains(notSynced, n.ProvisionState) && !n.Maintenance && n.TargetPowerState == "" && n.Reservation == ""
}

// syncFreshness is how old a row may be that a power sync goes by. What is done because of it is done under the lock, with
// the row read again; but a BMC must not count as dead because its address was changed meanwhile.
const syncFreshness = 5 * time.Second

// syncPowerOf syncs a node whose row was read a while ago.
func (c *Conductor) syncPowerOf(ctx context.Context, row *store.Node, read time.Time, p *place) {
	node := row.UUID
	err := c.readLately(ctx, row, read, "power state sync", func(ctx context.Context, t *task) error {
		if !wantsPowerSync(t.Node) {
			return nil
		}
		failures, err := t.syncPower(ctx, c.powerCounts.get(node), p)
		c.powerCounts.set(node, failures)
		return err
	})
	switch store.KindOf(err) {
	case store.NodeLocked, store.NodeNotFound:
		return
	}
	if err != nil && ctx.Err() == nil {
		c.log.Warn().Err(err).Str("node", node).Msg("Power sync failed")
	}
}

// readLately is readRow for a row that was read a while ago, behind nodes whose BMCs may have been slow.
func (c *Conductor) readLately(ctx context.Context, row *store.Node, read time.Time, purpose string,
	fn func(context.Context, *task) error) error {
	if c.now().Sub(read) > syncFreshness {
		var err error
		if row, err = c.db.Peek(ctx, row.UUID); err != nil {
			return err
		}
	}
	return c.readRow(ctx, oslo.AdminContext(), row, purpose, fn)
}

// syncPower does one comparison and returns how many have now failed in a row.
func (t *task) syncPower(ctx context.Context, failures int, p *place) (int, error) {
	t.Routine = true
	count, retries := failures+1, t.c.live().PowerStateSyncMaxRetries
	if t.Node.PowerState == "" {
		if err := t.Hardware.Power.Validate(ctx, t.Task); isInvalidParameter(store.KindOf(err)) {
			return 0, nil
		}
	}
	var actual string
	var err error
	p.whileAsking(ctx, func() {
		actual, err = t.Hardware.Power.PowerState(ctx, t.Task)
		if err == nil && actual != store.PowerError {
			t.cacheVendor(ctx)
			t.cacheBootMode(ctx)
			t.cacheHealth(ctx)
		}
	})
	if err == nil && actual == store.PowerError {
		err = store.Errorf(store.PowerStateFailure,
			"Power driver returned ERROR state while trying to sync power state.")
	}
	if ctx.Err() != nil {
		return failures, ctx.Err()
	}
	if err != nil {
		if count <= retries {
			t.Log.Warn().Err(err).Int("attempt", count).Int("of", retries).Msg("Power sync could not read the power state")
			return count, nil
		}
		return count, t.giveUpPower(ctx, actual, err)
	}
	if t.Node.PowerState == actual {
		return 0, t.clearSettledError(ctx)
	}
	if err := t.upgrade(ctx, "power state sync", 0); err != nil {
		return failures, err
	}
	if t.Node.PowerState == actual || slices.Contains(notSynced, t.Node.ProvisionState) || t.Node.Maintenance {
		return 0, nil
	}
	return t.correctPower(ctx, actual, count, p)
}

// clearSettledError forgets last_error once the power is as it should be, where the node's history keeps the error. Ironic
// does so since 2025.2.
func (t *task) clearSettledError(ctx context.Context) error {
	if t.c.cfg.Release < messaging.V2025_2 || !t.c.live().NodeHistory || t.Node.LastError == "" {
		return nil
	}
	settled := t.Node.LastError
	if err := t.upgrade(ctx, "power state sync", 0); err != nil {
		return err
	}
	if t.Node.LastError == settled {
		t.Node.LastError = ""
	}
	return t.save(ctx)
}

// correctPower acts on a difference, under the lock.
func (t *task) correctPower(ctx context.Context, actual string, count int, p *place) (int, error) {
	recorded := t.Node.PowerState
	switch {
	case recorded == "":
		return 0, t.recordPower(ctx, actual)
	case count > t.c.live().PowerStateSyncMaxRetries:
		return count, t.giveUpPower(ctx, actual, nil)
	case t.c.live().ForcePowerStateDuringSync && t.Hardware.Power.SupportsPowerSync(t.Task) && !disabledPowerOff(t.Node):
		t.Log.Warn().Str("actual", actual).Str("recorded", recorded).Msg("Power sync brings the node back to its recorded state")
		var err error
		p.whileAsking(ctx, func() { err = t.setPower(ctx, recorded, 0) })
		if err != nil {
			t.Log.Error().Err(err).Int("attempt", count).Msg("Power sync could not change the power state")
		}
		return count, nil
	}
	return count, t.recordPower(ctx, actual)
}

func disabledPowerOff(n *store.Node) bool { return n.DisablePowerOff != nil && *n.DisablePowerOff }

// recordPower believes the BMC.
func (t *task) recordPower(ctx context.Context, actual string) error {
	before := t.Node.PowerState
	t.Node.PowerState = actual
	if err := t.save(ctx); err != nil {
		return err
	}
	t.powerCorrected(ctx, before)
	return nil
}

// giveUpPower puts a node into maintenance whose power state can't be read or kept.
func (t *task) giveUpPower(ctx context.Context, actual string, cause error) error {
	if err := t.upgrade(ctx, "power state sync", 0); err != nil {
		return err
	}
	if t.Node.Maintenance {
		// An operator was quicker. Their reason stays, and the node does not come back by itself.
		return nil
	}
	before, node := t.Node.PowerState, t.Node
	text := fmt.Sprintf("During sync_power_state, max retries exceeded for node %s, node state %s does not match expected "+
		"state '%s'. Updating DB state to '%s' Switching node to maintenance mode.", node.UUID, orNone(actual),
		orNone(before), orNone(actual))
	if cause != nil {
		text += fmt.Sprintf(" Error: %s", cause)
	}
	node.PowerState = actual
	t.record(ctx, historyMonitoring, text)
	node.Maintenance, node.MaintenanceReason, node.Fault = true, &text, store.FaultPower
	if err := t.save(ctx); err != nil {
		return err
	}
	if before != actual {
		t.powerCorrected(ctx, before)
	}
	return nil
}

// orNone prints an unknown power state as Python does.
func orNone(s string) string {
	if s == "" {
		return "None"
	}
	return s
}

// recoverPowerFailures takes nodes out of maintenance whose BMC answers again. It returns before the last have answered.
func (c *Conductor) recoverPowerFailures(ctx context.Context) error {
	nodes, err := c.owned(ctx, sql.Filter{Maintenance: pointer(true), Fault: store.FaultPower})
	if err != nil {
		return err
	}
	err = c.visitAll(ctx, nodes, true, func(ctx context.Context, row *store.Node, read time.Time, _ *place) {
		err := c.readLately(ctx, row, read, "power failure recovery", recoverPower)
		if kind := store.KindOf(err); err != nil && kind != store.NodeLocked && kind != store.NodeNotFound {
			c.log.Debug().Err(err).Str("node", row.UUID).Msg("The BMC still gives no power state")
		}
	})
	if err != nil {
		return err
	}
	c.meterGauge("PowerSyncRecoveryNodeCount", len(nodes))
	return nil
}

func recoverPower(ctx context.Context, t *task) error {
	n := t.Node
	if n.ProvisionState == store.Enroll || !n.Maintenance || n.Fault != store.FaultPower || n.TargetPowerState != "" ||
		n.Reservation != "" {
		return nil
	}
	t.Routine = true
	if err := t.Hardware.Power.Validate(ctx, t.Task); err != nil {
		return err
	}
	actual, err := t.Hardware.Power.PowerState(ctx, t.Task)
	if err != nil {
		return err
	}
	if actual == store.PowerError {
		return store.Errorf(store.PowerStateFailure, "Power driver returned ERROR state while trying to get power state.")
	}
	if err := t.upgrade(ctx, "power failure recovery", 0); err != nil {
		return err
	}
	before := t.Node.PowerState
	t.Node.PowerState, t.Node.Maintenance, t.Node.MaintenanceReason, t.Node.Fault = actual, false, nil, ""
	if err := t.save(ctx); err != nil {
		return err
	}
	if before != actual {
		t.powerCorrected(ctx, before)
	}
	return nil
}
