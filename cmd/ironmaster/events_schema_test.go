package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/conductor"
)

// progressSchema is docs/events.schema.json, as far as it is made use of.
type progressSchema struct {
	Type       string
	Properties map[string]struct {
		Type             any
		Enum             []string
		Minimum, Maximum *float64
		Description      string
	}
	Required             []string
	AdditionalProperties *bool
}

func docs(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func readProgressSchema(t *testing.T) progressSchema {
	t.Helper()
	var s progressSchema
	if err := json.Unmarshal(docs(t, "events.schema.json"), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// schemaType is how the schema has to describe a Go type.
func schemaType(t reflect.Type) any {
	if t.Kind() == reflect.Pointer {
		return []any{schemaType(t.Elem()), "null"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Float64:
		return "number"
	}
	return t.Kind().String()
}

func TestTheSchemaIsThatOfTheProgressPayload(t *testing.T) {
	s, described := readProgressSchema(t), string(docs(t, "events.md"))
	payload := reflect.TypeFor[conductor.ProgressPayload]()
	var names []string
	for i := range payload.NumField() {
		name := payload.Field(i).Tag.Get("json")
		names = append(names, name)
		p, ok := s.Properties[name]
		if !ok || p.Description == "" {
			t.Errorf("the schema does not describe %s", name)
		} else if want := schemaType(payload.Field(i).Type); !reflect.DeepEqual(p.Type, want) {
			t.Errorf("the schema has the type %v for %s, want %v", p.Type, name, want)
		}
		if !strings.Contains(described, "| `"+name+"` | ") {
			t.Errorf("docs/events.md does not describe %s", name)
		}
	}
	if len(s.Properties) != len(names) || !slices.Equal(s.Required, names) || s.Type != "object" ||
		s.AdditionalProperties == nil || *s.AdditionalProperties {
		t.Errorf("the schema requires %v of %d properties, the payload has %v", s.Required, len(s.Properties), names)
	}
}

func TestProgressPayloadsFollowTheSchema(t *testing.T) {
	s := readProgressSchema(t)
	for _, p := range []conductor.ProgressPayload{
		writing(), {NodeUUID: nodeOne, Flow: "clean"}, {NodeUUID: nodeTwo, Flow: "deploy", Waiting: true, Reason: ref("the agent")},
	} {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.check(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	example := string(docs(t, "events.md"))
	_, example, _ = strings.Cut(example, "```json\n")
	example, _, _ = strings.Cut(example, "```")
	if err := s.check([]byte(example)); err != nil {
		t.Errorf("the example of docs/events.md: %v", err)
	}
	for _, wrong := range []string{`{}`, strings.Replace(example, `45.0`, `450`, 1), strings.Replace(example, `"deploy"`, `"x"`, 1),
		strings.Replace(example, `"index": 1`, `"index": 1.5`, 1), strings.Replace(example, `"step"`, `"stop"`, 1)} {
		if s.check([]byte(wrong)) == nil {
			t.Errorf("%s passes", wrong)
		}
	}
}

// check is the part of JSON schema's validation that this schema needs.
func (s progressSchema) check(text []byte) error {
	var data map[string]any
	if err := json.Unmarshal(text, &data); err != nil {
		return err
	}
	for _, name := range s.Required {
		if _, ok := data[name]; !ok {
			return fmt.Errorf("%s is missing", name)
		}
	}
	for name, v := range data {
		p, ok := s.Properties[name]
		if !ok {
			return fmt.Errorf("%s is unknown", name)
		}
		types, ok := p.Type.([]any)
		if !ok {
			types = []any{p.Type}
		}
		if !slices.ContainsFunc(types, func(typ any) bool { return isOfType(v, typ) }) {
			return fmt.Errorf("%s is %v, not of the type %v", name, v, p.Type)
		}
		text, isText := v.(string)
		if isText && p.Enum != nil && !slices.Contains(p.Enum, text) {
			return fmt.Errorf("%s is %q, not one of %q", name, text, p.Enum)
		}
		if n, ok := v.(float64); ok && (p.Minimum != nil && n < *p.Minimum || p.Maximum != nil && n > *p.Maximum) {
			return fmt.Errorf("%s is out of range", name)
		}
	}
	return nil
}

func isOfType(v, typ any) bool {
	n, number := v.(float64)
	switch typ {
	case "null":
		return v == nil
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "string":
		_, ok := v.(string)
		return ok
	case "integer":
		return number && n == float64(int64(n))
	}
	return number
}
