package conductor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// searches are the allocations, by UUID, that this worker is looking for nodes for.
type searches struct {
	mu      sync.Mutex
	running map[string]bool
	// gone are workers that are not there any more, with the uptime at which that was seen first.
	gone map[string]time.Duration
}

// begin is false when the search runs already.
func (s *searches) begin(allocation string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[allocation] {
		return false
	}
	if s.running == nil {
		s.running = map[string]bool{}
	}
	s.running[allocation] = true
	return true
}

func (s *searches) end(allocation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, allocation)
}

// goneSince notes that a worker is gone and returns the uptime at which that was seen first.
func (s *searches) goneSince(host string, now time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone == nil {
		s.gone = map[string]time.Duration{}
	}
	if _, known := s.gone[host]; !known {
		s.gone[host] = now
	}
	return s.gone[host]
}

// back forgets workers that are there again.
func (s *searches) back(gone map[string]store.Conductor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.gone, func(host string, _ time.Duration) bool { _, still := gone[host]; return !still })
}

// allocateLater looks for an allocation's node in the background. Without a free worker the allocation stays as it is, and
// resumeAllocations comes back to it.
//
// The row is the cursor: an allocation that is "allocating" is being looked for by the worker of its conductor_affinity. It
// becomes "active" in the transaction that gives it its node, so a crash before leaves nothing to undo, and one after nothing
// to do.
func (c *Conductor) allocateLater(a *store.Allocation) error {
	if !c.searches.begin(a.UUID) {
		return nil
	}
	err := c.pool.Start(c.working(), func(ctx context.Context) {
		defer c.searches.end(a.UUID)
		log := c.log.With().Str("allocation", a.UUID).Logger()
		if err := contain(log, "allocating", func() error { return c.allocate(ctx, a) }); err != nil {
			log.Error().Err(err).Msg("Looking for an allocation's node failed")
		}
	})
	if err != nil {
		c.searches.end(a.UUID)
	}
	return err
}

// allocate finds a node for an allocation and gives it to it, or notes in the allocation why there is none.
func (c *Conductor) allocate(ctx context.Context, a *store.Allocation) error {
	nodes, err := c.candidates(ctx, a)
	if err == nil {
		err = c.allocateOneOf(ctx, a, nodes)
	}
	if err != nil && ctx.Err() == nil && !overtaken(err) {
		why := err.Error()
		if store.KindOf(err) != store.AllocationFailed {
			why = "Unexpected exception during allocation: " + why
		}
		c.log.Warn().Str("allocation", a.UUID).Str("reason", why).Msg("No node was found for an allocation")
		// gofail: var allocationBeforeFailed struct{}
		err = c.db.FailAllocation(ctx, a, why)
	}
	if ctx.Err() != nil || overtaken(err) {
		return nil // The worker stops, and goes on at its next start; or there is nothing to do any more.
	}
	return err
}

// overtaken tells that an allocation was given up, or that somebody else saw to it.
func overtaken(err error) bool {
	return errors.Is(err, sql.ErrAllocationChanged) || store.KindOf(err) == store.AllocationNotFound
}

// allocationFailed is why an allocation gets no node.
func allocationFailed(a *store.Allocation, why string) error {
	return store.Errorf(store.AllocationFailed, "Failed to process allocation %s: %s.", a.UUID, why)
}

// candidates are the nodes that fit an allocation, in the order in which they are tried: the node of the allocation's name
// first, the others at random, so that several allocations do not try the same ones.
func (c *Conductor) candidates(ctx context.Context, a *store.Allocation) ([]*store.Node, error) {
	f := sql.Filter{ProvisionStates: []string{store.Available}, Associated: pointer(false), Maintenance: pointer(false),
		Powered: pointer(true), ResourceClass: a.ResourceClass, UUIDs: a.CandidateNodes, Columns: []string{"uuid", "name"}}
	if a.Owner != nil {
		f.Project = *a.Owner
	}
	if len(a.Traits) > 0 {
		f.Columns, f.Peek = nil, true
	}
	nodes, err := c.db.Nodes(ctx, f)
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		why := "no available nodes match the resource class " + textOrNone(a.ResourceClass)
		if len(a.CandidateNodes) > 0 {
			why = "none of the requested nodes are available and match the resource class " + textOrNone(a.ResourceClass)
		}
		return nil, allocationFailed(a, why)
	}
	nodes = slices.DeleteFunc(nodes, func(n *store.Node) bool { return !hasTraits(n, a.Traits) })
	if len(nodes) == 0 {
		wanted := slices.Compact(slices.Sorted(slices.Values(a.Traits)))
		return nil, allocationFailed(a, "no suitable nodes have the requested traits "+strings.Join(wanted, ", "))
	}
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	if i := slices.IndexFunc(nodes, func(n *store.Node) bool { return a.Name != nil && equalPtr(n.Name, a.Name) }); i > 0 {
		namesake := nodes[i]
		nodes = slices.Insert(slices.Delete(nodes, i, i+1), 0, namesake)
	}
	return nodes, nil
}

func hasTraits(n *store.Node, traits []string) bool {
	return !slices.ContainsFunc(traits, func(trait string) bool { return !slices.Contains(n.Traits, trait) })
}

// allocateOneOf gives an allocation the first of the nodes that can be had. Nodes that somebody holds are tried again together,
// as often as the lock of a single node would be.
func (c *Conductor) allocateOneOf(ctx context.Context, a *store.Allocation, nodes []*store.Node) error {
	for try := 1; ; try++ {
		var locked []*store.Node
		for _, n := range nodes {
			given, err := c.allocateNode(ctx, a, n)
			switch kind := store.KindOf(err); {
			case given:
				return nil
			case kind == store.NodeLocked:
				locked = append(locked, n)
			case err != nil && kind != store.NodeAssociated && kind != store.NodeNotFound:
				return err
			}
		}
		nodes = locked
		if len(nodes) == 0 {
			return allocationFailed(a, "all nodes were filtered out during reservation")
		}
		if try >= c.live().NodeLockedRetryAttempts {
			return allocationFailed(a, fmt.Sprintf("could not reserve any of %d suitable nodes", len(nodes)))
		}
		if err := drivers.Pause(ctx, c.live().NodeLockedRetryInterval); err != nil {
			return err
		}
	}
}

// allocateNode gives an allocation a node, if it still fits now that it is locked. Whichever worker ironic-api asked may not
// know the node's hardware.
func (c *Conductor) allocateNode(ctx context.Context, a *store.Allocation, n *store.Node) (given bool, err error) {
	err = c.withNode(ctx, oslo.AdminContext(), n.UUID, lockMode{purpose: "allocating", attempts: 1, noDriver: true},
		func(ctx context.Context, t *task) error {
			if !fits(t.Node, a) {
				return nil
			}
			// gofail: var allocationNodeHeld struct{}
			if err := c.db.Allocate(ctx, a, t.Node, t.guard()); err != nil {
				return err
			}
			// gofail: var allocationGiven struct{}
			given = true
			t.Log.Info().Str("allocation", a.UUID).Msg("The node was given to an allocation")
			return nil
		})
	return given, err
}

// fits looks again at what candidates chose by.
func fits(n *store.Node, a *store.Allocation) bool {
	return !n.Maintenance && n.InstanceUUID == "" && n.ProvisionState == store.Available &&
		equalPtr(n.ResourceClass, a.ResourceClass) && hasTraits(n, a.Traits)
}

// resumeAllocations goes on looking for nodes where nobody does: for this worker's own allocations, which a stop or a crash cut
// short or for which no background worker was free, and for those of workers that are gone.
func (c *Conductor) resumeAllocations(ctx context.Context) error {
	waiting, err := c.db.AllocationsIn(ctx, store.AllocationAllocating)
	if err != nil {
		return err
	}
	if len(waiting) == 0 {
		c.searches.back(nil)
		return nil
	}
	gone, err := c.goneConductors(ctx)
	if err != nil {
		return err
	}
	c.searches.back(gone)
	for _, a := range waiting {
		mine, err := c.claimAllocation(ctx, a, gone)
		if err == nil && mine {
			err = c.allocateLater(a)
		}
		if err != nil && !overtaken(err) {
			return err
		}
	}
	return nil
}

// claimAllocation tells whether this worker is to look for an allocation's node, and takes it over from a worker that is gone.
// The node that such a worker was about to give to it may be reserved still: its peers free it first, and look every
// orphanSpacing.
func (c *Conductor) claimAllocation(ctx context.Context, a *store.Allocation, gone map[string]store.Conductor) (mine bool, err error) {
	if a.ConductorAffinity == nil || *a.ConductorAffinity == c.conductorID {
		return a.ConductorAffinity != nil, nil
	}
	for host, other := range gone {
		if other.ID == *a.ConductorAffinity && c.uptime()-c.searches.goneSince(host, c.uptime()) >= 2*orphanSpacing {
			c.log.Info().Str("allocation", a.UUID).Str("was", host).Msg("Taking over an allocation of a conductor that is gone")
			return c.db.TakeOverAllocation(ctx, a, c.conductorID)
		}
	}
	return false, nil
}
