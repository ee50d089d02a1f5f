package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// dialect is what differs between the database engines: how statements are written, how values are encoded and what the
// driver's errors mean.
type dialect interface {
	// name is the engine as users call it: sqlite, mysql or postgresql.
	name() string
	// quote makes an identifier safe, reserved words (default, order, unique, user) included.
	quote(identifier string) string
	// numbered tells that placeholders are $1, $2 instead of question marks.
	numbered() bool
	// forUpdate is the clause that locks rows that a transaction reads.
	forUpdate() string
	// returning tells that INSERT gives the new id by a RETURNING clause, not by the driver's last insert id.
	returning() bool
	// refusesNUL tells that no text may hold the character NUL.
	refusesNUL() bool
	// precision is that of a timestamp column.
	precision() time.Duration
	// time encodes a UTC time, already cut to the precision, as the engine's naive timestamp.
	time(t time.Time) any
	// classify says what an error of the driver means.
	classify(err error) fault
	// columns reads the columns of all tables that the connection sees.
	columns(ctx context.Context, db *sql.DB) ([]column, error)
}

// column is one column of the shared schema.
type column struct {
	table, name string
	// chars and bytes limit a text's length; 0 is no limit.
	chars, bytes int64
	// bmpOnly tells that the column takes no character outside Unicode's basic plane (MySQL's utf8mb3).
	bmpOnly bool
}

// faultKind is what a failed statement means for its caller. The zero kind is any failure that trying again does not mend.
type faultKind int

const (
	// faultDuplicate is the violation of a unique constraint.
	faultDuplicate faultKind = iota + 1
	// faultReference is the violation of a foreign key.
	faultReference
	// faultTooLong is a value that does not fit its column or the server's packet.
	faultTooLong
	// faultConflict is a deadlock or a serialisation failure: the transaction was rolled back and can be tried again.
	faultConflict
	// faultAway is a database that is not to be had for now: the connection is lost or refused, the server is one that may
	// not write (any more), its disk is full, or somebody keeps a lock. Whether the statement took effect is unknown.
	faultAway
)

// fault is a classified error.
type fault struct {
	kind faultKind
	// columns are those of the violated unique constraint.
	columns []string
}

// lostConnection recognises the failures of a connection that are the same with every driver.
func lostConnection(err error) bool {
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &network)
}

// constraintColumns takes the columns out of the name of a unique constraint. Ironic names them "uniq_<table>0<column>",
// with a further "0<column>" for each further column; PostgreSQL's own names are "<table>_<column>_key".
func constraintColumns(name string) []string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		// MySQL from 8.0.19 puts the table in front.
		name = name[i+1:]
	}
	if rest, ok := strings.CutPrefix(name, "uniq_"); ok {
		return strings.Split(rest, "0")[1:]
	}
	if rest, ok := strings.CutSuffix(name, "_key"); ok {
		if _, col, ok := strings.Cut(rest, "_"); ok {
			return []string{col}
		}
	}
	return []string{name}
}

// rebind rewrites question marks as numbered placeholders. Statements of this package hold no question mark otherwise.
func rebind(d dialect, statement string) string {
	if !d.numbered() || !strings.Contains(statement, "?") {
		return statement
	}
	out := make([]byte, 0, len(statement)+16)
	n := 0
	for i := range len(statement) {
		if statement[i] != '?' {
			out = append(out, statement[i])
			continue
		}
		n++
		out = append(out, '$')
		out = strconv.AppendInt(out, int64(n), 10)
	}
	return string(out)
}
