package conductor

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// The kinds of objects that callers write. A node is written without a guard: who asks for it through ironic-api holds no lock,
// and the database does what it did before.
var (
	nodeWriter = writer[store.Node]{kind: nodeKind, noun: "Node", whole: []string{"last_error", "maintenance_reason"}, check: (*Conductor).checkRemoteNode,
		ident: func(n *store.Node) string { return n.UUID },
		read:  func(ctx context.Context, db *sql.DB, ident string) (*store.Node, error) { return db.Node(ctx, ident) },
		create: func(ctx context.Context, db *sql.DB, n *store.Node) error {
			return db.CreateNode(ctx, n)
		},
		save:   func(ctx context.Context, db *sql.DB, n *store.Node) error { return db.SaveNode(ctx, n, sql.Guard{}) },
		remove: func(ctx context.Context, db *sql.DB, n *store.Node) error { return db.DestroyNode(ctx, n, sql.Guard{}) }}
	portWriter = writer[store.Port]{kind: portKind, noun: "Port",
		ident:  func(p *store.Port) string { return p.UUID },
		read:   func(ctx context.Context, db *sql.DB, ident string) (*store.Port, error) { return db.Port(ctx, ident) },
		create: func(ctx context.Context, db *sql.DB, p *store.Port) error { return db.CreatePort(ctx, p) },
		save:   func(ctx context.Context, db *sql.DB, p *store.Port) error { return db.SavePort(ctx, p) },
		remove: func(ctx context.Context, db *sql.DB, p *store.Port) error { return db.DestroyPort(ctx, p) }}
	portgroupWriter = writer[store.Portgroup]{kind: portgroupKind, noun: "portgroup",
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
	connectorWriter = writer[store.VolumeConnector]{kind: connectorKind, noun: "Volume Connector",
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
	targetWriter = writer[store.VolumeTarget]{kind: targetKind, noun: "Volume Target",
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
	chassisWriter = writer[store.Chassis]{kind: chassisKind, noun: "Chassis",
		ident: func(h *store.Chassis) string { return h.UUID },
		read: func(ctx context.Context, db *sql.DB, ident string) (*store.Chassis, error) {
			return db.Chassis(ctx, ident)
		},
		create: func(ctx context.Context, db *sql.DB, h *store.Chassis) error { return db.CreateChassis(ctx, h) },
		save:   func(ctx context.Context, db *sql.DB, h *store.Chassis) error { return db.SaveChassis(ctx, h) },
		remove: func(ctx context.Context, db *sql.DB, h *store.Chassis) error { return db.DestroyChassis(ctx, h) }}
	templateWriter = writer[store.DeployTemplate]{kind: templateKind, noun: "deploy template",
		ident: func(t *store.DeployTemplate) string { return t.UUID },
		read: func(ctx context.Context, db *sql.DB, ident string) (*store.DeployTemplate, error) {
			return db.DeployTemplate(ctx, ident)
		},
		create: func(ctx context.Context, db *sql.DB, t *store.DeployTemplate) error {
			return db.CreateDeployTemplate(ctx, t)
		},
		save: func(ctx context.Context, db *sql.DB, t *store.DeployTemplate) error {
			return db.SaveDeployTemplate(ctx, t)
		}}
	runbookWriter = writer[store.Runbook]{kind: runbookKind, noun: "runbook",
		ident: func(b *store.Runbook) string { return b.UUID },
		read: func(ctx context.Context, db *sql.DB, ident string) (*store.Runbook, error) {
			return db.Runbook(ctx, ident)
		},
		create: func(ctx context.Context, db *sql.DB, b *store.Runbook) error { return db.CreateRunbook(ctx, b) },
		save:   func(ctx context.Context, db *sql.DB, b *store.Runbook) error { return db.SaveRunbook(ctx, b) }}
	ruleWriter = writer[store.InspectionRule]{kind: ruleKind,
		ident: func(r *store.InspectionRule) string { return r.UUID },
		read: func(ctx context.Context, db *sql.DB, ident string) (*store.InspectionRule, error) {
			return db.InspectionRule(ctx, ident)
		},
		create: func(ctx context.Context, db *sql.DB, r *store.InspectionRule) error {
			return db.CreateInspectionRule(ctx, r)
		},
		answer: func(r *store.InspectionRule, sent *objects.Sent) {
			if !sent.Has("conditions") {
				r.Conditions = nil
			}
		},
		save: func(ctx context.Context, db *sql.DB, r *store.InspectionRule) error {
			return db.SaveInspectionRule(ctx, r)
		}}
	allocationWriter = writer[store.Allocation]{kind: allocationKind, noun: "allocation",
		ident: func(a *store.Allocation) string { return a.UUID },
		read: func(ctx context.Context, db *sql.DB, ident string) (*store.Allocation, error) {
			return db.Allocation(ctx, ident)
		},
		create: func(ctx context.Context, db *sql.DB, a *store.Allocation) error { return db.CreateAllocation(ctx, a) },
		save:   saveAllocation,
		answer: func(a *store.Allocation, sent *objects.Sent) {
			if !sent.Has("traits") {
				a.Traits = nil
			}
			if !sent.Has("candidate_nodes") {
				a.CandidateNodes = nil
			}
		},
		remove: func(ctx context.Context, db *sql.DB, a *store.Allocation) error {
			return db.DeleteAllocation(ctx, a, sql.Guard{})
		}}
)

// saveAllocation writes an allocation. One that gets a node takes it with its other changes, or gets neither.
func saveAllocation(ctx context.Context, db *sql.DB, a *store.Allocation) error {
	if a.NodeID == nil || a.Snapshot["node_id"] == *a.NodeID {
		return db.SaveAllocation(ctx, a)
	}
	n, err := db.Node(ctx, rowID(*a.NodeID))
	if err != nil {
		return err
	}
	return db.SaveAllocationWithNode(ctx, a, n, sql.Guard{})
}

// checkRemoteNode holds the fields of a node that are to be written to the rules of ironic's object layer.
func (c *Conductor) checkRemoteNode(n *store.Node, changes []string) error {
	written := &store.Node{}
	store.CopyFields(written, n, changes)
	written.UUID = n.UUID
	if err := c.checkNodeValues(written); err != nil {
		return err
	}
	if slices.Contains(changes, "conductor_group") {
		n.ConductorGroup = written.ConductorGroup
	}
	c.shorten(n)
	return nil
}
