package drivers

import (
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// Capability returns a capability of the machine, from properties.capabilities ("key:value,key:value"); "" when absent.
func Capability(n *store.Node, name string) string {
	for item := range strings.SplitSeq(n.Properties.String("capabilities"), ",") {
		key, value, ok := strings.Cut(item, ":")
		if ok && strings.TrimSpace(key) == name && !strings.Contains(value, ":") {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Capabilities returns all of a machine's capabilities. A value of properties.capabilities that is not "key:value,key:value" is an
// InvalidParameterValue.
func Capabilities(n *store.Node) (map[string]string, error) {
	all := map[string]string{}
	value := n.Properties["capabilities"]
	if !store.PythonTrue(value) {
		return all, nil
	}
	text, ok := value.(string)
	if !ok {
		return nil, store.Errorf(store.InvalidParameterValue, "Value of 'capabilities' must be string. Got <class '%s'>",
			store.PythonType(value))
	}
	for item := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(item, ":")
		if !ok || strings.Contains(value, ":") {
			return nil, store.Errorf(store.InvalidParameterValue, "Malformed capabilities value: %s", item)
		}
		all[key] = value
	}
	return all, nil
}

// WithCapability returns properties.capabilities with one of them changed or added at the end. What the text holds beside is left as it
// is.
func WithCapability(n *store.Node, name, value string) string {
	var items []string
	found := false
	for item := range strings.SplitSeq(n.Properties.String("capabilities"), ",") {
		key, _, _ := strings.Cut(item, ":")
		switch {
		case item == "":
			continue
		case key == name:
			item, found = name+":"+value, true
		}
		items = append(items, item)
	}
	if !found {
		items = append(items, name+":"+value)
	}
	return strings.Join(items, ",")
}

// InstanceCapabilities returns what an instance asks for, from instance_info.capabilities: an object, or its JSON text, as
// Nova sends it.
func InstanceCapabilities(n *store.Node) (store.Dict, error) {
	bad := store.Errorf(store.InvalidParameterValue, "Error parsing capabilities from Node %s instance_info field. "+
		`A dictionary or a "jsonified" dictionary is expected.`, n.UUID)
	switch v := n.InstanceInfo["capabilities"].(type) {
	case nil:
		if _, present := n.InstanceInfo["capabilities"]; present {
			return nil, bad
		}
		return store.Dict{}, nil
	case string:
		parsed, err := store.ParseDict([]byte(v))
		if err != nil || strings.TrimSpace(v) == "" {
			return nil, bad
		}
		return parsed, nil
	}
	if d := n.InstanceInfo.Dict("capabilities"); d != nil {
		return d, nil
	}
	return nil, bad
}

// known are the capabilities that have only certain values.
var known = []struct {
	name   string
	values []string
}{
	{"boot_mode", []string{store.BootModeBIOS, store.BootModeUEFI}},
	{"secure_boot", []string{"true", "false"}},
	{"disk_label", []string{"msdos", "gpt"}},
}

// ValidateCapabilities refuses values that the capabilities of a machine or an instance cannot have.
func ValidateCapabilities(n *store.Node) error {
	instance, err := InstanceCapabilities(n)
	if err != nil {
		return err
	}
	for _, c := range known {
		for _, given := range []struct{ field, value string }{
			{"properties/capabilities", Capability(n, c.name)},
			{"instance_info['capabilities']", instance.String(c.name)},
		} {
			if given.value == "" || slices.Contains(c.values, given.value) {
				continue
			}
			return store.Errorf(store.InvalidParameterValue,
				"The parameter '%s' from %s has an invalid value: '%s'. Acceptable values are: %s.",
				c.name, given.field, given.value, strings.Join(c.values, ", "))
		}
	}
	return nil
}
