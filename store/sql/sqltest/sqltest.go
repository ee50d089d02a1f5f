// Package sqltest gives tests a shared ironic database of their own: a fresh SQLite file with the schema of ironic 21.4,
// as ironic-dbsync of Debian 12 makes it.
package sqltest

import (
	"context"
	stdsql "database/sql"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store/sql"
)

// schema was made by: ironic-dbsync create_schema; sqlite3 FILE .schema; and the row of alembic_version.
//
//go:embed schema-21.4.sqlite.sql
var schema string

// Versions are the object versions of ironic 21.4.
func Versions() map[string]string {
	return map[string]string{"Node": "1.37", "Port": "1.11", "Portgroup": "1.5", "VolumeConnector": "1.0", "VolumeTarget": "1.0",
		"Allocation": "1.1", "Conductor": "1.3", "Trait": "1.0", "NodeHistory": "1.0", "BIOSSetting": "1.1"}
}

// OpenAt opens the database of a SQLAlchemy URL for a test, impatiently, until the test ends; change may alter how.
func OpenAt(t testing.TB, url string, change func(*sql.Config)) *sql.DB {
	t.Helper()
	cfg := sql.Defaults()
	cfg.URL, cfg.Versions, cfg.Log = url, Versions(), zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
	cfg.MaxRetries = 0
	cfg.DeadlockRetryInterval, cfg.ReconnectInterval = 20*time.Millisecond, 20*time.Millisecond
	if change != nil {
		change(&cfg)
	}
	db, err := sql.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("opening the test's database: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the test's database: %v", err)
		}
	})
	return db
}

// URL makes a fresh database file in the test's temporary folder and returns its SQLAlchemy URL.
func URL(t testing.TB) string {
	t.Helper()
	content, err := template()
	if err != nil {
		t.Fatalf("making a test database: %v", err)
	}
	path := filepath.Join(t.TempDir(), "ironic.sqlite")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatalf("making a test database: %v", err)
	}
	return "sqlite:///" + path
}

// template is the empty database's file, made once: to copy it takes less time than to run the schema again.
var template = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "sqltest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.sqlite")
	db, err := stdsql.Open("sqlite", "file:"+path+"?_pragma=synchronous(0)")
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(context.Background(), schema); err != nil {
		return nil, fmt.Errorf("running the schema: %w", err)
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
