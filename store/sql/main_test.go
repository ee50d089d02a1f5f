package sql_test

import (
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// server is a database server of the lab, started once for all tests of this package.
type server struct {
	lab      *lab.Lab
	database *lab.Database
	// direct is a way past the package under test.
	direct *stdsql.DB
}

var mariadb, postgresql server

var engines = []engine{
	sqlite,
	{"mariadb", func(t *testing.T) string { return mariadb.empty(t) }, time.Second},
	{"postgresql", func(t *testing.T) string { return postgresql.empty(t) }, time.Microsecond},
}

func TestMain(m *testing.M) {
	var all errgroup.Group
	all.Go(func() error { return mariadb.start("mariadb", "mysql", "ironic_conductor:lab@tcp(%s)/ironic") })
	all.Go(func() error {
		return postgresql.start("postgresql", "pgx", "postgres://ironic_conductor:lab@%s/ironic")
	})
	err := all.Wait()
	code := 1
	if err == nil {
		code = m.Run()
	}
	if err := errors.Join(err, mariadb.stop(), postgresql.stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func (s *server) start(kind, driver, dsn string) (err error) {
	if s.lab, err = lab.New(context.Background(), lab.Options{Database: kind}); err != nil {
		return err
	}
	if s.database, err = s.lab.StartDatabase(kind); err != nil {
		return err
	}
	s.direct, err = stdsql.Open(driver, fmt.Sprintf(dsn, address(s.database.ConductorURL)))
	return err
}

func (s *server) stop() error {
	var err error
	if s.direct != nil {
		err = s.direct.Close()
	}
	if s.lab != nil {
		err = errors.Join(err, s.lab.Close())
	}
	return err
}

// restart stops the server, runs what is to happen meanwhile, and starts it again.
func (s *server) restart(ctx context.Context, meanwhile func()) error {
	// Idle connections would be found broken by the next test.
	s.direct.SetMaxIdleConns(0)
	defer s.direct.SetMaxIdleConns(2)
	if err := s.database.Stop(); err != nil {
		return err
	}
	meanwhile()
	return s.database.Start(ctx)
}

// empty deletes all rows that an earlier test left and returns the URL.
func (s *server) empty(t *testing.T) string {
	t.Helper()
	for _, statement := range []string{
		"UPDATE nodes SET allocation_id = NULL, conductor_affinity = NULL",
		"DELETE FROM ports", "DELETE FROM portgroups", "DELETE FROM volume_connectors", "DELETE FROM volume_targets",
		"DELETE FROM node_traits", "DELETE FROM bios_settings", "DELETE FROM node_history", "DELETE FROM node_inventory",
		"DELETE FROM allocations", "DELETE FROM nodes", "DELETE FROM chassis", "DELETE FROM conductor_hardware_interfaces",
		"DELETE FROM conductors", "DELETE FROM deploy_template_steps", "DELETE FROM deploy_templates",
	} {
		if _, err := s.direct.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return s.database.ConductorURL
}
