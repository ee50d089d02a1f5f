package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// Field describes one tagged field of a model struct.
type Field struct {
	// Name is the column's and the versioned object field's name.
	Name string
	// NotNull tells that the column has no NULL: "" is written as ''.
	NotNull bool
	// Index is the struct field's number for reflect.Value.Field.
	Index int
}

// fieldCache holds the fields of each model type; they never change.
var fieldCache sync.Map

// FieldsOf returns the tagged fields of a model struct type (Node, Port, Conductor) in the order of declaration.
func FieldsOf(t reflect.Type) []Field {
	if cached, ok := fieldCache.Load(t); ok {
		return cached.([]Field)
	}
	var fields []Field
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("field")
		if !ok {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		fields = append(fields, Field{Name: name, NotNull: option == "notnull", Index: i})
	}
	fieldCache.Store(t, fields)
	return fields
}

// Snapshot holds the column values of a row as they were read, by column name. A nil Snapshot belongs to an object that
// is not in the database yet.
type Snapshot map[string]any

// ColumnValue returns a model field as the value that goes into its column: nil, string, int64, bool or time.Time; objects
// and lists are JSON texts. A nil Dict is "{}" and a nil list "[]", never NULL, as ironic writes them.
func ColumnValue(v reflect.Value, notNull bool) (any, error) {
	switch x := v.Interface().(type) {
	case string:
		if x == "" && !notNull {
			return nil, nil
		}
		return x, nil
	case *string:
		return deref(x), nil
	case int64:
		return x, nil
	case *int64:
		return deref(x), nil
	case bool:
		return x, nil
	case *bool:
		return deref(x), nil
	case time.Time:
		if x.IsZero() {
			return nil, nil
		}
		return x.UTC(), nil
	case Dict:
		if len(x) == 0 {
			return "{}", nil
		}
		return jsonText(map[string]any(x))
	case []string:
		return jsonText(x)
	case []Dict:
		return jsonText(x)
	}
	return nil, fmt.Errorf("model field of type %s has no column form", v.Type())
}

func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func jsonText(v any) (any, error) {
	text, err := AppendJSON(nil, v)
	if err != nil {
		return nil, err
	}
	return string(text), nil
}

// TakeSnapshot returns the present column values of a model struct, given by pointer.
func TakeSnapshot(model any) (Snapshot, error) {
	v := reflect.ValueOf(model).Elem()
	fields := FieldsOf(v.Type())
	snap := make(Snapshot, len(fields))
	for _, f := range fields {
		value, err := ColumnValue(v.Field(f.Index), f.NotNull)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		snap[f.Name] = value
	}
	return snap, nil
}

// Changes returns the columns whose values differ from the snapshot taken when the row was read.
func Changes(model any, old Snapshot) (Snapshot, error) {
	now, err := TakeSnapshot(model)
	if err != nil {
		return nil, err
	}
	for name, value := range now {
		before, known := old[name]
		if known && sameValue(before, value) {
			delete(now, name)
		}
	}
	return now, nil
}

func sameValue(a, b any) bool {
	if ta, ok := a.(time.Time); ok {
		tb, ok := b.(time.Time)
		return ok && ta.Equal(tb)
	}
	return a == b
}

func decodeNumbers(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return dec.Decode(into)
}

// CopyFields copies the named fields from one model struct to another of the same type, both given by pointer. Free-form
// objects are copied deeply.
func CopyFields(to, from any, names []string) {
	dst, src := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for _, f := range FieldsOf(dst.Type()) {
		if !slices.Contains(names, f.Name) {
			continue
		}
		value := src.Field(f.Index)
		if d, ok := value.Interface().(Dict); ok {
			value = reflect.ValueOf(d.Clone())
		}
		dst.Field(f.Index).Set(value)
	}
}
