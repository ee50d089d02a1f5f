package conductor

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// Object indirection: with [DEFAULT]use_rpc_for_database, ironic-api does not go to the database but asks any conductor for
// every method of its versioned objects (reference/rpc.md §2.6).

type objectClassArgs struct {
	Class    string            `json:"objname"`
	Method   string            `json:"objmethod"`
	Versions map[string]string `json:"object_versions"`
	Args     []json.RawMessage `json:"args"`
	Kwargs   jsonObject        `json:"kwargs"`
}

// jsonObject is an object whose members are read later.
type jsonObject map[string]json.RawMessage

// objectClassAction runs a method of a class, such as Node.get_by_uuid. A single object goes back at the version that the
// caller asks for, several go as in other replies.
func (c *Conductor) objectClassAction(ctx context.Context, _ oslo.Context, a objectClassArgs) (any, error) {
	version, ok := a.Versions[a.Class]
	if !ok {
		return nil, oslo.KeyError(a.Class)
	}
	if err := c.codec.Accepts(a.Class, version); err != nil {
		return nil, err
	}
	class := remoteClasses[a.Class]
	m, ok := class.methods[a.Method]
	if !ok || !class.has(a.Method, c.cfg.Release) {
		return nil, oslo.Builtin("AttributeError", "type object '%s' has no attribute '%s'", a.Class, a.Method)
	}
	bound, err := m.bind(a.Class+"."+a.Method, a.Args, a.Kwargs)
	if err != nil {
		return nil, err
	}
	bound.version, bound.versions = version, a.Versions
	return m.run(ctx, c, bound)
}

type objectArgs struct {
	Object json.RawMessage   `json:"objinst"`
	Method string            `json:"objmethod"`
	Args   []json.RawMessage `json:"args"`
	Kwargs jsonObject        `json:"kwargs"`
}

// whatChanged is the key under which a caller learns which fields of its object are unsaved: none, after any method.
const whatChanged = "obj_what_changed"

// objectAction runs a method of an object that the caller holds, such as save, and returns the fields that it has to change in
// its copy, with the method's result.
//
// Crash window: a request that was cut short before its reply is run again at the next start, and a create then finds its own row.
// Its caller has gone.
func (c *Conductor) objectAction(ctx context.Context, _ oslo.Context, a objectArgs) (any, error) {
	if what := notObject(a.Object); what != "" {
		return nil, oslo.Builtin("AttributeError", "'%s' object has no attribute 'obj_clone'", what)
	}
	sent, err := c.codec.DecodeSent(a.Object)
	if err != nil {
		return nil, err
	}
	class := remoteClasses[sent.Name]
	act, ok := class.actions[a.Method]
	if !ok || !class.has(a.Method, c.cfg.Release) {
		return c.classActionOfObject(ctx, class, sent, a)
	}
	now, err := act(ctx, c, sent)
	if err != nil {
		return nil, err
	}
	updates, err := differences(sent.Data, now)
	if err != nil {
		return nil, err
	}
	updates[whatChanged] = []string{}
	return []any{updates, nil}, nil
}

// classActionOfObject runs a method of a class that was asked of one of its objects, which Python allows.
func (c *Conductor) classActionOfObject(ctx context.Context, class remoteClass, sent *objects.Sent, a objectArgs) (any, error) {
	m, ok := class.methods[a.Method]
	switch {
	case ok && class.has(a.Method, c.cfg.Release):
	case a.Method == "save" && c.cfg.Release >= messaging.V2026_1:
		return nil, oslo.Builtin("TypeError", "VersionedObject.save() takes 1 positional argument but 2 were given")
	case a.Method == "save":
		return nil, oslo.Builtin("NotImplementedError", "Cannot save anything in the base class")
	default:
		return nil, oslo.Builtin("AttributeError", "'%s' object has no attribute '%s'", sent.Name, a.Method)
	}
	bound, err := m.bind(sent.Name+"."+a.Method, a.Args, a.Kwargs)
	if err != nil {
		return nil, err
	}
	bound.version = c.codec.Own(sent.Name, "")
	result, err := m.run(ctx, c, bound)
	if err != nil {
		return nil, err
	}
	return []any{map[string]any{whatChanged: append([]string{}, sent.Changes...)}, result}, nil
}

// differences are the fields that differ from what was sent, or that were not sent.
func differences(sent map[string]json.RawMessage, now map[string]any) (map[string]any, error) {
	different := map[string]any{}
	for field, value := range now {
		text, err := store.AppendJSON(nil, value)
		if err != nil {
			// Objects within objects, which go as they are.
			different[field] = value
			continue
		}
		var before, after any
		if raw, ok := sent[field]; ok {
			if err := json.Unmarshal(raw, &before); err != nil {
				return nil, store.Errorf(store.InvalidParameterValue, "Field %s of the object cannot be read.", field)
			}
			if err := json.Unmarshal(text, &after); err != nil {
				return nil, err
			}
			if reflect.DeepEqual(before, after) {
				continue
			}
		}
		different[field] = value
	}
	return different, nil
}

type objectBackportArgs struct {
	Object   json.RawMessage   `json:"objinst"`
	Versions map[string]string `json:"object_versions"`
}

// objectBackport returns an object in an older version, for a caller that does not know the one it was sent.
func (c *Conductor) objectBackport(_ context.Context, _ oslo.Context, a objectBackportArgs) (any, error) {
	if what := notObject(a.Object); what != "" {
		return nil, oslo.Builtin("AttributeError", "'%s' object has no attribute 'obj_name'", what)
	}
	sent, err := c.codec.DecodeSent(a.Object)
	if err != nil {
		return nil, err
	}
	version, ok := a.Versions[sent.Name]
	if !ok {
		return nil, oslo.KeyError(sent.Name)
	}
	for part := range strings.SplitSeq(version, ".") {
		if _, err := strconv.Atoi(part); err != nil {
			return nil, oslo.Builtin("ValueError", "invalid literal for int() with base 10: '%s'", part)
		}
	}
	return c.codec.Backport(a.Object, version)
}

// notObject is Python's type of a value that is no versioned object, "" for one that is.
func notObject(raw json.RawMessage) string {
	var value any
	if err := decodeArg(raw, &value); err != nil {
		return "NoneType"
	}
	if object, ok := value.(map[string]any); ok {
		if _, named := object["ironic_object.name"]; named {
			return ""
		}
	}
	return store.PythonType(value)
}

// only keeps the fields that were sent too, as refresh does.
func only(fields map[string]any, sent map[string]json.RawMessage) map[string]any {
	kept := maps.Clone(fields)
	maps.DeleteFunc(kept, func(field string, _ any) bool { _, asked := sent[field]; return !asked })
	return kept
}
