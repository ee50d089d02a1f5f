package store

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Python prints the keys of a step in the order in which they were put in: by ironic's API and then by its conductor, or by the
// driver that offers the step, which says whether it needs a ramdisk.
var (
	askedStepOrder   = []string{"interface", "step", "args", "abortable", "priority"}
	offeredStepOrder = []string{"step", "priority", "abortable", "argsinfo", "interface", "requires_ramdisk"}
)

// PythonRepr prints a value as Python's repr() does, because ironic's texts contain steps in that form.
func PythonRepr(v any) string {
	var b strings.Builder
	writeRepr(&b, v)
	return b.String()
}

func writeRepr(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case string:
		b.WriteString(pythonString(v))
	case int:
		b.WriteString(strconv.Itoa(v))
	case Dict:
		writeReprDict(b, v)
	case map[string]any:
		writeReprDict(b, v)
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeRepr(b, item)
		}
		b.WriteByte(']')
	case json.Number:
		b.WriteString(pythonNumber(v))
	default:
		b.WriteString(Dict{"v": v}.String("v"))
	}
}

// PythonText prints a value as Python's str() does: texts as they are, everything else as PythonRepr.
func PythonText(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	return PythonRepr(v)
}

// pythonNumber prints a number of JSON. One with a fraction or an exponent is a float, of which Python shows the shortest
// form, from 1e16 on and below 1e-4 with an exponent.
func pythonNumber(n json.Number) string {
	if !strings.ContainsAny(n.String(), ".eE") {
		return n.String()
	}
	f, err := n.Float64()
	if err != nil {
		return n.String()
	}
	if size := math.Abs(f); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func writeReprDict(b *strings.Builder, d map[string]any) {
	order := askedStepOrder
	if _, offered := d["requires_ramdisk"]; offered {
		order = offeredStepOrder
	}
	var keys []string
	for _, k := range order {
		if _, ok := d[k]; ok {
			keys = append(keys, k)
		}
	}
	var rest []string
	for k := range d {
		if !slices.Contains(keys, k) {
			rest = append(rest, k)
		}
	}
	slices.Sort(rest)
	b.WriteByte('{')
	for i, k := range append(keys, rest...) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(pythonString(k))
		b.WriteString(": ")
		writeRepr(b, d[k])
	}
	b.WriteByte('}')
}

func pythonString(s string) string {
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	var b strings.Builder
	b.WriteString(quote)
	for _, r := range s {
		switch escaped, known := escapes[r]; {
		case known:
			b.WriteString(escaped)
		case string(r) == quote:
			b.WriteString(`\` + quote)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteString(quote)
	return b.String()
}

// escapes are the characters that Python's repr() writes in a form of their own.
var escapes = map[rune]string{'\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
