package rules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Apply applies the rules of a phase, those of higher priority first. The node is changed in memory: the caller saves it, also after a
// failure, for what was done before it stays. Ports and traits are saved at once.
//
// Crash windows: what is done twice is the same as done once, except that a list of a port gets a value again, and that an api-call is
// made again.
func (e *Engine) Apply(ctx context.Context, t *drivers.Task, inventory, pluginData store.Dict, phase string) error {
	all, err := e.keep.InspectionRules(ctx, phase)
	if err != nil {
		return fmt.Errorf("reading the inspection rules: %w", err)
	}
	all = append(slices.Clone(all), e.cfg.BuiltIn...)
	slices.SortStableFunc(all, func(a, b *store.InspectionRule) int { return cmp.Compare(b.Priority, a.Priority) })
	for _, rule := range all {
		if err := e.applyOne(ctx, t, rule, inventory, pluginData); err != nil {
			return e.explained(ctx, t, rule, err)
		}
	}
	return nil
}

// explained is a failure as ironic words it. What ended with the worker or its lock stays that.
func (e *Engine) explained(ctx context.Context, t *drivers.Task, rule *store.InspectionRule, err error) error {
	if store.KindOf(err) != "" || errors.Is(err, store.ErrLockLost) || ctx.Err() != nil {
		return err
	}
	return store.Errorf(store.IronicException, "Failed to apply rule %s to node %s: %w", rule.UUID, t.Node.UUID, err)
}

func (e *Engine) applyOne(ctx context.Context, t *drivers.Task, rule *store.InspectionRule, inventory, pluginData store.Dict) error {
	masked := e.cfg.MaskSecrets == MaskAlways || e.cfg.MaskSecrets == MaskSensitive && !rule.Sensitive
	r := &run{Task: t, engine: e, inventory: value{inventory, masked}, plugin: value{pluginData, masked}}
	for _, c := range rule.Conditions {
		holds, err := r.check(operation(c))
		if err != nil || !holds {
			return err
		}
	}
	t.Log.Info().Str("rule", rule.UUID).Msg("An inspection rule is applied")
	for _, a := range rule.Actions {
		if err := r.act(ctx, operation(a)); err != nil {
			return err
		}
	}
	return nil
}

// operation is a condition or an action: op, args, loop and multiple.
type operation store.Dict

// op is the name of the operation, and whether its result is inverted.
func (o operation) op() (name string, inverted bool, err error) {
	text, _ := o["op"].(string)
	if text == "" {
		return "", false, failure("Operation must contain 'op' key")
	}
	text = strings.TrimSpace(text)
	if strings.Count(text, "!") > 1 {
		return "", false, valueError("Multiple exclamation marks are not allowed. To apply the invert of an operation, simply add an " +
			"exclamation mark (with an optional space) before the operator, e.g. eq - !eq.")
	}
	name, inverted = strings.CutPrefix(text, "!")
	return strings.TrimSpace(name), inverted, nil
}

// loop are the items to go through; looping is false without any. An object counts as one item.
func (o operation) loop() (items []any, looping bool) {
	switch l := o["loop"].(type) {
	case []any:
		return l, len(l) > 0
	case store.Dict, map[string]any:
		return []any{l}, store.PythonTrue(l)
	}
	return nil, false
}

// signature describes the arguments of an operation.
type signature struct {
	// function is the method's name in Python, for failures that name it.
	function           string
	required, optional []string
	// formatted are those whose replacement fields are filled in also outside of loops.
	formatted []string
}

// arguments reads the arguments of an operation, by name or in their order, and fills in what is to be filled in.
func (r *run) arguments(op string, o operation, s signature) (store.Dict, error) {
	given := store.Dict{}
	switch args := o["args"].(type) {
	case store.Dict:
		maps.Copy(given, args)
	case map[string]any:
		maps.Copy(given, args)
	case []any:
		names := slices.Concat(s.required, s.optional)
		if len(args) < len(s.required) {
			return nil, store.Errorf(store.IronicException, "('Not enough arguments provided. Missing: %%s', %s)",
				store.PythonRepr(strings.Join(s.required[len(args):], ", ")))
		}
		for i, arg := range args[:min(len(args), len(names))] {
			given[names[i]] = arg
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(s.required, name) && !slices.Contains(s.optional, name) {
			return nil, fmt.Errorf("%s() got an unexpected keyword argument '%s'", s.function, name)
		}
	}
	var missing []string
	for _, name := range s.required {
		if _, there := given[name]; !there {
			missing = append(missing, "'"+name+"'")
		}
	}
	if len(missing) > 0 {
		plural := ""
		if len(missing) > 1 {
			plural = "s"
		}
		return nil, fmt.Errorf("%s() missing %d required positional argument%s: %s", s.function, len(missing), plural,
			strings.Join(missing, " and "))
	}
	for name, arg := range given {
		if r.item != nil || slices.Contains(s.formatted, name) {
			given[name] = r.interpolate(op, arg)
		}
	}
	return given, nil
}
