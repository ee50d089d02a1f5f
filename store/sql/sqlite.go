package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteDialect speaks to a database file through modernc.org/sqlite, which needs no cgo.
type sqliteDialect struct{}

// sqliteBusyTimeout is how long a statement waits for another process's lock: sqlite_max_wait_for_retry of ironic 29.0.
const sqliteBusyTimeout = 10 * time.Second

// sqliteConnections limits the pool: more readers than this gain nothing from one file.
const sqliteConnections = 8

// openSQLite opens the file that a URL names; it must exist. Transactions take the write lock when they begin, because
// a reader that turns into a writer could otherwise meet a lock that no waiting resolves.
func openSQLite(u databaseURL) (*sql.DB, error) {
	if u.database == "" || u.database == ":memory:" {
		return nil, errors.New("a SQLite database in memory holds no schema: name the file, as in sqlite:////var/lib/ironic/ironic.sqlite")
	}
	for name := range u.query {
		if name != "timeout" && name != "check_same_thread" {
			return nil, fmt.Errorf("option %q is not known for SQLite", name)
		}
	}
	timeout := sqliteBusyTimeout
	if text := u.query.Get("timeout"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || seconds < 0 {
			return nil, fmt.Errorf("option timeout: %q is no number of seconds", text)
		}
		timeout = time.Duration(seconds * float64(time.Second))
	}
	options := url.Values{
		"mode":    {"rw"},
		"_pragma": {fmt.Sprintf("busy_timeout(%d)", timeout.Milliseconds()), "foreign_keys(1)"},
		"_txlock": {"immediate"},
	}
	if _, err := os.Stat(u.database); err != nil {
		return nil, err
	}
	if !writable(u.database) {
		options.Set("mode", "ro")
	}
	path := (&url.URL{Path: u.database}).EscapedPath()
	db, err := sql.Open("sqlite", "file:"+path+"?"+options.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(sqliteConnections)
	db.SetMaxIdleConns(sqliteConnections)
	return db, nil
}

// soleWriter lets one goroutine at a time write to SQLite, which knows a single writer and no queue. Other engines need
// none: everybody may enter a nil one.
type soleWriter struct {
	// queue is held by the first of those who wait, place by whoever writes. Who comes first waits for place alone.
	queue, place chan struct{}
}

func newSoleWriter() *soleWriter {
	return &soleWriter{queue: make(chan struct{}, 1), place: make(chan struct{}, 1)}
}

// enter waits for the place, in order; leave gives it back.
func (w *soleWriter) enter(ctx context.Context) (leave func(), err error) {
	if w == nil {
		return func() {}, nil
	}
	unqueue, err := take(ctx, w.queue)
	if err != nil {
		return nil, err
	}
	defer unqueue()
	return take(ctx, w.place)
}

// enterFirst is enter past the queue: there is one transaction to wait for, or two.
func (w *soleWriter) enterFirst(ctx context.Context) (leave func(), err error) {
	if w == nil {
		return func() {}, nil
	}
	return take(ctx, w.place)
}

func take(ctx context.Context, place chan struct{}) (giveBack func(), err error) {
	select {
	case place <- struct{}{}:
		return func() { <-place }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func writable(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// useWAL switches the file to a write-ahead log, as ironic does from 29.0 on; it stays so. Readers and the writer then
// do not hinder each other. Where it cannot be done (a file that is read only, or busy) the old journal serves too.
func useWAL(ctx context.Context, db *sql.DB) error {
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return fmt.Errorf("switching SQLite to a write-ahead log: %w", err)
	}
	if mode != "wal" {
		return fmt.Errorf("switching SQLite to a write-ahead log: the journal stays in mode %s", mode)
	}
	return nil
}

func (sqliteDialect) name() string             { return "sqlite" }
func (sqliteDialect) quote(id string) string   { return `"` + id + `"` }
func (sqliteDialect) numbered() bool           { return false }
func (sqliteDialect) forUpdate() string        { return "" }
func (sqliteDialect) returning() bool          { return false }
func (sqliteDialect) refusesNUL() bool         { return false }
func (sqliteDialect) precision() time.Duration { return time.Microsecond }
func (sqliteDialect) time(t time.Time) any     { return t.Format(sqliteTime) }

// sqliteTime is SQLAlchemy's form: text that sorts, with six digits always.
const sqliteTime = "2006-01-02 15:04:05.000000"

func (sqliteDialect) classify(err error) fault {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return fault{}
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return fault{kind: faultDuplicate, columns: sqliteColumns(e.Error())}
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fault{kind: faultReference}
	case sqlite3.SQLITE_TOOBIG:
		return fault{kind: faultTooLong}
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fault{kind: faultConflict}
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		// The disk is full, fails, or was remounted so that nothing can be written.
		return fault{kind: faultAway}
	}
	return fault{}
}

// sqliteColumns reads "... UNIQUE constraint failed: nodes.name, nodes.x (2067)".
func sqliteColumns(message string) []string {
	_, list, ok := strings.Cut(message, "constraint failed: UNIQUE constraint failed: ")
	if !ok {
		return nil
	}
	list, _, _ = strings.Cut(list, " (")
	columns := strings.Split(list, ", ")
	for i, c := range columns {
		columns[i] = c[strings.LastIndexByte(c, '.')+1:]
	}
	return columns
}

func (sqliteDialect) columns(ctx context.Context, db *sql.DB) ([]column, error) {
	return readColumns(ctx, db, `SELECT m.name, c.name, c.type, 0, '' FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table'`)
}

// declaredLength reads the n of "VARCHAR(n)"; SQLite itself does not enforce it, the other engines do.
func declaredLength(declared string) int64 {
	_, rest, ok := strings.Cut(declared, "(")
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(rest, ")"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
