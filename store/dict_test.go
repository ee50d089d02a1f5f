package store

import (
	"encoding/json"
	"testing"
)

// The wanted numbers are what Python's int() makes of the values.
func TestWholeNumbers(t *testing.T) {
	for _, c := range []struct {
		value any
		want  int64
		fails bool
	}{
		{json.Number("7"), 7, false}, {" 7 ", 7, false}, {json.Number("7.9"), 7, false}, {json.Number("-7.9"), -7, false},
		{true, 1, false}, {false, 0, false}, {7, 7, false}, {"7.9", 0, true}, {"", 0, true}, {[]any{}, 0, true},
		{json.Number("1e400"), 0, true},
	} {
		got, ok, err := Dict{"n": c.value}.Int("n")
		if got != c.want || !ok || (err != nil) != c.fails {
			t.Errorf("%v: %d, %v, %v, want %d", c.value, got, ok, err, c.want)
		}
	}
	if _, ok, err := (Dict{"n": nil}).Int("n"); ok || err != nil {
		t.Errorf("null counts as given (%v)", err)
	}
}
