package store

import (
	"encoding/json"
	"testing"
)

func TestPythonType(t *testing.T) {
	for want, values := range map[string][]any{
		"NoneType": {nil}, "bool": {true}, "str": {"", "a"}, "int": {json.Number("18446744073709551616"), 7, int64(7)},
		"float": {json.Number("1.0"), json.Number("1e3")}, "list": {[]any{}}, "dict": {Dict{}, map[string]any{}},
	} {
		for _, v := range values {
			if got := PythonType(v); got != want {
				t.Errorf("%#v is a %s, want %s", v, got, want)
			}
		}
	}
}
