package sql

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/store"
)

func newVolumeConnectors(db *DB) *records[store.VolumeConnector] {
	return &records[store.VolumeConnector]{
		rows: newRows[store.VolumeConnector](db, "volume_connectors"), object: "VolumeConnector", noun: "volume connector",
		missing: store.VolumeConnectorNotFound,
		parts: func(c *store.VolumeConnector) parts {
			return parts{&c.ID, &c.UUID, &c.Version, &c.CreatedAt, &c.UpdatedAt, &c.Snapshot, nil}
		},
		defaults: func(*store.VolumeConnector) {},
		duplicate: func(columns []string, values store.Snapshot) *store.Error {
			if slices.Contains(columns, "type") {
				return store.Errorf(store.VolumeConnectorTypeAndIdAlreadyExists,
					"A volume connector with type %v and connector ID %v already exists.", values["type"], values["connector_id"])
			}
			return store.Errorf(store.VolumeConnectorAlreadyExists, "A volume connector with UUID %v already exists.", values["uuid"])
		},
	}
}

func newVolumeTargets(db *DB) *records[store.VolumeTarget] {
	return &records[store.VolumeTarget]{
		rows: newRows[store.VolumeTarget](db, "volume_targets"), object: "VolumeTarget", noun: "volume target",
		missing: store.VolumeTargetNotFound,
		parts: func(v *store.VolumeTarget) parts {
			return parts{&v.ID, &v.UUID, &v.Version, &v.CreatedAt, &v.UpdatedAt, &v.Snapshot, nil}
		},
		defaults: func(*store.VolumeTarget) {},
		duplicate: func(columns []string, values store.Snapshot) *store.Error {
			if slices.Contains(columns, "boot_index") {
				return store.Errorf(store.VolumeTargetBootIndexAlreadyExists,
					"A volume target with boot index '%v' for the same node already exists.", values["boot_index"])
			}
			return store.Errorf(store.VolumeTargetAlreadyExists, "A volume target with UUID %v already exists.", values["uuid"])
		},
	}
}

// VolumeConnector reads a volume connector by UUID or decimal id.
func (db *DB) VolumeConnector(ctx context.Context, ident string) (*store.VolumeConnector, error) {
	return db.volumeConnectors.read(ctx, ident)
}

// VolumeConnectorsOfNode reads the volume connectors of a node, ordered by id.
func (db *DB) VolumeConnectorsOfNode(ctx context.Context, nodeID int64) ([]*store.VolumeConnector, error) {
	return db.volumeConnectors.selectWhere(ctx, "volume_connectors.node_id = ?", nodeID)
}

// CreateVolumeConnector inserts a volume connector and gives it back as the row is now; a UUID is made when it has none.
func (db *DB) CreateVolumeConnector(ctx context.Context, c *store.VolumeConnector) error {
	return db.volumeConnectors.create(ctx, c)
}

// SaveVolumeConnector writes what changed in a volume connector since it was read. Nothing changed is nothing written.
func (db *DB) SaveVolumeConnector(ctx context.Context, c *store.VolumeConnector) error {
	return db.volumeConnectors.save(ctx, c)
}

// DestroyVolumeConnector deletes a volume connector.
func (db *DB) DestroyVolumeConnector(ctx context.Context, c *store.VolumeConnector) error {
	return db.volumeConnectors.destroy(ctx, c)
}

// VolumeTarget reads a volume target by UUID or decimal id.
func (db *DB) VolumeTarget(ctx context.Context, ident string) (*store.VolumeTarget, error) {
	return db.volumeTargets.read(ctx, ident)
}

// VolumeTargetsOfNode reads the volume targets of a node, ordered by id.
func (db *DB) VolumeTargetsOfNode(ctx context.Context, nodeID int64) ([]*store.VolumeTarget, error) {
	return db.volumeTargets.selectWhere(ctx, "volume_targets.node_id = ?", nodeID)
}

// CreateVolumeTarget inserts a volume target and gives it back as the row is now; a UUID is made when it has none.
func (db *DB) CreateVolumeTarget(ctx context.Context, v *store.VolumeTarget) error {
	return db.volumeTargets.create(ctx, v)
}

// SaveVolumeTarget writes what changed in a volume target since it was read. Nothing changed is nothing written.
func (db *DB) SaveVolumeTarget(ctx context.Context, v *store.VolumeTarget) error {
	return db.volumeTargets.save(ctx, v)
}

// DestroyVolumeTarget deletes a volume target.
func (db *DB) DestroyVolumeTarget(ctx context.Context, v *store.VolumeTarget) error {
	return db.volumeTargets.destroy(ctx, v)
}
