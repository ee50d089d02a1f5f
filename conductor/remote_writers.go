package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// The kinds of objects that callers write. A node is written without a guard: who asks for it through ironic-api holds no lock,
// and the database does what it did before.
var (
	nodeWriter = writer[store.Node]{kind: nodeKind, whole: []string{"last_error"},
		ident: func(n *store.Node) string { return n.UUID },
		read:  func(ctx context.Context, db *sql.DB, ident string) (*store.Node, error) { return db.Node(ctx, ident) },
		create: func(ctx context.Context, db *sql.DB, n *store.Node) error {
			return db.CreateNode(ctx, n)
		},
		save:   func(ctx context.Context, db *sql.DB, n *store.Node) error { return db.SaveNode(ctx, n, sql.Guard{}) },
		remove: func(ctx context.Context, db *sql.DB, n *store.Node) error { return db.DestroyNode(ctx, n, sql.Guard{}) }}
	portWriter = writer[store.Port]{kind: portKind,
		ident:  func(p *store.Port) string { return p.UUID },
		read:   func(ctx context.Context, db *sql.DB, ident string) (*store.Port, error) { return db.Port(ctx, ident) },
		create: func(ctx context.Context, db *sql.DB, p *store.Port) error { return db.CreatePort(ctx, p) },
		save:   func(ctx context.Context, db *sql.DB, p *store.Port) error { return db.SavePort(ctx, p) },
		remove: func(ctx context.Context, db *sql.DB, p *store.Port) error { return db.DestroyPort(ctx, p) }}
	portgroupWriter = writer[store.Portgroup]{kind: portgroupKind,
		ident: func(p *store.Portgroup) string { return p.UUID },
		read: func(ctx context.Context, db *sql.DB, ident string) (*store.Portgroup, error) {
			return db.Portgroup(ctx, ident)
		},
		create: func(ctx context.Context, db *sql.DB, p *store.Portgroup) error { return db.CreatePortgroup(ctx, p) },
		fresh: func(c *Conductor, p *store.Portgroup) {
			if p.Mode == nil || *p.Mode == "" {
				p.Mode = &c.cfg.DefaultPortgroupMode
			}
		},
		save: func(ctx context.Context, db *sql.DB, p *store.Portgroup) error { return db.SavePortgroup(ctx, p) },
		remove: func(ctx context.Context, db *sql.DB, p *store.Portgroup) error {
			return db.DestroyPortgroup(ctx, p, p.UUID)
		}}
	connectorWriter = writer[store.VolumeConnector]{kind: connectorKind,
		ident: func(v *store.VolumeConnector) string { return v.UUID },
		read: func(ctx context.Context, db *sql.DB, ident string) (*store.VolumeConnector, error) {
			return db.VolumeConnector(ctx, ident)
		},
		create: func(ctx context.Context, db *sql.DB, v *store.VolumeConnector) error {
			return db.CreateVolumeConnector(ctx, v)
		},
		save: func(ctx context.Context, db *sql.DB, v *store.VolumeConnector) error {
			return db.SaveVolumeConnector(ctx, v)
		},
		remove: func(ctx context.Context, db *sql.DB, v *store.VolumeConnector) error {
			return db.DestroyVolumeConnector(ctx, v)
		}}
	targetWriter = writer[store.VolumeTarget]{kind: targetKind,
		ident: func(v *store.VolumeTarget) string { return v.UUID },
		read: func(ctx context.Context, db *sql.DB, ident string) (*store.VolumeTarget, error) {
			return db.VolumeTarget(ctx, ident)
		},
		create: func(ctx context.Context, db *sql.DB, v *store.VolumeTarget) error {
			return db.CreateVolumeTarget(ctx, v)
		},
		save: func(ctx context.Context, db *sql.DB, v *store.VolumeTarget) error { return db.SaveVolumeTarget(ctx, v) },
		remove: func(ctx context.Context, db *sql.DB, v *store.VolumeTarget) error {
			return db.DestroyVolumeTarget(ctx, v)
		}}
	chassisWriter = writer[store.Chassis]{kind: chassisKind,
		ident: func(h *store.Chassis) string { return h.UUID },
		read: func(ctx context.Context, db *sql.DB, ident string) (*store.Chassis, error) {
			return db.Chassis(ctx, ident)
		},
		create: func(ctx context.Context, db *sql.DB, h *store.Chassis) error { return db.CreateChassis(ctx, h) },
		save:   func(ctx context.Context, db *sql.DB, h *store.Chassis) error { return db.SaveChassis(ctx, h) },
		remove: func(ctx context.Context, db *sql.DB, h *store.Chassis) error { return db.DestroyChassis(ctx, h) }}
)
