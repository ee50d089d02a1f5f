package sql

import (
	"context"

	"github.com/ironmaster/ironmaster/store"
)

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
