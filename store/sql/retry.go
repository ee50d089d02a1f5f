package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// operation is something that is done in the database as a whole. run must bear repetition: an attempt whose answer was
// lost may have taken effect.
type operation struct {
	what    string
	writing bool
	run     func(ctx context.Context) error
}

// errHangs is why an attempt ends that takes longer than StatementLimit.
var errHangs = errors.New("the database does not answer")

// retry runs an operation until it succeeds, fails for good or has no time left. After a deadlock the whole operation is
// repeated as oslo.db does; while the database is away it is repeated until ctx ends or the outage limit is reached.
func (db *DB) retry(ctx context.Context, op operation) error {
	var away time.Time
	conflicts := 0
	backoff := db.cfg.DeadlockRetryInterval
	for {
		err := db.attempt(ctx, op)
		if err == nil {
			db.outage.worked(db.cfg.Log, op.writing)
			return nil
		}
		if ctx.Err() != nil {
			if cause := context.Cause(ctx); !errors.Is(err, cause) {
				err = fmt.Errorf("%w: %w", cause, err)
			}
			return fmt.Errorf("%s: %w", op.what, err)
		}
		var wait time.Duration
		switch db.faultOf(err) {
		case faultConflict:
			if conflicts++; conflicts > db.cfg.DeadlockRetries {
				return fmt.Errorf("%s: giving up after %d deadlocks: %w", op.what, conflicts, err)
			}
			wait = rand.N(backoff + 1)
			backoff = min(2*backoff, db.cfg.DeadlockRetryMaxInterval)
			db.cfg.Log.Debug().Err(err).Str("operation", op.what).Msg("Trying a transaction again")
		case faultAway:
			db.outage.met(db.cfg.Log, op.what, op.writing, err)
			// Connections that wait in the pool lead to the same server. Behind a virtual address new ones may reach another.
			db.dropIdle()
			if away.IsZero() {
				away = time.Now()
			} else if limit := db.cfg.OutageLimit; limit > 0 && time.Since(away) >= limit {
				return unreachable(err)
			}
			wait = db.cfg.ReconnectInterval
		default:
			if store.KindOf(err) != "" {
				return err
			}
			return fmt.Errorf("%s: %w", op.what, err)
		}
		if cause := sleep(ctx, wait); cause != nil {
			return fmt.Errorf("%s: %w, while waiting to try again after: %w", op.what, cause, err)
		}
	}
}

// attempt runs an operation once, for a limited time.
func (db *DB) attempt(ctx context.Context, op operation) error {
	ctx, cancel := context.WithTimeoutCause(ctx, db.cfg.StatementLimit, errHangs)
	defer cancel()
	err := op.run(ctx)
	if err != nil && context.Cause(ctx) == errHangs { //nolint:errorlint // the very value
		return fmt.Errorf("%w within %s: %w", errHangs, db.cfg.StatementLimit, err)
	}
	return err
}

func (db *DB) faultOf(err error) faultKind {
	if errors.Is(err, errHangs) {
		return faultAway
	}
	return db.dialect.classify(err).kind
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// read runs statements that change nothing, outside of a transaction.
func (db *DB) read(ctx context.Context, what string, fn func(s session) error) error {
	return db.retry(ctx, operation{what: what, run: func(ctx context.Context) error {
		return fn(session{ctx: ctx, q: db.pool, db: db})
	}})
}

// write runs statements that each stand for themselves.
func (db *DB) write(ctx context.Context, what string, fn func(s session) error) error {
	return db.retry(ctx, operation{what: what, writing: true, run: func(ctx context.Context) error {
		done, err := db.writer.enter(ctx)
		if err != nil {
			return err
		}
		defer done()
		return fn(session{ctx: ctx, q: db.pool, db: db})
	}})
}

// writeFirst is write for signs of life: on a connection of their own, and before all writers that wait.
func (db *DB) writeFirst(ctx context.Context, what string, fn func(s session) error) error {
	return db.retry(ctx, operation{what: what, writing: true, run: func(ctx context.Context) error {
		done, err := db.writer.enterFirst(ctx)
		if err != nil {
			return err
		}
		defer done()
		return fn(session{ctx: ctx, q: db.pulse, db: db})
	}})
}

// transact runs statements that take effect together or not at all.
func (db *DB) transact(ctx context.Context, what string, fn func(s session) error) error {
	return db.retry(ctx, operation{what: what, writing: true, run: func(ctx context.Context) error {
		done, err := db.writer.enter(ctx)
		if err != nil {
			return err
		}
		defer done()
		tx, err := db.pool.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		// The error of a rollback says nothing that the first error does not: the connection is gone, or ctx ended and
		// database/sql rolled back by itself.
		defer func() { _ = tx.Rollback() }()
		if err := fn(session{ctx: ctx, q: tx, db: db}); err != nil {
			return err
		}
		return tx.Commit()
	}})
}

// session runs statements in the dialect of its database, on the pool or in a transaction.
type session struct {
	ctx context.Context
	q   interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
	db *DB
}

// exec returns the number of rows that the statement's WHERE matched.
func (s session) exec(statement string, args ...any) (int64, error) {
	result, err := s.q.ExecContext(s.ctx, rebind(s.db.dialect, statement), s.encode(args)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// insert returns the new row's id.
func (s session) insert(statement string, args ...any) (int64, error) {
	if s.db.dialect.returning() {
		var id int64
		_, err := s.one(statement+" RETURNING id", args, &id)
		return id, err
	}
	result, err := s.q.ExecContext(s.ctx, rebind(s.db.dialect, statement), s.encode(args)...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// query calls scan for each row.
func (s session) query(statement string, args []any, scan func(rows *sql.Rows) error) error {
	rows, err := s.q.QueryContext(s.ctx, rebind(s.db.dialect, statement), s.encode(args)...)
	if err != nil {
		return err
	}
	return each(rows, scan)
}

// each calls scan for each row and closes the rows.
func each(rows *sql.Rows, scan func(rows *sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one scans the first row; found tells whether there is any.
func (s session) one(statement string, args []any, dest ...any) (found bool, err error) {
	err = s.query(statement, args, func(rows *sql.Rows) error {
		if found {
			return nil
		}
		found = true
		return rows.Scan(dest...)
	})
	return found, err
}

// encode gives times the engine's form.
func (s session) encode(args []any) []any {
	encoded := slices.Clone(args)
	for i, arg := range args {
		if t, ok := arg.(time.Time); ok {
			encoded[i] = s.db.dialect.time(t.UTC().Truncate(s.db.dialect.precision()))
		}
	}
	return encoded
}
