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
		{Dict{"zeta": 1, "step": "erase", "args": map[string]any{"n": json.Number("3")}, "interface": "deploy", "alpha": false},
			"{'interface': 'deploy', 'step': 'erase', 'args': {'n': 3}, 'alpha': False, 'zeta': 1}"},
	} {
		if got := PythonRepr(c.value); got != c.want {
			t.Errorf("%v: %s, want %s", c.value, got, c.want)
		}
	}
}
