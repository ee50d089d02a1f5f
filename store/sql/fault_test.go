package sql_test

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
	"github.com/ironmaster/ironmaster/store/sql/sqltest"
)

// What is told in the log, once, when an operation waits for the database, and when it tries again after a deadlock.
const (
	saysAway     = "The database is away"
	saysConflict = "Trying a transaction again"
)

// admin is a way into a server for its operator.
func admin(t *testing.T, e engine) *stdsql.DB {
	t.Helper()
	driver, name := "pgx", "postgres://postgres@"+address(postgresql.database.ConductorURL)+"/ironic?sslmode=disable"
	if e.name == "mariadb" {
		driver, name = "mysql", "root@unix("+filepath.Join(mariadb.lab.Dir, "mariadb", "socket")+")/ironic"
	}
	db, err := stdsql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// run executes statements as the operator.
func run(t *testing.T, db *stdsql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// refuse has the server answer every change of a node with an error, under a condition, until the function that it returns
// is called.
func refuse(t *testing.T, e engine, code, condition string) (end func()) {
	t.Helper()
	operator := admin(t, e)
	if e.name == "mariadb" {
		run(t, operator, fmt.Sprintf("CREATE TRIGGER refuse BEFORE UPDATE ON nodes FOR EACH ROW IF %s THEN "+
			"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = %s, MESSAGE_TEXT = 'injected'; END IF", condition, code))
		return func() { run(t, operator, "DROP TRIGGER IF EXISTS refuse") }
	}
	run(t, operator, fmt.Sprintf("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF %s THEN "+
		"RAISE EXCEPTION 'injected' USING ERRCODE = '%s'; END IF; RETURN NEW; END $$", condition, code),
		"CREATE TRIGGER refuse BEFORE UPDATE ON nodes FOR EACH ROW EXECUTE FUNCTION refuse()")
	return func() {
		run(t, operator, "DROP TRIGGER IF EXISTS refuse ON nodes", "DROP FUNCTION IF EXISTS refuse")
	}
}

// saving writes to a node in the background.
func saving(t *testing.T, db *sql.DB, n *store.Node, text string) <-chan error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	saved := make(chan error, 1)
	n.LastError = text
	go func() { saved <- db.SaveNode(ctx, n, sql.Guard{}) }()
	return saved
}

func checkSaved(t *testing.T, db *sql.DB, n *store.Node, saved <-chan error) {
	t.Helper()
	if err := <-saved; err != nil {
		t.Fatal(err)
	}
	if got := readNode(t, db, n.UUID); got.LastError != n.LastError {
		t.Errorf("last_error is %q, want %q", got.LastError, n.LastError)
	}
	if since, reason := db.Away(); !since.IsZero() {
		t.Errorf("the database counts as away since %s: %v", since, reason)
	}
}

// What a server refuses for now is waited out: the write is done when it can be.
func TestRefusedWritesWait(t *testing.T) {
	codes := map[string]map[string][]string{
		"mariadb": {
			saysAway:     {"1021", "1114", "1040", "1203", "1290", "1792", "1836", "1047", "1205", "1053"},
			saysConflict: {"1213", "1020"},
		},
		"postgresql": {
			saysAway:     {"53100", "53200", "53300", "25006", "55P03", "57014", "57P01", "58030", "08006"},
			saysConflict: {"40001", "40P01"},
		},
	}
	for _, e := range engines[1:] {
		for says, list := range codes[e.name] {
			for _, code := range list {
				t.Run(e.name+" "+code, func(t *testing.T) {
					told := newSignal(says)
					db := open(t, e, func(cfg *sql.Config) { cfg.Log = zerolog.New(told) })
					n := createNode(t, db, nil)
					end := refuse(t, e, code, "TRUE")
					defer end()
					saved := saving(t, db, n, "written in the end")
					told.await(t)
					if since, reason := db.Away(); since.IsZero() != (says == saysConflict) {
						t.Errorf("the database counts as away since %s: %v", since, reason)
					}
					end()
					checkSaved(t, db, n, saved)
				})
			}
		}
	}
}

// After a failover the old connections lead to a server that may not write, and new ones to its successor.
func TestConnectionsToAReadOnlyServerAreLeft(t *testing.T) {
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			operator := admin(t, e)
			const readOnly = "ALTER ROLE ironic_conductor SET default_transaction_read_only = on"
			const writable = "ALTER ROLE ironic_conductor RESET default_transaction_read_only"
			url := e.url(t)
			if e.name == "postgresql" {
				run(t, operator, readOnly)
				defer run(t, operator, writable)
			}
			db := sqltest.OpenAt(t, url, nil)
			if e.name == "postgresql" {
				run(t, operator, writable)
			} else {
				// All connections so far belong to the server that was demoted.
				end := refuse(t, e, "1290", "CONNECTION_ID() <= "+query[string](t, operator, "SELECT MAX(id) FROM information_schema.processlist"))
				defer end()
			}
			run(t, operator, "INSERT INTO nodes (uuid, driver, provision_state) VALUES ('"+uuidOfOld+"', 'fake-hardware', 'enroll')")
			n := readNode(t, db, uuidOfOld)
			checkSaved(t, db, n, saving(t, db, n, "written on the new server"))
		})
	}
}

const uuidOfOld = "0a5a1f3e-94a1-4bd1-9d6e-1f2f1a2b3c4d"

// A server that takes a statement and says nothing more, as behind a network that was cut, is not waited for without end.
func TestSilenceIsNoticed(t *testing.T) {
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			url := e.url(t)
			p := startProxy(t, address(url))
			told := newSignal(saysAway)
			db := sqltest.OpenAt(t, strings.Replace(url, address(url), p.listen.Addr().String(), 1)+proxyOptions[e.name],
				func(cfg *sql.Config) { cfg.Log, cfg.StatementLimit = zerolog.New(told), 500*time.Millisecond })
			n := createNode(t, db, nil)
			end := p.goSilent()
			defer end()
			saved := saving(t, db, n, "written after the silence")
			told.await(t)
			if err := db.Await(t.Context(), time.Millisecond); store.KindOf(err) != store.TemporaryFailure {
				t.Errorf("whoever does not wait is told %v", err)
			}
			end()
			if err := db.Await(t.Context(), time.Minute); err != nil {
				t.Errorf("whoever waits is told %v", err)
			}
			checkSaved(t, db, n, saved)
		})
	}
}

// A row that somebody else keeps locked holds up whoever writes to it, and nobody for ever.
func TestLockedRowIsWaitedFor(t *testing.T) {
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			told := newSignal(saysAway)
			db := open(t, e, func(cfg *sql.Config) { cfg.Log, cfg.StatementLimit = zerolog.New(told), 500*time.Millisecond })
			n := createNode(t, db, nil)
			rival, err := admin(t, e).BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = rival.Rollback() }()
			mustExec(t, rival, "UPDATE nodes SET description = 'x'")
			saved := saving(t, db, n, "written after the rival")
			told.await(t)
			if err := rival.Commit(); err != nil {
				t.Fatal(err)
			}
			checkSaved(t, db, n, saved)
		})
	}
}

// A server that lets nobody in any more is asked again.
func TestTooManyConnections(t *testing.T) {
	full := map[string][2]string{
		"mariadb": {"ALTER USER ironic_conductor WITH MAX_USER_CONNECTIONS 1",
			"ALTER USER ironic_conductor WITH MAX_USER_CONNECTIONS 0"},
		"postgresql": {"ALTER ROLE ironic_conductor CONNECTION LIMIT 0", "ALTER ROLE ironic_conductor CONNECTION LIMIT -1"},
	}
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			told := newSignal(saysAway)
			// Each statement has a connection of its own.
			db := open(t, e, func(cfg *sql.Config) { cfg.Log, cfg.ConnectionRecycleTime = zerolog.New(told), time.Nanosecond })
			n := createNode(t, db, nil)
			operator := admin(t, e)
			defer run(t, operator, full[e.name][1])
			run(t, operator, full[e.name][0])
			if e.name == "mariadb" {
				// Connections from before the change do not count.
				taken, err := stdsql.Open("mysql", "ironic_conductor:lab@tcp("+address(mariadb.database.ConductorURL)+")/ironic")
				if err != nil {
					t.Fatal(err)
				}
				defer taken.Close()
				if err := taken.Ping(); err != nil {
					t.Fatal(err)
				}
			}
			saved := saving(t, db, n, "written when there was room")
			told.await(t)
			run(t, operator, full[e.name][1])
			checkSaved(t, db, n, saved)
		})
	}
}
