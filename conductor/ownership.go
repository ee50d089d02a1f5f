package conductor

import (
	"context"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/ring"
	"github.com/ironmaster/ironmaster/store/sql"
)

// ownership answers which nodes are this worker's, by the hash ring that ironic-api uses too. The ring is read again
// after HashRingResetInterval.
type ownership struct {
	mu   sync.Mutex
	set  *ring.Set
	read time.Time
}

func (c *Conductor) rings(ctx context.Context) (*ring.Set, error) {
	o := &c.ownership
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.set != nil && c.now().Sub(o.read) < c.cfg.HashRingResetInterval {
		return o.set, nil
	}
	set, err := c.ringsNow(ctx)
	if err != nil {
		return nil, err
	}
	o.set, o.read = set, c.now()
	return set, nil
}

// ringsNow are the rings as they are at this moment. A worker that is gone stays in those that others have read for
// hash_ring_reset_interval, for which its flows need not wait.
func (c *Conductor) ringsNow(ctx context.Context) (*ring.Set, error) {
	members, err := c.db.OnlineConductors(ctx, c.cfg.HeartbeatTimeout)
	if err != nil {
		return nil, err
	}
	return ring.NewSet(ring.Config{Exponent: c.cfg.HashPartitionExponent, Algorithm: c.cfg.HashRingAlgorithm}, members)
}

// owned lists the nodes of a filter that the ring maps to this worker. Only the columns named are read.
func (c *Conductor) owned(ctx context.Context, f sql.Filter, columns ...string) ([]*store.Node, error) {
	set, err := c.rings(ctx)
	if err != nil {
		return nil, err
	}
	return c.ownedBy(ctx, set, f, columns...)
}

// ownedBy is owned by given rings.
func (c *Conductor) ownedBy(ctx context.Context, set *ring.Set, f sql.Filter, columns ...string) ([]*store.Node, error) {
	f.Columns = append([]string{"uuid", "driver", "conductor_group"}, columns...)
	nodes, err := c.db.Nodes(ctx, f)
	if err != nil {
		return nil, err
	}
	mine := nodes[:0]
	for _, n := range nodes {
		if set.Host(n.Driver, n.ConductorGroup, n.UUID) == c.cfg.Host {
			mine = append(mine, n)
		}
	}
	return mine, nil
}

// hardwareOf builds the interfaces that act for a node. Interfaces that its row leaves open get their defaults for this
// task; they are saved when something else is.
func (c *Conductor) hardwareOf(n *store.Node) (*drivers.Hardware, error) {
	if _, err := c.hardware.Fill(n); err != nil {
		return nil, err
	}
	return c.hardware.Hardware(n)
}

// eachLocked takes the locks of nodes one after the other and does the work, until it was done for most of them (0 is no
// limit) or no background worker is free. Nodes that somebody else locks meanwhile are left to them; failures are logged.
func (c *Conductor) eachLocked(ctx context.Context, nodes []*store.Node, most int, purpose string,
	work func(context.Context, *task) error) {
	done := 0
	for _, n := range nodes {
		err := c.withNode(ctx, oslo.AdminContext(), n.UUID, lockMode{purpose: purpose}, work)
		switch store.KindOf(err) {
		case store.NoFreeConductorWorker:
			return
		case store.NodeLocked, store.NodeNotFound:
			continue
		}
		if err != nil {
			c.log.Error().Err(err).Str("node", n.UUID).Str("purpose", purpose).Msg("Periodic work on a node failed")
			continue
		}
		if done++; done == most {
			return
		}
	}
}
