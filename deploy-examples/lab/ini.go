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

// Merge lays options over others, option by option: what is named later wins.
func Merge(all ...map[string]map[string]string) map[string]map[string]string {
	merged := map[string]map[string]string{}
	for _, options := range all {
		for group, values := range options {
			if merged[group] == nil {
				merged[group] = map[string]string{}
			}
			maps.Copy(merged[group], values)
		}
	}
	return merged
}

// with returns a copy in which the options of over replace those of the same name; an empty value takes the option out.
func (c ini) with(over map[string]map[string]string) ini {
	merged := ini(Merge(c, over))
	for group := range over {
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

// WriteINI writes a configuration file that only its owner reads: group, option, value.
func WriteINI(file string, options map[string]map[string]string) error {
	if err := ini(options).write(file); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}
