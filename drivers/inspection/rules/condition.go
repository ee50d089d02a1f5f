package rules

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// condition is one of the operators that look at a node.
type condition struct {
	signature
	check func(r *run, args store.Dict) (bool, error)
}

func conditionOf(name string) (condition, bool) {
	comparison := func(sign string, fits func(a, b any) (bool, error)) condition {
		return condition{signature{"SimpleOperator.__call__", []string{"values"}, []string{"force_strings"}, nil},
			func(_ *run, args store.Dict) (bool, error) { return chain(name, args, fits) }}
	}
	single := func(class string, check func(v any) bool) condition {
		return condition{signature{class + ".__call__", []string{"value"}, nil, []string{"value"}},
			func(_ *run, args store.Dict) (bool, error) { return check(args["value"]), nil }}
	}
	pattern := func(class string, check func(args store.Dict) (bool, error)) condition {
		return condition{signature{class + ".__call__", []string{"value", "regex"}, nil, []string{"value"}},
			func(_ *run, args store.Dict) (bool, error) { return check(args) }}
	}
	switch name {
	case "eq":
		return comparison("==", func(a, b any) (bool, error) { return equal(a, b), nil }), true
	case "lt":
		return comparison("<", func(a, b any) (bool, error) { o, err := order(a, b, "<"); return o < 0, err }), true
	case "gt":
		return comparison(">", func(a, b any) (bool, error) { o, err := order(a, b, ">"); return o > 0, err }), true
	case "is-empty":
		return single("EmptyOperator", func(v any) bool { return slices.Contains([]string{"", "None", "[]", "{}"}, str(v)) }), true
	case "is-none":
		return single("IsNoneOperator", func(v any) bool { return v == nil }), true
	case "is-true":
		return single("IsTrueOperator", isTrue), true
	case "is-false":
		return single("IsFalseOperator", isFalse), true
	case "in-net":
		return condition{signature{"NetOperator.__call__", []string{"address", "subnet"}, nil, []string{"address", "subnet"}}, inNet}, true
	case "one-of":
		return condition{signature{"OneOfOperator.__call__", []string{"value"}, []string{"values"}, []string{"value"}}, oneOf}, true
	case "matches":
		return pattern("MatchesOperator", matches), true
	case "contains":
		return pattern("ContainsOperator", contains), true
	}
	return condition{}, false
}

// conditionNames are in ironic's order, which its failure tells.
var conditionNames = []string{"eq", "lt", "gt", "is-empty", "in-net", "matches", "contains", "one-of", "is-none", "is-true", "is-false"}

// check tells whether a condition holds. In a loop, "multiple" says which of its turns count; any one will do when it says nothing.
func (r *run) check(o operation) (bool, error) {
	name, inverted, err := o.op()
	if err != nil {
		return false, err
	}
	c, known := conditionOf(name)
	if !known {
		return false, valueError("Unsupported operator: '%s'. Supported operators are: %s.", name,
			strings.Join(conditionNames, ", "))
	}
	if name == "eq" || name == "lt" || name == "gt" {
		if r.engine.cfg.ValuesFormatted {
			c.formatted = []string{"values"}
		}
	}
	once := func() (bool, error) {
		args, err := r.arguments(name, o, c.signature)
		if err != nil {
			return false, err
		}
		if r.item != nil && slices.Contains(c.optional, "force_strings") {
			args["force_strings"] = true
		}
		holds, err := c.check(r, args)
		return holds != inverted, err
	}
	items, looping := o.loop()
	if !looping {
		return once()
	}
	defer func() { r.item = nil }()
	var results []bool
	multiple, _ := o["multiple"].(string)
	for _, item := range items {
		r.item = &value{v: item}
		holds, err := once()
		if err != nil {
			return false, err
		}
		if multiple == "first" && holds {
			return true, nil
		}
		results = append(results, holds)
	}
	switch multiple {
	case "all":
		return !slices.Contains(results, false), nil
	case "first":
		return results[0], nil
	case "last":
		return results[len(results)-1], nil
	}
	return slices.Contains(results, true), nil
}

// chain holds each of the values against the next one.
func chain(name string, args store.Dict, fits func(a, b any) (bool, error)) (bool, error) {
	values, ok := args["values"].([]any)
	if !ok {
		return false, conditionFailed("Failed to check condition: '%s' on values: %s: Expected list for 'values', got: %s", name,
			str(args["values"]), typeName(args["values"]))
	}
	if store.PythonTrue(args["force_strings"]) {
		texts := make([]any, len(values))
		for i, v := range values {
			texts[i] = str(v)
		}
		values = texts
	}
	for i := 1; i < len(values); i++ {
		holds, err := fits(values[i-1], values[i])
		if err != nil || !holds {
			return false, err
		}
	}
	return true, nil
}

func isTrue(v any) bool {
	if f, ok := number(v); ok {
		return f != 0
	}
	text, _ := v.(string)
	return slices.Contains([]string{"yes", "true"}, strings.ToLower(text))
}

func isFalse(v any) bool {
	if f, ok := number(v); ok {
		return f == 0
	}
	text, _ := v.(string)
	return v == nil || slices.Contains([]string{"no", "false"}, strings.ToLower(text))
}

func inNet(_ *run, args store.Dict) (bool, error) {
	subnet, address := str(args["subnet"]), str(args["address"])
	prefix, err := netip.ParsePrefix(subnet)
	if one, addressErr := netip.ParseAddr(subnet); addressErr == nil {
		prefix, err = one.Prefix(one.BitLen())
	}
	if err != nil {
		return false, failure("invalid value: invalid IPNetwork %s", subnet)
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false, fmt.Errorf("failed to detect a valid IP address from %s", store.PythonRepr(args["address"]))
	}
	return prefix.Contains(ip.WithZone("")), nil
}

func oneOf(_ *run, args store.Dict) (bool, error) {
	switch values := args["values"].(type) {
	case nil:
		if _, given := args["values"]; !given {
			return false, nil
		}
	case []any:
		return slices.ContainsFunc(values, func(v any) bool { return equal(v, args["value"]) }), nil
	case string:
		text, ok := args["value"].(string)
		if !ok {
			return false, typeError("'in <string>' requires string as left operand, not %s", typeName(args["value"]))
		}
		return strings.Contains(values, text), nil
	case store.Dict, map[string]any:
		d, _ := asDict(values)
		text, ok := args["value"].(string)
		_, there := d[text]
		return ok && there, nil
	}
	return false, typeError("argument of type '%s' is not iterable", typeName(args["values"]))
}

// expression compiles a regular expression. It is matched in linear time, and so has neither look-around nor references back.
func expression(v any) (text string, e *regexp.Regexp, err error) {
	text, ok := v.(string)
	if !ok {
		return "", nil, typeError("first argument must be string or compiled pattern")
	}
	text = strings.ReplaceAll(text, `\Z`, `\z`)
	if e, err = regexp.Compile(text); err != nil {
		return "", nil, failure("invalid regular expression: %w", err)
	}
	return text, e, nil
}

// matches tells whether the whole of a value, but for a newline at its end, fits.
func matches(args store.Dict) (bool, error) {
	text, _, err := expression(args["regex"])
	if err != nil {
		return false, err
	}
	if text == "" {
		return false, &pythonError{"IndexError", "string index out of range"}
	}
	if !strings.HasSuffix(text, "$") {
		text += "$"
	}
	e, err := regexp.Compile(`\A(?:` + text + `)`)
	if err != nil {
		return false, failure("invalid regular expression: %w", err)
	}
	shown := str(args["value"])
	return e.MatchString(shown) || e.MatchString(strings.TrimSuffix(shown, "\n")), nil
}

func contains(args store.Dict) (bool, error) {
	_, e, err := expression(args["regex"])
	if err != nil {
		return false, err
	}
	return e.MatchString(str(args["value"])), nil
}
