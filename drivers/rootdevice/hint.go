// Package rootdevice reads root device hints: conditions by which users name the disk of a machine to deploy to. Agents match them
// against their disks, and so does inspection.
package rootdevice

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// kind is the kind of value that a hint has.
type kind string

const (
	number  kind = "int"
	text    kind = "str"
	boolean kind = "bool"
)

// known are the hints that agents understand.
var known = []struct {
	name string
	kind kind
}{{"size", number}, {"model", text}, {"wwn", text}, {"serial", text}, {"vendor", text}, {"wwn_with_extension", text},
	{"wwn_vendor_extension", text}, {"name", text}, {"rotational", boolean}, {"hctl", text}, {"by_path", text}}

func kindOf(name string) kind {
	for _, h := range known {
		if h.name == name {
			return h.kind
		}
	}
	return ""
}

// Check refuses hints that agents do not understand, with InvalidParameterValue.
func Check(hints store.Dict) error {
	var valid, invalid []string
	for _, h := range known {
		valid = append(valid, h.name)
	}
	names := slices.Sorted(maps.Keys(hints))
	for _, name := range names {
		if kindOf(name) == "" {
			invalid = append(invalid, name)
		}
	}
	if len(invalid) > 0 {
		return wrong(`The hints "%s" are invalid. Valid hints are: "%s"`,
			strings.Join(invalid, ", "), strings.Join(valid, ", "))
	}
	for _, name := range names {
		if err := checkOne(name, hints); err != nil {
			return err
		}
	}
	return nil
}

func checkOne(name string, hints store.Dict) error {
	given := hints.String(name)
	switch kindOf(name) {
	case text:
		if _, ok := hints[name].(string); !ok {
			return wrong("Root device hint \"%s\" is not a string value. Hint expression: %v", name, hints[name])
		}
	case boolean:
		if _, ok := parseBool(hints[name]); !ok {
			return wrong("Root device hint \"%s\" is not a Boolean value. Current value: %s", name, given)
		}
	case number:
		return checkSize(name, given)
	}
	return nil
}

// checkSize reads "10", ">= 10" and "<or> 10 <or> 20".
func checkSize(name, given string) error {
	words := strings.FieldsFunc(given, func(r rune) bool { return r == ' ' })
	words = slices.DeleteFunc(words, func(w string) bool {
		return slices.Contains([]string{"=", "==", "!=", ">=", "<=", ">", "<", "<or>"}, w)
	})
	if len(words) == 0 {
		words = []string{given}
	}
	for _, word := range words {
		size, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return wrong("Root device hint \"%s\" is not an integer value. Current value: %s", name, given)
		}
		if size <= 0 {
			return wrong("Root device hint \"%s\" should be a positive integer. Current value: %s", name, given)
		}
	}
	return nil
}

func wrong(format string, args ...any) error {
	return store.Errorf(store.InvalidParameterValue, format, args...)
}

// parseBool reads what strutils.bool_from_string knows.
func parseBool(v any) (value, known bool) {
	d := store.Dict{"b": v}
	on := d.Bool("b", false)
	return on, v != nil && on == d.Bool("b", true)
}
