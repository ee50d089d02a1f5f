package agent

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// rootDeviceHints are the hints that agents understand, with their kinds.
var rootDeviceHints = []struct{ name, kind string }{{"size", "int"}, {"model", "str"}, {"wwn", "str"}, {"serial", "str"},
	{"vendor", "str"}, {"wwn_with_extension", "str"}, {"wwn_vendor_extension", "str"}, {"name", "str"},
	{"rotational", "bool"}, {"hctl", "str"}, {"by_path", "str"}}

// validateRootDevice checks the hints for the disk to deploy to; the instance's are stronger than the machine's.
func validateRootDevice(n *store.Node) error {
	hints, from := n.InstanceInfo.Dict("root_device"), "instance_info"
	if len(hints) == 0 {
		hints, from = n.Properties.Dict("root_device"), "properties"
	}
	if err := checkHints(hints); err != nil {
		return store.Errorf(store.InvalidParameterValue,
			"Failed to validate the root device hints %s (from the node's %s) for node %s: %w",
			store.PythonRepr(hints), from, n.UUID, err)
	}
	return nil
}

func checkHints(hints store.Dict) error {
	var valid, invalid []string
	kinds := map[string]string{}
	for _, h := range rootDeviceHints {
		valid = append(valid, h.name)
		kinds[h.name] = h.kind
	}
	names := sortedKeys(hints)
	for _, name := range names {
		if kinds[name] == "" {
			invalid = append(invalid, name)
		}
	}
	if len(invalid) > 0 {
		return hintError(`The hints "%s" are invalid. Valid hints are: "%s"`,
			strings.Join(invalid, ", "), strings.Join(valid, ", "))
	}
	for _, name := range names {
		if err := checkHint(name, kinds[name], hints); err != nil {
			return err
		}
	}
	return nil
}

func checkHint(name, kind string, hints store.Dict) error {
	text := hints.String(name)
	switch kind {
	case "str":
		if _, ok := hints[name].(string); !ok {
			return hintError("Root device hint \"%s\" is not a string value. Hint expression: %v", name, hints[name])
		}
	case "bool":
		if _, known := parseBool(text); !known {
			return hintError("Root device hint \"%s\" is not a Boolean value. Current value: %s", name, text)
		}
	case "int":
		return checkSize(name, text)
	}
	return nil
}

// checkSize reads "10", ">= 10" and "<or> 10 <or> 20".
func checkSize(name, text string) error {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
	words = slices.DeleteFunc(words, func(w string) bool {
		return slices.Contains([]string{"=", "==", "!=", ">=", "<=", ">", "<", "<or>"}, w)
	})
	if len(words) == 0 {
		words = []string{text}
	}
	for _, word := range words {
		size, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return hintError("Root device hint \"%s\" is not an integer value. Current value: %s", name, text)
		}
		if size <= 0 {
			return hintError("Root device hint \"%s\" should be a positive integer. Current value: %s", name, text)
		}
	}
	return nil
}

func hintError(format string, args ...any) error {
	return store.Errorf(store.InvalidParameterValue, format, args...)
}

func parseBool(text string) (value, known bool) {
	d := store.Dict{"b": text}
	on := d.Bool("b", false)
	return on, on == d.Bool("b", true)
}
