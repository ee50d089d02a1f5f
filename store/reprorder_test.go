package store

import (
	"bytes"
	"testing"
)

func TestPythonReprJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"step": "a", "interface": "deploy", "args": {"zeta": [1, {"b": null}], "alpha": 1.50}}`: `{'step': 'a', 'interface': 'deploy', ` +
			`'args': {'zeta': [1, {'b': None}], 'alpha': 1.5}}`,
		`[]`: "[]", `{}`: "{}", `"it's"`: `"it's"`, `true`: "True",
		`{"a": `: "", `1 2`: "", ``: "", `[1,`: "",
	} {
		got, err := PythonReprJSON([]byte(text))
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
}

// Steps come from whoever may ask ironic-api.
func FuzzPythonReprJSON(f *testing.F) {
	f.Add([]byte(`{"step": "a", "args": {"b": [1, "ü", null]}}`))
	f.Add([]byte(`[{}, 1e400, "\ud800"]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ParseDict(text)
		if err != nil || len(d) != 1 || bytes.Count(text, []byte(":")) != 1 {
			return
		}
		// With one key there is one order.
		for _, value := range d {
			switch value.(type) {
			case map[string]any, []any:
				return
			}
		}
		if got, err := PythonReprJSON(text); err == nil && got != PythonRepr(d) {
			t.Errorf("%s: %s, want %s", text, got, PythonRepr(d))
		}
	})
}
