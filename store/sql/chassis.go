package sql

import (
	"context"

	"github.com/ironmaster/ironmaster/store"
)

func newChassis(db *DB) *records[store.Chassis] {
	return &records[store.Chassis]{
		rows: newRows[store.Chassis](db, "chassis"), object: "Chassis", noun: "chassis", missing: store.ChassisNotFound,
		parts: func(h *store.Chassis) parts {
			return parts{&h.ID, &h.UUID, &h.Version, &h.CreatedAt, &h.UpdatedAt, &h.Snapshot, nil}
		},
		defaults: func(*store.Chassis) {},
		duplicate: func(_ []string, values store.Snapshot) *store.Error {
			return store.Errorf(store.ChassisAlreadyExists, "A chassis with UUID %v already exists.", values["uuid"])
		},
	}
}

// Chassis reads a chassis by UUID or decimal id.
func (db *DB) Chassis(ctx context.Context, ident string) (*store.Chassis, error) {
	return db.chassis.read(ctx, ident)
}

// CreateChassis inserts a chassis and gives it back as the row is now; a UUID is made when it has none.
func (db *DB) CreateChassis(ctx context.Context, h *store.Chassis) error {
	return db.chassis.create(ctx, h)
}

// SaveChassis writes what changed in a chassis since it was read.
func (db *DB) SaveChassis(ctx context.Context, h *store.Chassis) error {
	return db.chassis.save(ctx, h)
}

// DestroyChassis deletes a chassis; one that has nodes is refused as ChassisNotEmpty.
func (db *DB) DestroyChassis(ctx context.Context, h *store.Chassis) error {
	err := db.chassis.destroy(ctx, h)
	if err != nil && db.dialect.classify(err).kind == faultReference {
		return store.Errorf(store.ChassisNotEmpty, "Cannot complete the requested action because chassis %s contains nodes.", h.UUID)
	}
	return err
}
