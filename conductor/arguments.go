package conductor

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// Callers other than ironic-api may send values of any type. Python looks at a type only where it needs it, so that such a value is
// printed, counts as true or false, or fails in the words of a TypeError; here it is the same.

// decodeArgs fills a struct of arguments. Texts and truth values take any value as Python would; an argument with the tag
// python:"key" is looked up in a dict there, which lists and dicts cannot be, and one with objectTag is a versioned object. Others of the
// wrong type are refused by name.
func decodeArgs(r *oslo.Request, into any) error {
	v := reflect.ValueOf(into).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
		raw, ok := r.Args[name]
		if !ok {
			continue
		}
		err := takeArg(raw, v.Field(i).Addr().Interface(), option == "omitempty")
		if err != nil {
			return store.Errorf(store.InvalidParameterValue, "Argument %s of %s has the wrong type", name, r.Method)
		}
		switch tag := field.Tag.Get("python"); {
		case tag == "key":
			err = checkHashable(raw)
		case strings.HasPrefix(tag, objectTag):
			err = checkObject(raw, attributesOf(tag))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// takeArg fills one argument; null leaves an optional one as it is.
func takeArg(raw json.RawMessage, into any, optional bool) error {
	value, err := decodeAny(raw)
	if err != nil {
		return err
	}
	switch to := into.(type) {
	case *bool:
		*to = store.PythonTrue(value)
	case *string:
		if value != nil || !optional {
			*to = store.PythonText(value)
		}
	case **string:
		if value != nil {
			text := store.PythonText(value)
			*to = &text
		}
	default:
		return decodeArg(raw, into)
	}
	return nil
}

// decodeArg fills a value of one type, and refuses all others.
func decodeArg(raw json.RawMessage, into any) error {
	switch into.(type) {
	case *string, **string, *bool:
		return json.Unmarshal(raw, into)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(into)
}

// decodeAny reads a value with its numbers as they are written.
func decodeAny(raw json.RawMessage) (value any, err error) {
	err = decodeArg(raw, &value)
	return value, err
}

func checkHashable(raw json.RawMessage) error {
	value, err := decodeAny(raw)
	if err != nil {
		return err
	}
	switch value.(type) {
	case []any, map[string]any:
		return oslo.Builtin("TypeError", "unhashable type: '%s'", store.PythonType(value))
	}
	return nil
}

// iterated are the elements that Python's loop over a value has: those of a list, the characters of a text, the keys of a dict.
func iterated(value any) ([]any, error) {
	var all []any
	switch v := value.(type) {
	case []any:
		return v, nil
	case string:
		for _, character := range v {
			all = append(all, string(character))
		}
		return all, nil
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			all = append(all, key)
		}
		return all, nil
	}
	return nil, oslo.Builtin("TypeError", "'%s' object is not iterable", store.PythonType(value))
}

// subscripted is the member of a value that Python finds under a key.
func subscripted(value any, key string) (any, error) {
	switch v := value.(type) {
	case map[string]any:
		member, ok := v[key]
		if !ok {
			return nil, oslo.KeyError(key)
		}
		return member, nil
	case string:
		return nil, oslo.Builtin("TypeError", "string indices must be integers, not 'str'")
	case []any:
		return nil, oslo.Builtin("TypeError", "list indices must be integers or slices, not str")
	}
	return nil, oslo.Builtin("TypeError", "'%s' object is not subscriptable", store.PythonType(value))
}

// textsOf are the elements of a value as texts, as the database keeps them.
func textsOf(value any) ([]string, error) {
	elements, err := iterated(value)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(elements))
	for i := range elements {
		texts[i] = store.PythonText(elements[i])
	}
	return texts, nil
}

// equalsBool tells whether Python takes a value for equal to a truth value: numbers can be.
func equalsBool(value any, truth bool) bool {
	switch v := value.(type) {
	case bool:
		return v == truth
	case json.Number:
		number, err := v.Float64()
		return err == nil && (truth && number == 1 || !truth && number == 0)
	}
	return false
}
