package config

import (
	_ "embed"
	"fmt"
	"strings"
)

// known lists the options of all supported releases that Ironmaster does not honour, one "group name default" a line. A
// line that starts with ~ is an option that a Python conductor does not read either, such as those of ironic-api, which
// share the file, or reads only where others refer to it, such as state_path: setting it is nothing to warn about.
//
//go:embed known.txt
var known string

// foreign is an option that Ironmaster does not honour.
type foreign struct {
	def    string
	silent bool
}

func foreignOptions() map[key]foreign {
	options := map[key]foreign{}
	for line := range strings.Lines(known) {
		line, silent := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "~")
		group, rest, _ := strings.Cut(line, " ")
		name, def, _ := strings.Cut(rest, " ")
		options[key{group, name}] = foreign{def, silent}
	}
	return options
}

// notHonoured returns a warning for each known option that the files or the environment set, each once.
func (d *decoder) notHonoured() []string {
	var warnings []string
	seen := map[key]bool{}
	warn := func(k key) {
		if f, ok := d.known[k]; !ok || f.silent || seen[k] {
			return
		}
		seen[k] = true
		warnings = append(warnings, fmt.Sprintf("option %s is set but not honoured by ironmaster", k))
	}
	for _, p := range d.sources.set {
		warn(p.key)
	}
	for _, variable := range d.sources.variables() {
		if k, ok := fromEnviron(variable); ok {
			warn(k)
		}
	}
	return warnings
}

// unknownOwn reports options of [ironmaster] that do not exist: most likely a slip of the pen.
func (d *decoder) unknownOwn() error {
	check := func(k key, where string) error {
		if _, ok := d.options[k]; ok || k.group != "ironmaster" {
			return nil
		}
		return fmt.Errorf("%s (%s): there is no such option", k, where)
	}
	for _, p := range d.sources.set {
		if err := check(p.key, p.where); err != nil {
			return err
		}
	}
	for _, variable := range d.sources.variables() {
		if k, ok := fromEnviron(variable); ok {
			if err := check(k, "environment "+variable); err != nil {
				return err
			}
		}
	}
	return nil
}

// fromEnviron tells which option a variable such as OS_CONDUCTOR__WORKERS_POOL_SIZE sets.
func fromEnviron(variable string) (key, bool) {
	rest, ok := strings.CutPrefix(variable, "OS_")
	group, name, separated := strings.Cut(rest, "__")
	if !ok || !separated {
		return key{}, false
	}
	if group != "DEFAULT" {
		group = strings.ToLower(group)
	}
	return key{group, strings.ToLower(name)}, true
}
