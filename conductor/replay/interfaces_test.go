package replay

import (
	"slices"
	"strings"
)

// The recorded conductor had interfaces that this build lacks. Where a recording names one, the replay uses the nearest that
// there is, before and after alike.

// nearest maps a hardware type, an interface type and a recorded name.
var nearest = map[string]map[string]map[string]string{
	"redfish": {
		"inspect": {"redfish": "no-inspect"},
	},
}

// lacking are names in lists of what is enabled, by interface type.
var lacking = map[string][]string{
	"console": {"ipmitool-shellinabox"},
	"inspect": {"redfish"},
	"storage": {"external"},
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

// adapt replaces the names of interfaces in a decoded recording or setup.
func adapt(value any) any {
	switch v := value.(type) {
	case map[string]any:
		driver, _ := v["driver"].(string)
		if change, ok := v["driver"].([]any); ok && len(change) == 2 {
			driver, _ = change[1].(string)
		}
		for key, inner := range v {
			kind, isInterface := strings.CutSuffix(key, "_interface")
			enabled, isList := strings.CutPrefix(strings.TrimSuffix(key, "_interfaces"), "enabled_")
			list, _ := inner.([]any)
			switch {
			case isInterface && list != nil:
				for i := range list {
					list[i] = replaced(driver, kind, list[i])
				}
			case isInterface:
				v[key] = replaced(driver, kind, inner)
			case isList:
				v[key] = slices.DeleteFunc(list, func(name any) bool { return slices.Contains(lacking[enabled], name.(string)) })
			default:
				v[key] = adapt(inner)
			}
		}
	case []any:
		for i := range v {
			v[i] = adapt(v[i])
		}
	}
	return value
}

func replaced(driver, kind string, name any) any {
	s, ok := name.(string)
	if !ok {
		return name
	}
	if other := nearest[driver][kind][s]; other != "" {
		return other
	}
	return name
}
