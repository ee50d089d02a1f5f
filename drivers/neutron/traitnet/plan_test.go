package traitnet

import (
	"fmt"
	"strings"
	"testing"
)

func TestPlans(t *testing.T) {
	port := func(id int64, network string) Candidate {
		return Candidate{ID: id, UUID: fmt.Sprint("p", id), PhysicalNetwork: told(network), Category: told("data"), Groupable: true}
	}
	group := func(id int64) Candidate { return Candidate{ID: id, UUID: fmt.Sprint("g", id), Group: true} }
	locked := port(3, "a")
	locked.Groupable = false
	ports := []Candidate{port(1, "a"), port(2, "b"), port(3, "a")}
	for name, c := range map[string]struct {
		rules  string
		ports  []Candidate
		groups []Candidate
		want   string
	}{
		"the newest port":            {rules: "T: {actions: [{action: attach_port, filter: port.is_port}]}", want: "p3"},
		"one that fits":              {rules: "T: {actions: [{action: attach_port, filter: port.physical_network == 'b'}]}", want: "p2"},
		"none that fits":             {rules: "T: {actions: [{action: attach_port, filter: port.physical_network == 'c'}]}"},
		"no port is a group":         {rules: "T: {actions: [{action: attach_port, filter: port.is_portgroup}]}", groups: []Candidate{group(1)}},
		"a group":                    {rules: "T: {actions: [{action: attach_portgroup, filter: port.is_portgroup}]}", groups: []Candidate{group(1), group(2)}, want: "g2"},
		"the order of the rules":     {rules: "T: {actions: [{action: attach_port, filter: port.is_port}, {action: attach_port, filter: port.is_port}]}", want: "p3 p2"},
		"as many as there are":       {rules: "T: {actions: [{action: attach_port, filter: port.is_port, min_count: 1}]}", want: "p3 p2 p1"},
		"at most two":                {rules: "T: {actions: [{action: attach_port, filter: port.is_port, min_count: '1', max_count: 2}]}", want: "p3 p2"},
		"too few":                    {rules: "T: {actions: [{action: attach_port, filter: port.is_port, min_count: 4}]}"},
		"without a least number":     {rules: "T: {actions: [{action: attach_port, filter: port.is_port, max_count: 2}]}", want: "p3"},
		"a bond":                     {rules: "T: {actions: [{action: group_and_attach_ports, filter: port.is_port, min_count: 2}]}", want: "(p3 p1)"},
		"a bond and what is left":    {rules: "T: {actions: [{action: group_and_attach_ports, filter: port.is_port, min_count: 2}, {action: attach_port, filter: port.is_port}]}", want: "(p3 p1) p2"},
		"a bond of at most two":      {rules: "T: {actions: [{action: group_and_attach_ports, filter: port.is_port, min_count: 2, max_count: 2}]}", ports: []Candidate{port(1, "a"), port(2, "a"), port(4, "a")}, want: "(p4 p2)"},
		"a bond that is too small":   {rules: "T: {actions: [{action: group_and_attach_ports, filter: port.is_port, min_count: 3}]}"},
		"a port that may not":        {rules: "T: {actions: [{action: group_and_attach_ports, filter: port.is_port, min_count: 2}]}", ports: []Candidate{port(1, "a"), locked}},
		"a bond for its network":     {rules: "T: {actions: [{action: group_and_attach_ports, filter: network.name == 'net', min_count: 2}]}", want: "(p3 p1)"},
		"a bond for another one":     {rules: "T: {actions: [{action: group_and_attach_ports, filter: network.name == 'other', min_count: 2}]}"},
		"what nobody implements":     {rules: "T: {actions: [{action: bond_ports, filter: port.is_port}]}"},
		"no rules":                   {rules: "T: {actions: []}"},
		"the next trait":             {rules: "A: {actions: [{action: attach_port, filter: port.is_portgroup}]}\nB: {actions: [{action: attach_port, filter: port.is_port}]}", want: "p3"},
		"not the next trait":         {rules: "A: {actions: [{action: attach_port, filter: port.physical_network == 'b'}]}\nB: {actions: [{action: attach_port, filter: port.is_port}]}", want: "p2"},
		"traits in their order":      {rules: "A: {actions: [{action: attach_port, filter: port.is_port}]}\nB: {order: 0.5, actions: [{action: attach_port, filter: port.physical_network == 'b'}]}", want: "p2"},
		"traits in the file's order": {rules: "B: {actions: [{action: attach_port, filter: port.physical_network == 'b'}]}\nA: {actions: [{action: attach_port, filter: port.is_port}]}", want: "p2"},
	} {
		t.Run(name, func(t *testing.T) {
			traits, err := Parse([]byte(c.rules))
			if err != nil {
				t.Fatal(err)
			}
			if c.ports == nil {
				c.ports = ports
			}
			steps, err := Plan(traits, c.ports, c.groups, Network{ID: "vif", Name: told("net")})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range steps {
				text := strings.Join(s.Members, " ")
				if s.Group {
					text = "(" + text + ")"
				}
				got = append(got, text)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", strings.Join(got, " "), c.want)
			}
		})
	}
}

func TestTheDefaultTakesOnePort(t *testing.T) {
	steps, err := Plan([]Trait{Default()}, []Candidate{{ID: 1, UUID: "p1"}, {ID: 2, UUID: "p2"}}, []Candidate{{ID: 3, UUID: "g", Group: true}}, Network{})
	if err != nil || len(steps) != 1 || steps[0].Members[0] != "p2" {
		t.Errorf("%v, %v", steps, err)
	}
}

func TestAPlanFailsWhenARuleAsksForWhatNobodyTold(t *testing.T) {
	for _, action := range []string{"attach_port", "group_and_attach_ports"} {
		traits, err := Parse([]byte("T: {actions: [{action: " + action + ", filter: port.vendor == 'x', min_count: 2}]}"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Plan(traits, []Candidate{{ID: 1, UUID: "p", Groupable: true}}, nil, Network{}); err == nil {
			t.Errorf("%s went well", action)
		}
	}
}
