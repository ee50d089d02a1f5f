package docs

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/conductor/config"
)

// optionGroup is what becomes of the options of a group: those that are read, and those of a Python conductor that are not.
type optionGroup struct{ honoured, ignored []string }

func (g optionGroup) cells() [2]string { return [2]string{spans(g.honoured), spans(g.ignored)} }

func spans(names []string) string {
	slices.Sort(names)
	var quoted []string
	for _, name := range slices.Compact(names) {
		quoted = append(quoted, "`"+name+"`")
	}
	return strings.Join(quoted, " ")
}

// ironicOptions reads the options of ironic from the settings and from the list of those that only cause a warning.
func ironicOptions(t *testing.T) map[string]*optionGroup {
	t.Helper()
	groups := map[string]*optionGroup{}
	group := func(name string) *optionGroup {
		if groups[name] == nil {
			groups[name] = &optionGroup{}
		}
		return groups[name]
	}
	for section := range fields(reflect.TypeFor[config.Settings]()) {
		name := section.Tag.Get("group")
		if section.Type.Kind() != reflect.Struct || name == "ironmaster" {
			continue
		}
		for field := range fields(section.Type) {
			if option := field.Tag.Get("opt"); option != "" {
				group(name).honoured = append(group(name).honoured, option)
			}
		}
	}
	for line := range strings.Lines(read(t, "conductor/config/known.txt")) {
		if words := strings.Fields(line); len(words) >= 2 && !strings.HasPrefix(line, "~") {
			group(words[0]).ignored = append(group(words[0]).ignored, words[1])
		}
	}
	return groups
}

func TestOptionsAreListed(t *testing.T) {
	options := ironicOptions(t)
	documented := map[string][2]string{}
	for _, row := range table(t, read(t, "docs/options.md"), "| group | honoured | not honoured |") {
		documented[strings.Trim(row[0], "`")] = [2]string{row[1], row[2]}
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		want := options[name].cells()
		if got, ok := documented[name]; !ok || got != want {
			t.Errorf("docs/options.md wants this row:\n| `%s` | %s | %s |", name, want[0], want[1])
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("docs/options.md has a group %s, which conductor/config does not know", name)
	}
}
