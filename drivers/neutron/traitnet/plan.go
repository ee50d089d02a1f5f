package traitnet

import (
	"cmp"
	"slices"
)

// Verb is what an action does.
type Verb string

// The verbs of ironic. BondPorts is one that ironic takes and has nothing behind, so that it never finds anything.
const (
	AttachPort          Verb = "attach_port"
	AttachPortgroup     Verb = "attach_portgroup"
	GroupAndAttachPorts Verb = "group_and_attach_ports"
	BondPorts           Verb = "bond_ports"
)

// Action is one rule of a trait.
type Action struct {
	Verb   Verb
	Filter Filter
	// Min and Max bound how many are attached, or put into a group; without Min one is attached, without Max all that fit are.
	Min, Max *int
}

// Trait is a set of rules, of which all are followed. Of several traits the first counts, in ascending order, that has a rule
// which finds something.
type Trait struct {
	Name    string
	Order   float64
	Actions []Action
}

// DefaultTrait is the name of the rules for nodes whose instance asks for no trait that has some.
const DefaultTrait = "CUSTOM_DEFAULT_TBN_TRAIT"

// Default are these rules where the file has none: the newest free port.
func Default() Trait {
	return Trait{Name: DefaultTrait, Order: 1, Actions: []Action{{Verb: AttachPort, Filter: Filter{either{kind{false}, kind{true}}}}}}
}

// Step is one attachment: a single port or port group, or several ports that become a group of their own before.
type Step struct {
	Members []string // UUIDs
	Group   bool
}

// Plan says what to attach the network to; nothing when no rule finds anything. ports and groups are those that are free.
func Plan(traits []Trait, ports, groups []Candidate, n Network) ([]Step, error) {
	newestFirst := func(a, b Candidate) int { return cmp.Compare(b.ID, a.ID) }
	ports, groups = slices.SortedFunc(slices.Values(ports), newestFirst), slices.SortedFunc(slices.Values(groups), newestFirst)
	traits = slices.SortedStableFunc(slices.Values(traits), func(a, b Trait) int { return cmp.Compare(a.Order, b.Order) })
	for _, trait := range traits {
		steps, err := trait.plan(ports, groups, n)
		if err != nil || len(steps) > 0 {
			return steps, err
		}
	}
	return nil, nil
}

// plan follows all rules; what one has taken is not there for the next.
func (t Trait) plan(ports, groups []Candidate, n Network) (all []Step, err error) {
	for _, a := range t.Actions {
		var steps []Step
		switch a.Verb {
		case AttachPort:
			steps, err = a.single(ports, n)
			ports = without(ports, steps)
		case AttachPortgroup:
			steps, err = a.single(groups, n)
			groups = without(groups, steps)
		case GroupAndAttachPorts:
			steps, err = a.grouped(ports, n)
			ports = without(ports, steps)
		case BondPorts:
		}
		if err != nil {
			return nil, err
		}
		all = append(all, steps...)
	}
	return all, nil
}

func without(candidates []Candidate, taken []Step) []Candidate {
	return slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool {
		return slices.ContainsFunc(taken, func(s Step) bool { return slices.Contains(s.Members, c.UUID) })
	})
}

func (a Action) single(candidates []Candidate, n Network) ([]Step, error) {
	var steps []Step
	for _, c := range candidates {
		switch ok, err := a.Filter.matches(c, n); {
		case err != nil:
			return nil, err
		case !ok:
			continue
		}
		steps = append(steps, Step{Members: []string{c.UUID}})
		if a.Min == nil || a.Max != nil && *a.Max == len(steps) {
			break
		}
	}
	if a.Min != nil && len(steps) < *a.Min {
		return nil, nil
	}
	return steps, nil
}

// grouped gathers ports of one physical network; the first of them stands for the group when its network is looked at.
func (a Action) grouped(ports []Candidate, n Network) ([]Step, error) {
	var first Candidate
	var members []string
	for _, p := range ports {
		if !p.Groupable {
			continue
		}
		ok, err := a.Filter.matches(p, Network{any: true})
		if err != nil {
			return nil, err
		}
		if !ok || len(members) > 0 && !same(first.PhysicalNetwork, p.PhysicalNetwork) {
			continue
		}
		if len(members) == 0 {
			first = p
		}
		members = append(members, p.UUID)
		if a.Max != nil && *a.Max == len(members) {
			break
		}
	}
	if a.Min == nil || len(members) < *a.Min {
		return nil, nil
	}
	if ok, err := a.Filter.matches(first, n); !ok || err != nil {
		return nil, err
	}
	return []Step{{Members: members, Group: true}}, nil
}

func same(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }
