package oslo

import (
	"encoding/json"
	"reflect"
	"testing"
)

// Taking an object apart gives the keys and values that encoding/json gives.
func FuzzParseObject(f *testing.F) {
	for _, rec := range recordings(f)[:20] {
		f.Add([]byte(rec.Request))
	}
	for _, text := range []string{`{}`, ` { } `, `null`, `[1]`, `{"a": 1 , "a":2}`, `{"\u0061\"": "\\", "b": [ {"c": "]}"} , 1.5e3 ]}`,
		"{\"ü\": \"\xff\"\t, \"n\"\n:null}", `{"a": "\ud800"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal(text, &want)
		got, err := parseObject("body", text)
		if (err == nil) != (wantErr == nil && want != nil) {
			t.Fatalf("got %v, encoding/json %v", err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(map[string]json.RawMessage(got), want) {
			t.Errorf("got %s, want %s", got, want)
		}
		for _, raw := range want {
			var s string
			isText := json.Unmarshal(raw, &s) == nil && string(raw) != "null"
			if text, ok := unquote(raw); ok != isText || text != s && ok {
				t.Errorf("%s is %q (%v), want %q (%v)", raw, text, ok, s, isText)
			}
		}
	})
}
