package rules

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// interpolate fills replacement fields into the texts of a value, as Python's str.format does: {node.uuid}, {inventory[cpu][count]},
// {plugin_data[...]}, and in loops {item}. In a loop a text is filled in twice, for its item may have replacement fields, too.
func (r *run) interpolate(op string, v any) any {
	if r.item != nil {
		v = r.fill(op, v)
	}
	switch v := v.(type) {
	case string:
		return r.fill(op, v)
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			if _, isText := inner.(string); isText {
				out[i] = r.fill(op, inner)
			} else {
				out[i] = r.interpolate(op, inner)
			}
		}
		return out
	}
	if d, ok := asDict(v); ok {
		out := store.Dict{}
		for _, key := range slices.Sorted(maps.Keys(d)) {
			out[str(r.fill(op, key))] = r.interpolate(op, d[key])
		}
		return out
	}
	return v
}

// fill fills in one text. One that cannot be filled in stays as it is.
func (r *run) fill(op string, v any) any {
	text, ok := v.(string)
	if !ok {
		return v
	}
	filled, err := r.format(text, 2)
	if err == nil {
		return filled
	}
	if isKeyError(err) && op == "is-empty" && r.engine.cfg.EmptyMissing {
		return nil
	}
	r.Log.Warn().Str("text", text).Str("reason", err.Error()).Msg("A replacement field of an inspection rule is left as it is")
	return text
}

var errFormat = errors.New("the text is not a format")

// format fills in a text. levels bounds fields within the specifications of fields.
func (r *run) format(text string, levels int) (string, error) {
	if levels == 0 {
		return "", errors.New("max string recursion exceeded")
	}
	var out strings.Builder
	for text != "" {
		at := strings.IndexAny(text, "{}")
		if at < 0 {
			out.WriteString(text)
			break
		}
		out.WriteString(text[:at])
		brace, rest := text[at], text[at+1:]
		switch {
		case rest != "" && rest[0] == brace:
			out.WriteByte(brace)
			text = rest[1:]
		case brace == '}':
			return "", errFormat
		default:
			field, after, ok := cutField(rest)
			if !ok {
				return "", errFormat
			}
			filled, err := r.field(field, levels)
			if err != nil {
				return "", err
			}
			out.WriteString(filled)
			text = after
		}
	}
	return out.String(), nil
}

// cutField ends a replacement field at the brace that closes it. Braces in brackets are part of a key.
func cutField(text string) (field, after string, ok bool) {
	depth, bracket := 1, false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '[':
			bracket = true
		case c == ']':
			bracket = false
		case bracket:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return text[:i], text[i+1:], true
			}
		}
	}
	return "", "", false
}

// field is the text of NAME[!CONVERSION][:SPECIFICATION].
func (r *run) field(field string, levels int) (string, error) {
	name, rest := cutName(field)
	v, err := r.lookUp(name)
	if err != nil {
		return "", err
	}
	shown, spec := v.shown(), ""
	if conversion, ok := strings.CutPrefix(rest, "!"); ok {
		switch {
		case conversion == "" || len(conversion) > 1 && conversion[1] != ':':
			return "", errFormat
		case conversion[0] == 'r' || conversion[0] == 'a':
			shown = store.PythonRepr(shown)
		case conversion[0] == 's':
			shown = str(shown)
		default:
			return "", errFormat
		}
		rest = conversion[1:]
	}
	if rest != "" {
		if spec, err = r.format(rest[1:], levels-1); err != nil {
			return "", err
		}
	}
	if _, isNode := shown.(*store.Node); isNode {
		return "", errors.New("a node has no text of its own")
	}
	if spec == "" {
		return str(shown), nil
	}
	return formatSpec(shown, spec)
}

// cutName ends the name of a field before its conversion or specification.
func cutName(field string) (name, rest string) {
	bracket := false
	for i := range len(field) {
		switch c := field[i]; {
		case c == '[':
			bracket = true
		case c == ']':
			bracket = false
		case !bracket && (c == '!' || c == ':'):
			return field[:i], field[i:]
		}
	}
	return field, ""
}

// lookUp finds what a field's name names.
func (r *run) lookUp(name string) (value, error) {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	first, rest := name[:end], name[end:]
	var v value
	switch {
	case first == "node":
		v = value{v: r.Node}
	case first == "inventory":
		v = r.inventory
	case first == "plugin_data":
		v = r.plugin
	case first == "item" && r.item != nil:
		v = *r.item
	default:
		if _, err := strconv.Atoi(first); err == nil || first == "" {
			return v, &pythonError{"IndexError", "there are no positional arguments"}
		}
		return v, keyError(first)
	}
	var err error
	for rest != "" && err == nil {
		switch rest[0] {
		case '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			if end == 0 {
				return v, errFormat
			}
			v, err = v.attribute(rest[1 : 1+end])
			rest = rest[1+end:]
		case '[':
			end := strings.IndexByte(rest, ']')
			if end < 2 {
				return v, errFormat
			}
			v, err = v.index(rest[1:end])
			rest = rest[end+1:]
		default:
			return v, errFormat
		}
	}
	return v, err
}
