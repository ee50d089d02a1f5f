package conductor

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// saveConductor refuses: the rows of conductors are their own.
func saveConductor(context.Context, *Conductor, *objects.Sent) (map[string]any, error) {
	return nil, oslo.Builtin("NotImplementedError", "Cannot update a conductor record directly.")
}

func refreshConductor(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	var own store.Conductor
	if err := sent.Into(&own); err != nil {
		return nil, err
	}
	found, err := conductorKind.by(ctx, c, "hostname", own.Hostname, sql.Equals("conductors.online", true))
	if err != nil {
		return nil, err
	}
	return only(c.codec.EncodeAt("Conductor", "", found).Data, sent.Data), nil
}

// createInventory stores what an inspection found, in place of what an earlier one did.
func createInventory(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	var inventory store.NodeInventory
	if err := sent.Into(&inventory); err != nil {
		return nil, err
	}
	if err := c.db.SaveInventory(ctx, inventory.NodeID, inventory.InventoryData, inventory.PluginData); err != nil {
		return nil, err
	}
	stored, err := inventoryKind.by(ctx, c, "node_id", inventory.NodeID)
	if err != nil {
		return nil, err
	}
	return c.codec.EncodeAt("NodeInventory", "", stored).Data, nil
}

func destroyInventory(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	var inventory store.NodeInventory
	if err := sent.Into(&inventory); err != nil {
		return nil, err
	}
	return map[string]any{}, c.db.DeleteInventory(ctx, inventory.NodeID)
}

// checkNodeList finds the UUIDs of nodes that are given by name or UUID, and that a project may use where one is given.
func checkNodeList(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	var idents []string
	if err := a.read("candidate_nodes", &idents); err != nil {
		return nil, err
	}
	found := map[string]string{}
	if len(idents) == 0 {
		return found, nil
	}
	if bad := notNamed(idents); len(bad) > 0 {
		return nil, errNoNodes(bad)
	}
	values := make([]any, len(idents))
	for i, ident := range idents {
		values[i] = ident
	}
	project, err := a.scalar("project")
	if err != nil {
		return nil, err
	}
	for _, column := range []string{"uuid", "name"} {
		where := []sql.Condition{sql.OneOf("nodes."+column, values)}
		if project != nil && project != "" {
			where = append(where, sql.OfProject(project))
		}
		nodes, err := nodeKind.find(ctx, c, sql.Selection{Where: where})
		if err != nil {
			return nil, err
		}
		for _, n := range nodes {
			found[map[string]string{"uuid": n.UUID, "name": textOrNone(n.Name)}[column]] = n.UUID
		}
	}
	var missing []string
	for _, ident := range idents {
		if _, ok := found[ident]; !ok {
			missing = append(missing, ident)
		}
	}
	if len(missing) > 0 {
		return nil, errNoNodes(missing)
	}
	return found, nil
}

// logicalName is what a node may be called (ironic.common.utils.is_valid_logical_name).
var logicalName = regexp.MustCompile(`^[a-zA-Z0-9\-._~]+$`)

// notNamed are those of some texts that are neither a UUID nor a possible name.
func notNamed(idents []string) []string {
	return slices.DeleteFunc(slices.Clone(idents), func(ident string) bool {
		return uuid.Validate(ident) == nil || len(ident) <= 255 && logicalName.MatchString(ident)
	})
}

func errNoNodes(idents []string) error {
	return store.Errorf(store.NodeNotFound, "Nodes cannot be found: %s", strings.Join(idents, ", "))
}
