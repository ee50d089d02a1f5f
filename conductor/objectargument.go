package conductor

import (
	"encoding/json"
	"strings"

	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// objectTag begins the tag python of an argument that is a versioned object; the attributes that upstream's handler reads of it at once
// follow, in order.
const objectTag = "object,"

// checkObject fails as Python does on an argument that is no versioned object, or one in parts, when a handler reads its attributes.
func checkObject(raw json.RawMessage, attributes []string) error {
	value, err := decodeAny(raw)
	if err != nil {
		return err
	}
	envelope, _ := value.(map[string]any)
	if _, isObject := envelope["ironic_object.name"]; !isObject {
		return oslo.Builtin("AttributeError", "'%s' object has no attribute '%s'", store.PythonType(value), attributes[0])
	}
	for _, key := range []string{"ironic_object.namespace", "ironic_object.version", "ironic_object.data"} {
		if _, ok := envelope[key]; !ok {
			return oslo.KeyError(key)
		}
	}
	space, _ := envelope["ironic_object.namespace"].(string)
	if name, _ := envelope["ironic_object.name"].(string); !objects.Known(space, name) {
		return nil // who decodes it refuses it by its type
	}
	data := envelope["ironic_object.data"]
	if data == nil {
		return oslo.Builtin("TypeError", "argument of type 'NoneType' is not iterable")
	}
	fields, _ := data.(map[string]any)
	for _, name := range attributes {
		if _, ok := fields[name]; !ok {
			return oslo.Builtin("NotImplementedError", "Cannot load '%s' in the base class", name)
		}
	}
	return nil
}

// attributesOf reads a tag that begins with objectTag.
func attributesOf(tag string) []string { return strings.Split(strings.TrimPrefix(tag, objectTag), ",") }
