package sql

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/store"
)

func newPortgroups(db *DB) *records[store.Portgroup] {
	return &records[store.Portgroup]{
		rows: newRows[store.Portgroup](db, "portgroups"), object: "Portgroup", noun: "portgroup", missing: store.PortgroupNotFound,
		parts: func(p *store.Portgroup) parts {
			return parts{&p.ID, &p.UUID, &p.Version, &p.CreatedAt, &p.UpdatedAt, &p.Snapshot, &p.NodeUUID}
		},
		defaults: func(p *store.Portgroup) {
			fallback(&p.StandalonePortsSupported, true)
			fallback(&p.DynamicPortgroup, false)
		},
		duplicate: func(columns []string, values store.Snapshot) *store.Error {
			switch {
			case slices.Contains(columns, "name"):
				return store.Errorf(store.PortgroupDuplicateName, "A portgroup with name %v already exists.", values["name"])
			case slices.Contains(columns, "address"):
				return store.Errorf(store.PortgroupMACAlreadyExists, "A portgroup with MAC address %v already exists.", values["address"])
			}
			return store.Errorf(store.PortgroupAlreadyExists, "A portgroup with UUID %v already exists.", values["uuid"])
		},
	}
}

// Portgroup reads a port group by UUID or decimal id.
func (db *DB) Portgroup(ctx context.Context, ident string) (*store.Portgroup, error) {
	return db.portgroups.read(ctx, ident)
}

// PortgroupsOfNode reads the port groups of a node, ordered by id.
func (db *DB) PortgroupsOfNode(ctx context.Context, nodeID int64) ([]*store.Portgroup, error) {
	return db.portgroups.selectWhere(ctx, "portgroups.node_id = ?", nodeID)
}

// CreatePortgroup inserts a port group and gives it back as the row is now; a UUID is made when it has none.
func (db *DB) CreatePortgroup(ctx context.Context, p *store.Portgroup) error {
	return db.portgroups.create(ctx, p)
}

// SavePortgroup writes what changed in a port group since it was read. Nothing changed is nothing written.
func (db *DB) SavePortgroup(ctx context.Context, p *store.Portgroup) error {
	return db.portgroups.save(ctx, p)
}

// DestroyPortgroup deletes a port group; one that has ports is refused as PortgroupNotEmpty. Failures call it by name.
func (db *DB) DestroyPortgroup(ctx context.Context, p *store.Portgroup, name string) error {
	err := db.portgroups.destroy(ctx, p)
	switch {
	case store.KindOf(err) == store.PortgroupNotFound:
		return db.portgroups.notFound(name)
	case err != nil && db.dialect.classify(err).kind == faultReference:
		return store.Errorf(store.PortgroupNotEmpty,
			"Cannot complete the requested action because portgroup %s contains ports.", name)
	}
	return err
}
