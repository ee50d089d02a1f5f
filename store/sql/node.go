package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/store"
)

// identity turns a UUID or a decimal id, as RPC callers give either, into a condition.
func identity(ident string) (where string, arg any, err error) {
	if id, err := strconv.ParseInt(ident, 10, 64); err == nil {
		return "id = ?", id, nil
	}
	parsed, err := uuid.Parse(ident)
	if err != nil || len(ident) > 36 {
		return "", nil, store.Errorf(store.InvalidIdentity, "Expected a UUID or int but received %s.", ident)
	}
	return "uuid = ?", parsed.String(), nil
}

// NodeUUID brings a node's UUID into its canonical form, and looks up that of a decimal id. A UUID is not looked up.
func (db *DB) NodeUUID(ctx context.Context, ident string) (string, error) {
	where, arg, err := identity(ident)
	if err != nil {
		return "", err
	}
	if canonical, ok := arg.(string); ok {
		return canonical, nil
	}
	var found string
	err = db.read(ctx, "looking up node "+ident, func(s session) error {
		ok, err := s.one("SELECT uuid FROM nodes WHERE "+where, []any{arg}, &found)
		if err == nil && !ok {
			return store.NoSuchNode(ident)
		}
		return err
	})
	return found, err
}

// Node reads a node with its traits by UUID or decimal id.
func (db *DB) Node(ctx context.Context, ident string) (*store.Node, error) {
	n, err := db.Peek(ctx, ident)
	if err != nil {
		return nil, err
	}
	n.Snapshot, err = store.TakeSnapshot(n)
	return n, err
}

// Peek is Node for a node that is only looked at: it cannot be saved.
func (db *DB) Peek(ctx context.Context, ident string) (*store.Node, error) {
	_, arg, err := identity(ident)
	if err != nil {
		return nil, err
	}
	var n *store.Node
	err = db.read(ctx, "reading node "+ident, func(s session) error {
		n, err = s.selectNode(arg)
		return err
	})
	if err == nil && n == nil {
		err = store.NoSuchNode(ident)
	}
	return n, err
}

// selectNode reads a node, given as identity has it, with its traits in one statement; nil is none.
func (s session) selectNode(ident any) (*store.Node, error) {
	statement := s.db.nodeByID
	if _, isUUID := ident.(string); isUUID {
		statement = s.db.nodeByUUID
	}
	var n *store.Node
	err := statement.query(s, []any{ident}, func(from *sql.Rows) error {
		var trait sql.NullString
		into := n
		if into == nil {
			into = new(store.Node)
		}
		if err := s.db.nodes.scan(from, into, &trait); err != nil {
			return err
		}
		n = into
		if trait.Valid {
			n.Traits = append(n.Traits, trait.String)
		}
		return nil
	})
	if n != nil {
		slices.Sort(n.Traits)
	}
	return n, err
}

// selectNodes reads nodes without traits. skip, when given, is told of a node that cannot be read, which is then left out.
func (s session) selectNodes(columns *rows[store.Node], skip func(n *store.Node, err error), rest string,
	args ...any) ([]*store.Node, error) {
	var nodes []*store.Node
	err := s.query("SELECT "+columns.columns+" FROM nodes"+rest, args, func(from *sql.Rows) error {
		n := new(store.Node)
		err := columns.scan(from, n)
		if unreadable := (*unreadableError)(nil); skip != nil && errors.As(err, &unreadable) {
			skip(n, err)
			return nil
		}
		nodes = append(nodes, n)
		return err
	})
	return nodes, err
}

// CreateNode inserts a node and gives it back as the row is now, with id, times, version and ironic's defaults; a UUID is
// made when it has none.
func (db *DB) CreateNode(ctx context.Context, n *store.Node) error {
	row := *n
	if row.UUID == "" {
		row.UUID = uuid.NewString()
	}
	if row.ProvisionState == "" {
		row.ProvisionState = store.Enroll
	}
	if row.Retired == nil {
		row.Retired = new(false)
	}
	if row.DisablePowerOff == nil && db.schema.HasColumn("nodes", "disable_power_off") {
		row.DisablePowerOff = new(false)
	}
	row.Version = orDefault(db.version("Node"), row.Version)
	row.CreatedAt, row.UpdatedAt = db.now(), time.Time{}
	snapshot, err := store.TakeSnapshot(&row)
	if err != nil {
		return fmt.Errorf("creating node %s: %w", row.UUID, err)
	}
	lost := false
	err = db.write(ctx, "creating node "+row.UUID, func(s session) error {
		id, err := db.nodes.insert(s, snapshot)
		if err != nil && lost && db.dialect.classify(err).kind == faultDuplicate {
			// The row in the way may be that of an attempt whose answer was lost.
			found, findErr := s.one("SELECT id FROM nodes WHERE uuid = ? AND created_at = ?", []any{row.UUID, row.CreatedAt}, &id)
			if findErr != nil {
				return findErr
			}
			if found {
				err = nil
			}
		}
		lost = true
		if err != nil {
			return db.nodeFailure(err, snapshot, row.UUID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	created, err := db.Node(ctx, row.UUID)
	if err != nil {
		return err
	}
	*n = *created
	return nil
}

// nodeFailure maps the violation of a unique constraint of the table nodes to what ironic's users know.
func (db *DB) nodeFailure(err error, values store.Snapshot, node string) error {
	f := db.dialect.classify(err)
	switch {
	case f.kind == faultTooLong:
		return store.Errorf(store.InvalidParameterValue, "A value of node %s is %w: %w", node, ErrTooLong, err)
	case f.kind != faultDuplicate:
		return err
	case slices.Contains(f.columns, "name"):
		return store.Errorf(store.DuplicateName, "A node with name %v already exists.", values["name"])
	case slices.Contains(f.columns, "instance_uuid"):
		return store.Errorf(store.InstanceAssociated,
			"Instance %v is already associated with a node, it cannot be associated with this other node %s",
			values["instance_uuid"], node)
	}
	return store.Errorf(store.NodeAlreadyExists, "A node with UUID %s already exists.", node)
}

// Guard is what a row must still hold for a change to go through. Empty fields are not checked.
type Guard struct {
	// Reservation is the tag under which the caller holds the node.
	Reservation string
	// ProvisionState is the state that the caller found the node in.
	ProvisionState string
}

// guarded is the condition that a node is as the guard says, and that this process may still act for the reservation's
// host. also is a state that is as good as the guard's, "" is none.
func (s session) guarded(id int64, g Guard, also string) (string, []any) {
	where, args := "id = ?", []any{id}
	if g.Reservation != "" {
		fence, fenceArgs := s.fence(g.Reservation)
		where, args = where+" AND reservation = ?"+fence, append(append(args, g.Reservation), fenceArgs...)
	}
	if g.ProvisionState != "" && also != "" {
		where, args = where+" AND provision_state IN (?, ?)", append(args, g.ProvisionState, also)
	} else if g.ProvisionState != "" {
		where, args = where+" AND provision_state = ?", append(args, g.ProvisionState)
	}
	return where, args
}

// ownColumns are written by this package alone.
var ownColumns = []string{"id", "created_at", "updated_at", "reservation"}

// SaveNode writes what changed in a node since it was read, if the guard still holds; otherwise it fails with
// store.ErrLockLost and changes nothing. Nothing changed is nothing written. The reservation is never written: that is
// for Reserve and Release. When the provision state is written, the times that follow it are set as ironic sets them.
func (db *DB) SaveNode(ctx context.Context, n *store.Node, g Guard) error {
	values, err := db.nodeChanges(n)
	if err != nil {
		return err
	}
	return db.saveNode(ctx, n, g, values)
}

func errUnread(n *store.Node) error {
	return fmt.Errorf("saving node %s: it was not read as a whole", n.UUID)
}

func (db *DB) nodeChanges(n *store.Node) (store.Snapshot, error) {
	if n.Snapshot == nil {
		return nil, errUnread(n)
	}
	values, err := store.Changes(n, n.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("saving node %s: %w", n.UUID, err)
	}
	for _, name := range ownColumns {
		delete(values, name)
	}
	for name := range values {
		if !db.schema.HasColumn("nodes", name) {
			delete(values, name)
		}
	}
	if _, changed := values["uuid"]; changed {
		return nil, store.Errorf(store.InvalidParameterValue, "Cannot overwrite UUID for an existing Node.")
	}
	return values, nil
}

func (db *DB) saveNode(ctx context.Context, n *store.Node, g Guard, values store.Snapshot) error {
	now := db.now()
	if version := db.version("Node"); version != "" && version != n.Snapshot["version"] {
		values["version"] = version
	}
	next, moves := values["provision_state"].(string)
	if moves {
		values["provision_updated_at"] = now
		before, _ := n.Snapshot["provision_state"].(string)
		inspected := before == store.Inspecting || before == store.InspectWait
		switch {
		case next == store.Inspecting:
			values["inspection_started_at"], values["inspection_finished_at"] = now, nil
		case inspected && next == store.Manageable:
			values["inspection_started_at"], values["inspection_finished_at"] = nil, now
		case inspected && next == store.InspectFail:
			values["inspection_started_at"] = nil
		}
	}
	if len(values) == 0 {
		return nil
	}
	values["updated_at"] = now
	// lost tells that an earlier attempt may have moved the provision state already; the reservation still proves that
	// nobody else did.
	lost := false
	err := db.write(ctx, "saving node "+n.UUID, func(s session) error {
		also := ""
		if lost && g.Reservation != "" {
			also = next
		}
		lost = true
		where, args := s.guarded(n.ID, g, also)
		matched, err := db.nodes.update(s, values, where, args...)
		if err != nil {
			return db.nodeFailure(err, values, n.UUID)
		}
		if matched == 0 {
			return s.whyUnmatched(n, g)
		}
		return nil
	})
	if err != nil {
		return err
	}
	applySaved(n, values)
	return nil
}

// applySaved makes the node in memory what the row is now.
func applySaved(n *store.Node, values store.Snapshot) {
	for name, value := range values {
		n.Snapshot[name] = value
		at, _ := value.(time.Time)
		switch name {
		case "updated_at":
			n.UpdatedAt = at
		case "provision_updated_at":
			n.ProvisionUpdatedAt = at
		case "inspection_started_at":
			n.InspectionStartedAt = at
		case "inspection_finished_at":
			n.InspectionFinishedAt = at
		case "version":
			n.Version, _ = value.(string)
		}
	}
}

// whyUnmatched explains a guarded UPDATE without effect.
func (s session) whyUnmatched(n *store.Node, g Guard) error {
	if err := s.whyFenced(g.Reservation); errors.Is(err, ErrReplaced) {
		return fmt.Errorf("%w: %w", store.ErrLockLost, err)
	} else if err != nil {
		return err
	}
	var holder, state sql.NullString
	found, err := s.one("SELECT reservation, provision_state FROM nodes WHERE id = ?", []any{n.ID}, &holder, &state)
	switch {
	case err != nil:
		return err
	case !found && g == Guard{}:
		return store.NoSuchNode(n.UUID)
	case !found:
		return fmt.Errorf("%w: node %s is gone", store.ErrLockLost, n.UUID)
	}
	var differs []string
	if g.Reservation != "" && holder.String != g.Reservation {
		differs = append(differs, fmt.Sprintf("the reservation is %q instead of %q", holder.String, g.Reservation))
	}
	if g.ProvisionState != "" && state.String != g.ProvisionState {
		differs = append(differs, fmt.Sprintf("the provision state is %q instead of %q", state.String, g.ProvisionState))
	}
	if len(differs) == 0 {
		differs = append(differs, "the row changed at the same time")
	}
	return fmt.Errorf("%w: %s", store.ErrLockLost, strings.Join(differs, " and "))
}

// TouchProvisioning renews provision_updated_at, from which the callback timeouts count.
func (db *DB) TouchProvisioning(ctx context.Context, id int64) error {
	return db.write(ctx, fmt.Sprintf("touching node %d", id), func(s session) error {
		now := db.now()
		n, err := s.exec("UPDATE nodes SET provision_updated_at = ?, updated_at = ? WHERE id = ?", now, now, id)
		if err == nil && n == 0 {
			return store.NoSuchNode(strconv.FormatInt(id, 10))
		}
		return err
	})
}

// nodeChildren are the tables that refer to nodes.node_id, in the order in which they must be emptied.
var nodeChildren = []string{"ports", "portgroups", "node_tags", "node_traits", "volume_connectors", "volume_targets",
	"bios_settings", "allocations", "node_history", "node_inventory", "firmware_information"}

// DestroyNode deletes a node and all that belongs to it, if the guard still holds.
func (db *DB) DestroyNode(ctx context.Context, n *store.Node, g Guard) error {
	// lost tells that an earlier attempt may have deleted the node already.
	lost := false
	return db.transact(ctx, "deleting node "+n.UUID, func(s session) error {
		where, args := s.guarded(n.ID, g, "")
		matched, err := s.exec("UPDATE nodes SET allocation_id = NULL, updated_at = ? WHERE "+where, append([]any{db.now()}, args...)...)
		if err != nil {
			return err
		}
		if matched == 0 {
			found, err := s.one("SELECT id FROM nodes WHERE id = ?", []any{n.ID}, new(int64))
			if err != nil {
				return err
			}
			if !found && lost {
				return nil
			}
			return s.whyUnmatched(n, g)
		}
		lost = true
		for _, table := range nodeChildren {
			if !db.schema.HasTable(table) {
				continue
			}
			if _, err := s.exec("DELETE FROM "+table+" WHERE node_id = ?", n.ID); err != nil {
				return fmt.Errorf("emptying %s: %w", table, err)
			}
		}
		_, err = s.exec("DELETE FROM nodes WHERE id = ?", n.ID)
		return err
	})
}
