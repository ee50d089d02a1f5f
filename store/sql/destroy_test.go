package sql_test

import (
	stdsql "database/sql"
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// A deleted node takes along all that refers to it, its active allocation included.
func TestDestroyNodeLeavesNothing(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		n := createNode(t, db, nil)
		id := itoa(n.ID)
		for _, statement := range []string{
			"INSERT INTO portgroups (id, node_id) VALUES (1, " + id + ")",
			"INSERT INTO ports (address, node_id, portgroup_id) VALUES ('52:54:00:00:00:01', " + id + ", 1)",
			"INSERT INTO node_tags (node_id, tag) VALUES (" + id + ", 'x')",
			"INSERT INTO node_traits (node_id, trait) VALUES (" + id + ", 'CUSTOM_A')",
			"INSERT INTO volume_connectors (node_id, type, connector_id) VALUES (" + id + ", 'iqn', 'x')",
			"INSERT INTO volume_targets (node_id, boot_index) VALUES (" + id + ", 0)",
			"INSERT INTO bios_settings (node_id, name) VALUES (" + id + ", 'x')",
			"INSERT INTO allocations (id, uuid, node_id, state) VALUES (7, 'a', " + id + ", 'active')",
			"INSERT INTO node_inventory (node_id) VALUES (" + id + ")",
			"UPDATE nodes SET allocation_id = 7",
		} {
			if _, err := raw.ExecContext(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
		if err := db.AddHistory(t.Context(), store.HistoryEntry{NodeID: n.ID, Event: "x"}); err != nil {
			t.Fatal(err)
		}
		if err := db.DestroyNode(t.Context(), n, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"nodes", "ports", "portgroups", "node_tags", "node_traits", "volume_connectors",
			"volume_targets", "bios_settings", "allocations", "node_history", "node_inventory"} {
			if left := query[int](t, raw, "SELECT COUNT(*) FROM "+table); left != 0 {
				t.Errorf("%d rows left in %s", left, table)
			}
		}
		wantKind(t, db.DestroyNode(t.Context(), n, sql.Guard{}), store.NodeNotFound, "Node "+n.UUID+" could not be found.")
	})
}
