package sql_test

import (
	stdsql "database/sql"
	"reflect"
	"testing"

	"github.com/ironmaster/ironmaster/store/sql"
)

func TestTearDownGivesTheAllocationBack(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		n := createNode(t, db, nil)
		const uuid = "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a"
		for _, statement := range []string{
			"INSERT INTO allocations (id, uuid, node_id, state) VALUES (7, '" + uuid + "', " + itoa(n.ID) + ", 'active')",
			"UPDATE nodes SET allocation_id = 7, instance_uuid = '" + uuid + "'",
		} {
			if _, err := raw.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		n, err := db.Reserve(t.Context(), n.UUID, "worker-1")
		if err != nil {
			t.Fatal(err)
		}
		if err := db.DestroyAllocation(t.Context(), n, sql.Guard{Reservation: "worker-2"}); err == nil {
			t.Error("the allocation was deleted without the lock")
		}
		if err := db.DestroyAllocation(t.Context(), n, sql.Guard{Reservation: "worker-1"}); err != nil {
			t.Fatal(err)
		}
		got := readNode(t, db, n.UUID)
		if got.AllocationID != nil || got.InstanceUUID != "" || !reflect.DeepEqual(got.Snapshot, n.Snapshot) {
			t.Errorf("row %v %q, in memory %v %q", got.AllocationID, got.InstanceUUID, n.AllocationID, n.InstanceUUID)
		}
		if left := query[int](t, raw, "SELECT COUNT(*) FROM allocations"); left != 0 {
			t.Errorf("%d allocations left", left)
		}
	})
}
