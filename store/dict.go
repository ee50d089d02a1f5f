package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
)

// Dict is a free-form JSON object of a row (properties, driver_info, instance_info, ...). Numbers decoded from JSON are
// json.Number, so that what a user wrote goes back unchanged.
type Dict map[string]any

// ParseDict decodes a JSON object. An empty text and null are an empty Dict, as ironic reads them.
func ParseDict(text []byte) (Dict, error) {
	switch string(bytes.TrimSpace(text)) {
	case "", "{}", "null":
		// Most of a row's objects are empty, and a decoder costs more than all else in reading it.
		return Dict{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var d Dict
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("decoding a JSON object: %w", err)
	}
	if d == nil {
		d = Dict{}
	}
	return d, nil
}

// String returns the text under key. Numbers and booleans are given as Python's str() would; "" stands for a key that
// is absent, null or not a scalar.
func (d Dict) String(key string) string {
	switch v := d[key].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}

// Int returns the whole number under key, also from a numeric text, as Python's int() reads it: true is 1, and of a number
// with a fraction what stands before the point. ok is false when the key is absent or null; err tells that the value is no
// number, or a text that is no whole one.
func (d Dict) Int(key string) (n int64, ok bool, err error) {
	v, present := d[key]
	if !present || v == nil {
		return 0, false, nil
	}
	switch v := v.(type) {
	case bool:
		if v {
			n = 1
		}
		return n, true, nil
	case json.Number:
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") && math.Abs(f) < 1<<53 {
			return int64(f), true, nil
		}
	}
	text := strings.TrimSpace(d.String(key))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true, nil
	}
	return 0, true, fmt.Errorf("%s: %v is not a whole number", key, v)
}

// Bool returns the boolean under key by oslo.utils' strutils.bool_from_string: 1, t, true, on, y and yes are true in any
// case; a key that is absent or null is fallback.
func (d Dict) Bool(key string, fallback bool) bool {
	v, present := d[key]
	if !present || v == nil {
		return fallback
	}
	if b, ok := v.(bool); ok {
		return b
	}
	switch strings.ToLower(strings.TrimSpace(d.String(key))) {
	case "1", "t", "true", "on", "y", "yes":
		return true
	case "0", "f", "false", "off", "n", "no":
		return false
	}
	return fallback
}

// Dict returns the object under key, nil when there is none. The result shares memory with d.
func (d Dict) Dict(key string) Dict {
	switch v := d[key].(type) {
	case Dict:
		return v
	case map[string]any:
		return v
	}
	return nil
}

// List returns the array under key, nil when there is none.
func (d Dict) List(key string) []any {
	v, _ := d[key].([]any)
	return v
}

// Clone returns a deep copy of objects and arrays.
func (d Dict) Clone() Dict {
	if d == nil {
		return nil
	}
	out := maps.Clone(d)
	for k, v := range out {
		out[k] = cloneValue(v)
	}
	return out
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case Dict:
		return v.Clone()
	case map[string]any:
		return map[string]any(Dict(v).Clone())
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = cloneValue(item)
		}
		return out
	}
	return v
}
