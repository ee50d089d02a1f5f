package netboot

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// script is an iPXE script: its lines, and where its labels are.
type script struct {
	lines  []string
	labels map[string]int
}

// parseScript takes a script apart. Lines are joined where one ends in a backslash.
func parseScript(text string) (script, error) {
	s := script{labels: map[string]int{}}
	joined := ""
	for line := range strings.Lines(text) {
		line = joined + strings.TrimRight(line, "\r\n")
		if rest, more := strings.CutSuffix(line, `\`); more {
			joined = rest
			continue
		}
		joined = ""
		line = strings.TrimSpace(line)
		if len(s.lines) == 0 {
			if word, _, _ := strings.Cut(line, " "); word != ipxeMagic {
				return script{}, errors.New("it does not begin with " + ipxeMagic)
			}
		} else if label, is := strings.CutPrefix(line, ":"); is {
			label = strings.TrimSpace(label)
			if _, twice := s.labels[label]; !twice {
				s.labels[label] = len(s.lines)
			}
		}
		s.lines = append(s.lines, line)
	}
	return s, nil
}

// runningScript is a script that runs. Relative names are those of files beside it.
type runningScript struct {
	*ipxe
	from   file
	script script
	at     int
	// jumped and ended tell that the rest of a line does not count.
	jumped, ended bool
}

// run goes through the lines until one fails, the script exits or the machine leaves iPXE.
func (s *runningScript) run(ctx context.Context) error {
	for s.at = 0; s.at < len(s.script.lines); s.at++ {
		line := s.script.lines[s.at]
		if strings.HasPrefix(line, ":") {
			continue
		}
		number := s.at + 1
		if err := s.line(ctx, line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if s.ended || s.outcome != nil {
			return nil
		}
	}
	return nil
}

// line runs the commands of a line one after the other. What follows && counts when the last one was well, what follows || when it
// failed, what follows ; always. What is not there is well.
func (s *runningScript) line(ctx context.Context, line string) error {
	expanded, err := s.expand(line)
	if err != nil {
		return err
	}
	words := splitWords(expanded)
	var failed error
	counts := true
	for {
		end := 0
		for end < len(words) && !isTerminator(words[end]) {
			end++
		}
		if counts {
			failed = s.command(ctx, words[:end])
			if fatal := new(fatalError); errors.As(failed, &fatal) || ctx.Err() != nil {
				return failed
			}
			if s.jumped || s.ended || s.outcome != nil {
				s.jumped = false
				return failed
			}
		}
		if end == len(words) || strings.HasPrefix(words[end], "#") {
			return failed
		}
		switch words[end] {
		case "&&":
			counts = failed == nil
		case "||":
			counts = failed != nil
		default:
			counts = true
		}
		words = words[end+1:]
	}
}

func isTerminator(word string) bool {
	return word == "&&" || word == "||" || word == ";" || strings.HasPrefix(word, "#")
}

// splitWords parts a line at spaces outside of quotes. Quotes and backslashes go.
func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	var quote byte
	inside := false
	end := func() {
		if inside {
			words = append(words, word.String())
			word.Reset()
			inside = false
		}
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			inside = true
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				word.WriteByte(c)
			}
		case c == '"' || c == '\'':
			quote, inside = c, true
		case c == ' ' || c == '\t':
			end()
		default:
			word.WriteByte(c)
			inside = true
		}
	}
	end()
	return words
}

// setting is a value that scripts read as ${name}, with the type that it is shown in.
type setting struct{ value, kind string }

// maxLine bounds what a line expands to.
const maxLine = 64 << 10

// expand puts values in the place of ${name} and ${name:type}, innermost first. What is not set is nothing.
func (x *ipxe) expand(line string) (string, error) {
	for range maxSteps {
		start := strings.LastIndex(line, "${")
		if start < 0 {
			return line, nil
		}
		length := strings.Index(line[start:], "}")
		if length < 0 {
			return line, nil
		}
		value, err := x.value(line[start+2 : start+length])
		if err != nil {
			return "", err
		}
		if line = line[:start] + value + line[start+length+1:]; len(line) > maxLine {
			break
		}
	}
	return "", errors.New("the line grows without end")
}

// value is one setting as text.
func (x *ipxe) value(name string) (string, error) {
	name, kind, _ := strings.Cut(name, ":")
	s, found := x.settings[name]
	if !found {
		return "", nil
	}
	return s.text(kind)
}

// text shows a setting as a type, or as its own when the type is empty.
func (s setting) text(kind string) (string, error) {
	switch kind {
	case "", s.kind, "string", "ipv4", "uuid":
		return s.value, nil
	case "hexhyp":
		if s.kind == "hex" {
			return strings.ReplaceAll(s.value, ":", "-"), nil
		}
	case "hexraw":
		if s.kind == "hex" {
			return strings.ReplaceAll(s.value, ":", ""), nil
		}
	case "int8", "int16", "int32", "uint8", "uint16", "uint32":
		if n, err := strconv.Atoi(s.value); err == nil {
			return strconv.Itoa(n), nil
		}
	}
	return "", &fatalError{fmt.Errorf("the value %q cannot be shown as %q", s.value, kind)}
}
