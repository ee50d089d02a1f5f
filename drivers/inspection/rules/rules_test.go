package rules

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// testdata/cases.json has rules with what they look at, testdata/outcomes-RELEASE.json what ironic's own engine made of them:
// testdata/golden.py wrote it, on Debian 13 and sid.

// goldenCase is one of the cases.
type goldenCase struct {
	Rules             []store.Dict
	Inventory, Plugin store.Dict
	Mask              string
	Node              store.Dict
	Ports             []store.Dict
}

// outcome is what became of one.
type outcome struct {
	Error  string       `json:"error,omitempty"`
	Node   store.Dict   `json:"node"`
	Plugin store.Dict   `json:"plugin"`
	Ports  []store.Dict `json:"ports"`
	Traits []string     `json:"traits"`
}

// keeper has the rules of a case, and its ports.
type keeper struct {
	drivers.Worker
	rules  []*store.InspectionRule
	ports  []*store.Port
	traits []string
}

func (k *keeper) InspectionRules(context.Context, string) ([]*store.InspectionRule, error) {
	return k.rules, nil
}

func (k *keeper) AddTrait(_ context.Context, _ *store.Node, trait string) error {
	k.traits = append(k.traits, "+"+trait)
	return nil
}

func (k *keeper) RemoveTrait(_ context.Context, _ *store.Node, trait string) error {
	if trait == "CUSTOM_NONE" {
		return store.Errorf(store.NodeTraitNotFound, "Node 1 doesn't have a trait '%s'", trait)
	}
	k.traits = append(k.traits, "-"+trait)
	return nil
}

func (k *keeper) Ports(context.Context, *drivers.Task) ([]*store.Port, error) { return k.ports, nil }
func (k *keeper) SavePort(context.Context, *drivers.Task, *store.Port) error  { return nil }

func read(t testing.TB, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func (c goldenCase) keeper() *keeper {
	k := &keeper{}
	for i, d := range c.Rules {
		rule := &store.InspectionRule{UUID: "rule-" + string(rune('0'+i)), Sensitive: d.Bool("sensitive", false)}
		rule.Priority, _, _ = d.Int("priority")
		for _, one := range d.List("conditions") {
			rule.Conditions = append(rule.Conditions, one.(map[string]any))
		}
		for _, one := range d.List("actions") {
			rule.Actions = append(rule.Actions, one.(map[string]any))
		}
		k.rules = append(k.rules, rule)
	}
	for _, p := range c.Ports {
		k.ports = append(k.ports, &store.Port{UUID: p.String("uuid"), Address: p.String("address"), Extra: store.Dict{}})
	}
	return k
}

func (c goldenCase) node() *store.Node {
	n := &store.Node{ID: 1, UUID: "0a17c0de-1d2e-4f3a-8b4c-5d6e7f809101", Name: new("a"), Driver: "fake-hardware",
		Extra: store.Dict{}, Properties: store.Dict{}, DriverInfo: store.Dict{}}
	if d := c.Node.Dict("extra"); d != nil {
		n.Extra = d.Clone()
	}
	if d := c.Node.Dict("properties"); d != nil {
		n.Properties = d.Clone()
	}
	if text := c.Node.String("description"); text != "" {
		n.Description = &text
	}
	return n
}

// play applies the rules of a case.
func (c goldenCase) play(t testing.TB, cfg Config) outcome {
	t.Helper()
	k, n := c.keeper(), c.node()
	cfg.MaskSecrets = c.Mask
	plugin := c.Plugin.Clone()
	if plugin == nil {
		plugin = store.Dict{}
	}
	err := NewEngine(cfg, k).Apply(t.Context(), &drivers.Task{Node: n, Worker: k, Log: zerolog.Nop()}, c.Inventory, plugin, PhaseMain)
	out := outcome{Plugin: plugin, Traits: k.traits, Node: store.Dict{"extra": n.Extra, "properties": n.Properties,
		"driver_info": n.DriverInfo, "driver": n.Driver, "maintenance": n.Maintenance, "description": nil}}
	if err != nil {
		out.Error = err.Error()
	}
	if n.Description != nil {
		out.Node["description"] = *n.Description
	}
	for _, p := range k.ports {
		one := store.Dict{"extra": p.Extra, "physical_network": nil}
		if p.PhysicalNetwork != nil {
			one["physical_network"] = *p.PhysicalNetwork
		}
		out.Ports = append(out.Ports, one)
	}
	return out
}

func text(t testing.TB, o outcome) string {
	t.Helper()
	encoded, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func TestRulesDoWhatIronicsDo(t *testing.T) {
	var cases map[string]goldenCase
	read(t, "cases.json", &cases)
	var differences map[string]string
	read(t, "differences.json", &differences)
	for release, cfg := range map[string]Config{"29.0": {}, "39.0": {HTTP: &http.Client{}, EmptyMissing: true, ValuesFormatted: true}} {
		var outcomes map[string]outcome
		read(t, "outcomes-"+release+".json", &outcomes)
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			t.Run(release+" "+name, func(t *testing.T) {
				want := outcomes[name]
				if len(want.Traits) == 0 {
					want.Traits = nil
				}
				got, same := text(t, cases[name].play(t, cfg)), text(t, want)
				switch _, differs := differences[name]; {
				case differs && got == same && release == "39.0":
					t.Error("it is the same, although differences.json says why it is not")
				case !differs && got != same:
					t.Errorf("got %s\nwant %s", got, same)
				}
			})
		}
	}
}
