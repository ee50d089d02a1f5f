package sql

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// CreateFirmwareComponent inserts what is known of the firmware of a part of a node, whose version now is that which it had at first.
func (db *DB) CreateFirmwareComponent(ctx context.Context, f *store.FirmwareComponent) error {
	row := *f
	row.CreatedAt, row.UpdatedAt, row.Version = db.now(), time.Time{}, db.version("FirmwareComponent")
	columns := newRows[store.FirmwareComponent](db, "firmware_information")
	values, err := store.TakeSnapshot(&row)
	if err != nil {
		return err
	}
	lost := false
	err = db.write(ctx, fmt.Sprintf("writing the firmware of node %d", f.NodeID), func(s session) error {
		if lost {
			own, err := s.one("SELECT id FROM firmware_information WHERE node_id = ? AND component = ? AND created_at = ?",
				[]any{row.NodeID, row.Component, row.CreatedAt}, &row.ID)
			if err != nil || own {
				return err
			}
		}
		lost = true
		id, err := columns.insert(s, values)
		if db.dialect.classify(err).kind == faultDuplicate {
			return store.Errorf(store.FirmwareComponentAlreadyExists, "A Firmware component %s for node %d already exists.",
				row.Component, row.NodeID)
		}
		row.ID = id
		return err
	})
	if err == nil {
		*f = row
	}
	return err
}

// SaveFirmwareComponent writes the named fields of the firmware of a part of a node, and gives it back as the row is now.
func (db *DB) SaveFirmwareComponent(ctx context.Context, f *store.FirmwareComponent, fields []string) error {
	columns := newRows[store.FirmwareComponent](db, "firmware_information")
	all, err := store.TakeSnapshot(f)
	if err != nil {
		return err
	}
	values := store.Snapshot{"updated_at": db.now(), "version": nullable(db.version("FirmwareComponent"))}
	for name, value := range all {
		if slices.Contains(fields, name) && name != "id" && name != "created_at" {
			values[name] = value
		}
	}
	err = db.write(ctx, fmt.Sprintf("writing the firmware of node %d", f.NodeID), func(s session) error {
		n, err := columns.update(s, values, "node_id = ? AND component = ?", f.NodeID, f.Component)
		if err == nil && n == 0 {
			return NoFirmwareComponent(f.NodeID, f.Component)
		}
		return err
	})
	if err != nil {
		return err
	}
	now, err := db.FirmwareComponent(ctx, f.NodeID, f.Component)
	if err == nil {
		*f = *now
	}
	return err
}

// FirmwareComponent reads the firmware of one part of a node.
func (db *DB) FirmwareComponent(ctx context.Context, node any, component string) (*store.FirmwareComponent, error) {
	found, err := Select[store.FirmwareComponent](ctx, db, "firmware_information",
		Selection{Where: []Condition{Equals("firmware_information.node_id", node), Equals("firmware_information.component", component)}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, NoFirmwareComponent(node, component)
	}
	return found[0], nil
}

// NoFirmwareComponent is the failure of asking for firmware that nobody noted.
func NoFirmwareComponent(node any, component string) error {
	return store.Errorf(store.FirmwareComponentNotFound, "Node %v doesn't have Firmware component %s", node, component)
}
