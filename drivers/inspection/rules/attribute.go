package rules

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// forbidden are the columns that rules may not set: the identity of a row, and what the conductor's own guards rely on.
var forbidden = []string{"id", "uuid", "version", "created_at", "updated_at", "node_id", "reservation", "provision_state",
	"target_provision_state", "conductor_affinity", "allocation_id"}

// pathOf takes a path with slashes or dots apart.
func pathOf(args store.Dict) []string {
	path := str(args["path"])
	if strings.Contains(path, "/") {
		return strings.Split(strings.Trim(path, "/"), "/")
	}
	return strings.Split(path, ".")
}

// unlessLost is the failure, or err itself where the work ended with the worker or its lock.
func (r *run) unlessLost(ctx context.Context, err, failure error) error {
	if errors.Is(err, store.ErrLockLost) || ctx.Err() != nil {
		return err
	}
	return failure
}

func setAttribute(_ context.Context, r *run, args store.Dict) error {
	if err := setPath(r.Node, pathOf(args), args["value"]); err != nil {
		return actionFailed("Failed to set attribute %s with value %s: %w", str(args["path"]), str(args["value"]), err)
	}
	return nil
}

func extendAttribute(_ context.Context, r *run, args store.Dict) error {
	err := extendPath(r.Node, pathOf(args), args, "Cannot extend non-list attribute %s with value %s")
	if err != nil {
		return actionFailed("Failed to extend attribute %s: %w", str(args["path"]), err)
	}
	return nil
}

func deleteAttribute(_ context.Context, r *run, args store.Dict) error {
	if err := deletePath(r.Node, pathOf(args)); err != nil {
		return actionFailed("Failed to delete attribute at %s: %w", str(args["path"]), err)
	}
	return nil
}

// port finds one of the node's ports.
func (r *run) port(ctx context.Context, args store.Dict) (*store.Port, error) {
	if r.ports == nil {
		var err error
		if r.ports, err = r.Worker.Ports(ctx, r.Task); err != nil {
			return nil, err
		}
	}
	for _, p := range r.ports {
		if args["port_id"] == any(p.UUID) {
			return p, nil
		}
	}
	return nil, store.Errorf(store.PortNotFound, "Port %s could not be found.", str(args["port_id"]))
}

// changePort changes a port and saves it.
func (r *run) changePort(ctx context.Context, args store.Dict, change func(p *store.Port) error, wrong func(error) error) error {
	p, err := r.port(ctx, args)
	if err != nil {
		return err
	}
	if err = change(p); err == nil {
		err = r.Worker.SavePort(ctx, r.Task, p)
	}
	if err != nil {
		return r.unlessLost(ctx, err, wrong(err))
	}
	return nil
}

func setPortAttribute(ctx context.Context, r *run, args store.Dict) error {
	return r.changePort(ctx, args, func(p *store.Port) error { return setPath(p, pathOf(args), args["value"]) }, func(err error) error {
		return actionFailed("Failed to set attribute %s for port %s: %w", str(args["path"]), str(args["port_id"]), err)
	})
}

func extendPortAttribute(ctx context.Context, r *run, args store.Dict) error {
	return r.changePort(ctx, args, func(p *store.Port) error {
		return extendPath(p, pathOf(args), args, "Cannot extend non-list attribute %s with  value %s")
	}, func(err error) error {
		return actionFailed("Failed to extend attribute %s for port %s: %w", str(args["path"]), str(args["port_id"]), err)
	})
}

func deletePortAttribute(ctx context.Context, r *run, args store.Dict) error {
	return r.changePort(ctx, args, func(p *store.Port) error { return deletePath(p, pathOf(args)) }, func(err error) error {
		return actionFailed("Failed to delete attribute %s for port %s: %w", str(args["path"]), str(args["port_id"]), err)
	})
}

// setPath sets a column, or a place within one that holds an object. A column that there is none of is left alone, as in ironic.
func setPath(model any, path []string, v any) error {
	if len(path) == 1 {
		field, known := fieldOf(model, path[0])
		if !known {
			return nil
		}
		return assign(field, path[0], v)
	}
	return within(model, path, func(parent any, key string) error { return setItem(parent, key, v) })
}

// extendPath adds a value to a list in an object; args say which, and whether only when it is not there.
func extendPath(model any, path []string, args store.Dict, refusal string) error {
	if len(path) == 1 {
		if _, known := fieldOf(model, path[0]); known {
			return actionFailed(refusal, str(args["path"]), str(args["value"]))
		}
		return nil
	}
	return within(model, path, func(parent any, key string) error {
		d, ok := asDict(parent)
		if !ok {
			return noMethod(parent, "setdefault")
		}
		present, there := d[key]
		if !there {
			present = []any{}
		}
		list, ok := present.([]any)
		if !ok {
			return actionFailed(refusal, str(args["path"]), str(args["value"]))
		}
		d[key] = extended(list, args)
		return nil
	})
}

func extended(list []any, args store.Dict) []any {
	if store.PythonTrue(args["unique"]) && slices.ContainsFunc(list, func(v any) bool { return equal(v, args["value"]) }) {
		return list
	}
	return append(slices.Clone(list), args["value"])
}

func deletePath(model any, path []string) error {
	field, known := fieldOf(model, path[0])
	name := reflect.TypeOf(model).Elem().Name()
	switch {
	case !known:
		return noAttribute(model, path[0])
	case len(path) == 1:
		return fmt.Errorf("property '%s' of '%s' object has no deleter", path[0], name)
	}
	object, ok := field.Interface().(store.Dict)
	if !ok {
		return typeError("'%s' object is not subscriptable", "str")
	}
	whole := object.Clone()
	var at any = whole
	for _, key := range path[1 : len(path)-1] {
		inner, err := value{v: at}.index(key)
		if err != nil {
			return err
		}
		at = inner.v
	}
	last := path[len(path)-1]
	d, ok := asDict(at)
	if !ok {
		return typeError("'%s' object doesn't support item deletion", typeName(at))
	}
	if _, there := d[last]; !there {
		return keyError(last)
	}
	delete(d, last)
	field.Set(reflect.ValueOf(whole))
	return nil
}

// within goes to the object that holds the end of a path, which it makes where it is not there, and changes it. The model keeps its
// value when that fails.
func within(model any, path []string, change func(parent any, key string) error) error {
	field, known := fieldOf(model, path[0])
	if !known {
		return noAttribute(model, path[0])
	}
	object, ok := field.Interface().(store.Dict)
	if !ok {
		column, err := store.ColumnValue(field, false)
		if err != nil {
			return err
		}
		if len(path) > 2 {
			return noMethod(column, "setdefault")
		}
		return change(column, path[1])
	}
	whole := object.Clone()
	if whole == nil {
		whole = store.Dict{}
	}
	parent, err := descend(whole, path[1:len(path)-1])
	if err != nil {
		return err
	}
	if err := change(parent, path[len(path)-1]); err != nil {
		return err
	}
	field.Set(reflect.ValueOf(whole))
	return nil
}

// descend goes down objects within objects, and makes those that are not there.
func descend(from any, path []string) (any, error) {
	for _, key := range path {
		d, ok := asDict(from)
		if !ok {
			return nil, noMethod(from, "setdefault")
		}
		if _, there := d[key]; !there {
			d[key] = store.Dict{}
		}
		from = d[key]
	}
	return from, nil
}

func setItem(parent any, key string, v any) error {
	if d, ok := asDict(parent); ok {
		d[key] = v
		return nil
	}
	if _, ok := parent.([]any); ok {
		return typeError("list indices must be integers or slices, not str")
	}
	return typeError("'%s' object does not support item assignment", typeName(parent))
}

func noMethod(v any, name string) error {
	return &pythonError{"AttributeError", fmt.Sprintf("'%s' object has no attribute '%s'", typeName(v), name)}
}

// assign writes a value into a column's field, converted as ironic's objects convert it.
func assign(field reflect.Value, name string, v any) error {
	if slices.Contains(forbidden, name) {
		return fmt.Errorf("%s is not for inspection rules to change", name)
	}
	switch field.Interface().(type) {
	case store.Dict:
		d, ok := asDict(v)
		if !ok {
			return fmt.Errorf("a dict is required in field %s, not a %s", name, typeName(v))
		}
		field.Set(reflect.ValueOf(d.Clone()))
	case string:
		text, err := textFor(name, v)
		if err != nil {
			return err
		}
		field.SetString(text)
	case *string:
		if v == nil {
			field.SetZero()
			return nil
		}
		text, err := textFor(name, v)
		if err != nil {
			return err
		}
		field.Set(reflect.ValueOf(&text))
	case bool:
		field.SetBool(store.PythonTrue(v))
	case *bool:
		if v == nil {
			field.SetZero()
			return nil
		}
		field.Set(reflect.ValueOf(new(store.PythonTrue(v))))
	case *int64, int64, time.Time:
		return fmt.Errorf("%s is not for inspection rules to change", name)
	default:
		return fmt.Errorf("field %s cannot be set", name)
	}
	return nil
}

func textFor(name string, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case []any, store.Dict, map[string]any:
		return "", valueError("A string is required in field %s, not a %s", name, typeName(v))
	}
	return str(v), nil
}
