package sql

import (
	"context"
	"errors"
	"slices"

	"github.com/ironmaster/ironmaster/store"
)

func newAllocations(db *DB) *records[store.Allocation] {
	return &records[store.Allocation]{
		rows: newRows[store.Allocation](db, "allocations"), object: "Allocation", noun: "allocation", missing: store.AllocationNotFound,
		parts: func(a *store.Allocation) parts {
			return parts{&a.ID, &a.UUID, &a.Version, &a.CreatedAt, &a.UpdatedAt, &a.Snapshot, nil}
		},
		defaults: func(a *store.Allocation) { a.State = orDefault(a.State, store.AllocationAllocating) },
		duplicate: func(columns []string, values store.Snapshot) *store.Error {
			if slices.Contains(columns, "name") {
				return store.Errorf(store.AllocationDuplicateName, "An allocation with name %v already exists.", values["name"])
			}
			return store.Errorf(store.AllocationAlreadyExists, "An allocation with UUID %v already exists.", values["uuid"])
		},
	}
}

// ErrAllocationChanged reports that an allocation is not any more as it was read: somebody else found its node, or gave it up.
var ErrAllocationChanged = errors.New("the allocation changed meanwhile")

// Allocation reads an allocation by UUID or decimal id.
func (db *DB) Allocation(ctx context.Context, ident string) (*store.Allocation, error) {
	return db.allocations.read(ctx, ident)
}

// AllocationsIn reads the allocations in a state, ordered by id.
func (db *DB) AllocationsIn(ctx context.Context, state string) ([]*store.Allocation, error) {
	return db.allocations.selectWhere(ctx, "allocations.state = ?", state)
}

// CreateAllocation inserts an allocation and gives it back as the row is now; a UUID is made when it has none.
func (db *DB) CreateAllocation(ctx context.Context, a *store.Allocation) error {
	return db.allocations.create(ctx, a)
}

// SaveAllocation writes what changed in an allocation since it was read. Nothing changed is nothing written.
func (db *DB) SaveAllocation(ctx context.Context, a *store.Allocation) error {
	return db.allocations.save(ctx, a)
}

// SaveAllocationWithNode is SaveAllocation for one that got its node n, which the guard must hold for: the node gets the allocation's
// UUID as instance_uuid, and its traits go into instance_info. Whose the node is counts as of now, not as n was read: callers may hold no
// lock. Refusals are those of Allocate.
func (db *DB) SaveAllocationWithNode(ctx context.Context, a *store.Allocation, n *store.Node, g Guard) error {
	values, err := db.allocations.changes(a)
	if err != nil {
		return err
	}
	err = db.transact(ctx, "giving node "+n.UUID+" to allocation "+a.UUID, func(s session) error {
		if err := db.allocations.writeChanges(s, a, values); err != nil {
			return err
		}
		now := *n
		instance, info := field{dest: &now.InstanceUUID}, field{dest: &now.InstanceInfo}
		found, err := s.one("SELECT instance_uuid, instance_info FROM nodes WHERE id = ?"+db.dialect.forUpdate(), []any{n.ID}, &instance, &info)
		if err := errors.Join(err, instance.err, info.err); err != nil {
			return err
		}
		if !found {
			return store.NoSuchNode(n.UUID)
		}
		return s.giveNode(a, &now, g)
	})
	if err == nil {
		db.allocations.saved(a, values)
	}
	return err
}

// FailAllocation notes why an allocation that looks for a node gets none. One that is not looked for any more, or by somebody
// else, stays as it is, and the failure is ErrAllocationChanged.
func (db *DB) FailAllocation(ctx context.Context, a *store.Allocation, why string) error {
	values := store.Snapshot{"state": store.AllocationError, "last_error": why, "updated_at": db.now()}
	return db.write(ctx, "noting the failure of allocation "+a.UUID, func(s session) error {
		n, err := db.allocations.update(s, values, "id = ? AND state = ? AND conductor_affinity = ?",
			a.ID, store.AllocationAllocating, *a.ConductorAffinity)
		if err == nil && n == 0 {
			return ErrAllocationChanged
		}
		return err
	})
}

// Allocate gives an allocation that looks for a node the node n, which the guard must hold for: the allocation becomes active,
// the node gets its UUID as instance_uuid, and its traits go into instance_info. All of it happens or nothing. Refusals are
// NodeAssociated when the node has another instance, InstanceAssociated when another node has this one, and ErrAllocationChanged.
func (db *DB) Allocate(ctx context.Context, a *store.Allocation, n *store.Node, g Guard) error {
	became := *a
	became.NodeID, became.State = &n.ID, store.AllocationActive
	values, err := db.allocations.changes(&became)
	if err != nil {
		return err
	}
	err = db.transact(ctx, "giving node "+n.UUID+" to allocation "+a.UUID, func(s session) error {
		now, err := s.allocationNow(a.ID)
		if err != nil {
			return err
		}
		switch {
		case now == nil:
			return db.allocations.notFound(a.UUID)
		case now.State == store.AllocationActive && sameID(now.NodeID, &n.ID):
			return nil // An earlier attempt did it; its answer was lost.
		case now.State != store.AllocationAllocating || !sameID(now.ConductorAffinity, a.ConductorAffinity):
			return ErrAllocationChanged
		}
		if err := s.giveNode(a, n, g); err != nil {
			return err
		}
		return db.allocations.writeChanges(s, &became, values)
	})
	if err != nil {
		return err
	}
	db.allocations.saved(&became, values)
	*a = became
	return nil
}

// CreateSettledAllocation is CreateAllocation for one for which no node is looked for: it has its node n already, which the guard
// must hold for, or n is nil and it failed, as its LastError says. The rows of both change, or neither. Refusals are those of CreateAllocation and Allocate.
func (db *DB) CreateSettledAllocation(ctx context.Context, a *store.Allocation, n *store.Node, g Guard) error {
	row := *a
	row.State = store.AllocationError
	if n != nil {
		row.NodeID, row.State = &n.ID, store.AllocationActive
	}
	row.Version = orDefault(db.version("Allocation"), row.Version)
	row.CreatedAt = db.now()
	row.UpdatedAt = row.CreatedAt
	values, err := store.TakeSnapshot(&row)
	if err != nil {
		return err
	}
	err = db.transact(ctx, "creating allocation "+a.UUID, func(s session) error {
		// An earlier attempt, whose answer was lost, may have done it.
		done, err := s.one("SELECT id FROM allocations WHERE uuid = ? AND created_at = ?", []any{row.UUID, row.CreatedAt}, new(int64))
		if err != nil || done {
			return err
		}
		if row.ID, err = db.allocations.insert(s, values); err != nil {
			return db.allocations.failure(err, values)
		}
		if n == nil {
			return nil
		}
		return s.giveNode(&row, n, g)
	})
	if err != nil {
		return err
	}
	created, err := db.Allocation(ctx, row.UUID)
	if err != nil {
		return err
	}
	*a = *created
	return nil
}

// allocationNow is the part of an allocation's row that tells whether it has a node, and locks the row. Nil is none.
//
// The allocation's row is locked before the node's by everybody who matches the two.
func (s session) allocationNow(id int64) (*store.Allocation, error) {
	a := &store.Allocation{ID: id}
	state, node, worker := field{dest: &a.State}, field{dest: &a.NodeID}, field{dest: &a.ConductorAffinity}
	found, err := s.one("SELECT state, node_id, conductor_affinity FROM allocations WHERE id = ?"+s.db.dialect.forUpdate(),
		[]any{id}, &state, &node, &worker)
	if err != nil || !found {
		return nil, err
	}
	return a, errors.Join(state.err, node.err, worker.err)
}

func sameID(a, b *int64) bool { return a == b || a != nil && b != nil && *a == *b }

// giveNode notes an allocation in its node's row.
func (s session) giveNode(a *store.Allocation, n *store.Node, g Guard) error {
	if n.InstanceUUID != "" && n.InstanceUUID != a.UUID {
		return store.Errorf(store.NodeAssociated, "Node %s is associated with instance %s.", n.UUID, n.InstanceUUID)
	}
	info := n.InstanceInfo.Clone()
	if info == nil {
		info = store.Dict{}
	}
	traits := make([]any, len(a.Traits))
	for i, trait := range a.Traits {
		traits[i] = trait
	}
	info["traits"] = traits
	text, err := store.AppendJSON(nil, map[string]any(info))
	if err != nil {
		return err
	}
	where, args := s.guarded(n.ID, g, "")
	values := store.Snapshot{"allocation_id": a.ID, "instance_uuid": a.UUID, "instance_info": string(text), "updated_at": s.db.now()}
	matched, err := s.db.nodes.update(s, values, where, args...)
	if err != nil {
		return s.db.nodeFailure(err, values, n.UUID)
	}
	if matched == 0 {
		return s.whyUnmatched(n, g)
	}
	return nil
}

// TakeOverAllocation makes one worker see to an allocation instead of another; taken is false when that one does not any more.
func (db *DB) TakeOverAllocation(ctx context.Context, a *store.Allocation, worker int64) (taken bool, err error) {
	err = db.write(ctx, "taking over allocation "+a.UUID, func(s session) error {
		n, err := s.exec("UPDATE allocations SET conductor_affinity = ?, updated_at = ? WHERE id = ? AND state = ? AND "+
			"(conductor_affinity = ? OR conductor_affinity = ?)",
			worker, db.now(), a.ID, store.AllocationAllocating, *a.ConductorAffinity, worker)
		taken = n > 0
		return err
	})
	if err != nil || !taken {
		return false, err
	}
	now, err := db.Allocation(ctx, a.UUID)
	if err != nil {
		return false, err
	}
	*a = *now
	return true, nil
}

// DeleteAllocation deletes an allocation, and takes it and the instance from the node that it has, for which the guard must
// hold. When it has another node by now, or one at last, the failure is ErrAllocationChanged.
func (db *DB) DeleteAllocation(ctx context.Context, a *store.Allocation, g Guard) error {
	// lost tells that an earlier attempt may have done all of it.
	lost := false
	return db.transact(ctx, "deleting allocation "+a.UUID, func(s session) error {
		now, err := s.allocationNow(a.ID)
		if err != nil {
			return err
		}
		before := lost
		lost = true
		switch {
		case now == nil && before:
			return nil
		case now == nil:
			return db.allocations.notFound(a.UUID)
		case !sameID(now.NodeID, a.NodeID):
			return ErrAllocationChanged
		}
		if now.NodeID != nil {
			held := &store.Node{ID: *now.NodeID}
			where, args := s.guarded(held.ID, g, "")
			found, err := s.one("SELECT id FROM nodes WHERE "+where+db.dialect.forUpdate(), args, new(int64))
			if err != nil {
				return err
			}
			if !found {
				return s.whyUnmatched(held, g)
			}
		}
		if _, err := s.exec("UPDATE nodes SET allocation_id = NULL, instance_uuid = NULL, updated_at = ? WHERE allocation_id = ?",
			db.now(), a.ID); err != nil {
			return err
		}
		_, err = s.exec("DELETE FROM allocations WHERE id = ?", a.ID)
		return err
	})
}

// DestroyAllocation deletes the allocation that gave a node to its instance, as a tear down ends with, and takes the
// allocation and the instance from the node, in the row and in n. A node without an allocation is left alone.
func (db *DB) DestroyAllocation(ctx context.Context, n *store.Node, g Guard) error {
	if n.AllocationID == nil {
		return nil
	}
	id := *n.AllocationID
	now := db.now()
	// lost tells that an earlier attempt may have done all of it.
	lost := false
	err := db.transact(ctx, "deleting the allocation of node "+n.UUID, func(s session) error {
		// The allocation's row is locked before the node's: whoever matches allocations to nodes does the same.
		exists, err := s.one("SELECT id FROM allocations WHERE id = ?"+db.dialect.forUpdate(), []any{id}, new(int64))
		if err != nil {
			return err
		}
		if !exists && lost {
			return nil
		}
		lost = true
		where, args := s.guarded(n.ID, g, "")
		matched, err := s.exec("UPDATE nodes SET allocation_id = NULL, instance_uuid = NULL, updated_at = ? WHERE "+where+
			" AND allocation_id = ?", append(append([]any{now}, args...), id)...)
		if err != nil {
			return err
		}
		if matched == 0 {
			return s.whyUnmatched(n, g)
		}
		_, err = s.exec("DELETE FROM allocations WHERE id = ?", id)
		return err
	})
	if err != nil {
		return err
	}
	n.AllocationID, n.InstanceUUID = nil, ""
	applySaved(n, store.Snapshot{"allocation_id": nil, "instance_uuid": nil, "updated_at": now})
	return nil
}
