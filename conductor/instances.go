package conductor

import (
	"context"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// serveAgainSpacing is how long instances wait that could not be served again.
const serveAgainSpacing = time.Minute

// unserved are the instances that are still to be served again after a start.
type unserved struct {
	mu sync.Mutex
	// listed tells that nodes holds all that are left.
	listed bool
	nodes  []*store.Node
}

// serveInstances serves again, after a start, what running instances boot from that have no disk in their machine: it is read whenever
// they are switched on. Those that it fails for are left for its next run.
func (c *Conductor) serveInstances(ctx context.Context) error {
	c.unserved.mu.Lock()
	defer c.unserved.mu.Unlock()
	if !c.unserved.listed {
		var own []*store.Node
		known := map[string]bool{}
		for _, f := range []sql.Filter{{DeployInterface: "ramdisk"}, {InfoHas: drivers.KeyBootVolume}} {
			f.ProvisionStates, f.Columns = []string{store.Active}, []string{"uuid", "provision_state", "conductor_affinity"}
			nodes, err := c.db.Nodes(ctx, f)
			if err != nil {
				return err
			}
			for _, n := range nodes {
				if c.servesInstance(n) && !known[n.UUID] {
					own, known[n.UUID] = append(own, n), true
				}
			}
		}
		c.unserved.nodes, c.unserved.listed = own, true
	}
	if len(c.unserved.nodes) == 0 {
		return nil
	}
	var mu sync.Mutex
	var left []*store.Node
	c.eachToResume(ctx, c.unserved.nodes, func(ctx context.Context, n *store.Node) error {
		err := c.readNode(ctx, oslo.AdminContext(), n.UUID, "serving again", func(ctx context.Context, t *task) error {
			if !c.servesInstance(t.Node) {
				return nil
			}
			return t.Hardware.Deploy.TakeOver(ctx, t.Task)
		})
		if err != nil && store.KindOf(err) != store.NodeNotFound {
			mu.Lock()
			defer mu.Unlock()
			left = append(left, n)
		}
		return err
	})
	c.unserved.nodes = left
	return nil
}

// servesInstance tells whether a node's instance is there still, and this worker's to look after.
func (c *Conductor) servesInstance(n *store.Node) bool {
	return n.ProvisionState == store.Active && equalPtr(n.ConductorAffinity, &c.conductorID)
}
