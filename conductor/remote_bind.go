package conductor

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// remoteMethod is a method of a class that callers name with positional and named arguments, as in Python.
type remoteMethod struct {
	// params are the names of the parameters after the context; the first required ones have no default.
	params   []string
	required int
	run      func(ctx context.Context, c *Conductor, a boundArgs) (any, error)
}

// boundArgs are the arguments of a remote method by the names of its parameters, null where none was given.
type boundArgs struct {
	values map[string]json.RawMessage
	// version is what the caller wants the class's object at, versions those of all classes.
	version  string
	versions map[string]string
}

// bind matches arguments with parameters, and fails as Python's call would.
func (m remoteMethod) bind(name string, args []json.RawMessage, kwargs jsonObject) (boundArgs, error) {
	bound := boundArgs{values: map[string]json.RawMessage{}}
	if len(args) > len(m.params) {
		// The class and the context count too.
		takes := strconv.Itoa(len(m.params) + 2)
		if m.required < len(m.params) {
			takes = "from " + strconv.Itoa(m.required+2) + " to " + takes
		}
		return bound, oslo.Builtin("TypeError", "%s() takes %s positional arguments but %d were given", name, takes, len(args)+2)
	}
	for i, value := range args {
		bound.values[m.params[i]] = value
	}
	for _, key := range slices.Sorted(maps.Keys(kwargs)) {
		if !slices.Contains(m.params, key) {
			return bound, oslo.Builtin("TypeError", "%s() got an unexpected keyword argument '%s'", name, key)
		}
		if _, twice := bound.values[key]; twice {
			return bound, oslo.Builtin("TypeError", "%s() got multiple values for argument '%s'", name, key)
		}
		bound.values[key] = kwargs[key]
	}
	var missing []string
	for _, param := range m.params[:m.required] {
		if _, given := bound.values[param]; !given {
			missing = append(missing, "'"+param+"'")
		}
	}
	switch n := len(missing); n {
	case 0:
		return bound, nil
	case 1:
		return bound, oslo.Builtin("TypeError", "%s() missing 1 required positional argument: %s", name, missing[0])
	default:
		// No method requires more than two.
		return bound, oslo.Builtin("TypeError", "%s() missing %d required positional arguments: %s", name, n, strings.Join(missing, " and "))
	}
}

func (a boundArgs) given(param string) bool {
	raw, ok := a.values[param]
	return ok && strings.TrimSpace(string(raw)) != "null"
}

// read decodes an argument that may be missing; one of the wrong type is refused by name.
func (a boundArgs) read(param string, into any) error {
	if !a.given(param) {
		return nil
	}
	if err := decodeArg(a.values[param], into); err != nil {
		return store.Errorf(store.InvalidParameterValue, "Argument %s has the wrong type", param)
	}
	return nil
}

// scalar is an argument that goes into a comparison: a text, a number, a boolean, or nil for null.
func (a boundArgs) scalar(param string) (any, error) {
	var value any
	if err := a.read(param, &value); err != nil {
		return nil, err
	}
	return scalarOf(param, value)
}

// scalarOf is a JSON value as the database takes it.
func scalarOf(name string, value any) (any, error) {
	switch v := value.(type) {
	case nil, string, bool:
		return v, nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
	}
	return nil, store.Errorf(store.InvalidParameterValue, "Argument %s has the wrong type", name)
}

// scalarsOf are the JSON values of a list.
func scalarsOf(name string, value any) ([]any, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, store.Errorf(store.InvalidParameterValue, "Argument %s has the wrong type", name)
	}
	values := make([]any, len(list))
	for i, one := range list {
		var err error
		if values[i], err = scalarOf(name, one); err != nil {
			return nil, err
		}
	}
	return values, nil
}
