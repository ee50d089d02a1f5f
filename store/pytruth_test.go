package store_test

import (
	"encoding/json"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func TestPythonTrue(t *testing.T) {
	for _, c := range []struct {
		value any
		want  bool
	}{
		{nil, false}, {false, false}, {true, true}, {"", false}, {"0", true}, {json.Number("0"), false}, {json.Number("0.0"), false},
		{json.Number("-1"), true}, {0.0, false}, {0.5, true}, {[]any{}, false}, {[]any{nil}, true}, {map[string]any{}, false},
		{map[string]any{"a": nil}, true}, {store.Dict{}, false}, {store.Dict{"a": 1}, true},
	} {
		if got := store.PythonTrue(c.value); got != c.want {
			t.Errorf("%#v: %v, want %v", c.value, got, c.want)
		}
	}
}
