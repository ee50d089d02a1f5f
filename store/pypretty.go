package store

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// PythonPretty prints a value as Python's pprint.pformat does: on one line where it fits into width characters, else with one item a line
// and texts broken between words.
func PythonPretty(v any, width int) string {
	p := pretty{width: width}
	p.write(v, 0, 0, true)
	return p.String()
}

type pretty struct {
	strings.Builder
	width int
}

// write prints a value that begins in the column indent and is followed by as many characters as allowance says.
func (p *pretty) write(v any, indent, allowance int, top bool) {
	line := sortedRepr(v)
	if utf8.RuneCountInString(line) <= p.width-indent-allowance {
		p.WriteString(line)
		return
	}
	switch v := v.(type) {
	case Dict:
		p.object(v, indent, allowance)
	case map[string]any:
		p.object(v, indent, allowance)
	case []any:
		p.WriteByte('[')
		for i, item := range v {
			p.write(item, indent+1, p.separate(i, len(v), indent+1, allowance+1), false)
		}
		p.WriteByte(']')
	case string:
		p.text(v, indent, allowance, top)
	default:
		p.WriteString(line)
	}
}

// separate begins the i-th of n items. It returns the allowance of the item.
func (p *pretty) separate(i, n, indent, allowance int) int {
	if i > 0 {
		p.WriteString(",\n" + strings.Repeat(" ", indent))
	}
	if i+1 < n {
		return 1
	}
	return allowance
}

func (p *pretty) object(d map[string]any, indent, allowance int) {
	p.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(d)) {
		left := p.separate(i, len(d), indent+1, allowance+1)
		key := pythonString(name) + ": "
		p.WriteString(key)
		p.write(d[name], indent+1+utf8.RuneCountInString(key), left, false)
	}
	p.WriteByte('}')
}

var (
	textLine = regexp.MustCompile(`[^\n]*\n|[^\n]+`)
	textPart = regexp.MustCompile(`\S*\s+|\S+`)
)

// text prints a text as several, which Python reads as one. At the top they stand in parentheses.
func (p *pretty) text(s string, indent, allowance int, top bool) {
	if top {
		indent, allowance = indent+1, allowance+1
	}
	var chunks []string
	lines := textLine.FindAllString(s, -1)
	for i, line := range lines {
		last := i+1 == len(lines)
		chunks = append(chunks, broken(line, p.width-indent, allowance, last)...)
	}
	whole := strings.Join(chunks, "\n"+strings.Repeat(" ", indent))
	if top && len(chunks) > 1 {
		whole = "(" + whole + ")"
	}
	p.WriteString(whole)
}

// broken breaks a line between words so that its parts fit; last tells that what follows the text has to fit behind it.
func broken(line string, width, allowance int, last bool) []string {
	fits := func(s string, end bool) bool {
		if end && last {
			return utf8.RuneCountInString(pythonString(s)) <= width-allowance
		}
		return utf8.RuneCountInString(pythonString(s)) <= width
	}
	if fits(line, true) {
		return []string{pythonString(line)}
	}
	var chunks []string
	current := ""
	parts := textPart.FindAllString(line, -1)
	for i, part := range parts {
		if fits(current+part, i+1 == len(parts)) {
			current += part
			continue
		}
		if current != "" {
			chunks = append(chunks, pythonString(current))
		}
		current = part
	}
	return append(chunks, pythonString(current))
}

// sortedRepr is PythonRepr with the keys of objects in alphabetical order.
func sortedRepr(v any) string {
	switch v := v.(type) {
	case Dict:
		return sortedRepr(map[string]any(v))
	case map[string]any:
		var items []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			items = append(items, pythonString(name)+": "+sortedRepr(v[name]))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = sortedRepr(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return PythonRepr(v)
}
