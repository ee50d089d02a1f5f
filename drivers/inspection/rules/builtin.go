package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/ironmaster/ironmaster/store"
)

// ParseBuiltIn reads a file of [inspection_rules]built_in_rules: a list of rules in YAML, as users give them to ironic-api. Their
// priorities may be anything. The error names the rule and what is wrong with it.
func (e *Engine) ParseBuiltIn(text []byte) ([]*store.InspectionRule, error) {
	var items []map[string]any
	if err := yaml.Unmarshal(text, &items); err != nil {
		return nil, fmt.Errorf("reading a list of rules: %w", err)
	}
	var all []*store.InspectionRule
	unnamed := 0
	for i, item := range items {
		rule, err := e.parseOne(item)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		if rule.UUID == "" {
			rule.UUID = fmt.Sprintf("00000000-0000-0000-0000-%012x", unnamed)
			unnamed++
		}
		all = append(all, rule)
	}
	return all, nil
}

func (e *Engine) parseOne(item map[string]any) (*store.InspectionRule, error) {
	plain, err := fromYAML(item)
	if err != nil {
		return nil, err
	}
	d, _ := asDict(plain)
	for _, key := range slices.Sorted(maps.Keys(d)) {
		if !slices.Contains([]string{"uuid", "priority", "description", "sensitive", "phase", "scope", "actions", "conditions"}, key) {
			return nil, fmt.Errorf("%s is unknown", key)
		}
	}
	rule := &store.InspectionRule{UUID: d.String("uuid"), Phase: new(PhaseMain)}
	if phase := d.String("phase"); phase != "" && phase != PhaseMain {
		return nil, fmt.Errorf("phase is %q, and there is only %s", phase, PhaseMain)
	}
	if rule.Priority, _, err = d.Int("priority"); err != nil {
		return nil, err
	}
	if v, given := d["sensitive"]; given && v != nil {
		sensitive, ok := v.(bool)
		if !ok {
			return nil, errors.New("sensitive is neither true nor false")
		}
		rule.Sensitive = sensitive
	}
	if rule.Conditions, err = operations(d, "conditions", e.checkCondition); err != nil {
		return nil, err
	}
	if rule.Actions, err = operations(d, "actions", e.checkAction); err != nil {
		return nil, err
	}
	if len(rule.Actions) == 0 {
		return nil, errors.New("there are no actions")
	}
	return rule, nil
}

// operations reads the list under a key.
func operations(d store.Dict, key string, check func(operation) (signature, error)) ([]store.Dict, error) {
	if v, given := d[key]; given && v != nil {
		if _, ok := v.([]any); !ok {
			return nil, fmt.Errorf("%s is not a list", key)
		}
	}
	var all []store.Dict
	for i, item := range d.List(key) {
		one, ok := asDict(item)
		if !ok {
			return nil, fmt.Errorf("%s: number %d is not an object", key, i+1)
		}
		s, err := check(operation(one))
		if err == nil {
			err = s.fits(one["args"])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: number %d: %w", key, i+1, err)
		}
		all = append(all, one)
	}
	return all, nil
}

func (e *Engine) checkCondition(o operation) (signature, error) {
	name, _, err := o.op()
	if err != nil {
		return signature{}, err
	}
	c, known := conditionOf(name)
	if !known {
		return signature{}, fmt.Errorf("there is no condition %q", name)
	}
	return c.signature, nil
}

func (e *Engine) checkAction(o operation) (signature, error) {
	name, _ := o["op"].(string)
	a, known := e.actionNamed(name)
	if !known {
		return signature{}, fmt.Errorf("there is no action %q", name)
	}
	return a.signature, nil
}

// fits checks the names, or the number, of arguments.
func (s signature) fits(args any) error {
	if list, ok := args.([]any); ok {
		if len(list) < len(s.required) || len(list) > len(s.required)+len(s.optional) {
			return fmt.Errorf("there are %d args", len(list))
		}
		return nil
	}
	d, ok := asDict(args)
	if !ok {
		return errors.New("args is neither a list nor an object")
	}
	for _, name := range s.required {
		if _, given := d[name]; !given {
			return fmt.Errorf("args: %s is missing", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if !slices.Contains(s.required, name) && !slices.Contains(s.optional, name) {
			return fmt.Errorf("args: %s is unknown", name)
		}
	}
	return nil
}

// fromYAML is a value as it would be decoded from JSON.
func fromYAML(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string:
		return v, nil
	case int:
		return json.Number(strconv.Itoa(v)), nil
	case float64:
		return json.Number(strconv.FormatFloat(v, 'g', -1, 64)), nil
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			var err error
			if out[i], err = fromYAML(inner); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := store.Dict{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			var err error
			if out[key], err = fromYAML(v[key]); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("a value of type %T is not understood", v)
}
