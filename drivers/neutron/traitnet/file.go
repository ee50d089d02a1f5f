package traitnet

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// minGroup is how few ports make a group.
const minGroup = 2

// Parse reads the file of [conductor]trait_based_networking_config_file: the rules of each trait in YAML. The error names the trait and
// what is wrong with it.
func Parse(text []byte) ([]Trait, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("there are no traits by name")
	}
	// yaml.v3 has no ordered map, and traits of the same order count in that of the file.
	entries := document.Content[0].Content
	var all []Trait
	for i := 0; i+1 < len(entries); i += 2 {
		trait, err := parseTrait(entries[i].Value, entries[i+1])
		if err != nil {
			return nil, fmt.Errorf("trait %s: %w", entries[i].Value, err)
		}
		if slices.ContainsFunc(all, func(t Trait) bool { return t.Name == trait.Name }) {
			return nil, fmt.Errorf("trait %s is there twice", trait.Name)
		}
		all = append(all, trait)
	}
	return all, nil
}

func parseTrait(name string, node *yaml.Node) (Trait, error) {
	var rules struct {
		Actions []map[string]any
		Order   *float64
	}
	if err := node.Decode(&rules); err != nil {
		return Trait{}, err
	}
	if rules.Actions == nil {
		return Trait{}, errors.New("there is no list of actions")
	}
	trait := Trait{Name: name, Order: 1}
	if rules.Order != nil {
		trait.Order = *rules.Order
	}
	for i, item := range rules.Actions {
		action, err := parseAction(item)
		if err != nil {
			return Trait{}, fmt.Errorf("action %d: %w", i+1, err)
		}
		trait.Actions = append(trait.Actions, action)
	}
	return trait, nil
}

func parseAction(item map[string]any) (a Action, err error) {
	for _, key := range slices.Sorted(maps.Keys(item)) {
		if !slices.Contains([]string{"action", "filter", "min_count", "max_count"}, key) {
			return a, fmt.Errorf("%s is unknown", key)
		}
	}
	verb, _ := item["action"].(string)
	a.Verb = Verb(verb)
	if !slices.Contains([]Verb{AttachPort, AttachPortgroup, GroupAndAttachPorts, BondPorts}, a.Verb) {
		return a, fmt.Errorf("action %v is unknown", item["action"])
	}
	filter, ok := item["filter"].(string)
	if !ok {
		return a, errors.New("filter is missing")
	}
	if a.Filter, err = parseFilter(filter); err != nil {
		return a, fmt.Errorf("filter: %w", err)
	}
	if a.Min, err = count(item, "min_count"); err != nil {
		return a, err
	}
	if a.Max, err = count(item, "max_count"); err != nil {
		return a, err
	}
	if a.Verb == GroupAndAttachPorts {
		switch {
		case a.Min == nil || *a.Min < minGroup:
			return a, fmt.Errorf("min_count of %s is not at least %d", a.Verb, minGroup)
		case a.Max != nil && *a.Max < *a.Min:
			return a, fmt.Errorf("max_count %d is less than min_count %d", *a.Max, *a.Min)
		}
	}
	return a, nil
}

// count reads a number, also one that is written as text.
func count(item map[string]any, key string) (*int, error) {
	switch v := item[key].(type) {
	case nil:
		return nil, nil
	case int:
		return &v, nil
	case string:
		if n, err := strconv.Atoi(strings.TrimSpace(v)); err == nil {
			return &n, nil
		}
	}
	return nil, fmt.Errorf("%s is no whole number: %v", key, item[key])
}
