package rules

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// specification is Python's format specification, as far as texts and numbers have it.
var specification = regexp.MustCompile(`^(?:(.)?([<>=^]))?([+\- ])?(#)?(0)?(\d{1,4})?([,_])?(?:\.(\d{1,3}))?([bdoxXneEfFgGs%])?$`)

// formatSpec writes a text or a number by a specification.
func formatSpec(v any, spec string) (string, error) {
	parts := specification.FindStringSubmatch(spec)
	if parts == nil {
		return "", errFormat
	}
	fill, align, sign, alternate, zero, group, precision, kind := parts[1], parts[2], parts[3], parts[4], parts[5], parts[7], parts[8], parts[9]
	width, _ := strconv.Atoi(parts[6])
	var prefix, body string
	if text, isText := v.(string); isText {
		if sign+alternate+group != "" || align == "=" || kind != "" && kind != "s" {
			return "", errFormat
		}
		if most, err := strconv.Atoi(precision); err == nil && most < utf8.RuneCountInString(text) {
			text = string([]rune(text)[:most])
		}
		body = text
	} else {
		f, isNumber := number(v)
		if !isNumber || kind == "s" {
			return "", typeError("unsupported format string passed to %s.__format__", typeName(v))
		}
		digits, err := numberDigits(v, f, kind, precision)
		if err != nil {
			return "", err
		}
		var negative bool
		if body, negative = strings.CutPrefix(digits, "-"); negative {
			prefix = "-"
		} else if sign == "+" || sign == " " {
			prefix = sign
		}
		if base, ok := map[string]string{"b": "0b", "o": "0o", "x": "0x", "X": "0X"}[kind]; ok && alternate != "" {
			prefix += base
		}
		if group != "" {
			body = grouped(body, group)
		}
		if align == "" {
			align = ">"
			if zero != "" {
				align, fill = "=", "0"
			}
		}
	}
	if zero != "" && fill == "" {
		fill = "0"
	}
	return padded(prefix, body, fill, align, width), nil
}

func numberDigits(v any, f float64, kind, precision string) (string, error) {
	whole := typeName(v) != "float"
	places := -1
	if n, err := strconv.Atoi(precision); err == nil {
		places = n
	}
	base := map[string]int{"": 10, "d": 10, "n": 10, "b": 2, "o": 8, "x": 16, "X": 16}[kind]
	switch {
	case whole && base != 0:
		if places >= 0 {
			return "", errFormat
		}
		if n, ok := v.(json.Number); ok && base == 10 {
			return n.String(), nil
		}
		digits := strconv.FormatInt(int64(f), base)
		if kind == "X" {
			digits = strings.ToUpper(digits)
		}
		return digits, nil
	case kind == "%":
		if places < 0 {
			places = 6
		}
		return strconv.FormatFloat(f*100, 'f', places, 64) + "%", nil
	case kind == "" && places < 0:
		return strconv.FormatFloat(f, 'g', -1, 64), nil
	case kind == "" || kind == "n":
		kind = "g"
	case base != 0:
		return "", errFormat
	}
	if places < 0 {
		places = 6
	}
	return strconv.FormatFloat(f, strings.ToLower(kind)[0], places, 64), nil
}

// grouped puts a separator after each thousand.
func grouped(digits, separator string) string {
	whole, fraction, point := strings.Cut(digits, ".")
	var out strings.Builder
	for i, c := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			out.WriteString(separator)
		}
		out.WriteRune(c)
	}
	if point {
		out.WriteString("." + fraction)
	}
	return out.String()
}

func padded(prefix, body, fill, align string, width int) string {
	if fill == "" {
		fill = " "
	}
	left := max(0, width-utf8.RuneCountInString(prefix+body))
	switch align {
	case "=":
		return prefix + strings.Repeat(fill, left) + body
	case ">":
		return strings.Repeat(fill, left) + prefix + body
	case "^":
		return strings.Repeat(fill, left/2) + prefix + body + strings.Repeat(fill, left-left/2)
	}
	return prefix + body + strings.Repeat(fill, left)
}
