package conductor

import (
	"encoding/json"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// The wanted texts are what Python prints.
func TestPythonRepr(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, "None"}, {true, "True"}, {false, "False"}, {7, "7"}, {json.Number("1.5"), "1.5"}, {"it", "'it'"},
		{"it's", `"it's"`}, {`it's "it"`, `'it\'s "it"'`}, {"a\nb\\c\t", `'a\nb\\c\t'`}, {[]any{"a", 1, nil}, "['a', 1, None]"},
		{store.Dict{}, "{}"}, {map[string]any(nil), "{}"},
		{store.Dict{"zeta": 1, "step": "erase", "args": map[string]any{"n": json.Number("3")}, "interface": "deploy", "alpha": false},
			"{'interface': 'deploy', 'step': 'erase', 'args': {'n': 3}, 'alpha': False, 'zeta': 1}"},
	} {
		equal(t, "repr", pythonRepr(c.value), c.want)
	}
}

func TestTextsAreCutAtACharacter(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aé", 2, "a"}, {"日本", 4, "日"}, {"abc", 0, "abc"}} {
		got := c.text
		truncate(&got, c.limit)
		equal(t, c.text, got, c.want)
	}
}
