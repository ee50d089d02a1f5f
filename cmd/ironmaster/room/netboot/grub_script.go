package netboot

import (
	"errors"
	"fmt"
	"strings"
)

// The reader of GRUB's scripts (GRUB manual, §6.3) knows what network boot configurations are made of: simple commands, if,
// and menu entries. Loops and functions are errors.

// grubNode is a command, or an if when there are branches.
type grubNode struct {
	words []grubWord
	// entry is the body of a menuentry.
	entry    []grubNode
	branches []grubBranch
	line     int
}

// grubBranch is one if or elif with its condition; the else has none.
type grubBranch struct{ condition, body []grubNode }

// grubWord is a word of parts, of which some are names of variables.
type grubWord []grubPart

type grubPart struct {
	text     string
	variable bool
}

// plain is the word as it stands there, if no variable is in it.
func (w grubWord) plain() string {
	if len(w) == 1 && !w[0].variable {
		return w[0].text
	}
	return ""
}

// grubParser reads a script from its text.
type grubParser struct {
	text string
	at   int
	line int
	// depth is how many blocks are open.
	depth int
}

const maxBlocks = 64

func parseGRUB(text string) ([]grubNode, error) {
	p := &grubParser{text: text, line: 1}
	nodes, end, err := p.block()
	if err == nil && end != "" {
		err = fmt.Errorf("%q has no beginning", end)
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: syntax error: %w", p.line, err)
	}
	return nodes, nil
}

// grubEnds are words that end a block. They mean something only where a command begins.
var grubEnds = map[string]bool{"}": true, "then": true, "else": true, "elif": true, "fi": true}

// grubRefused are words that begin what is not known here.
var grubRefused = map[string]bool{"for": true, "while": true, "until": true, "function": true, "do": true, "done": true, "{": true,
	"case": true, "select": true, "time": true, "[[": true, "]]": true, "!": true}

// block reads commands until a word ends the block, or until the end.
func (p *grubParser) block() (nodes []grubNode, end string, err error) {
	if p.depth++; p.depth > maxBlocks {
		return nil, "", errors.New("too many blocks within each other")
	}
	defer func() { p.depth-- }()
	for {
		p.skip(true)
		if p.at >= len(p.text) {
			return nodes, "", nil
		}
		line := p.line
		words, open, err := p.words()
		if err != nil {
			return nil, "", err
		}
		first := ""
		if len(words) > 0 {
			first = words[0].plain()
		}
		switch {
		case grubEnds[first]:
			return nodes, first, nil
		case grubRefused[first], len(words) == 0:
			return nil, "", fmt.Errorf("%q is not known here", first)
		}
		node := grubNode{words: words, line: line}
		if err := p.complete(&node, first, open); err != nil {
			return nil, "", err
		}
		nodes = append(nodes, node)
	}
}

// complete reads what belongs to a command that has blocks.
func (p *grubParser) complete(node *grubNode, first string, open bool) error {
	if first == "if" {
		if open {
			return errors.New(`"{" after if`)
		}
		return p.branches(node)
	}
	if isEntry := first == "menuentry"; isEntry != open {
		if isEntry {
			return errors.New("menuentry has no block")
		}
		return fmt.Errorf("%s has a block", first)
	} else if !isEntry {
		return nil
	}
	body, end, err := p.block()
	if err == nil && end != "}" {
		err = errors.New("menuentry's block has no end")
	}
	node.entry = body
	return err
}

// branches reads an if to its fi. The words of the node are if and the condition's first command.
func (p *grubParser) branches(node *grubNode) error {
	if len(node.words) < 2 {
		return errors.New("if has no condition")
	}
	condition := []grubNode{{words: node.words[1:], line: node.line}}
	node.words = node.words[:1]
	more, end, err := p.block()
	for {
		if err != nil {
			return err
		}
		if end != "then" {
			return errors.New("if has no then")
		}
		branch := grubBranch{condition: append(condition, more...)}
		if branch.body, end, err = p.block(); err != nil {
			return err
		}
		node.branches = append(node.branches, branch)
		switch end {
		case "fi":
			return nil
		case "else":
			if branch.body, end, err = p.block(); err == nil && end != "fi" {
				err = errors.New("else has no fi")
			}
			node.branches = append(node.branches, grubBranch{body: branch.body})
			return err
		case "elif":
			condition = nil
			more, end, err = p.block()
		default:
			return errors.New("if has no fi")
		}
	}
}

// skip goes over spaces and comments, and over the ends of commands too.
func (p *grubParser) skip(ends bool) {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '#':
			for p.at < len(p.text) && p.text[p.at] != '\n' {
				p.at++
			}
		case c == ' ' || c == '\t' || c == '\r':
			p.at++
		case strings.HasPrefix(p.text[p.at:], "\\\n"):
			p.at += 2
			p.line++
		case ends && (c == '\n' || c == ';'):
			if c == '\n' {
				p.line++
			}
			p.at++
		default:
			return
		}
	}
}

// words reads one command up to its end, or up to the brace that opens its block. A word that ends a block stands alone: what
// comes after then or else on its line is the next command.
func (p *grubParser) words() (words []grubWord, open bool, err error) {
	for {
		p.skip(false)
		if p.at >= len(p.text) || p.text[p.at] == '\n' || p.text[p.at] == ';' {
			return words, false, nil
		}
		word, err := p.word()
		if err != nil {
			return nil, false, err
		}
		plain := word.plain()
		if plain == "{" && len(words) > 0 {
			return words, true, nil
		}
		words = append(words, word)
		if len(words) == 1 && grubEnds[plain] {
			return words, false, nil
		}
	}
}

// word reads one word: plain text, quoted text and variables up to a space or the end of the command.
func (p *grubParser) word() (grubWord, error) {
	var w grubWord
	add := func(part grubPart) {
		if last := len(w) - 1; last >= 0 && !w[last].variable && !part.variable {
			w[last].text += part.text
			return
		}
		w = append(w, part)
	}
	quoted := false
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == '"':
			quoted = !quoted
			add(grubPart{})
			p.at++
		case c == '\'' && !quoted:
			end := strings.IndexByte(p.text[p.at+1:], '\'')
			if end < 0 {
				return nil, errors.New("a quote has no end")
			}
			add(grubPart{text: p.text[p.at+1 : p.at+1+end]})
			p.line += strings.Count(p.text[p.at:p.at+end+2], "\n")
			p.at += end + 2
		case c == '\\' && p.at+1 < len(p.text):
			add(grubPart{text: p.text[p.at+1 : p.at+2]})
			p.at += 2
		case c == '$':
			name, err := p.variable()
			if err != nil {
				return nil, err
			}
			add(name)
		case !quoted && strings.IndexByte(" \t\r\n;", c) >= 0:
			return w, nil
		case !quoted && strings.IndexByte("|&<>", c) >= 0:
			return nil, fmt.Errorf("unexpected %q", c)
		default:
			if c == '\n' {
				p.line++
			}
			add(grubPart{text: string(c)})
			p.at++
		}
	}
	if quoted {
		return nil, errors.New("a quote has no end")
	}
	return w, nil
}

// variable reads $name or ${name}. A $ before anything else stands for itself.
func (p *grubParser) variable() (grubPart, error) {
	rest := p.text[p.at+1:]
	if strings.HasPrefix(rest, "{") {
		end := strings.IndexByte(rest, '}')
		if end < 2 {
			return grubPart{}, errors.New("${ has no end")
		}
		p.at += end + 2
		return grubPart{text: rest[1:end], variable: true}, nil
	}
	length := 0
	for length < len(rest) && (rest[length] == '_' || rest[length] == '?' && length == 0 || isAlphanumeric(rest[length])) {
		length++
	}
	p.at += length + 1
	if length == 0 {
		return grubPart{text: "$"}, nil
	}
	return grubPart{text: rest[:length], variable: true}, nil
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
