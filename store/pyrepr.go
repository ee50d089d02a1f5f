package store

import (
	"slices"
	"strconv"
	"strings"
)

// stepKeyOrder is the order in which ironic's API hands on a step's keys; Python prints them in it.
var stepKeyOrder = []string{"interface", "step", "args", "priority", "abortable"}

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
	default:
		b.WriteString(Dict{"v": v}.String("v"))
	}
}

func writeReprDict(b *strings.Builder, d map[string]any) {
	var keys []string
	for _, k := range stepKeyOrder {
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
	r := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, quote, `\`+quote)
	return quote + r.Replace(s) + quote
}
