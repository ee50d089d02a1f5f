package sql_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
	"github.com/ironmaster/ironmaster/store/sql/sqltest"
)

func TestSchemaIsDiscovered(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		s := db.Schema()
		if s.Revision != "4dbec778866e" || s.Release != "21.4" || s.Series != "2023.1" {
			t.Errorf("schema %s of %s (%s)", s.Revision, s.Release, s.Series)
		}
		if !s.HasColumn("nodes", "shard") || s.HasColumn("nodes", "parent_node") || !s.HasTable("node_inventory") ||
			s.HasTable("runbooks") {
			t.Error("the tables and columns are not those of 21.4")
		}
	})
}

func TestUnknownRevisionIsRefused(t *testing.T) {
	url := sqltest.URL(t)
	alter(t, url, "UPDATE alembic_version SET version_num = 'deadbeef0000'")
	cfg := sql.Defaults()
	cfg.URL, cfg.Log = url, zerolog.Nop()
	_, err := sql.Open(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), `unknown revision "deadbeef0000"`) {
		t.Errorf("opened: %v", err)
	}
}

func alter(t *testing.T, url string, statements ...string) {
	t.Helper()
	db := direct(t, sqlite, url)
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// A schema as of 29.0 has columns that 21.4 lacks, and rules of its own.
func TestNewerSchema(t *testing.T) {
	url := sqltest.URL(t)
	alter(t, url, "UPDATE alembic_version SET version_num = '21c48150dea9'", "ALTER TABLE nodes ADD COLUMN parent_node VARCHAR(36)",
		"ALTER TABLE nodes ADD COLUMN disable_power_off BOOLEAN DEFAULT 0", "ALTER TABLE nodes ADD COLUMN service_step TEXT")
	c := newClock()
	db := sqltest.OpenAt(t, url, func(cfg *sql.Config) { cfg.Now = c.now })
	if s := db.Schema(); s.Release != "29.0" || s.Series != "2025.1" {
		t.Errorf("schema of %s (%s)", s.Release, s.Series)
	}
	parent := createNode(t, db, nil)
	child := createNode(t, db, func(n *store.Node) { n.ParentNode = parent.UUID })
	if child.ParentNode != parent.UUID || child.DisablePowerOff == nil || *child.DisablePowerOff {
		t.Errorf("child %+v", child)
	}
	for _, test := range []struct {
		filter sql.Filter
		want   int
	}{{sql.Filter{}, 1}, {sql.Filter{IncludeChildren: true}, 2}} {
		if nodes, err := db.Nodes(t.Context(), test.filter); err != nil || len(nodes) != test.want {
			t.Errorf("%+v: %d nodes, %v; want %d", test.filter, len(nodes), err, test.want)
		}
	}
	if _, err := db.Register(t.Context(), &store.Conductor{Hostname: "worker-1"}, nil); err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(24 * time.Hour)
	// On SQLite ironic 29.0 runs as one process and sends no signs of life.
	if members, err := db.OnlineConductors(t.Context(), time.Minute); err != nil || len(members) != 1 {
		t.Errorf("members %v, %v", members, err)
	}
	if gone, err := db.OfflineConductors(t.Context(), time.Minute); err != nil || len(gone) != 0 {
		t.Errorf("offline %v, %v", gone, err)
	}
}
