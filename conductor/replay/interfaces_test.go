package replay

import (
	"slices"
	"strings"
)

// The recorded conductor had interfaces that this build lacks.

// lacking are names in lists of what is enabled, by interface type.
var lacking = map[string][]string{
	"console": {"ipmitool-shellinabox"},
}

// withoutLacking takes the names that this build lacks out of the options that enable interfaces.
func withoutLacking(enabled map[string]string) {
	for option, names := range enabled {
		kind, isInterface := strings.CutSuffix(strings.TrimPrefix(option, "enabled_"), "_interfaces")
		if isInterface {
			enabled[option] = strings.Join(slices.DeleteFunc(strings.Split(names, ","),
				func(name string) bool { return slices.Contains(lacking[kind], name) }), ",")
		}
	}
}

// adapt takes the names of interfaces that this build lacks out of a decoded recording or setup.
func adapt(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			enabled, isList := strings.CutPrefix(strings.TrimSuffix(key, "_interfaces"), "enabled_")
			if list, _ := inner.([]any); isList {
				v[key] = slices.DeleteFunc(list, func(name any) bool { return slices.Contains(lacking[enabled], name.(string)) })
				continue
			}
			v[key] = adapt(inner)
		}
	case []any:
		for i := range v {
			v[i] = adapt(v[i])
		}
	}
	return value
}
