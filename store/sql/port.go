package sql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/store"
)

// Port reads a port by UUID or decimal id.
func (db *DB) Port(ctx context.Context, ident string) (*store.Port, error) {
	where, arg, err := identity(ident)
	if err != nil {
		return nil, err
	}
	return db.onePort(ctx, ident, "ports."+where, arg)
}

// PortsOfNode reads the ports of a node, ordered by id.
func (db *DB) PortsOfNode(ctx context.Context, nodeID int64) ([]*store.Port, error) {
	return db.selectPorts(ctx, "ports.node_id = ?", nodeID)
}

func (db *DB) onePort(ctx context.Context, ident, where string, arg any) (*store.Port, error) {
	found, err := db.selectPorts(ctx, where, arg)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, noSuchPort(ident)
	}
	return found[0], nil
}

func noSuchPort(ident string) error {
	return store.Errorf(store.PortNotFound, "Port %s could not be found.", ident)
}

func (db *DB) selectPorts(ctx context.Context, where string, args ...any) ([]*store.Port, error) {
	var found []*store.Port
	err := db.read(ctx, "reading ports", func(s session) error {
		found = nil
		return s.query("SELECT "+db.ports.columns+", nodes.uuid FROM ports LEFT JOIN nodes ON nodes.id = ports.node_id WHERE "+
			where+" ORDER BY ports.id", args, func(rows *sql.Rows) error {
			p := new(store.Port)
			var node sql.NullString
			if err := db.ports.scan(rows, p, &node); err != nil {
				return err
			}
			p.NodeUUID = node.String
			found = append(found, p)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		if p.Snapshot, err = store.TakeSnapshot(p); err != nil {
			return nil, fmt.Errorf("reading port %s: %w", p.UUID, err)
		}
	}
	return found, nil
}

// PortgroupUUID reads the UUID of a port group, empty when there is none of that number.
func (db *DB) PortgroupUUID(ctx context.Context, id int64) (string, error) {
	var uuid string
	err := db.read(ctx, "reading a port group", func(s session) error {
		_, err := s.one("SELECT uuid FROM portgroups WHERE id = ?", []any{id}, &uuid)
		return err
	})
	return uuid, err
}

// CreatePort inserts a port and gives it back as the row is now; a UUID is made when it has none.
func (db *DB) CreatePort(ctx context.Context, p *store.Port) error {
	row := *p
	if row.UUID == "" {
		row.UUID = uuid.NewString()
	}
	for _, flag := range []struct {
		value    **bool
		fallback bool
	}{{&row.PXEEnabled, true}, {&row.IsSmartNIC, false}, {&row.DynamicPortgroup, true}} {
		if *flag.value == nil {
			*flag.value = new(flag.fallback)
		}
	}
	row.Version = orDefault(db.version("Port"), row.Version)
	row.CreatedAt, row.UpdatedAt = db.now(), time.Time{}
	values, err := store.TakeSnapshot(&row)
	if err != nil {
		return fmt.Errorf("creating port %s: %w", row.UUID, err)
	}
	lost := false
	err = db.write(ctx, "creating port "+row.UUID, func(s session) error {
		_, err := db.ports.insert(s, values)
		if err != nil && lost && db.dialect.classify(err).kind == faultDuplicate {
			own, findErr := s.one("SELECT id FROM ports WHERE uuid = ? AND created_at = ?", []any{row.UUID, row.CreatedAt}, new(int64))
			if findErr != nil {
				return findErr
			}
			if own {
				return nil
			}
		}
		lost = true
		err = db.portFailure(err, values, row.UUID)
		if store.KindOf(err) == store.PortDuplicateName {
			// Ironic tells a new port's name from its UUID in no answer, only an old port's.
			return store.Errorf(store.PortAlreadyExists, "A port with UUID %s already exists.", row.UUID)
		}
		return err
	})
	if err != nil {
		return err
	}
	created, err := db.Port(ctx, row.UUID)
	if err != nil {
		return err
	}
	*p = *created
	return nil
}

// SavePort writes what changed in a port since it was read. Nothing changed is nothing written.
func (db *DB) SavePort(ctx context.Context, p *store.Port) error {
	if p.Snapshot == nil {
		return fmt.Errorf("saving port %s: it was not read", p.UUID)
	}
	values, err := store.Changes(p, p.Snapshot)
	if err != nil {
		return fmt.Errorf("saving port %s: %w", p.UUID, err)
	}
	for name := range values {
		if slices.Contains([]string{"id", "created_at", "updated_at"}, name) || !db.schema.HasColumn("ports", name) {
			delete(values, name)
		}
	}
	if _, changed := values["uuid"]; changed {
		return store.Errorf(store.InvalidParameterValue, "Cannot overwrite UUID for an existing Port.")
	}
	if version := db.version("Port"); version != "" && version != p.Snapshot["version"] {
		values["version"] = version
	}
	if len(values) == 0 {
		return nil
	}
	now := db.now()
	values["updated_at"] = now
	err = db.write(ctx, "saving port "+p.UUID, func(s session) error {
		n, err := db.ports.update(s, values, "id = ?", p.ID)
		if err == nil && n == 0 {
			return noSuchPort(p.UUID)
		}
		return db.portFailure(err, values, p.UUID)
	})
	if err != nil {
		return err
	}
	for name, value := range values {
		p.Snapshot[name] = value
	}
	p.UpdatedAt = now
	p.Version, _ = p.Snapshot["version"].(string)
	return nil
}

// portFailure maps the violation of a unique constraint of the table ports to what ironic's users know.
func (db *DB) portFailure(err error, values store.Snapshot, port string) error {
	f := db.dialect.classify(err)
	switch {
	case err == nil || f.kind != faultDuplicate:
		return err
	case slices.Contains(f.columns, "address"):
		return store.Errorf(store.MACAlreadyExists, "A port with MAC address %v already exists.", values["address"])
	case slices.Contains(f.columns, "name"):
		return store.Errorf(store.PortDuplicateName, "A port with name %v already exists.", values["name"])
	}
	return store.Errorf(store.PortAlreadyExists, "A port with UUID %s already exists.", port)
}

// DestroyPort deletes a port.
func (db *DB) DestroyPort(ctx context.Context, p *store.Port) error {
	lost := false
	return db.write(ctx, "deleting port "+p.UUID, func(s session) error {
		before := lost
		lost = true
		n, err := s.exec("DELETE FROM ports WHERE id = ?", p.ID)
		if err == nil && n == 0 && !before {
			return noSuchPort(p.UUID)
		}
		return err
	})
}
