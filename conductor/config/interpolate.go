package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// reference is oslo.config's template syntax: $$, $name and ${name}, where a name may hold dots. The expression takes
// the longest name, so "$my_ip." asks for an option "my_ip." and fails, as it does upstream.
var reference = regexp.MustCompile(`\$(?:(\$)|([_a-zA-Z][._a-zA-Z0-9]*)|\{([_a-zA-Z][._a-zA-Z0-9]*)\})`)

var errReference = errors.New("refers to an option that does not exist (a literal dollar sign is written $$)")

// finder returns an option's value as text, and whether there is such an option.
type finder func(key) (string, bool, error)

// substitute replaces the references in a value of the group.
func substitute(text, group string, find finder) (string, error) {
	text = strings.ReplaceAll(text, `\$`, "$$")
	var failed error
	result := reference.ReplaceAllStringFunc(text, func(match string) string {
		if match == "$$" {
			return "$"
		}
		value, err := resolve(strings.Trim(match, "${}"), group, find)
		if failed == nil {
			failed = err
		}
		return value
	})
	return result, failed
}

// resolve finds what a name means: an option of the same group, then of DEFAULT; with a dot, of the group before it.
func resolve(name, group string, find finder) (string, error) {
	candidates := []key{{group, name}, {"DEFAULT", name}}
	if before, after, dotted := strings.Cut(name, "."); dotted {
		candidates = []key{{before, after}}
	}
	for _, candidate := range candidates {
		if value, ok, err := find(candidate); ok {
			return value, err
		}
	}
	return "", errReference
}

// repr writes a list as Python does when a list is substituted into a text.
func repr(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = fmt.Sprintf("'%s'", strings.ReplaceAll(item, `'`, `\'`))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
