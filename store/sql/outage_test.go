package sql_test

import (
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
	"github.com/ironmaster/ironmaster/store/sql/sqltest"
)

func TestLostAnswersAreNoFailure(t *testing.T) {
	const instance = "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a"
	onServers(t, func(t *testing.T, db *sql.DB, p *proxy, e engine) {
		commit := map[string]string{"mariadb": "COMMIT", "postgresql": "commit"}[e.name]
		var n *store.Node
		port := &store.Port{Address: "52:54:00:00:00:01"}
		guard := sql.Guard{Reservation: "worker-1", ProvisionState: store.Enroll}
		for _, step := range []struct {
			name, marker string
			run          func(ctx context.Context) error
		}{
			{"create a node", "rack1-u7", func(ctx context.Context) error {
				n = &store.Node{Name: new("rack1-u7"), Driver: "redfish", InstanceUUID: instance}
				return db.CreateNode(ctx, n)
			}},
			{"reserve", "worker-1", func(ctx context.Context) (err error) {
				n, err = db.Reserve(ctx, n.UUID, "worker-1")
				return err
			}},
			{"save", "a telling text", func(ctx context.Context) error {
				n.ProvisionState, n.LastError = store.Verifying, "a telling text"
				return db.SaveNode(ctx, n, guard)
			}},
			{"create a port", port.Address, func(ctx context.Context) error {
				port.NodeID = n.ID
				return db.CreatePort(ctx, port)
			}},
			{"delete a port", "DELETE", func(ctx context.Context) error { return db.DestroyPort(ctx, port) }},
			{"add history", "an event", func(ctx context.Context) error {
				return db.AddHistory(ctx, store.HistoryEntry{NodeID: n.ID, Event: "an event"})
			}},
			{"set traits", commit, func(ctx context.Context) error {
				return db.SetTraits(ctx, n, sql.Guard{}, []string{"CUSTOM_A"})
			}},
			{"remove traits", commit, func(ctx context.Context) error {
				return db.RemoveTraits(ctx, n, sql.Guard{}, []string{"CUSTOM_A"})
			}},
			{"register", commit, func(ctx context.Context) error {
				_, err := db.Register(ctx, &store.Conductor{Hostname: "worker-1"}, nil)
				return err
			}},
			{"take over", commit, func(ctx context.Context) error {
				gone, err := db.Conductor(ctx, "worker-1")
				if err != nil {
					return err
				}
				if taken, err := db.TakeOver(ctx, n.ID, *gone, "worker-2"); err != nil || !taken {
					return fmt.Errorf("taken %v, %w", taken, err)
				}
				return nil
			}},
			{"release", "worker-2", func(ctx context.Context) error { return db.Release(ctx, n.ID, "worker-2") }},
			{"delete the node", commit, func(ctx context.Context) error { return db.DestroyNode(ctx, n, sql.Guard{}) }},
		} {
			p.loseAnswerTo(step.marker)
			if err := step.run(t.Context()); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if step.name != "delete a port" && p.answersLost() != 1 {
				t.Fatalf("%s: the proxy lost no answer", step.name)
			}
			if step.name == "save" {
				if got := readNode(t, db, n.UUID); got.ProvisionState != store.Verifying || got.Reservation != "worker-1" {
					t.Errorf("saved: %q reserved by %q", got.ProvisionState, got.Reservation)
				}
			}
		}
		if _, err := db.Node(t.Context(), n.UUID); store.KindOf(err) != store.NodeNotFound {
			t.Errorf("the deleted node: %v", err)
		}
	})
}

func TestAnAbandonedReservationIsTakenBack(t *testing.T) {
	onServers(t, func(t *testing.T, db *sql.DB, p *proxy, e engine) {
		n := createNode(t, db, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p.loseAnswerTo("worker-1")
		failed := make(chan error)
		go func() {
			_, err := db.Reserve(&cancelOnceLost{ctx, p, cancel}, n.UUID, "worker-1")
			failed <- err
		}()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("an abandoned Reserve returned %v", err)
		}
		if got := readNode(t, db, n.UUID); got.Reservation != "" {
			t.Errorf("the node stays reserved by %q", got.Reservation)
		}
	})
}

// cancelOnceLost is a context that ends as soon as somebody asks it after the proxy lost an answer.
type cancelOnceLost struct {
	context.Context
	p      *proxy
	cancel context.CancelFunc
}

func (c *cancelOnceLost) Err() error {
	if c.p.answersLost() > 0 {
		c.cancel()
	}
	return c.Context.Err()
}

func TestOperationsOutliveARestartOfTheServer(t *testing.T) {
	for _, s := range []*server{&mariadb, &postgresql} {
		t.Run(s.database.Kind, func(t *testing.T) {
			db := sqltest.OpenAt(t, s.empty(t), nil)
			n := createNode(t, db, nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			n.LastError = "written after the outage"
			saved := make(chan error, 1)
			err := s.restart(ctx, func() {
				go func() { saved <- db.SaveNode(ctx, n, sql.Guard{}) }()
				hasty, stop := context.WithTimeout(ctx, 50*time.Millisecond)
				defer stop()
				if _, err := db.Node(hasty, n.UUID); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("reading without patience: %v", err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := <-saved; err != nil {
				t.Fatal(err)
			}
			if got := readNode(t, db, n.UUID); got.LastError != n.LastError {
				t.Errorf("last_error %q", got.LastError)
			}
		})
	}
}

func TestOutageLimit(t *testing.T) {
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			url := e.url(t)
			p := startProxy(t, address(url))
			db := sqltest.OpenAt(t, strings.Replace(url, address(url), p.listen.Addr().String(), 1), func(cfg *sql.Config) {
				cfg.OutageLimit = time.Millisecond
				cfg.ConnectionRecycleTime = time.Nanosecond
			})
			p.listen.Close()
			_, err := db.Node(t.Context(), "1")
			if store.KindOf(err) != store.TemporaryFailure {
				t.Errorf("without a server: %v", err)
			}
		})
	}
}

func TestDeadlockIsTriedAgain(t *testing.T) {
	url := mariadb.empty(t)
	db := sqltest.OpenAt(t, url, nil)
	n := createNode(t, db, nil)
	if err := db.CreatePort(t.Context(), &store.Port{NodeID: n.ID, Address: "52:54:00:00:00:01"}); err != nil {
		t.Fatal(err)
	}
	// The rival has changed more rows, so that the server chooses the other transaction for its victim.
	for range 20 {
		createNode(t, db, nil)
	}
	rival, err := mariadb.direct.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rival.Rollback() }()
	mustExec(t, rival, "UPDATE nodes SET description = 'x' WHERE id > ?", n.ID)
	mustExec(t, rival, "UPDATE ports SET name = 'x' WHERE node_id = ?", n.ID)
	deleted := make(chan error)
	go func() { deleted <- db.DestroyNode(t.Context(), n, sql.Guard{}) }()
	awaitLockWait(t)
	mustExec(t, rival, "UPDATE nodes SET description = 'x' WHERE id = ?", n.ID)
	if err := rival.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-deleted; err != nil {
		t.Error(err)
	}
}

func mustExec(t *testing.T, tx *stdsql.Tx, statement string, args ...any) {
	t.Helper()
	if _, err := tx.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// awaitLockWait waits until some transaction waits for a lock of another.
func awaitLockWait(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		var waiting int
		err := mariadb.direct.QueryRowContext(ctx,
			"SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'DELETE FROM ports%'").Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
		if waiting > 0 {
			return
		}
	}
}

func TestSQLiteWaitsForAnotherProcess(t *testing.T) {
	url := sqltest.URL(t)
	retried := newSignal("Trying a transaction again")
	db := sqltest.OpenAt(t, url+"?timeout=0.01", func(cfg *sql.Config) { cfg.Log = zerolog.New(retried) })
	n := createNode(t, db, nil)
	other := direct(t, sqlite, url)
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, tx, "UPDATE nodes SET description = 'x'")
	reserved := make(chan error)
	go func() {
		_, err := db.Reserve(t.Context(), n.UUID, "worker-1")
		reserved <- err
	}()
	retried.await(t)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-reserved; err != nil {
		t.Error(err)
	}
}

// signal is a log that tells when a text was written to it.
type signal struct {
	text string
	once sync.Once
	seen chan struct{}
}

func newSignal(text string) *signal { return &signal{text: text, seen: make(chan struct{})} }

func (s *signal) await(t *testing.T) {
	t.Helper()
	select {
	case <-s.seen:
	case <-time.After(time.Minute):
		t.Fatalf("the log never said %q", s.text)
	}
}

func (s *signal) Write(line []byte) (int, error) {
	if strings.Contains(string(line), s.text) {
		s.once.Do(func() { close(s.seen) })
	}
	return len(line), nil
}

func TestOpenFailsWithoutTellingThePassword(t *testing.T) {
	_, port, _ := strings.Cut(address(mariadb.database.ConductorURL), ":")
	_, pgport, _ := strings.Cut(address(postgresql.database.ConductorURL), ":")
	empty := t.TempDir() + "/empty.sqlite"
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ url, want string }{
		{"mysql+pymysql://ironic_conductor:s3cret@127.0.0.1:" + port + "/ironic", "Access denied"},
		{"mysql+pymysql://ironic_conductor:s3cret@127.0.0.1:1/ironic", "connection refused"},
		{"postgresql://nobody:s3cret@127.0.0.1:" + pgport + "/ironic", "nobody"},
		{"postgresql://nobody:s3cret@127.0.0.1:1/ironic", "connection refused"},
		{"postgresql://nobody:s3cret@127.0.0.1:1/ironic?sslmode=s3cret", "sslmode"},
		{"mysql://u:s3cret@h/ironic?charset=latin1", `"latin1" is not supported`},
		{"mysql://u:s3cret@h/ironic?ssl_verify_cert=maybe", "neither true nor false"},
		{"mysql://u:s3cret@h/ironic?ssl_ca=/nonexistent", "ssl_ca"},
		{"mysql://u:s3cret@h/ironic?surprise=1", "surprise: not known for MySQL"},
		{"postgresql://u:s3cret@h/ironic?surprise=1", "surprise: not known for PostgreSQL"},
		{"oracle://u:s3cret@h/ironic", `databases of kind "oracle" are not supported`},
		{"u:s3cret@h/ironic", "has not the form"},
		{"mysql://u:s3cret%zz@h/ironic", "wrong percent sign"},
		{"sqlite://", "in memory"},
		{"sqlite:////nonexistent/ironic.sqlite", "no such file"},
		{"sqlite:///" + empty, "run ironic-dbsync create_schema"},
	} {
		cfg := sql.Defaults()
		cfg.URL, cfg.MaxRetries, cfg.Log = test.url, 0, zerolog.Nop()
		_, err := sql.Open(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", test.url, err)
		}
	}
}
