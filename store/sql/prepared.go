package sql

import (
	"database/sql"
	"sync"
)

// prepared is a statement that is worth preparing: the server parses it once for each connection, and MariaDB does not send
// the names of its columns again and again.
type prepared struct {
	text string

	mu        sync.Mutex
	statement *sql.Stmt
}

// query calls scan for each row. The statement is prepared at its first use, and by database/sql on every connection that
// has not seen it. It needs the pool: transactions do without.
func (p *prepared) query(s session, args []any, scan func(rows *sql.Rows) error) error {
	statement, err := p.prepare(s)
	if err != nil {
		return err
	}
	rows, err := statement.QueryContext(s.ctx, s.encode(args)...)
	if err != nil {
		return err
	}
	return each(rows, scan)
}

func (p *prepared) prepare(s session) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.statement == nil {
		var err error
		if p.statement, err = s.db.pool.PrepareContext(s.ctx, rebind(s.db.dialect, p.text)); err != nil {
			return nil, err
		}
	}
	return p.statement, nil
}
