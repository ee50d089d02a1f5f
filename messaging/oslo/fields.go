package oslo

import (
	"bytes"
	"encoding/json"
	"errors"
)

// fields is one decoded JSON object. Keys are matched exactly, unlike encoding/json's struct fields. The values are parts
// of the text that was decoded.
type fields map[string]json.RawMessage

func parseObject(field string, text []byte) (fields, error) {
	if err := checkJSON(text); err != nil {
		return nil, malformed(field, "is not JSON (byte %d of %d)", err.Offset, len(text))
	}
	text = bytes.TrimLeft(text, blanks)
	if text[0] != '{' {
		return nil, malformed(field, "is not a JSON object")
	}
	return split(text), nil
}

func checkJSON(text []byte) *json.SyntaxError {
	if json.Valid(text) {
		return nil
	}
	var syntax *json.SyntaxError
	errors.As(json.Unmarshal(text, new(json.RawMessage)), &syntax)
	return syntax
}

// text returns the string under key; a key that is absent or null is "".
func (f fields) text(key string) (string, error) {
	raw, ok := f[key]
	if !ok || isNull(raw) {
		return "", nil
	}
	s, ok := unquote(raw)
	if !ok {
		return "", malformed(key, "is not a string")
	}
	return s, nil
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// blanks are what JSON allows between values.
const blanks = " \t\r\n"

// split takes a JSON object apart that is known to be valid. Every request is, with dozens of small values, which
// encoding/json would copy one by one.
func split(object []byte) fields {
	f := make(fields, min(32, 1+bytes.Count(object, []byte{','})))
	names := string(object)
	for i := skip(object, 1); object[i] != '}'; {
		end := endOfValue(object, i)
		key := names[i+1 : end-1]
		if !plain(object[i+1 : end-1]) {
			key = unescape(object[i:end])
		}
		// Behind the key comes a colon.
		i = skip(object, skip(object, end)+1)
		end = endOfValue(object, i)
		f[key] = json.RawMessage(object[i:end:end])
		if i = skip(object, end); object[i] == ',' {
			i = skip(object, i+1)
		}
	}
	return f
}

// skip returns where blanks that begin at i end.
func skip(text []byte, i int) int {
	for bytes.IndexByte([]byte(blanks), text[i]) >= 0 {
		i++
	}
	return i
}

// endOfValue returns where the value that begins at i ends.
func endOfValue(text []byte, i int) int {
	switch text[i] {
	case '"':
		return endOfString(text, i)
	case '{', '[':
		for depth := 0; ; i++ {
			switch text[i] {
			case '"':
				i = endOfString(text, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	return i + bytes.IndexAny(text[i:], ",}]"+blanks)
}

func endOfString(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// unquote decodes a JSON string. ok is false for any other value.
func unquote(raw []byte) (s string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if inner := raw[1 : len(raw)-1]; plain(inner) {
		return string(inner), true
	}
	return unescape(raw), true
}

// plain tells that the inside of a JSON string stands for itself.
func plain(inner []byte) bool {
	for _, c := range inner {
		if c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
}

func unescape(raw []byte) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}
