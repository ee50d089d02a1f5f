package traitnet

import (
	"errors"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// Candidate is a port or a port group, as filters see it. What is nil nobody has told.
type Candidate struct {
	ID    int64
	UUID  string
	Group bool

	Address, Category, PhysicalNetwork, Vendor *string
	// Groupable tells that a port may become a part of a port group that lasts as long as its virtual interface.
	Groupable bool
}

// Network is a virtual interface that is to be attached, as filters see it.
type Network struct {
	ID string
	// Name is nil when the request has none.
	Name *string
	Tags []string
	// any fits every condition: while ports are gathered, their network does not count.
	any bool
}

// Filter is a condition on a candidate and a network.
type Filter struct{ root condition }

// matches tells whether the condition holds. It fails when the condition asks for what nobody has told, or compares tags by order.
func (f Filter) matches(c Candidate, n Network) (bool, error) { return f.root.holds(c, n) }

// condition is a part of a filter.
type condition interface {
	holds(c Candidate, n Network) (bool, error)
}

// kind tells whether a candidate is a port, or whether it is a port group.
type kind struct{ group bool }

func (k kind) holds(c Candidate, _ Network) (bool, error) { return c.Group == k.group, nil }

// either and both are two conditions; the second is not looked at when the first decides.
type (
	either struct{ left, right condition }
	both   struct{ left, right condition }
)

func (e either) holds(c Candidate, n Network) (bool, error) {
	if ok, err := e.left.holds(c, n); ok || err != nil {
		return ok, err
	}
	return e.right.holds(c, n)
}

func (b both) holds(c Candidate, n Network) (bool, error) {
	if ok, err := b.left.holds(c, n); !ok || err != nil {
		return ok, err
	}
	return b.right.holds(c, n)
}

// comparison holds an attribute against a literal.
type comparison struct{ variable, comparator, literal string }

// candidateAttributes are those of a port or port group that may be compared.
var candidateAttributes = map[string]func(Candidate) *string{
	"port.address":          func(c Candidate) *string { return c.Address },
	"port.category":         func(c Candidate) *string { return c.Category },
	"port.physical_network": func(c Candidate) *string { return c.PhysicalNetwork },
	"port.vendor":           func(c Candidate) *string { return c.Vendor },
}

const (
	networkName = "network.name"
	networkTags = "network.tags"
)

func (x comparison) holds(c Candidate, n Network) (bool, error) {
	attribute, ofCandidate := candidateAttributes[x.variable]
	switch {
	case ofCandidate:
		return x.compare(attribute(c))
	case n.any:
		return true, nil
	case x.variable == networkTags:
		return x.compareAll(n.Tags)
	}
	return x.compare(n.Name)
}

func (x comparison) compare(value *string) (bool, error) {
	if value == nil {
		_, name, _ := strings.Cut(x.variable, ".")
		return false, store.Errorf(store.TBNAttributeRetrievalException, "Could not retrieve attribute %s from passed object", name)
	}
	switch x.comparator {
	case "==":
		return *value == x.literal, nil
	case "!=":
		return *value != x.literal, nil
	case ">=":
		return *value >= x.literal, nil
	case ">":
		return *value > x.literal, nil
	case "<=":
		return *value <= x.literal, nil
	case "<":
		return *value < x.literal, nil
	}
	return strings.HasPrefix(*value, x.literal), nil
}

func (x comparison) compareAll(values []string) (bool, error) {
	switch x.comparator {
	case "==":
		return slices.Contains(values, x.literal), nil
	case "!=":
		return !slices.Contains(values, x.literal), nil
	case "=~":
		return slices.ContainsFunc(values, func(v string) bool { return strings.HasPrefix(v, x.literal) }), nil
	}
	return false, store.Errorf(store.TBNComparatorCollectionTypeMismatch,
		"Comparator '%s' can only be used with variables of type string, not a collection", x.comparator)
}

// maxDepth bounds how deep parentheses nest.
const maxDepth = 100

// parseFilter reads a condition such as
//
//	port.is_port && (port.vendor == 'green' || network.tags =~ 'storage')
//
// && and || bind alike, from left to right, as in ironic.
func parseFilter(text string) (Filter, error) {
	p := filterParser{rest: text}
	root, err := p.expression(0)
	if err == nil && p.peek() != "" {
		err = errors.New("nothing may follow here: " + p.peek())
	}
	return Filter{root}, err
}

type filterParser struct{ rest string }

// peek is what is left to read.
func (p *filterParser) peek() string {
	p.rest = strings.TrimLeft(p.rest, " \t\f\r\n")
	return p.rest
}

// take reads one of several texts; the first that fits.
func (p *filterParser) take(texts ...string) (string, bool) {
	for _, text := range texts {
		if strings.HasPrefix(p.peek(), text) {
			p.rest = p.rest[len(text):]
			return text, true
		}
	}
	return "", false
}

func (p *filterParser) expression(depth int) (condition, error) {
	left, err := p.operand(depth)
	for err == nil {
		operator, ok := p.take("&&", "||")
		if !ok {
			break
		}
		var right condition
		right, err = p.operand(depth)
		if operator == "&&" {
			left = both{left, right}
		} else {
			left = either{left, right}
		}
	}
	return left, err
}

func (p *filterParser) operand(depth int) (condition, error) {
	if _, ok := p.take("("); ok {
		if depth == maxDepth {
			return nil, errors.New("parentheses nest too deep")
		}
		inner, err := p.expression(depth + 1)
		if err != nil {
			return nil, err
		}
		if _, ok := p.take(")"); !ok {
			return nil, errors.New("a ) is missing before: " + p.peek())
		}
		return inner, nil
	}
	name := p.word()
	switch name {
	case "port.is_port":
		return kind{group: false}, nil
	case "port.is_portgroup":
		return kind{group: true}, nil
	case networkName, networkTags:
	default:
		if candidateAttributes[name] == nil {
			return nil, errors.New("there is no variable here: " + name + p.rest)
		}
	}
	comparator, ok := p.take("==", "!=", ">=", ">", "<=", "<", "=~")
	if !ok {
		return nil, errors.New(name + " is not compared with anything")
	}
	literal, err := p.literal()
	return comparison{name, comparator, literal}, err
}

// word reads a variable's name.
func (p *filterParser) word() string {
	end := strings.IndexFunc(p.peek(), func(r rune) bool { return r != '.' && r != '_' && (r < 'a' || r > 'z') })
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

// literal reads letters, digits, and "_", "-" and "." between apostrophes.
func (p *filterParser) literal() (string, error) {
	inner, ok := strings.CutPrefix(p.peek(), "'")
	value, rest, closed := strings.Cut(inner, "'")
	if !ok || !closed || strings.ContainsFunc(value, func(r rune) bool { return !strings.ContainsRune(literalRunes, r) }) {
		return "", errors.New("there is no text of letters, digits, _, - and . between apostrophes here: " + p.rest)
	}
	p.rest = rest
	return value, nil
}

const literalRunes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."
