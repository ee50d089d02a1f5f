package rules

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// pluginPath takes a path with dots apart.
func pluginPath(args store.Dict) []string { return strings.Split(str(args["path"]), ".") }

func (r *run) pluginParent(path []string) (any, error) {
	return descend(r.plugin.v, path[:len(path)-1])
}

func setPluginData(_ context.Context, r *run, args store.Dict) error {
	path := pluginPath(args)
	parent, err := r.pluginParent(path)
	if err == nil {
		err = setItem(parent, path[len(path)-1], args["value"])
	}
	if err != nil {
		return actionFailed("Failed to set plugin data at %s: %w", str(args["path"]), err)
	}
	return nil
}

func extendPluginData(_ context.Context, r *run, args store.Dict) error {
	path := pluginPath(args)
	parent, err := r.pluginParent(path)
	if err == nil {
		err = extendItem(parent, path[len(path)-1], args)
	}
	if err != nil {
		return actionFailed("Failed to extend plugin data at %s: %w", str(args["path"]), err)
	}
	return nil
}

// extendItem adds a value to a list. What counts as nothing is taken for an empty list.
func extendItem(parent any, key string, args store.Dict) error {
	d, ok := asDict(parent)
	if !ok {
		return setItem(parent, key, nil)
	}
	list, ok := d[key].([]any)
	if !ok && store.PythonTrue(d[key]) {
		return noMethod(d[key], "append")
	}
	d[key] = extended(list, args)
	return nil
}

// unsetPluginData takes a value away, and an object with it that has nothing else.
func unsetPluginData(_ context.Context, r *run, args store.Dict) error {
	path := pluginPath(args)
	objects := []store.Dict{}
	var at any = r.plugin.v
	for _, key := range path {
		d, ok := asDict(at)
		if !ok {
			break
		}
		if _, there := d[key]; !there {
			break
		}
		objects, at = append(objects, d), d[key]
	}
	if len(objects) < len(path) {
		r.Log.Warn().Str("path", str(args["path"])).Msg("There is no plugin data that an inspection rule is to take away")
		return nil
	}
	last := len(path) - 1
	if last > 0 && len(objects[last]) == 1 {
		delete(objects[last-1], path[last-1])
	} else {
		delete(objects[last], path[last])
	}
	return nil
}
