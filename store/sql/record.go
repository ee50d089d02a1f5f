package sql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/store"
)

// records keeps one kind of what has a UUID of its own beside nodes: ports, port groups, volumes, allocations, chassis.
type records[T any] struct {
	*rows[T]
	// object is the name of the versioned object, noun what failures call a row.
	object, noun string
	parts        func(*T) parts
	missing      store.Kind
	// defaults fills what ironic sets in a new row.
	defaults func(*T)
	// duplicate is the failure that a violated unique constraint is to ironic's users; values are the row's as it was to be.
	duplicate func(columns []string, values store.Snapshot) *store.Error
	// complete reads what records have in other tables, nil when they have nothing there.
	complete func(s session, found []*T) error
}

// parts are the fields that all kinds of records have.
type parts struct {
	id               *int64
	uuid, version    *string
	created, updated *time.Time
	snapshot         *store.Snapshot
	// nodeUUID is nil for records that do not know their node's UUID.
	nodeUUID *string
}

func (r *records[T]) notFound(ident string) error {
	return store.Errorf(r.missing, "%s %s could not be found.", strings.ToUpper(r.noun[:1])+r.noun[1:], ident)
}

// read reads one record by UUID or decimal id.
func (r *records[T]) read(ctx context.Context, ident string) (*T, error) {
	where, arg, err := identity(ident)
	if err != nil {
		return nil, err
	}
	found, err := r.selectWhere(ctx, r.table+"."+where, arg)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, r.notFound(ident)
	}
	return found[0], nil
}

// selectWhere reads records in the order of their ids.
func (r *records[T]) selectWhere(ctx context.Context, where string, args ...any) ([]*T, error) {
	var found []*T
	node, join := r.db.joinNode(r.table)
	statement := "SELECT " + r.columns + ", " + node + " FROM " + r.table + join + " WHERE " + where + " ORDER BY " + r.table + ".id"
	err := r.db.read(ctx, "reading "+r.table, func(s session) error {
		found = nil
		if err := s.query(statement, args, func(from *sql.Rows) error {
			one := new(T)
			var node sql.NullString
			if err := r.scan(from, one, &node); err != nil {
				return err
			}
			if p := r.parts(one); p.nodeUUID != nil {
				*p.nodeUUID = node.String
			}
			found = append(found, one)
			return nil
		}); err != nil || r.complete == nil {
			return err
		}
		return r.complete(s, found)
	})
	if err != nil {
		return nil, err
	}
	for _, one := range found {
		p := r.parts(one)
		if *p.snapshot, err = store.TakeSnapshot(one); err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", r.noun, *p.uuid, err)
		}
	}
	return found, nil
}

// joinNode is how the UUID of each row's node is read, as NULL from a table without nodes.
func (db *DB) joinNode(table string) (column, join string) {
	if db.schema.HasColumn(table, "node_id") {
		return "nodes.uuid", " LEFT JOIN nodes ON nodes.id = " + table + ".node_id"
	}
	return "NULL", ""
}

// create inserts a record and gives it back as the row is now; a UUID is made when it has none.
func (r *records[T]) create(ctx context.Context, record *T) error {
	return r.createWith(ctx, record, nil)
}

// createWith is create for records that have rows in other tables, too, which further writes in the same transaction.
func (r *records[T]) createWith(ctx context.Context, record *T, further func(s session, id int64) error) error {
	row := *record
	p := r.parts(&row)
	if *p.uuid == "" {
		*p.uuid = uuid.NewString()
	}
	r.defaults(&row)
	*p.version = orDefault(r.db.version(r.object), *p.version)
	*p.created, *p.updated = r.db.now(), time.Time{}
	values, err := store.TakeSnapshot(&row)
	if err != nil {
		return fmt.Errorf("creating %s %s: %w", r.noun, *p.uuid, err)
	}
	run, lost := r.db.write, false
	if further != nil {
		run = r.db.transact
	}
	err = run(ctx, "creating "+r.noun+" "+*p.uuid, func(s session) error {
		if lost {
			// The row may be there already, from an attempt whose answer was lost.
			own, err := s.one("SELECT id FROM "+r.table+" WHERE uuid = ? AND created_at = ?", []any{*p.uuid, *p.created}, new(int64))
			if err != nil || own {
				return err
			}
		}
		lost = true
		id, err := r.insert(s, values)
		if err != nil || further == nil {
			return r.failure(err, values)
		}
		return further(s, id)
	})
	if err != nil {
		return err
	}
	created, err := r.read(ctx, *p.uuid)
	if err != nil {
		return err
	}
	*record = *created
	return nil
}

// changes are the columns to write so that the row is as the record; none when nothing changed.
func (r *records[T]) changes(record *T) (store.Snapshot, error) {
	p := r.parts(record)
	if *p.snapshot == nil {
		return nil, fmt.Errorf("saving %s %s: it was not read", r.noun, *p.uuid)
	}
	values, err := store.Changes(record, *p.snapshot)
	if err != nil {
		return nil, fmt.Errorf("saving %s %s: %w", r.noun, *p.uuid, err)
	}
	for name := range values {
		if slices.Contains([]string{"id", "created_at", "updated_at"}, name) || !r.db.schema.HasColumn(r.table, name) {
			delete(values, name)
		}
	}
	if _, changed := values["uuid"]; changed {
		return nil, store.Errorf(store.InvalidParameterValue, "Cannot overwrite UUID for an existing %s.", r.object)
	}
	if version := r.db.version(r.object); version != "" && version != (*p.snapshot)["version"] {
		values["version"] = version
	}
	if len(values) > 0 {
		values["updated_at"] = r.db.now()
	}
	return values, nil
}

// save writes what changed in a record since it was read. Nothing changed is nothing written.
func (r *records[T]) save(ctx context.Context, record *T) error {
	values, err := r.changes(record)
	if err != nil || len(values) == 0 {
		return err
	}
	err = r.db.write(ctx, "saving "+r.noun+" "+*r.parts(record).uuid, func(s session) error {
		return r.writeChanges(s, record, values)
	})
	if err == nil {
		r.saved(record, values)
	}
	return err
}

// saveWith is save for records that have a field in another table. When that field changed, replace writes it in the same
// transaction.
func (r *records[T]) saveWith(ctx context.Context, record *T, elsewhere string, replace func(s session) error) error {
	values, err := r.changes(record)
	if err != nil {
		return err
	}
	p := r.parts(record)
	now, err := store.Changes(record, *p.snapshot)
	if err != nil {
		return fmt.Errorf("saving %s %s: %w", r.noun, *p.uuid, err)
	}
	value, changed := now[elsewhere]
	if len(values) == 0 && !changed {
		return nil
	}
	err = r.db.transact(ctx, "saving "+r.noun+" "+*p.uuid, func(s session) error {
		if len(values) > 0 {
			if err := r.writeChanges(s, record, values); err != nil {
				return err
			}
		}
		if !changed {
			return nil
		}
		return replace(s)
	})
	if err == nil {
		if len(values) > 0 {
			r.saved(record, values)
		}
		(*p.snapshot)[elsewhere] = value
	}
	return err
}

func (r *records[T]) writeChanges(s session, record *T, values store.Snapshot) error {
	p := r.parts(record)
	n, err := r.update(s, values, "id = ?", *p.id)
	if err != nil {
		row, snapErr := store.TakeSnapshot(record)
		if snapErr != nil {
			return snapErr
		}
		return r.failure(err, row)
	}
	if n == 0 {
		return r.notFound(*p.uuid)
	}
	return nil
}

// saved makes the record in memory what its row is now.
func (r *records[T]) saved(record *T, values store.Snapshot) {
	p := r.parts(record)
	for name, value := range values {
		(*p.snapshot)[name] = value
	}
	*p.updated, _ = values["updated_at"].(time.Time)
	*p.version, _ = (*p.snapshot)["version"].(string)
}

// failure is what an error of a statement that wrote these values is to ironic's users.
func (r *records[T]) failure(err error, values store.Snapshot) error {
	if f := r.db.dialect.classify(err); f.kind == faultDuplicate {
		return r.duplicate(f.columns, values)
	}
	return err
}

// destroy deletes a record.
func (r *records[T]) destroy(ctx context.Context, record *T) error {
	p := r.parts(record)
	lost := false
	return r.db.write(ctx, "deleting "+r.noun+" "+*p.uuid, func(s session) error {
		before := lost
		lost = true
		n, err := s.exec("DELETE FROM "+r.table+" WHERE id = ?", *p.id)
		if err == nil && n == 0 && !before {
			return r.notFound(*p.uuid)
		}
		return err
	})
}

// fallback gives a flag that is not set its value.
func fallback(flag **bool, value bool) {
	if *flag == nil {
		*flag = &value
	}
}
