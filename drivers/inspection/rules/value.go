package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// value is a part of what rules look at. masked hides secrets in it.
type value struct {
	v      any
	masked bool
}

// secrets are the keys whose values masked rules do not see.
var secrets = []string{"password", "auth_token", "bmc_password"}

const mask = "***"

// pythonError is a failure by the name of Python's class for it, which decides what becomes of it.
type pythonError struct{ class, text string }

func (e *pythonError) Error() string { return e.text }

func keyError(key string) error { return &pythonError{"KeyError", store.PythonRepr(key)} }

func valueError(format string, args ...any) error {
	return &pythonError{"ValueError", fmt.Sprintf(format, args...)}
}

func typeError(format string, args ...any) error {
	return &pythonError{"TypeError", fmt.Sprintf(format, args...)}
}

func isKeyError(err error) bool {
	var e *pythonError
	return errors.As(err, &e) && e.class == "KeyError"
}

func asDict(v any) (store.Dict, bool) {
	switch d := v.(type) {
	case store.Dict:
		return d, true
	case map[string]any:
		return d, true
	}
	return nil, false
}

// index is what stands in brackets after a value.
func (v value) index(key string) (value, error) {
	if d, ok := asDict(v.v); ok {
		inner, there := d[key]
		switch {
		case !there:
			return value{}, keyError(key)
		case v.masked && slices.Contains(secrets, key):
			return value{v: mask}, nil
		}
		return value{inner, v.masked}, nil
	}
	if n, ok := v.v.(*store.Node); ok {
		return nodeAttribute(n, key)
	}
	var members []any
	switch inner := v.v.(type) {
	case []any:
		members = inner
	case string:
		for _, c := range inner {
			members = append(members, string(c))
		}
	default:
		return value{}, typeError("'%s' object is not subscriptable", typeName(v.v))
	}
	at, err := strconv.Atoi(key)
	if err != nil || strings.ContainsAny(key, "+-") {
		return value{}, typeError("%s indices must be integers, not 'str'", typeName(v.v))
	}
	if at >= len(members) {
		return value{}, &pythonError{"IndexError", typeName(v.v) + " index out of range"}
	}
	return value{members[at], v.masked}, nil
}

// attribute is what stands after a dot: only nodes have any.
func (v value) attribute(name string) (value, error) {
	if n, ok := v.v.(*store.Node); ok {
		return nodeAttribute(n, name)
	}
	return value{}, &pythonError{"AttributeError", fmt.Sprintf("'%s' object has no attribute '%s'", typeName(v.v), name)}
}

// nodeAttribute is a column of a node.
func nodeAttribute(n *store.Node, name string) (value, error) {
	field, ok := fieldOf(n, name)
	if !ok {
		return value{}, noAttribute(n, name)
	}
	if d, ok := field.Interface().(store.Dict); ok {
		if d == nil {
			d = store.Dict{}
		}
		return value{v: d}, nil
	}
	column, err := store.ColumnValue(field, false)
	return value{v: column}, err
}

// noAttribute says as Python does that a node or port has no such field.
func noAttribute(model any, name string) error {
	return &pythonError{"AttributeError", fmt.Sprintf("'%s' object has no attribute '%s'", reflect.TypeOf(model).Elem().Name(), name)}
}

// fieldOf is the field of a model, given by pointer, for a column.
func fieldOf(model any, name string) (reflect.Value, bool) {
	v := reflect.ValueOf(model).Elem()
	for _, f := range store.FieldsOf(v.Type()) {
		if f.Name == name {
			return v.Field(f.Index), true
		}
	}
	return reflect.Value{}, false
}

// shown is the value with secrets hidden, as plain data.
func (v value) shown() any {
	if !v.masked {
		return v.v
	}
	if d, ok := asDict(v.v); ok {
		out := store.Dict{}
		for key, inner := range d {
			if slices.Contains(secrets, key) {
				out[key] = mask
			} else {
				out[key] = value{inner, true}.shown()
			}
		}
		return out
	}
	if list, ok := v.v.([]any); ok {
		out := make([]any, len(list))
		for i, inner := range list {
			out[i] = value{inner, true}.shown()
		}
		return out
	}
	return v.v
}

// str is Python's str() of a plain value.
func str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return numberText(v)
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04:05-07:00")
	}
	return store.PythonRepr(v)
}

// numberText writes a number of JSON as Python does: whole ones as they are, others as floating point numbers.
func numberText(n json.Number) string {
	if !strings.ContainsAny(n.String(), ".eE") {
		return n.String()
	}
	f, err := n.Float64()
	if err != nil || f == math.Trunc(f) && math.Abs(f) < 1e16 {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// number is a value as Python counts with it; booleans are numbers.
func number(v any) (f float64, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case int64:
		return float64(v), true
	}
	return 0, false
}

// typeName is the name of a value's type in Python.
func typeName(v any) string {
	if _, node := v.(*store.Node); node {
		return "Node"
	}
	return store.PythonType(v)
}

// equal compares as Python's == does.
func equal(a, b any) bool {
	x, numberA := number(a)
	y, numberB := number(b)
	if numberA || numberB {
		return numberA && numberB && x == y
	}
	if d, ok := asDict(a); ok {
		e, ok := asDict(b)
		if !ok || len(d) != len(e) {
			return false
		}
		for key, inner := range d {
			other, there := e[key]
			if !there || !equal(inner, other) {
				return false
			}
		}
		return true
	}
	if list, ok := a.([]any); ok {
		other, ok := b.([]any)
		return ok && slices.EqualFunc(list, other, equal)
	}
	if _, isList := b.([]any); isList {
		return false
	}
	if _, isDict := asDict(b); isDict {
		return false
	}
	return a == b
}

// order is below 0, 0 or above 0 as a is less than, equal to or greater than b. sign is the operator that asks, for the failure.
func order(a, b any, sign string) (int, error) {
	x, numberA := number(a)
	y, numberB := number(b)
	if numberA && numberB {
		switch {
		case x < y:
			return -1, nil
		case x > y:
			return 1, nil
		}
		return 0, nil
	}
	s, textA := a.(string)
	u, textB := b.(string)
	if textA && textB {
		return strings.Compare(s, u), nil
	}
	l, listA := a.([]any)
	m, listB := b.([]any)
	if listA && listB {
		for i := range min(len(l), len(m)) {
			if !equal(l[i], m[i]) {
				return order(l[i], m[i], sign)
			}
		}
		return len(l) - len(m), nil
	}
	return 0, typeError("'%s' not supported between instances of '%s' and '%s'", sign, typeName(a), typeName(b))
}
