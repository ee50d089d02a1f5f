package lab

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// ini is a configuration file in oslo.config's syntax: group, option, value.
type ini map[string]map[string]string

// with returns a copy in which the options of over replace those of the same name; an empty value takes the option out.
func (c ini) with(over map[string]map[string]string) ini {
	merged := ini{}
	for group, options := range c {
		merged[group] = maps.Clone(options)
	}
	for group, options := range over {
		if merged[group] == nil {
			merged[group] = map[string]string{}
		}
		maps.Copy(merged[group], options)
		maps.DeleteFunc(merged[group], func(_, value string) bool { return value == "" })
	}
	return merged
}

func (c ini) write(file string) error {
	var text strings.Builder
	for _, group := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&text, "[%s]\n", group)
		for _, option := range slices.Sorted(maps.Keys(c[group])) {
			fmt.Fprintf(&text, "%s = %s\n", option, c[group][option])
		}
		text.WriteByte('\n')
	}
	// The file holds account passwords.
	return os.WriteFile(file, []byte(text.String()), 0o600)
}
