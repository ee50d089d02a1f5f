package conductor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// failLeftovers fails what nobody can go on with: nodes in a transient state that nobody holds and whose flow is not one of
// ours (those are resumed). It runs at the start; claimed are the nodes that an earlier run of this worker held.
//
// Beside other workers a node that is in such a state, and was not this one's, may be in good hands: ironic's conductor
// lets go of a node between two parts of its flow, and takes it again when its own message comes round. Such a node is
// failed only when it is found unchanged after heartbeat_timeout.
func (c *Conductor) failLeftovers(ctx context.Context, claimed []string) error {
	peers, err := c.peers(ctx)
	if err != nil {
		return err
	}
	var doubtful []*store.Node
	for _, state := range store.StuckStates() {
		nodes, err := c.owned(ctx, sql.Filter{Reserved: pointer(false), ProvisionStates: []string{state},
			OrderBy: "provision_updated_at"}, cursor...)
		if err != nil {
			return err
		}
		nodes = slices.DeleteFunc(nodes, resumes)
		sure := nodes
		if peers > 0 {
			sure = nil
			for _, n := range nodes {
				if slices.Contains(claimed, n.UUID) || markedBy(n, c.cfg.Host) {
					sure = append(sure, n)
				} else {
					doubtful = append(doubtful, n)
				}
			}
		}
		c.eachLocked(ctx, sure, 0, "node state check", failLeftover)
	}
	if len(doubtful) > 0 {
		c.background.Go(func() {
			if drivers.Pause(c.workCtx, c.cfg.HeartbeatTimeout) == nil && c.mayAct() == nil {
				c.failUnchanged(c.workCtx, doubtful)
			}
		})
	}
	return nil
}

// failUnchanged looks again at nodes that another worker might have been about to take.
func (c *Conductor) failUnchanged(ctx context.Context, nodes []*store.Node) {
	since := map[string]time.Time{}
	for _, n := range nodes {
		since[n.UUID] = n.ProvisionUpdatedAt
	}
	c.eachLocked(ctx, nodes, 0, "node state check", func(ctx context.Context, t *task) error {
		if !t.Node.ProvisionUpdatedAt.Equal(since[t.Node.UUID]) {
			return nil
		}
		return failLeftover(ctx, t)
	})
}

func failLeftover(ctx context.Context, t *task) error {
	state := t.Node.ProvisionState
	if !slices.Contains(store.StuckStates(), state) || resumes(t.Node) {
		return nil
	}
	t.record(ctx, historyTransition, fmt.Sprintf("The %s state can't be resumed by conductor %s. Moving to fail state.",
		state, t.c.cfg.Host))
	return t.processEvent(ctx, eventFail, eventOptions{})
}
