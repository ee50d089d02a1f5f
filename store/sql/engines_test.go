package sql_test

import (
	"context"
	stdsql "database/sql"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
	"github.com/ironmaster/ironmaster/store/sql/sqltest"
)

// engine is one kind of database with ironic's schema and no rows.
type engine struct {
	name string
	url  func(t *testing.T) string
	// precision is that of its timestamps.
	precision time.Duration
}

var sqlite = engine{"sqlite", func(t *testing.T) string { return sqltest.URL(t) }, time.Microsecond}

// clock is a test's time; it advances by a minute with each look, so that each UPDATE leaves another updated_at.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 22, 7, 9, 39, 167523000, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(time.Minute)
	return c.t
}

// onEveryEngine runs a test on all kinds of databases.
func onEveryEngine(t *testing.T, test func(t *testing.T, db *sql.DB, e engine)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			test(t, open(t, e, nil), e)
		})
	}
}

// beside is onEveryEngine with a second way to the database, as other programs have one.
func beside(t *testing.T, test func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			url := e.url(t)
			test(t, open(t, engine{e.name, func(*testing.T) string { return url }, e.precision}, nil), direct(t, e, url), e)
		})
	}
}

func open(t *testing.T, e engine, change func(*sql.Config)) *sql.DB {
	t.Helper()
	return sqltest.OpenAt(t, e.url(t), func(cfg *sql.Config) {
		cfg.Now = newClock().now
		if change != nil {
			change(cfg)
		}
	})
}

func createNode(t *testing.T, db *sql.DB, change func(*store.Node)) *store.Node {
	t.Helper()
	n := &store.Node{Driver: "fake-hardware"}
	if change != nil {
		change(n)
	}
	if err := db.CreateNode(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return n
}

func readNode(t *testing.T, db *sql.DB, uuid string) *store.Node {
	t.Helper()
	n, err := db.Node(t.Context(), uuid)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantKind(t *testing.T, err error, kind store.Kind, message string) {
	t.Helper()
	if store.KindOf(err) != kind || err.Error() != message {
		t.Errorf("got %s %v\nwant %s %s", store.KindOf(err), err, kind, message)
	}
}

// query reads one value past the package, as another program would.
func query[T any](t *testing.T, db *stdsql.DB, statement string) T {
	t.Helper()
	var value T
	if err := db.QueryRowContext(context.Background(), statement).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// address is the host:port of a database URL.
func address(url string) string {
	_, rest, _ := strings.Cut(url, "@")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// direct opens the database of a test past the package under test.
func direct(t *testing.T, e engine, url string) *stdsql.DB {
	t.Helper()
	switch e.name {
	case "mariadb":
		return mariadb.direct
	case "postgresql":
		return postgresql.direct
	}
	db, err := stdsql.Open("sqlite", "file:"+strings.TrimPrefix(url, "sqlite:///"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
