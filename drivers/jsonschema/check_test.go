package jsonschema_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/jsonschema"
	"github.com/ironmaster/ironmaster/store"
)

// TestErrors holds what is wrong with values against what Python's jsonschema 4.10.3 printed of them.
func TestErrors(t *testing.T) {
	text, err := os.ReadFile("testdata/firmware.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Schema json.RawMessage
		Cases  []json.RawMessage
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	s, err := jsonschema.Parse(recorded.Schema)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range recorded.Cases {
		one, err := store.ParseDict(c)
		if err != nil {
			t.Fatal(err)
		}
		fault := s.Check(one["value"])
		if fault == nil || fault.Error() != one.String("error") {
			t.Errorf("%s:\n%v\nnot\n%s", c, fault, one.String("error"))
		}
	}
	if fault := s.Check([]any{map[string]any{"url": "http://f", "checksum": "x", "wait": json.Number("1"), "source": "local"}}); fault != nil {
		t.Errorf("a good value: %v", fault)
	}
}
