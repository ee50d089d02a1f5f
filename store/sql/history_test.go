package sql_test

import (
	stdsql "database/sql"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestHistoryTakesAnyEvent(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		n := createNode(t, db, nil)
		err := db.AddHistory(t.Context(), store.HistoryEntry{
			NodeID: n.ID, Conductor: "worker-1", EventType: "provisioning", Severity: "ERROR", User: strings.Repeat("ü", 64),
			Event: "begins \x00 🙈" + strings.Repeat("x", 100_000) + " ends",
		})
		if err != nil {
			t.Fatal(err)
		}
		event := query[string](t, raw, "SELECT event FROM node_history")
		if len(event) > 65535 || !strings.HasPrefix(event, "begins ") || !strings.HasSuffix(event, " ends") {
			t.Errorf("event of %d bytes: %.20q", len(event), event)
		}
		row := query[string](t, raw, "SELECT CONCAT(conductor, ' ', event_type, ' ', severity, ' ', version) FROM node_history")
		if row != "worker-1 provisioning ERROR 1.0" {
			t.Errorf("row %s", row)
		}
		if err := db.DestroyNode(t.Context(), n, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
	})
}
