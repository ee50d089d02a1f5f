package traitnet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestRulesThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "there are no traits by name",
		"- a":                                    "there are no traits by name",
		"a: [":                                   "yaml",
		"T: x":                                   "trait T: ",
		"T: {}":                                  "trait T: there is no list of actions",
		"T: null":                                "trait T: there is no list of actions",
		"T: {actions: x}":                        "trait T: ",
		"T: {order: first, actions: []}":         "trait T: ",
		"T: {actions: []}\nT: {actions: []}":     "trait T is there twice",
		"T: {actions: [{filter: port.is_port}]}": "trait T: action 1: action <nil> is unknown",
		"T: {actions: [{action: detach, filter: port.is_port}]}":                                             "trait T: action 1: action detach is unknown",
		"T: {actions: [{action: attach_port}]}":                                                              "trait T: action 1: filter is missing",
		"T: {actions: [{action: attach_port, filter: x}]}":                                                   "trait T: action 1: filter: there is no variable here: x",
		"T: {actions: [{action: attach_port, filter: port.is_port, max: 1}]}":                                "trait T: action 1: max is unknown",
		"T: {actions: [{action: attach_port, filter: port.is_port, min_count: some}]}":                       "min_count is no whole number: some",
		"T: {actions: [{action: attach_port, filter: port.is_port, max_count: 1.5}]}":                        "max_count is no whole number: 1.5",
		"T: {actions: [{action: group_and_attach_ports, filter: port.is_port}]}":                             "min_count of group_and_attach_ports is not at least 2",
		"T: {actions: [{action: group_and_attach_ports, filter: port.is_port, min_count: 1}]}":               "min_count of group_and_attach_ports is not at least 2",
		"T: {actions: [{action: group_and_attach_ports, filter: port.is_port, min_count: 3, max_count: 2}]}": "max_count 2 is less than min_count 3",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"T: {actions: [{action: attach_port, filter: port.is_port}]}", "T: {order: 2, actions: []}", "- a", "T: {actions: [{action: group_and_attach_ports, filter: port.is_port, min_count: 2}]}", "&a [*a]"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		traits, err := Parse(text)
		if err != nil {
			return
		}
		steps, _ := Plan(traits, []Candidate{{ID: 1, UUID: "p1", Groupable: true}, {ID: 2, UUID: "p2", Groupable: true}}, nil, Network{})
		for _, s := range steps {
			if len(s.Members) == 0 || s.Group && len(s.Members) < minGroup {
				t.Errorf("%q: step %v", text, s)
			}
		}
	})
}

// write gives the file a time of its own, whatever the file system's clock.
func write(t *testing.T, file, text string, age time.Duration) {
	t.Helper()
	err := os.WriteFile(file, []byte(text), 0o600)
	if err == nil {
		err = os.Chtimes(file, time.Time{}, time.Unix(1e9, 0).Add(age))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestChangedRulesAreRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if _, err := Open(file); err == nil {
		t.Error("there is no file, and it was read")
	}
	write(t, file, "- a", 0)
	if _, err := Open(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("rules with errors: %v", err)
	}
	const rules = ": {actions: [{action: attach_port, filter: port.is_port}]}"
	write(t, file, "A"+rules, time.Second)
	s, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	names := func() (all string) {
		for _, trait := range s.Traits(zerolog.Nop()) {
			all += trait.Name
		}
		return all
	}
	if got := names(); got != "A" {
		t.Errorf("got %s", got)
	}
	write(t, file, "A"+rules+"\nB"+rules, 2*time.Second)
	if got := names(); got != "AB" {
		t.Errorf("after a change: %s", got)
	}
	write(t, file, "- a", 3*time.Second)
	if got := names(); got != "AB" {
		t.Errorf("after a change with errors: %s", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := names(); got != "AB" {
		t.Errorf("without the file: %s", got)
	}
}
