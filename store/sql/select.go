package sql

import (
	"context"
	"database/sql"
	"reflect"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// Selection chooses and orders rows of one table, as ironic's database API does for its own callers.
type Selection struct {
	Where []Condition
	// SortKey is the column to sort by, before the id; Descending is for both.
	SortKey    string
	Descending bool
	// Limit is how many rows are read at most, 0 all.
	Limit int
	// After, when given, is the id of the last row of the page before. When that row is gone, no row comes after it.
	After *int64
}

// Condition is one that a row has to fulfil.
type Condition struct {
	clause string
	args   []any
}

// Equals asks for a value, nil for NULL. The column may be one of the row's node, as nodes.owner.
func Equals(column string, value any) Condition {
	if value == nil {
		return Condition{clause: column + " IS NULL"}
	}
	return Condition{column + " = ?", []any{value}}
}

// HasValue asks whether a column has any value.
func HasValue(column string, has bool) Condition {
	if has {
		return Condition{clause: column + " IS NOT NULL"}
	}
	return Condition{clause: column + " IS NULL"}
}

// OneOf asks for one of some values; no row fulfils it without any.
func OneOf(column string, values []any) Condition {
	if len(values) == 0 {
		return Condition{clause: "1 = 0"}
	}
	return Condition{column + " IN (" + marks(len(values)) + ")", values}
}

// Contains asks for a text anywhere in the column, in which % and _ stand for anything, as in ironic.
func Contains(column, text string) Condition {
	return Condition{column + " LIKE ?", []any{"%" + text + "%"}}
}

// OfProject asks for rows whose node the project owns or leases.
func OfProject(project any) Condition {
	return Condition{"(nodes.owner = ? OR nodes.lessee = ?)", []any{project, project}}
}

// OwnedOrPublic asks for runbooks that the project owns, or that are everybody's.
func OwnedOrPublic(project any) Condition {
	return Condition{"(runbooks.owner = ? OR runbooks.public = ?)", []any{project, true}}
}

// Before asks for a moment before the given one.
func Before(column string, t time.Time) Condition { return Condition{column + " < ?", []any{t}} }

// Select reads rows of a table into models of type T, whose field NodeUUID, if they have it, is filled. A column that the table
// does not have cannot be sorted by.
func Select[T any](ctx context.Context, db *DB, table string, s Selection) ([]*T, error) {
	columns := newRows[T](db, table)
	if s.SortKey != "" && !db.schema.HasColumn(table, s.SortKey) {
		return nil, store.Errorf(store.InvalidParameterValue, `The sort_key value "%s" is an invalid field for sorting`, s.SortKey)
	}
	statement, args := s.statement(db, table, columns.columns)
	var found []*T
	err := db.read(ctx, "reading "+table, func(on session) error {
		found = nil
		return on.query(statement, args, func(from *sql.Rows) error {
			one := new(T)
			var node sql.NullString
			if err := columns.scan(from, one, &node); err != nil {
				return err
			}
			if field := reflect.ValueOf(one).Elem().FieldByName("NodeUUID"); field.IsValid() {
				field.SetString(node.String)
			}
			found = append(found, one)
			return nil
		})
	})
	return found, err
}

func (s Selection) statement(db *DB, table, columns string) (statement string, args []any) {
	node, join := db.joinNode(table)
	statement = "SELECT " + columns + ", " + node + " FROM " + table + join
	where := s.Where
	if s.After != nil {
		where = append(where[:len(where):len(where)], s.beyond(db, table))
	}
	var all conditions
	for _, c := range where {
		all.add(c.clause, c.args...)
	}
	statement, args = statement+all.where(), all.args
	direction := " ASC"
	if s.Descending {
		direction = " DESC"
	}
	order := " ORDER BY "
	if key := s.key(db, table); key != "" {
		// NULL is least on every engine, as it is on MySQL and SQLite.
		order += "CASE WHEN " + key + " IS NULL THEN 0 ELSE 1 END" + direction + ", " + key + direction + ", "
	}
	statement += order + table + ".id" + direction
	if s.Limit > 0 {
		statement, args = statement+" LIMIT ?", append(args, s.Limit)
	}
	return statement, args
}

// key is the column to sort by before the id, "" for none.
func (s Selection) key(db *DB, table string) string {
	if s.SortKey == "" || s.SortKey == "id" {
		return ""
	}
	return table + "." + db.dialect.quote(s.SortKey)
}

// beyond asks for rows that come after the last one of the page before. They are compared with that row itself: what callers were
// told of it may be less exact, such as times in whole seconds.
func (s Selection) beyond(db *DB, table string) Condition {
	than := " > "
	if s.Descending {
		than = " < "
	}
	key := s.key(db, table)
	if key == "" {
		return Condition{table + ".id" + than + "?", []any{*s.After}}
	}
	last := "last_row." + db.dialect.quote(s.SortKey)
	nulls := last + " IS NULL AND " + key + " IS NOT NULL"
	if s.Descending {
		nulls = key + " IS NULL AND " + last + " IS NOT NULL"
	}
	same := "(" + key + " = " + last + " OR " + key + " IS NULL AND " + last + " IS NULL)"
	return Condition{"EXISTS (SELECT last_row.id FROM " + table + " last_row WHERE last_row.id = ? AND (" + key + than + last + " OR " + nulls +
		" OR " + same + " AND " + table + ".id" + than + "last_row.id))", []any{*s.After}}
}

// SelectBy reads all rows that fulfil a condition from a table whose rows have no id, in the order of a column.
func SelectBy[T any](ctx context.Context, db *DB, table, order string, where Condition) ([]*T, error) {
	columns := newRows[T](db, table)
	var found []*T
	err := db.read(ctx, "reading "+table, func(s session) error {
		found = nil
		return s.query("SELECT "+columns.columns+" FROM "+table+" WHERE "+where.clause+" ORDER BY "+order, where.args, func(from *sql.Rows) error {
			one := new(T)
			found = append(found, one)
			return columns.scan(from, one)
		})
	})
	return found, err
}

// WithTraits fills in the traits of nodes.
func (db *DB) WithTraits(ctx context.Context, nodes []*store.Node) error {
	return db.read(ctx, "reading traits", func(s session) error {
		for _, n := range nodes {
			n.Traits = nil
		}
		return s.addTraits(nodes)
	})
}
