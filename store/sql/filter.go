package sql

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// Filter chooses nodes. Zero fields do not restrict, and child nodes are left out unless they are asked for, as ironic
// has it since 22.0.
type Filter struct {
	// Reserved chooses by whether anyone holds the node, Associated by whether it has an instance.
	Reserved, Associated *bool
	// Powered chooses nodes by whether their power state is known.
	Powered        *bool
	Maintenance    *bool
	ConsoleEnabled *bool
	Retired        *bool
	UUIDs          []string
	Name           string
	// ProvisionStates chooses nodes in any of the states.
	ProvisionStates []string
	Driver          string
	DeployInterface string
	Fault           string
	ConductorGroup  *string
	ResourceClass   *string
	// Project chooses nodes that a project owns or leases.
	Project string
	// ReservedByAnyOf chooses nodes held by any of the hosts.
	ReservedByAnyOf []string
	// InfoHas chooses nodes whose driver_internal_info may have the key: the text is looked for, wherever it stands.
	InfoHas string
	// ChangedWithin chooses nodes whose row was written to, by anybody, no longer ago than this by the writer's clock.
	ChangedWithin time.Duration
	// ProvisionedBefore chooses nodes whose provision_updated_at is older than this; InspectionStartedBefore likewise.
	ProvisionedBefore, InspectionStartedBefore time.Duration
	IncludeChildren                            bool
	// Parent chooses the children of the node with this UUID.
	Parent string
	// OrderBy is a column to sort by, ascending, before the id.
	OrderBy string
	// Columns limits what is read, for scans of a whole fleet: other fields stay zero, traits are not read, and the nodes
	// cannot be saved. The id is always read. Empty reads everything.
	Columns []string
	// Peek reads nodes that are only looked at: they cannot be saved.
	Peek bool
}

// Nodes reads the nodes that a filter chooses, ordered by id unless told otherwise. A node whose row cannot be read is
// logged and left out: it must not keep its neighbours from being looked after.
func (db *DB) Nodes(ctx context.Context, f Filter) ([]*store.Node, error) {
	columns := db.nodes
	if len(f.Columns) > 0 {
		var err error
		if columns, err = db.nodes.only(append([]string{"id"}, f.Columns...)); err != nil {
			return nil, fmt.Errorf("listing nodes: %w", err)
		}
	}
	where, args, err := db.filterNodes(f)
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	var nodes []*store.Node
	err = db.read(ctx, "listing nodes", func(s session) error {
		nodes, err = s.selectNodes(columns, db.logUnreadable, where, args...)
		if err != nil || len(f.Columns) > 0 {
			return err
		}
		return s.addTraits(nodes)
	})
	if err != nil || len(f.Columns) > 0 || f.Peek {
		return nodes, err
	}
	for _, n := range nodes {
		if n.Snapshot, err = store.TakeSnapshot(n); err != nil {
			return nil, fmt.Errorf("listing nodes: %s: %w", n.UUID, err)
		}
	}
	return nodes, nil
}

func (db *DB) logUnreadable(n *store.Node, err error) {
	db.cfg.Log.Error().Err(err).Int64("node_id", n.ID).Str("node", n.UUID).Msg("A node's row cannot be read")
}

// CountNodes counts the nodes in any of the provision states, for max_concurrent_deploy and the like: those of the whole
// deployment, or those of a conductor group.
func (db *DB) CountNodes(ctx context.Context, group *string, provisionStates ...string) (int, error) {
	var n int
	if len(provisionStates) == 0 {
		return 0, nil
	}
	args := make([]any, len(provisionStates))
	for i, state := range provisionStates {
		args[i] = state
	}
	where := "provision_state IN (" + marks(len(args)) + ")"
	if group != nil {
		where += " AND conductor_group = ?"
		args = append(args, *group)
	}
	err := db.read(ctx, "counting nodes", func(s session) error {
		_, err := s.one("SELECT COUNT(*) FROM nodes WHERE "+where, args, &n)
		return err
	})
	return n, err
}

// conditions gathers a WHERE clause.
type conditions struct {
	clauses []string
	args    []any
}

func (c *conditions) add(clause string, args ...any) {
	c.clauses, c.args = append(c.clauses, clause), append(c.args, args...)
}

// where is the whole clause, empty without conditions.
func (c *conditions) where() string {
	if len(c.clauses) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.clauses, " AND ")
}

// null adds a test of whether a column has a value.
func (c *conditions) null(column string, has *bool) {
	switch {
	case has == nil:
	case *has:
		c.add(column + " IS NOT NULL")
	default:
		c.add(column + " IS NULL")
	}
}

// flag adds a test of a boolean column, in which NULL is false.
func (c *conditions) flag(column string, want *bool) {
	switch {
	case want == nil:
	case *want:
		c.add(column+" = ?", true)
	default:
		c.add("("+column+" = ? OR "+column+" IS NULL)", false)
	}
}

func (c *conditions) text(column, want string) {
	if want != "" {
		c.add(column+" = ?", want)
	}
}

func (c *conditions) in(column string, values []string) {
	if len(values) == 0 {
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	c.add(column+" IN ("+marks(len(values))+")", args...)
}

func (db *DB) filterNodes(f Filter) (rest string, args []any, err error) {
	var c conditions
	// First, for databases look at conditions in this order, and this one spares them the long columns of most rows.
	if f.ChangedWithin > 0 {
		c.add("updated_at >= ?", db.now().Add(-f.ChangedWithin))
	}
	c.null("reservation", f.Reserved)
	c.null("instance_uuid", f.Associated)
	c.null("power_state", f.Powered)
	c.flag("maintenance", f.Maintenance)
	c.flag("console_enabled", f.ConsoleEnabled)
	c.flag("retired", f.Retired)
	c.in("uuid", f.UUIDs)
	c.text("name", f.Name)
	c.in("provision_state", f.ProvisionStates)
	c.in("reservation", f.ReservedByAnyOf)
	if f.InfoHas != "" {
		c.add("driver_internal_info LIKE ?", `%"`+f.InfoHas+`"%`)
	}
	c.text("driver", f.Driver)
	c.text("deploy_interface", f.DeployInterface)
	c.text("fault", f.Fault)
	if f.ConductorGroup != nil {
		c.add("conductor_group = ?", *f.ConductorGroup)
	}
	if f.ResourceClass != nil {
		c.add("resource_class = ?", *f.ResourceClass)
	}
	if f.Project != "" {
		c.add("(owner = ? OR lessee = ?)", f.Project, f.Project)
	}
	if f.ProvisionedBefore > 0 {
		c.add("provision_updated_at < ?", db.now().Add(-f.ProvisionedBefore))
	}
	if f.InspectionStartedBefore > 0 {
		c.add("inspection_started_at < ?", db.now().Add(-f.InspectionStartedBefore))
	}
	if f.Parent != "" {
		if !db.schema.HasColumn("nodes", "parent_node") {
			c.add("1 = 0")
		} else {
			c.add("parent_node = ?", f.Parent)
		}
	} else if !f.IncludeChildren && db.schema.HasColumn("nodes", "parent_node") {
		c.add("parent_node IS NULL")
	}
	rest = c.where()
	order := " ORDER BY id"
	if f.OrderBy != "" {
		if !db.schema.HasColumn("nodes", f.OrderBy) {
			return "", nil, fmt.Errorf("there is no column %q to sort by", f.OrderBy)
		}
		order = " ORDER BY " + db.dialect.quote(f.OrderBy) + ", id"
	}
	return rest + order, c.args, nil
}
