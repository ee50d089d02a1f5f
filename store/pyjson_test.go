package store

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestAppendJSONWritesWhatPythonWrites holds the encoder against json.dumps(value, sort_keys=True), recorded in testdata by
// Debian's Python 3.11.
func TestAppendJSONWritesWhatPythonWrites(t *testing.T) {
	file, err := os.Open("testdata/dumps.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := 0
	for scanner := bufio.NewScanner(file); scanner.Scan(); lines++ {
		var c struct {
			Value json.RawMessage `json:"value"`
			Dumps string          `json:"dumps"`
		}
		if err := json.Unmarshal(scanner.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		var value any
		if err := decodeNumbers(c.Value, &value); err != nil {
			t.Fatal(err)
		}
		if got, err := AppendJSON(nil, value); err != nil || string(got) != c.Dumps {
			t.Errorf("%s became %s, error %v; Python writes %s", c.Value, got, err, c.Dumps)
		}
	}
	if lines < 20 {
		t.Errorf("only %d values were compared", lines)
	}
}

func FuzzParseDict(f *testing.F) {
	for _, text := range []string{"", "null", "{}", `{"a": 1}`, `{"a": {"b": [1, "x", null]}}`, `[1]`, `{"a": 1e999}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ParseDict(text)
		if err != nil {
			return
		}
		out, err := AppendJSON(nil, map[string]any(d))
		if err != nil {
			t.Fatalf("%q was read and can't be written: %v", text, err)
		}
		again, err := ParseDict(out)
		if err != nil {
			t.Fatalf("%q was written as %q, which can't be read: %v", text, out, err)
		}
		twice, err := AppendJSON(nil, map[string]any(again))
		if err != nil || string(twice) != string(out) {
			t.Errorf("%q was written as %q and then as %q", text, out, twice)
		}
	})
}

func TestDictReadsWhatUsersWrite(t *testing.T) {
	d, err := ParseDict([]byte(`{"n": 12, "text": " 7 ", "bad": "many", "yes": "Yes", "off": "0", "odd": "perhaps",
		"float": 1.5, "true": true, "null": null, "sub": {"k": "v"}, "list": [1]}`))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int64{"n": 12, "text": 7, "float": 1} {
		if n, ok, err := d.Int(key); n != want || !ok || err != nil {
			t.Errorf("Int(%s) = %d, %v, %v", key, n, ok, err)
		}
	}
	if _, ok, err := d.Int("bad"); !ok || err == nil || !strings.Contains(err.Error(), "bad") {
		t.Errorf("Int(bad) is %v, %v; the error should name the key", ok, err)
	}
	for _, key := range []string{"null", "absent"} {
		if _, ok, err := d.Int(key); ok || err != nil {
			t.Errorf("Int(%s) = %v, %v", key, ok, err)
		}
	}
	for key, want := range map[string]bool{"yes": true, "off": false, "odd": true, "true": true, "absent": true} {
		if got := d.Bool(key, true); got != want {
			t.Errorf("Bool(%s) = %v", key, got)
		}
	}
	for key, want := range map[string]string{"n": "12", "true": "True", "null": "", "sub": "", "float": "1.5"} {
		if got := d.String(key); got != want {
			t.Errorf("String(%s) = %q, want %q", key, got, want)
		}
	}
	clone := d.Clone()
	clone.Dict("sub")["k"] = "changed"
	if d.Dict("sub").String("k") != "v" || len(d.List("list")) != 1 {
		t.Error("a clone shares memory with its original")
	}
}
