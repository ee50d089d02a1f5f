// Package jsonschema holds values against JSON schemas of draft 4, as far as the schemas of ironic go, and words what is wrong as Python's
// jsonschema 4.10 does, which users read.
package jsonschema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ironmaster/ironmaster/store"
)

// Schema is a JSON schema. Its keywords and properties keep their order: the first of several equal faults is the one that users are
// told.
type Schema struct {
	keywords []keyword
	// types is what the keyword type names, for rating faults.
	types string
	// Description is that keyword.
	Description string
	// raw is the schema itself, as a value.
	raw any
}

type keyword struct {
	name string
	// Exactly one of these is set, as the keyword has it.
	properties []property // properties and dependencies
	items      *Schema    // items
	any        []*Schema  // anyOf
	pattern    *regexp.Regexp
	value      any // all others
	// exclusive belongs to minimum.
	exclusive bool
}

type property struct {
	name   string
	schema *Schema
	names  []string
}

// Property is a property of an object's schema.
type Property struct {
	Name   string
	Schema *Schema
}

// fault is one thing that a schema finds wrong.
type fault struct {
	keyword string
	message string
	// schema is the part that has the keyword, value what it found wrong.
	schema *Schema
	value  any
	// path and schemaPath lead there from the value that was asked about, and from the schema.
	path, schemaPath []any
	// fits tells that the value has the type that the faulty schema asks for.
	fits bool
	// context are the faults of the alternatives of anyOf.
	context []fault
}

// pair is a member of a JSON object in its order.
type pair struct {
	name  string
	value json.RawMessage
}

func pairs(text json.RawMessage) ([]pair, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var all []pair
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		p := pair{name: fmt.Sprint(name)}
		if err := dec.Decode(&p.value); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	_, err := dec.Token()
	return all, err
}

// MustParse reads a schema that is part of the program, as regexp.MustCompile does: one that is wrong is found by every test that uses it.
func MustParse(text json.RawMessage) *Schema {
	s, err := Parse(text)
	if err != nil {
		panic("a schema of the program: " + err.Error())
	}
	return s
}

// Parse reads a schema.
func Parse(text json.RawMessage) (*Schema, error) {
	members, err := pairs(text)
	if err != nil {
		return nil, fmt.Errorf("reading a JSON schema: %w", err)
	}
	s := &Schema{}
	if s.raw, err = decodeNumbers(text); err != nil {
		return nil, fmt.Errorf("reading a JSON schema: %w", err)
	}
	exclusive := slices.ContainsFunc(members, func(p pair) bool { return p.name == "exclusiveMinimum" && string(p.value) == "true" })
	for _, m := range members {
		k := keyword{name: m.name, exclusive: exclusive}
		switch m.name {
		case "properties", "dependencies":
			k.properties, err = parseProperties(m.value, m.name == "properties")
		case "items":
			k.items, err = Parse(m.value)
		case "anyOf":
			var alternatives []json.RawMessage
			if err = json.Unmarshal(m.value, &alternatives); err != nil {
				break
			}
			for _, one := range alternatives {
				alternative, err := Parse(one)
				if err != nil {
					return nil, err
				}
				k.any = append(k.any, alternative)
			}
		case "pattern":
			var text string
			if err = json.Unmarshal(m.value, &text); err == nil {
				k.value = text
				k.pattern, err = regexp.Compile(text)
			}
		default:
			k.value, err = decodeNumbers(m.value)
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s of a JSON schema: %w", m.name, err)
		}
		switch text, _ := k.value.(string); m.name {
		case "type":
			s.types = text
		case "description":
			s.Description = text
		}
		s.keywords = append(s.keywords, k)
	}
	return s, nil
}

// parseProperties reads an object of schemas, or of lists of names.
func parseProperties(text json.RawMessage, schemas bool) ([]property, error) {
	members, err := pairs(text)
	var all []property
	for _, m := range members {
		p := property{name: m.name}
		if schemas {
			p.schema, err = Parse(m.value)
		} else {
			err = json.Unmarshal(m.value, &p.names)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, err
}

func decodeNumbers(text json.RawMessage) (value any, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err = dec.Decode(&value); err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return value, err
}

// faults are all that is wrong with a value, in the order in which Python's jsonschema finds them.
func (s *Schema) faults(value any) []fault {
	var all []fault
	for _, k := range s.keywords {
		found := k.faults(s, value)
		for i := range found {
			if found[i].keyword == "" {
				found[i].keyword, found[i].fits = k.name, s.types != "" && isType(value, s.types)
				found[i].schema, found[i].value = s, value
			}
		}
		all = append(all, found...)
	}
	return all
}

// faults are in jsonschema's words. One without a keyword is of this one.
func (k keyword) faults(s *Schema, value any) []fault {
	wrong := func(format string, args ...any) []fault { return []fault{{message: fmt.Sprintf(format, args...)}} }
	object, isObject := asObject(value)
	list, isList := value.([]any)
	switch k.name {
	case "type":
		if !isType(value, s.types) {
			return wrong("%s is not of type %s", store.PythonRepr(value), store.PythonRepr(s.types))
		}
	case "enum":
		if choices, _ := k.value.([]any); !slices.ContainsFunc(choices, func(c any) bool { return equal(c, value) }) {
			return wrong("%s is not one of %s", store.PythonRepr(value), store.PythonRepr(k.value))
		}
	case "minimum":
		if n, limit := number(value), number(k.value); n != nil && limit != nil {
			switch order := n.Cmp(limit); {
			case order < 0 && !k.exclusive:
				return wrong("%s is less than the minimum of %s", store.PythonRepr(value), store.PythonRepr(k.value))
			case order <= 0 && k.exclusive:
				return wrong("%s is less than or equal to the minimum of %s", store.PythonRepr(value), store.PythonRepr(k.value))
			}
		}
	case "const":
		if !equal(k.value, value) {
			return wrong("%s was expected", store.PythonRepr(k.value))
		}
	case "minProperties":
		if least := number(k.value); isObject && least != nil && big.NewRat(int64(len(object)), 1).Cmp(least) < 0 {
			return wrong("%s does not have enough properties", store.PythonRepr(value))
		}
	case "minItems":
		if least := number(k.value); isList && least != nil && big.NewRat(int64(len(list)), 1).Cmp(least) < 0 {
			return wrong("%s is too short", store.PythonRepr(value))
		}
	case "minLength":
		text, isText := value.(string)
		if least := number(k.value); isText && least != nil && big.NewRat(int64(utf8.RuneCountInString(text)), 1).Cmp(least) < 0 {
			return wrong("%s is too short", store.PythonRepr(value))
		}
	case "pattern":
		if text, isText := value.(string); isText && !k.pattern.MatchString(text) {
			return wrong("%s does not match %s", store.PythonRepr(value), store.PythonRepr(k.value))
		}
	case "required":
		names, _ := k.value.([]any)
		return missing(object, isObject, names, func(name string) string { return name + " is a required property" })
	case "additionalProperties":
		if extra := k.extra(s, object); len(extra) > 0 {
			verb := "were"
			if len(extra) == 1 {
				verb = "was"
			}
			return wrong("Additional properties are not allowed (%s %s unexpected)", strings.Join(extra, ", "), verb)
		}
	case "anyOf":
		return k.alternatives(value)
	case "items":
		var all []fault
		for i, one := range list {
			all = append(all, below(k.items.faults(one), i, k.name)...)
		}
		return all
	case "properties", "dependencies":
		return k.members(object, isObject)
	}
	return nil
}

func missing(object store.Dict, isObject bool, names []any, word func(string) string) []fault {
	var all []fault
	for _, name := range names {
		if _, given := object[fmt.Sprint(name)]; isObject && !given {
			all = append(all, fault{message: word(store.PythonRepr(name))})
		}
	}
	return all
}

// members are the faults of an object's properties, and of those that need others.
func (k keyword) members(object store.Dict, isObject bool) []fault {
	var all []fault
	for _, p := range k.properties {
		value, given := object[p.name]
		switch {
		case !given:
		case p.schema != nil:
			all = append(all, below(p.schema.faults(value), p.name, k.name, p.name)...)
		default:
			names := make([]any, len(p.names))
			for i, name := range p.names {
				names[i] = name
			}
			all = append(all, missing(object, isObject, names, func(name string) string {
				return name + " is a dependency of " + store.PythonRepr(p.name)
			})...)
		}
	}
	return all
}

// extra are the names in an object that no property has, in quotes and sorted.
func (k keyword) extra(s *Schema, object store.Dict) []string {
	if k.value != false {
		return nil
	}
	var names []string
	for name := range object {
		if s.Property(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = store.PythonRepr(name)
	}
	return names
}

func (k keyword) alternatives(value any) []fault {
	f := fault{message: store.PythonRepr(value) + " is not valid under any of the given schemas"}
	for _, one := range k.any {
		found := one.faults(value)
		if len(found) == 0 {
			return nil
		}
		f.context = append(f.context, found...)
	}
	return []fault{f}
}

// below are the faults of a part of a value, seen from the whole.
func below(found []fault, place any, schemaPlace ...any) []fault {
	for i, f := range found {
		found[i].path = append([]any{place}, f.path...)
		found[i].schemaPath = append(slices.Clone(schemaPlace), f.schemaPath...)
	}
	return found
}

// Items is the schema of a list's items, or nil.
func (s *Schema) Items() *Schema {
	for _, k := range s.keywords {
		if k.items != nil {
			return k.items
		}
	}
	return nil
}

// Properties are the properties of an object's schema, in their order.
func (s *Schema) Properties() []Property {
	var all []Property
	for _, k := range s.keywords {
		if k.name != "properties" {
			continue
		}
		for _, p := range k.properties {
			all = append(all, Property{p.name, p.schema})
		}
	}
	return all
}

// Property is the schema of an object's property, or nil.
func (s *Schema) Property(name string) *Schema {
	for _, p := range s.Properties() {
		if p.Name == name {
			return p.Schema
		}
	}
	return nil
}

func asObject(value any) (store.Dict, bool) {
	switch v := value.(type) {
	case store.Dict:
		return v, true
	case map[string]any:
		return v, true
	}
	return nil, false
}

func isType(value any, name string) bool {
	switch v := value.(type) {
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case []any:
		return name == "array"
	case json.Number:
		return name == "number" || name == "integer" && !strings.ContainsAny(v.String(), ".eE")
	}
	_, isObject := asObject(value)
	return isObject && name == "object"
}

// number is the exact value of a JSON number, nil for everything else.
func number(value any) *big.Rat {
	n, ok := value.(json.Number)
	// An exponent may ask for more digits than there is memory for.
	if !ok || len(n) > 64 || strings.ContainsAny(n.String(), "eE") {
		return nil
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		return nil
	}
	return r
}

func equal(choice, value any) bool {
	text, ok := value.(string)
	return ok && choice == text
}
