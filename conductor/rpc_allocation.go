package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

type createAllocationArgs struct {
	Allocation json.RawMessage `json:"allocation" python:"object,uuid"`
}

type destroyAllocationArgs struct {
	Allocation json.RawMessage `json:"allocation" python:"object,node_id"`
}

// createAllocation takes a request for a node. The node is looked for after the answer, unless the request names one that an
// instance has already: that one is noted at once.
//
// Crash window: between the INSERT and the end of the inbox entry the request is run again at the next start. It finds its own
// row, and answers with that, or with the failure that it tells of; the search goes on as any that the worker had not ended.
func (c *Conductor) createAllocation(ctx context.Context, rq oslo.Context, args createAllocationArgs) (any, error) {
	a, _, err := c.codec.DecodeAllocation(args.Allocation)
	if err != nil {
		return nil, err
	}
	if a.UUID == "" {
		a.UUID = uuid.NewString()
	}
	if call := callOf(ctx); call != nil && call.again {
		if own, err := c.db.Allocation(ctx, a.UUID); err == nil && equalPtr(own.ConductorAffinity, &c.conductorID) {
			if a.NodeID != nil && own.State == store.AllocationError {
				return nil, store.Errorf(store.AllocationFailed, "%s", own.LastError)
			}
			return own, nil
		}
	}
	a.ConductorAffinity = &c.conductorID
	if a.NodeID != nil {
		return a, c.backfill(ctx, rq, a)
	}
	asked := *a
	if err := c.db.CreateAllocation(ctx, a); err != nil {
		return nil, err
	}
	// gofail: var allocationCreated struct{}
	answer := *a
	// Lists that were not given are null in this answer, and empty from then on.
	answer.Traits, answer.CandidateNodes = asked.Traits, asked.CandidateNodes
	return &answer, c.allocateLater(a)
}

// backfill creates an allocation for the node that an instance has already. What does not fit is kept as an allocation that
// failed, as ironic does, and is the answer too.
func (c *Conductor) backfill(ctx context.Context, rq oslo.Context, a *store.Allocation) error {
	node := rowID(*a.NodeID)
	a.NodeID = nil
	err := c.withNode(ctx, rq, node, lockMode{purpose: "allocation backfilling"}, func(ctx context.Context, t *task) error {
		if err := mayBackfill(t.Node, a); err != nil {
			return err
		}
		return c.db.CreateSettledAllocation(ctx, a, t.Node, t.guard())
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	switch store.KindOf(err) {
	case store.AllocationDuplicateName, store.AllocationAlreadyExists:
		return err
	case store.AllocationFailed, store.NodeAssociated, store.InstanceAssociated, store.NodeNotFound:
		a.LastError = err.Error()
	default:
		a.LastError = "Unexpected exception during allocation: " + err.Error()
	}
	if createErr := c.db.CreateSettledAllocation(ctx, a, nil, sql.Guard{}); createErr != nil {
		return createErr
	}
	return err
}

// mayBackfill tells what about a node does not fit an allocation that is to be noted for its instance.
func mayBackfill(n *store.Node, a *store.Allocation) error {
	var problems []string
	if n.ProvisionState != store.Active {
		problems = append(problems, `Node must be in the "active" state, but the current state is "`+n.ProvisionState+`"`)
	}
	if a.ResourceClass != nil && *a.ResourceClass != "" && !equalPtr(a.ResourceClass, n.ResourceClass) {
		problems = append(problems, "Resource class "+textOrNone(n.ResourceClass)+" does not match the requested resource class "+
			*a.ResourceClass)
	}
	if !hasTraits(n, a.Traits) {
		problems = append(problems, "List of traits "+traitListRepr(n.Traits)+" does not match the requested traits "+
			store.PythonRepr(anyTexts(a.Traits)))
	}
	if len(a.CandidateNodes) > 0 && !slices.Contains(a.CandidateNodes, n.UUID) {
		problems = append(problems, "Candidate nodes must be empty or contain the target node, but got "+
			store.PythonRepr(anyTexts(a.CandidateNodes)))
	}
	if len(problems) == 0 {
		return nil
	}
	return allocationFailed(a, "Cannot backfill an allocation for node "+n.UUID+": "+strings.Join(problems, "; "))
}

// traitListRepr prints a node's traits as Python prints the versioned object that holds them.
func traitListRepr(traits []string) string {
	all := make([]string, len(traits))
	for i := range traits {
		all[i] = "Trait"
	}
	return "TraitList(created_at=<?>,objects=[" + strings.Join(all, ",") + "],updated_at=<?>)"
}

func anyTexts(texts []string) []any {
	all := make([]any, len(texts))
	for i := range texts {
		all[i] = texts[i]
	}
	return all
}

// destroyAllocation gives up an allocation and the node that it has.
func (c *Conductor) destroyAllocation(ctx context.Context, rq oslo.Context, args destroyAllocationArgs) (any, error) {
	a, _, err := c.codec.DecodeAllocation(args.Allocation)
	if err != nil {
		return nil, err
	}
	for {
		err := c.deallocate(ctx, rq, a)
		if !errors.Is(err, sql.ErrAllocationChanged) {
			return nil, err
		}
		// Its node was found since ironic-api looked.
		if a, err = c.db.Allocation(ctx, a.UUID); err != nil {
			return nil, err
		}
	}
}

func (c *Conductor) deallocate(ctx context.Context, rq oslo.Context, a *store.Allocation) error {
	if a.NodeID == nil {
		return c.db.DeleteAllocation(ctx, a, sql.Guard{})
	}
	return c.withNode(ctx, rq, rowID(*a.NodeID), lockMode{purpose: "allocation deletion"}, func(ctx context.Context, t *task) error {
		if err := t.mayDeallocate(a); err != nil {
			return err
		}
		return c.db.DeleteAllocation(ctx, a, t.guard())
	})
}

// mayDeallocate tells whether an allocation can be taken from its node.
func (t *task) mayDeallocate(a *store.Allocation) error {
	n := t.Node
	if n.Maintenance {
		return nil
	}
	if n.TargetProvisionState != "" && !t.c.updateAllowed(n.ProvisionState) {
		return store.Errorf(store.InvalidState, "Cannot remove allocation %s for node %s, because the node is in state %s where "+
			"updates are not allowed (and maintenance mode is off)", a.UUID, n.UUID, n.ProvisionState)
	}
	if n.ProvisionState == store.Active {
		return store.Errorf(store.InvalidState, "Cannot remove allocation %s for node %s, because the node is active (and "+
			"maintenance mode is off)", a.UUID, n.UUID)
	}
	return nil
}

// updateAllowed tells whether nodes may be updated in a state that they leave by themselves (ironic.common.states).
func (c *Conductor) updateAllowed(state string) bool {
	allowed := []string{store.DeployFail, store.Inspecting, store.InspectFail, store.InspectWait, store.CleanFail, store.ErrorState,
		store.Verifying, store.AdoptFail, store.RescueFail, store.UnrescueFail}
	if c.cfg.Release >= messaging.V2023_2 {
		allowed = append(allowed, store.ServiceHold, store.ServiceFail)
	}
	return slices.Contains(allowed, state)
}
