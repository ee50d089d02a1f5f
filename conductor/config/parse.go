package config

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// assignment is one "key = value" of a file, with the number of the line that its key stands on.
type assignment struct {
	key, value string
	line       int
}

// section holds the assignments of one [name], in file order. The same name may come back later in a file.
type section struct {
	name        string
	assignments []assignment
}

// parser carries the state of one pass over a file. The rules are those of oslo_config.iniparser, which differ from
// other INI dialects: no trailing comments, indented lines continue a value, a comment ends it.
type parser struct {
	file     string
	line     int
	sections []section
	open     *assignment // the value that an indented line would continue
}

// parse reads the text of one configuration file. Errors name file and line but never the text of the line, which may
// hold a password.
func parse(file string, text []byte) ([]section, error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s: the file is not UTF-8 text", file)
	}
	p := parser{file: file}
	for _, line := range splitLines(string(text)) {
		p.line++
		if err := p.readLine(strings.TrimRightFunc(line, isSpace)); err != nil {
			return nil, err
		}
	}
	p.flush()
	return p.sections, nil
}

// splitLines splits as Python's text files do: "\n", "\r\n" and a lone "\r" all end a line.
func splitLines(text string) []string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	return strings.Split(text, "\n")
}

// isSpace is the notion of white space of Python's str.strip: Unicode's, and the four ASCII separators.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f
}

func (p *parser) readLine(line string) error {
	switch {
	case line == "":
		p.flush()
		return nil
	case line[0] == ' ' || line[0] == '\t':
		if p.open == nil {
			return p.errorf("unexpected continuation line: an indented line must follow the value that it continues")
		}
		p.open.value += "\n" + strings.TrimLeftFunc(line, isSpace)
		return nil
	}
	p.flush()
	switch line[0] {
	case '#', ';':
		return nil
	case '[':
		return p.startSection(line)
	}
	return p.startAssignment(line)
}

func (p *parser) startSection(line string) error {
	if !strings.HasSuffix(line, "]") {
		return p.errorf("invalid section (must end with ])")
	}
	if len(line) <= 2 {
		return p.errorf("empty section name")
	}
	p.sections = append(p.sections, section{name: line[1 : len(line)-1]})
	return nil
}

func (p *parser) startAssignment(line string) error {
	at := strings.IndexAny(line, "=:")
	if at < 0 {
		return p.errorf("no ':' or '=' found in assignment")
	}
	key := strings.TrimFunc(line[:at], isSpace)
	if key == "" {
		return p.errorf("key cannot be empty")
	}
	if len(p.sections) == 0 {
		return p.errorf("section must be started before assignment")
	}
	p.open = &assignment{key: key, value: unquote(strings.TrimFunc(line[at+1:], isSpace)), line: p.line}
	return nil
}

// unquote removes one pair of equal quotes. Like the original it turns a value that is a lone quote into nothing.
func unquote(value string) string {
	if value == "" {
		return value
	}
	first, last := value[0], value[len(value)-1]
	if first != last || first != '"' && first != '\'' {
		return value
	}
	if len(value) == 1 {
		return ""
	}
	return value[1 : len(value)-1]
}

// flush files the assignment that is complete under the section that is open.
func (p *parser) flush() {
	if p.open == nil {
		return
	}
	current := &p.sections[len(p.sections)-1]
	current.assignments = append(current.assignments, *p.open)
	p.open = nil
}

func (p *parser) errorf(problem string) error {
	return fmt.Errorf("%s:%d: %s", p.file, p.line, problem)
}
