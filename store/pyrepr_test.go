package store

import (
	"encoding/json"
	"testing"
)

// The wanted texts are what Python prints.
func TestPythonRepr(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, "None"}, {true, "True"}, {false, "False"}, {7, "7"}, {json.Number("1.5"), "1.5"}, {"it", "'it'"},
		{"it's", `"it's"`}, {`it's "it"`, `'it\'s "it"'`}, {"a\nb\\c\t", `'a\nb\\c\t'`}, {[]any{"a", 1, nil}, "['a', 1, None]"},
		{Dict{}, "{}"}, {map[string]any(nil), "{}"},
		{Dict{"priority": 5, "abortable": false, "step": "erase", "interface": "deploy"},
			"{'interface': 'deploy', 'step': 'erase', 'abortable': False, 'priority': 5}"},
		{Dict{"requires_ramdisk": true, "interface": "raid", "priority": 0, "step": "x", "argsinfo": nil},
			"{'step': 'x', 'priority': 0, 'argsinfo': None, 'interface': 'raid', 'requires_ramdisk': True}"},
		{Dict{"zeta": 1, "step": "erase", "args": map[string]any{"n": json.Number("3")}, "interface": "deploy", "alpha": false},
			"{'interface': 'deploy', 'step': 'erase', 'args': {'n': 3}, 'alpha': False, 'zeta': 1}"},
		{"n\u00fcl\x00\u200b\u00a0\U000e0001", `'nül\x00\u200b\xa0\U000e0001'`},
		{json.Number("1e30"), "1e+30"}, {json.Number("2.50"), "2.5"}, {json.Number("1e2"), "100.0"}, {json.Number("0.00001"), "1e-05"},
		{json.Number("1e400"), "1e400"}, {json.Number("100000000000000000000"), "100000000000000000000"},
	} {
		if got := PythonRepr(c.value); got != c.want {
			t.Errorf("%v: %s, want %s", c.value, got, c.want)
		}
	}
}

func TestPythonText(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{{"it's", "it's"}, {nil, "None"}, {[]any{"it's"}, `["it's"]`}} {
		if got := PythonText(c.value); got != c.want {
			t.Errorf("%v: %s, want %s", c.value, got, c.want)
		}
	}
}
