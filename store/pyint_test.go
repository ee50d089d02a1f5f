package store

import (
	"encoding/json"
	"testing"
)

func TestPythonNatural(t *testing.T) {
	for value, want := range map[any]bool{
		"12": true, " 12\n": true, "+12": true, "1_000": true, "٣": true, "-0": true, "007": true, true: true, false: true,
		json.Number("0"): true, json.Number("1.5"): true, json.Number("-0.5"): true, json.Number("1e3"): true, json.Number("1e999999999"): false,
		json.Number("1000000000000000000000000000000"): true,
		"": false, "x": false, "-1": false, "1.5": false, "1__0": false, "_1": false, "1_": false, "0x10": false, "- 1": false,
		json.Number("-1"): false, json.Number("-1.5"): false, nil: false,
	} {
		if got := PythonNatural(value); got != want {
			t.Errorf("%v: %v, want %v", value, got, want)
		}
	}
	for _, value := range []any{[]any{1}, map[string]any{"a": 1}} {
		if PythonNatural(value) {
			t.Errorf("%v is no number", value)
		}
	}
}
