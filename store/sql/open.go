// Package sql keeps nodes, ports and conductors where ironic keeps them: in the database shared with ironic-api, on
// SQLite, MariaDB, MySQL or PostgreSQL. Statements are written by hand; what differs between engines is in a dialect.
// The schema belongs to ironic-dbsync and is only read. Importers that also use database/sql give one of the two a name.
//
// Every operation survives the loss of the connection: it is tried again until its context ends. Where a lost answer
// leaves open whether a write took effect, the operation finds out before it writes again.
package sql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// Config says which database to use and how patiently.
type Config struct {
	// URL is [database]connection, as SQLAlchemy takes it; Parameters is [database]connection_parameters.
	URL, Parameters string
	// MaxPoolSize connections stay open, MaxOverflow more are opened under load. 0 stands for ironic's 5 and 50.
	MaxPoolSize, MaxOverflow int
	// ConnectionRecycleTime closes connections of that age; 0 keeps them.
	ConnectionRecycleTime time.Duration
	// MaxRetries is how often Open tries again, after RetryInterval each time; -1 is without end.
	MaxRetries    int
	RetryInterval time.Duration
	// DeadlockRetries is [database]db_max_retries: how often a transaction is tried again after a deadlock, after a random
	// part of a wait that doubles from DeadlockRetryInterval to DeadlockRetryMaxInterval.
	DeadlockRetries                                 int
	DeadlockRetryInterval, DeadlockRetryMaxInterval time.Duration
	// ReconnectInterval is the wait between attempts of an operation while the database is away; 0 stands for 1 s.
	ReconnectInterval time.Duration
	// StatementLimit bounds one attempt of an operation, which is then made anew on another connection: a server that hangs
	// says nothing. 0 stands for 30 s.
	StatementLimit time.Duration
	// OutageLimit ends these attempts with TemporaryFailure before the operation's context does; 0 is no limit.
	OutageLimit time.Duration
	// MySQLSQLMode is [database]mysql_sql_mode; "" keeps the server's.
	MySQLSQLMode string
	// Versions holds the version that each kind of object is written in, by the object's name (Node, Port, Trait, ...).
	// A caller that must see the schema first gives them to UseVersions instead.
	Versions map[string]string
	// Now is the clock; nil stands for time.Now.
	Now func() time.Time
	Log zerolog.Logger
}

// Defaults returns ironic's defaults for everything but the URL.
func Defaults() Config {
	return Config{
		MaxPoolSize: 5, MaxOverflow: 50, ConnectionRecycleTime: time.Hour,
		MaxRetries: 10, RetryInterval: 10 * time.Second,
		DeadlockRetries: 20, DeadlockRetryInterval: time.Second, DeadlockRetryMaxInterval: 10 * time.Second,
		ReconnectInterval: time.Second, MySQLSQLMode: "TRADITIONAL",
	}
}

// DB is the shared database. It is safe for concurrent use.
type DB struct {
	cfg     Config
	dialect dialect
	pool    *sql.DB
	// pulse is the one connection that signs of life go through: no burst of work and no slow statement of this worker's
	// keeps it from showing that it lives.
	pulse  *sql.DB
	schema Schema
	outage outage

	nodes      *rows[store.Node]
	nodeByUUID *prepared
	nodeByID   *prepared
	ports      *records[store.Port]
	portgroups *records[store.Portgroup]
	chassis    *records[store.Chassis]
	conductors *rows[store.Conductor]

	volumeConnectors *records[store.VolumeConnector]
	volumeTargets    *records[store.VolumeTarget]
	allocations      *records[store.Allocation]
	templates        *records[store.DeployTemplate]
	runbooks         *records[store.Runbook]
	inspectionRules  *records[store.InspectionRule]

	versions atomic.Pointer[map[string]string]
	// registrations keep a process whose host was started anew elsewhere from writing.
	registrations registrations
	// writer is the way to SQLite's single writer; nil elsewhere.
	writer *soleWriter
}

// Open connects to the database, waiting for it as configured, and discovers its schema. A database that answers but
// cannot be used (wrong password, unknown schema) fails at once. No error holds the password.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	u, err := parseURL(cfg.URL, cfg.Parameters)
	if err != nil {
		return nil, fmt.Errorf("reading [database]connection: %w", err)
	}
	db := &DB{cfg: cfg}
	if db.cfg.Now == nil {
		db.cfg.Now = time.Now
	}
	if db.cfg.ReconnectInterval <= 0 {
		db.cfg.ReconnectInterval = time.Second
	}
	if db.cfg.StatementLimit <= 0 {
		db.cfg.StatementLimit = 2 * lockWait
	}
	db.UseVersions(cfg.Versions)
	if err := db.dial(u); err != nil {
		return nil, fmt.Errorf("reading [database]connection: %w", u.redact(err))
	}
	db.sizePools()
	if err := db.discover(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the ironic database: %w", u.redact(err)), db.Close())
	}
	db.nodes = newRows[store.Node](db, "nodes")
	// A row comes once for each trait of its node.
	node := "SELECT " + db.nodes.columns + ", node_traits.trait FROM nodes LEFT JOIN node_traits ON node_traits.node_id = nodes.id"
	db.nodeByUUID, db.nodeByID = &prepared{text: node + " WHERE nodes.uuid = ?"}, &prepared{text: node + " WHERE nodes.id = ?"}
	db.ports, db.portgroups = newPorts(db), newPortgroups(db)
	db.volumeConnectors, db.volumeTargets = newVolumeConnectors(db), newVolumeTargets(db)
	db.allocations = newAllocations(db)
	db.chassis = newChassis(db)
	db.templates, db.runbooks, db.inspectionRules = newTemplates(db), newRunbooks(db), newInspectionRules(db)
	db.conductors = newRows[store.Conductor](db, "conductors")
	return db, nil
}

// dial prepares the pools; they connect when they are used.
func (db *DB) dial(u databaseURL) error {
	var open func() (*sql.DB, error)
	switch u.backend {
	case "sqlite":
		db.dialect, db.writer = sqliteDialect{}, newSoleWriter()
		open = func() (*sql.DB, error) { return openSQLite(u) }
	case "mysql":
		db.dialect = mysqlDialect{}
		open = func() (*sql.DB, error) { return openMySQL(u, db.cfg.MySQLSQLMode) }
	case "postgresql":
		db.dialect = postgresDialect{}
		open = func() (*sql.DB, error) { return openPostgreSQL(u) }
	}
	var err error
	if db.pool, err = open(); err != nil {
		return err
	}
	db.pulse, err = open()
	return err
}

// idleTime is how long a connection that a burst of work opened outlives it.
const idleTime = 30 * time.Second

func (db *DB) sizePools() {
	db.pulse.SetMaxOpenConns(1)
	db.pulse.SetConnMaxLifetime(db.cfg.ConnectionRecycleTime)
	db.pool.SetConnMaxLifetime(db.cfg.ConnectionRecycleTime)
	db.pool.SetConnMaxIdleTime(idleTime)
	if db.writer != nil {
		return
	}
	size, overflow := db.poolSize()
	db.pool.SetMaxOpenConns(size + overflow)
	// Some of those above MaxPoolSize stay until the burst is over: closed and opened between its statements they would cost
	// more than the statements. Not all stay, for the database admits a number that others need as well.
	db.pool.SetMaxIdleConns(size + overflow/4)
}

func (db *DB) poolSize() (size, overflow int) {
	return cmp.Or(db.cfg.MaxPoolSize, 5), cmp.Or(db.cfg.MaxOverflow, 50)
}

// dropIdle closes the connections that nobody uses at the moment.
func (db *DB) dropIdle() {
	if db.writer != nil {
		return
	}
	size, overflow := db.poolSize()
	db.pool.SetMaxIdleConns(-1)
	db.pool.SetMaxIdleConns(size + overflow/4)
	db.pulse.SetMaxIdleConns(-1)
	db.pulse.SetMaxIdleConns(1)
}

// discover reads the schema, waiting for the database to come up.
func (db *DB) discover(ctx context.Context) error {
	for try := 0; ; try++ {
		schema, err := readSchema(ctx, db.dialect, db.pool)
		if err == nil {
			db.schema = schema
			break
		}
		kind := db.dialect.classify(err).kind
		if kind != faultAway && kind != faultConflict || ctx.Err() != nil || try == db.cfg.MaxRetries {
			return err
		}
		db.cfg.Log.Warn().Err(err).Int("attempt", try+1).Msg("The database does not answer yet")
		if err := sleep(ctx, db.cfg.RetryInterval); err != nil {
			return err
		}
	}
	if db.writer != nil {
		if err := useWAL(ctx, db.pool); err != nil {
			db.cfg.Log.Info().Err(err).Msg("SQLite keeps its rollback journal")
		}
	}
	return nil
}

// UseVersions sets the version that each kind of object is written in.
func (db *DB) UseVersions(versions map[string]string) { db.versions.Store(&versions) }

func (db *DB) version(object string) string { return (*db.versions.Load())[object] }

// Schema returns what was discovered at start.
func (db *DB) Schema() Schema { return db.schema }

// Engine names the kind of the database: sqlite, mysql or postgresql.
func (db *DB) Engine() string { return db.dialect.name() }

// Close waits for running statements and closes all connections.
func (db *DB) Close() error { return errors.Join(db.pulse.Close(), db.pool.Close()) }

// now is the time that goes into rows, cut to what the engine can hold.
func (db *DB) now() time.Time { return db.cfg.Now().UTC().Truncate(db.dialect.precision()) }
