package conductor

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// ownership reads the parameters that restrict a list to what a project, or an owner, may see of nodes.
func (a boundArgs) ownership() ([]sql.Condition, error) {
	var where []sql.Condition
	if a.given("owner") {
		owner, err := a.scalar("owner")
		if err != nil {
			return nil, err
		}
		where = append(where, sql.Equals("nodes.owner", owner))
	}
	if a.given("project") {
		project, err := a.scalar("project")
		if err != nil {
			return nil, err
		}
		where = append(where, sql.OfProject(project))
	}
	if a.given("conductor_groups") {
		var groups []any
		if err := a.read("conductor_groups", &groups); err != nil {
			return nil, err
		}
		if len(groups) > 0 {
			where = append(where, sql.OneOf("nodes.conductor_group", groups))
		}
	}
	return where, nil
}

// filters reads what restricts a list: ownership, and the filters of nodes and allocations.
func (a boundArgs) filters(ctx context.Context, c *Conductor, table string) ([]sql.Condition, error) {
	where, err := a.ownership()
	if err != nil {
		return nil, err
	}
	var filters map[string]any
	if err := a.read("filters", &filters); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		condition, err := c.remoteFilter(ctx, table, name, filters[name])
		if err != nil {
			return nil, err
		}
		if condition != nil {
			where = append(where, *condition)
		}
	}
	if table == "nodes" && c.db.Schema().HasColumn(table, "parent_node") {
		if include, _ := filters["include_children"].(bool); !include {
			where = append(where, sql.Equals("nodes.parent_node", filters["parent_node"]))
		}
	}
	return where, nil
}

// What ironic can filter by, by table (db/sqlalchemy/api.py): columns that must have a value, and those that must have any.
var (
	equalFilters = map[string][]string{
		"nodes": {"console_enabled", "maintenance", "retired", "driver", "resource_class", "provision_state", "uuid", "id", "fault",
			"conductor_group", "owner", "lessee", "instance_uuid", "instance_name"},
		"allocations":      {"state", "resource_class", "owner"},
		"runbooks":         {"id", "uuid", "name", "public", "owner", "disable_ramdisk"},
		"inspection_rules": {"phase", "scope"},
	}
	anyFilters = map[string]string{"associated": "instance_uuid", "reserved": "reservation", "with_power_state": "power_state",
		"sharded": "shard"}
	oneOfFilters = map[string]string{"uuid_in": "uuid", "provision_state_in": "provision_state", "shard_in": "shard",
		"reserved_by_any_of": "reservation"}
	ageFilters = map[string]string{"provisioned_before": "provision_updated_at", "inspection_started_before": "inspection_started_at"}
)

// remoteFilter is the condition of one filter; none for those that are looked at together.
func (c *Conductor) remoteFilter(ctx context.Context, table, name string, value any) (*sql.Condition, error) {
	condition := func(one sql.Condition, err error) (*sql.Condition, error) { return &one, err }
	if slices.Contains(equalFilters[table], name) {
		v, err := scalarOf(name, value)
		return condition(sql.Equals(table+"."+name, v), err)
	}
	switch {
	case name == "description_contains" && (table == "nodes" || table == "ports"):
		text, ok := value.(string)
		if !ok {
			return nil, nil
		}
		return condition(sql.Contains(table+".description", text), nil)
	case name == "node_uuid" && table == "allocations":
		v, err := scalarOf(name, value)
		return condition(sql.Equals("nodes.uuid", v), err)
	case name == "conductor_affinity" && table == "allocations":
		v, err := scalarOf(name, value)
		return condition(sql.Equals(table+"."+name, v), err)
	case table == "runbooks" && name == "project":
		v, err := scalarOf(name, value)
		return condition(sql.OwnedOrPublic(v), err)
	case table == "runbooks" && slices.Contains([]string{"id_in", "uuid_in", "name_in"}, name):
		values, err := scalarsOf(name, value)
		return condition(sql.OneOf("runbooks."+strings.TrimSuffix(name, "_in"), values), err)
	case table != "nodes":
	case name == "include_children" || name == "parent_node":
		return nil, nil
	case name == "project":
		v, err := scalarOf(name, value)
		return condition(sql.OfProject(v), err)
	case name == "chassis_uuid":
		v, err := scalarOf(name, value)
		if err != nil {
			return nil, err
		}
		chassis, err := chassisKind.by(ctx, c, "uuid", v)
		if err != nil {
			return nil, err
		}
		return condition(sql.Equals("nodes.chassis_id", chassis.ID), nil)
	case anyFilters[name] != "":
		want, _ := value.(bool)
		return condition(sql.HasValue("nodes."+anyFilters[name], want), nil)
	case oneOfFilters[name] != "":
		values, err := scalarsOf(name, value)
		return condition(sql.OneOf("nodes."+oneOfFilters[name], values), err)
	case ageFilters[name] != "":
		seconds, ok := value.(json.Number)
		if !ok {
			return nil, store.Errorf(store.InvalidParameterValue, "Argument %s has the wrong type", name)
		}
		age, err := time.ParseDuration(seconds.String() + "s")
		if err != nil {
			return nil, store.Errorf(store.InvalidParameterValue, "Argument %s has the wrong type", name)
		}
		return condition(sql.Before("nodes."+ageFilters[name], c.now().Add(-age)), nil)
	}
	return nil, oslo.Builtin("ValueError", "SqlAlchemy API does not support filtering by %s", name)
}

// fieldsAlways are those of a node that ironic reads even when a caller wants others only.
var fieldsAlways = []string{"id", "updated_at", "created_at", "owner", "lessee", "driver", "conductor_group"}

// wantedFields are the fields of nodes that a caller wants, none for all.
func (a boundArgs) wantedFields() ([]string, error) {
	var fields []string
	if err := a.read("fields", &fields); err != nil || len(fields) == 0 {
		return nil, err
	}
	return append(fields, fieldsAlways...), nil
}

// errNotSent is what Python raises when it reads a field of an object that was not sent.
func errNotSent(field string) error {
	return oslo.Builtin("NotImplementedError", "Cannot load '%s' in the base class", field)
}

// errDestroyTakesNone is what Python raises for the destroy of classes whose method does not take the context that it is called with.
func errDestroyTakesNone(class string) error {
	return oslo.Builtin("TypeError", "%s.destroy() takes 1 positional argument but 2 were given", class)
}
