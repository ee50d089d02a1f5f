package rootdevice

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// Find returns the disks that satisfy all hints, in their order. A disk is an object with the names of hints as keys; its size is in
// bytes, that of a hint in GiB. The error is that of Check, or tells which hint cannot be compared with a disk.
func Find(disks []store.Dict, hints store.Dict) ([]store.Dict, error) {
	if err := Check(hints); err != nil {
		return nil, err
	}
	var found []store.Dict
	for _, disk := range disks {
		fits, err := satisfies(disk, hints)
		if err != nil {
			return nil, err
		}
		if fits {
			found = append(found, disk)
		}
	}
	return found, nil
}

func satisfies(disk, hints store.Dict) (bool, error) {
	for _, name := range slices.Sorted(maps.Keys(hints)) {
		fits, err := satisfiesOne(disk, name, hints[name])
		if err != nil || !fits {
			return false, err
		}
	}
	return true, nil
}

func satisfiesOne(disk store.Dict, name string, hint any) (bool, error) {
	expression := strings.ToLower(strings.TrimSpace(store.Dict{"": hint}.String("")))
	switch kindOf(name) {
	case boolean:
		want, _ := parseBool(hint)
		has, known := parseBool(disk[name])
		return known && has == want, nil
	case number:
		bytes, isNumber := disk[name].(json.Number)
		size, err := bytes.Float64()
		if !isNumber || err != nil {
			return false, wrong("Root device hint \"%s\" cannot be compared with a disk of unknown size", name)
		}
		return compare(name, strconv.FormatFloat(size/(1<<30), 'f', -1, 64), split(expression), "==")
	}
	has := strings.ToLower(strings.TrimSpace(disk.String(name)))
	if disk[name] == nil {
		// This is how an agent's missing value reads.
		has = "none"
	}
	if has == "" {
		return false, nil
	}
	return compare(name, has, split(expression), "s==")
}

// condition is an operator with its values; the operator is "" where none is given.
type condition struct {
	operator string
	values   []string
}

// operator is one of oslo.utils' specs_matcher, at the start of an expression.
var operator = regexp.MustCompile(`^(?:<or>|<all-in>|<range-in>|==|=|!=|<in>|>=|<=|>|<|s==|s!=|s<=|s<|s>=|s>)`)

func split(expression string) condition {
	op := operator.FindString(expression)
	if op == "" || strings.TrimSpace(strings.TrimPrefix(expression, op)) == "" {
		return condition{values: []string{expression}}
	}
	c := condition{operator: op}
	for value := range strings.SplitSeq(expression, op) {
		if value = strings.TrimSpace(value); value != "" {
			c.values = append(c.values, value)
		}
	}
	if len(c.values) == 0 {
		// Nothing but operators is no condition.
		return condition{values: []string{expression}}
	}
	return c
}

// compare holds a disk's value against a condition, which without an operator is one for equality. Texts are compared in the form of
// URLs, as specs_matcher takes no blanks.
func compare(name, has string, c condition, equality string) (bool, error) {
	if c.operator == "" {
		c.operator = equality
	}
	first, quoted := c.values[0], url.PathEscape(has)
	switch c.operator {
	case "<or>":
		return slices.Contains(c.values, has), nil
	case "<in>":
		return strings.Contains(quoted, url.PathEscape(first)), nil
	case "<all-in>", "<range-in>":
		return false, wrong("Root device hint \"%s\" has an operator that disks are not compared by: %s", name, c.operator)
	}
	if op, texts := strings.CutPrefix(c.operator, "s"); texts {
		return ordered(op, quoted, url.PathEscape(first)), nil
	}
	a, errA := strconv.ParseFloat(has, 64)
	b, errB := strconv.ParseFloat(first, 64)
	if errA != nil || errB != nil {
		return false, wrong("Root device hint \"%s\" compares numbers, and %q or %q is none", name, has, first)
	}
	// "=" stands for at least, since ever.
	return ordered(c.operator, a, b), nil
}

func ordered[T cmp.Ordered](op string, a, b T) bool {
	switch op {
	case "==":
		return a == b
	case "!=":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	}
	return a >= b
}
