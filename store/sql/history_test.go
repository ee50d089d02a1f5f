package sql_test

import (
	stdsql "database/sql"
	"strings"
	"testing"
	"time"

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

func TestHistoriesAreCut(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		worker := &store.Conductor{Hostname: "worker-1", Online: true}
		if _, err := db.Register(t.Context(), worker, nil); err != nil {
			t.Fatal(err)
		}
		long := createNode(t, db, func(n *store.Node) { n.ConductorAffinity = &worker.ID })
		short := createNode(t, db, func(n *store.Node) { n.ConductorAffinity = &worker.ID })
		last := createNode(t, db, func(n *store.Node) { n.ConductorAffinity = &worker.ID })
		foreign := createNode(t, db, nil)
		for node, entries := range map[int64]string{long.ID: "abcde", short.ID: "fg", last.ID: "hijk", foreign.ID: "lmno"} {
			for _, event := range entries {
				if err := db.AddHistory(t.Context(), store.HistoryEntry{NodeID: node, Event: string(event)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		left := func() string { return query[string](t, raw, concatenated(e)) }
		for _, c := range []struct {
			name    string
			age     time.Duration
			batch   int
			deleted int
			more    bool
			left    string
		}{
			{"too young", 1000 * time.Hour, 100, 0, false, "abcdefghijklmno"},
			{"a batch ends with its node", 0, 1, 3, true, "defghijklmno"},
			{"the rest", 0, 100, 2, false, "defgjklmno"},
			{"none", 0, 100, 0, false, "defgjklmno"},
		} {
			deleted, more, err := db.CutHistories(t.Context(), worker.ID, 2, c.age, c.batch)
			if err != nil || deleted != c.deleted || more != c.more || left() != c.left {
				t.Errorf("%s: %d deleted, more %v, error %v, left %s; want %d, %v, %s", c.name, deleted, more, err, left(), c.deleted, c.more,
					c.left)
			}
		}
	})
}

// concatenated reads all events in their order as one text.
func concatenated(e engine) string {
	switch e.name {
	case "mariadb":
		return "SELECT GROUP_CONCAT(event ORDER BY event SEPARATOR '') FROM node_history"
	case "postgresql":
		return "SELECT STRING_AGG(event, '' ORDER BY event) FROM node_history"
	}
	return "SELECT GROUP_CONCAT(event, '') FROM (SELECT event FROM node_history ORDER BY event)"
}
