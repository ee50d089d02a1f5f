package oslo

import (
	"bufio"
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// recording is one line of testdata/rpc-21.4.jsonl: what ironic-api and the Python conductor said to each other.
type recording struct {
	Case    string            `json:"case"`
	Request json.RawMessage   `json:"request"`
	Replies []json.RawMessage `json:"replies"`
}

type recordedEvent struct {
	Event      string          `json:"event"`
	RoutingKey string          `json:"routing_key"`
	Message    json.RawMessage `json:"message"`
}

func readLines[T any](t testing.TB, path string) []T {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []T
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one T
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, one)
	}
	if err := lines.Err(); err != nil || len(all) == 0 {
		t.Fatalf("%s: %d lines, %v", path, len(all), err)
	}
	return all
}

func recordings(t testing.TB) []recording {
	return readLines[recording](t, "../testdata/rpc-21.4.jsonl")
}

// envelope wraps an inner message as the broker carries it.
func envelope(t testing.TB, inner []byte) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]string{"oslo.version": "2.0", "oslo.message": string(inner)})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// tree decodes a message body down to the inner message, and the failure in it, as plain values.
func tree(t testing.TB, body []byte) map[string]any {
	t.Helper()
	var outer map[string]string
	if err := json.Unmarshal(body, &outer); err != nil || outer["oslo.version"] != "2.0" {
		t.Fatalf("not an envelope: %s (%v)", body, err)
	}
	return innerTree(t, []byte(outer["oslo.message"]))
}

func innerTree(t testing.TB, inner []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(inner, &m); err != nil {
		t.Fatal(err)
	}
	if text, ok := m["failure"].(string); ok {
		var f map[string]any
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			t.Fatal(err)
		}
		m["failure"] = f
	}
	return m
}

func wantSame(t *testing.T, got, want map[string]any, except ...string) {
	t.Helper()
	for _, key := range except {
		if _, ok := got[key]; !ok {
			t.Errorf("%s is missing", key)
		}
		delete(got, key)
		delete(want, key)
	}
	for key := range want {
		if !reflect.DeepEqual(got[key], want[key]) {
			t.Errorf("%s = %#v, want %#v", key, got[key], want[key])
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s should not be there", key)
		}
	}
}
