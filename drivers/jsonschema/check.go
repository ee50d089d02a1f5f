package jsonschema

import (
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// Fault is what is wrong with a value.
type Fault struct {
	// Message says it in a sentence.
	Message string
	whole   string
}

// Error is how Python prints jsonschema's ValidationError: the message, the part of the schema and the part of the value.
func (f *Fault) Error() string { return f.whole }

// Check holds a value against the schema. Of many faults it returns the one that Python's jsonschema names, nil when there is none.
func (s *Schema) Check(value any) *Fault {
	found := s.faults(value)
	if len(found) == 0 {
		return nil
	}
	f := best(found)
	return &Fault{f.message, fmt.Sprintf("%s\n\nFailed validating %s in schema%s:\n    %s\n\nOn instance%s:\n    %s",
		f.message, store.PythonRepr(f.keyword), index(f.schemaPath), indented(f.schema.raw), index(f.path), indented(f.value))}
}

// index is a path as Python writes it.
func index(path []any) string {
	var b strings.Builder
	for _, step := range path {
		b.WriteString("[" + store.PythonRepr(step) + "]")
	}
	return b.String()
}

func indented(value any) string {
	const width = 72
	return strings.ReplaceAll(store.PythonPretty(value, width), "\n", "\n    ")
}
