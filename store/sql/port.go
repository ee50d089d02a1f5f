package sql

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/store"
)

func newPorts(db *DB) *records[store.Port] {
	return &records[store.Port]{
		rows: newRows[store.Port](db, "ports"), object: "Port", noun: "port", missing: store.PortNotFound,
		parts: func(p *store.Port) parts {
			return parts{&p.ID, &p.UUID, &p.Version, &p.CreatedAt, &p.UpdatedAt, &p.Snapshot, &p.NodeUUID}
		},
		defaults: func(p *store.Port) {
			fallback(&p.PXEEnabled, true)
			fallback(&p.IsSmartNIC, false)
			fallback(&p.DynamicPortgroup, true)
		},
		duplicate: func(columns []string, values store.Snapshot) *store.Error {
			switch {
			case slices.Contains(columns, "address"):
				return store.Errorf(store.MACAlreadyExists, "A port with MAC address %v already exists.", values["address"])
			case slices.Contains(columns, "name") && values["id"] != int64(0):
				return store.Errorf(store.PortDuplicateName, "A port with name %v already exists.", values["name"])
			}
			// Ironic tells a new port's name from its UUID in no answer, only an old port's.
			return store.Errorf(store.PortAlreadyExists, "A port with UUID %v already exists.", values["uuid"])
		},
	}
}

// Port reads a port by UUID or decimal id.
func (db *DB) Port(ctx context.Context, ident string) (*store.Port, error) {
	return db.ports.read(ctx, ident)
}

// PortsOfNode reads the ports of a node, ordered by id.
func (db *DB) PortsOfNode(ctx context.Context, nodeID int64) ([]*store.Port, error) {
	return db.ports.selectWhere(ctx, "ports.node_id = ?", nodeID)
}

// PortsOfPortgroup reads the ports in a port group, ordered by id.
func (db *DB) PortsOfPortgroup(ctx context.Context, portgroupID int64) ([]*store.Port, error) {
	return db.ports.selectWhere(ctx, "ports.portgroup_id = ?", portgroupID)
}

// CreatePort inserts a port and gives it back as the row is now; a UUID is made when it has none.
func (db *DB) CreatePort(ctx context.Context, p *store.Port) error { return db.ports.create(ctx, p) }

// SavePort writes what changed in a port since it was read. Nothing changed is nothing written.
func (db *DB) SavePort(ctx context.Context, p *store.Port) error { return db.ports.save(ctx, p) }

// DestroyPort deletes a port.
func (db *DB) DestroyPort(ctx context.Context, p *store.Port) error { return db.ports.destroy(ctx, p) }
