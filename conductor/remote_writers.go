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
	nodeWriter = writer[store.Node]{kind: nodeKind, noun: "Node", whole: []string{"last_error", "maintenance_reason"},
		ident: func(n *store.Node) string { return n.UUID }, check: (*Conductor).checkRemoteNode,
		read: (*sql.DB).Node, create: (*sql.DB).CreateNode,
		save:   func(db *sql.DB, ctx context.Context, n *store.Node) error { return db.SaveNode(ctx, n, sql.Guard{}) },
		remove: func(db *sql.DB, ctx context.Context, n *store.Node) error { return db.DestroyNode(ctx, n, sql.Guard{}) }}
	portWriter = writer[store.Port]{kind: portKind, noun: "Port",
		ident: func(p *store.Port) string { return p.UUID },
		read:  (*sql.DB).Port, create: (*sql.DB).CreatePort, save: (*sql.DB).SavePort, remove: (*sql.DB).DestroyPort}
	portgroupWriter = writer[store.Portgroup]{kind: portgroupKind, noun: "portgroup",
		ident: func(p *store.Portgroup) string { return p.UUID },
		read:  (*sql.DB).Portgroup, create: (*sql.DB).CreatePortgroup, save: (*sql.DB).SavePortgroup,
		fresh: func(c *Conductor, p *store.Portgroup) {
			if p.Mode == nil || *p.Mode == "" {
				p.Mode = &c.cfg.DefaultPortgroupMode
			}
		},
		remove: func(db *sql.DB, ctx context.Context, p *store.Portgroup) error {
			return db.DestroyPortgroup(ctx, p, p.UUID)
		}}
	connectorWriter = writer[store.VolumeConnector]{kind: connectorKind, noun: "Volume Connector",
		ident: func(v *store.VolumeConnector) string { return v.UUID },
		read:  (*sql.DB).VolumeConnector, create: (*sql.DB).CreateVolumeConnector,
		save: (*sql.DB).SaveVolumeConnector, remove: (*sql.DB).DestroyVolumeConnector}
	targetWriter = writer[store.VolumeTarget]{kind: targetKind, noun: "Volume Target",
		ident: func(v *store.VolumeTarget) string { return v.UUID },
		read:  (*sql.DB).VolumeTarget, create: (*sql.DB).CreateVolumeTarget,
		save: (*sql.DB).SaveVolumeTarget, remove: (*sql.DB).DestroyVolumeTarget}
	chassisWriter = writer[store.Chassis]{kind: chassisKind, noun: "Chassis",
		ident: func(h *store.Chassis) string { return h.UUID },
		read:  (*sql.DB).Chassis, create: (*sql.DB).CreateChassis, save: (*sql.DB).SaveChassis, remove: (*sql.DB).DestroyChassis}
	templateWriter = writer[store.DeployTemplate]{kind: templateKind, noun: "deploy template",
		ident: func(t *store.DeployTemplate) string { return t.UUID },
		read:  (*sql.DB).DeployTemplate, create: (*sql.DB).CreateDeployTemplate, save: (*sql.DB).SaveDeployTemplate}
	runbookWriter = writer[store.Runbook]{kind: runbookKind, noun: "runbook",
		ident: func(b *store.Runbook) string { return b.UUID },
		read:  (*sql.DB).Runbook, create: (*sql.DB).CreateRunbook, save: (*sql.DB).SaveRunbook}
	ruleWriter = writer[store.InspectionRule]{kind: ruleKind,
		ident: func(r *store.InspectionRule) string { return r.UUID },
		read:  (*sql.DB).InspectionRule, create: (*sql.DB).CreateInspectionRule, save: (*sql.DB).SaveInspectionRule,
		answer: func(r *store.InspectionRule, sent *objects.Sent) {
			if !sent.Has("conditions") {
				r.Conditions = nil
			}
		}}
	allocationWriter = writer[store.Allocation]{kind: allocationKind, noun: "allocation",
		ident: func(a *store.Allocation) string { return a.UUID },
		read:  (*sql.DB).Allocation, create: (*sql.DB).CreateAllocation, save: saveAllocation,
		answer: func(a *store.Allocation, sent *objects.Sent) {
			if !sent.Has("traits") {
				a.Traits = nil
			}
			if !sent.Has("candidate_nodes") {
				a.CandidateNodes = nil
			}
		},
		remove: func(db *sql.DB, ctx context.Context, a *store.Allocation) error {
			return db.DeleteAllocation(ctx, a, sql.Guard{})
		}}
)

// saveAllocation writes an allocation. One that gets a node takes it with its other changes, or gets neither.
func saveAllocation(db *sql.DB, ctx context.Context, a *store.Allocation) error {
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
