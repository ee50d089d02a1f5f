package rules

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// parsed decodes an object.
func parsed(t testing.TB, text string) store.Dict {
	t.Helper()
	d, err := store.ParseDict([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// apply applies one rule to a node, and returns what the plugin data is then.
func apply(t testing.TB, cfg Config, keep *keeper, rule, plugin string) (store.Dict, error) {
	t.Helper()
	d := parsed(t, rule)
	r := &store.InspectionRule{UUID: "r"}
	for _, one := range d.List("conditions") {
		r.Conditions = append(r.Conditions, one.(map[string]any))
	}
	for _, one := range d.List("actions") {
		r.Actions = append(r.Actions, one.(map[string]any))
	}
	keep.rules = []*store.InspectionRule{r}
	data := parsed(t, plugin)
	err := NewEngine(cfg, keep).Apply(t.Context(), &drivers.Task{Node: goldenCase{}.node(), Worker: keep, Log: zerolog.Nop()}, store.Dict{},
		data, PhaseMain)
	return data, err
}

func TestFormatSpecifications(t *testing.T) {
	for spec, want := range map[string]string{
		":>6": "    ab", ":<6": "ab    ", ":^6": "  ab  ", ":*^7": "**ab***", ":.1": "a", ":5s": "ab   ", ":05": "ab000", "!r": "'ab'", "!r:>6": "  'ab'",
	} {
		if got, err := apply(t, Config{}, &keeper{}, `{"actions": [{"op": "set-plugin-data", "args": {"path": "out", "value": "{plugin_data[s]`+
			spec+`}"}}]}`, `{"s": "ab"}`); err != nil || got["out"] != want {
			t.Errorf("%s: %q, %v, want %q", spec, got["out"], err, want)
		}
	}
	for spec, want := range map[string]string{
		":d": "1234", ":06d": "001234", ":+d": "+1234", ":x": "4d2", ":#X": "0X4D2", ":,": "1,234", ":_d": "1_234", ":.2f": "1234.00", ":e": "1.234000e+03",
		":%": "123400.000000%", ":>6": "  1234", ":<6": "1234  ", ":=+7d": "+  1234", ":b": "10011010010", ":{plugin_data[w]}d": "    1234",
		// What is no specification for a number stays as it is.
		":s": "{plugin_data[n]:s}", ":>99999": "{plugin_data[n]:>99999}", ":.2d": "{plugin_data[n]:.2d}", "!x": "{plugin_data[n]!x}",
	} {
		if got, err := apply(t, Config{}, &keeper{}, `{"actions": [{"op": "set-plugin-data", "args": {"path": "out", "value": "{plugin_data[n]`+
			spec+`}"}}]}`, `{"n": 1234, "w": "8"}`); err != nil || got["out"] != want {
			t.Errorf("%s: %q, %v, want %q", spec, got["out"], err, want)
		}
	}
}

func TestColumnsThatAreNotForRules(t *testing.T) {
	for _, column := range forbidden {
		_, err := apply(t, Config{}, &keeper{}, `{"actions": [{"op": "set-attribute", "args": ["`+column+`", "x"]}]}`, `{}`)
		if _, known := fieldOf(&store.Node{}, column); known && (err == nil || !strings.HasSuffix(err.Error(), "not for inspection rules to change")) {
			t.Errorf("%s: %v", column, err)
		}
	}
}

func TestPluginDataIsTakenAway(t *testing.T) {
	for path, want := range map[string]string{"a.b": `{"c": {"d": 1, "e": 2}}`, "c.d": `{"a": {"b": 1}, "c": {"e": 2}}`, "c": `{"a": {"b": 1}}`,
		"c.x": `{"a": {"b": 1}, "c": {"d": 1, "e": 2}}`, "a.b.c": `{"a": {"b": 1}, "c": {"d": 1, "e": 2}}`} {
		got, err := apply(t, Config{}, &keeper{}, `{"actions": [{"op": "unset-plugin-data", "args": {"path": "`+path+`"}}]}`,
			`{"a": {"b": 1}, "c": {"d": 1, "e": 2}}`)
		encoded, _ := store.AppendJSON(nil, got)
		if err != nil || string(encoded) != want {
			t.Errorf("%s: %s, %v, want %s", path, encoded, err, want)
		}
	}
}

func TestCallAPI(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Path {
		case "/well":
			if r.Header.Get("X-Token") != "7" {
				w.WriteHeader(http.StatusForbidden)
			}
		case "/flaky":
			if asked.Load() < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		case "/busy":
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	silent := httptest.NewServer(nil)
	nobody := silent.Listener.Addr().String()
	silent.Close()
	const failed = "Inspection rule action execution failed. Reason: "
	for _, c := range []struct {
		args, want string
		times      int32
	}{
		{`"url": "URL/{node.name}"`, failed + "Request to URL/a failed: 404 Client Error: Not Found for url: URL/a", 1},
		{`"url": "URL/well", "headers": {"X-Token": 7}`, "", 1},
		{`"url": "URL/flaky", "backoff_factor": 0.001`, "", 3},
		{`"url": "URL/busy", "retries": "1", "backoff_factor": 0`, failed + "Request to URL/busy failed: 429 Client Error: Too Many Requests for url: URL/busy", 2},
		{`"url": "file:///etc/passwd"`, failed + "Invalid parameter: 'file:///etc/passwd' is no URL of http or https", 0},
		{`"url": "URL/well", "timeout": "soon"`, failed + "Invalid parameter: could not convert string to float: 'soon'", 0},
		{`"url": "URL/well", "headers": {"X-Token": 7}, "timeout": 1e300`, "", 1},
		{`"url": "URL/well", "retries": "x"`, failed + "Invalid parameter: invalid literal for int() with base 10: 'x'", 0},
		{`"url": "http://u:secret@NOBODY/", "retries": 0`, failed + "Request to http://u:xxxxx@NOBODY/ failed: dial tcp NOBODY: connect: connection refused", 0},
		{`"url": "http://nowhere.invalid/well", "headers": {"X-Token": "7"}, "proxies": {"http": "URL"}`, "", 1},
		{`"url": "URL/well", "proxies": {"http": "%"}`, failed + "Invalid parameter: the proxy for http is no URL", 0},
	} {
		asked.Store(0)
		_, err := apply(t, Config{HTTP: &http.Client{Transport: &http.Transport{}}}, &keeper{},
			`{"actions": [{"op": "api-call", "args": {`+strings.NewReplacer("URL", server.URL, "NOBODY", nobody).Replace(c.args)+`}}]}`, `{}`)
		got := ""
		if err != nil {
			got = strings.NewReplacer(server.URL, "URL", nobody, "NOBODY").Replace(err.Error())
		}
		if got != c.want || asked.Load() != c.times {
			t.Errorf("%s: %q after %d requests, want %q after %d", c.args, got, asked.Load(), c.want, c.times)
		}
	}
}

func TestPausesBetweenCallsGrowUpToABound(t *testing.T) {
	for _, c := range []struct {
		backoff string
		attempt int64
		want    time.Duration
	}{{"0.5", 0, 500 * time.Millisecond}, {"0.5", 2, 2 * time.Second}, {"0.5", 99, longestPause}, {"1e300", 0, longestPause},
		{"1e300", 7, longestPause}, {"0", 7, 0}} {
		read, err := readCall(store.Dict{"url": "http://192.0.2.1/", "backoff_factor": c.backoff})
		if err != nil {
			t.Fatal(err)
		}
		if got := read.pause(c.attempt); got != c.want {
			t.Errorf("%s after attempt %d: %v, want %v", c.backoff, c.attempt, got, c.want)
		}
	}
}

type losing struct{ keeper }

func (*losing) AddTrait(context.Context, *store.Node, string) error { return store.ErrLockLost }

// A rule that loses the node has not failed.
func TestANodeThatIsLostIsNotAFailureOfTheRule(t *testing.T) {
	k := &losing{keeper{rules: []*store.InspectionRule{{UUID: "r", Actions: []store.Dict{{"op": "add-trait", "args": store.Dict{"name": "CUSTOM_A"}}}}}}}
	err := NewEngine(Config{}, k).Apply(t.Context(), &drivers.Task{Node: &store.Node{}, Worker: k, Log: zerolog.Nop()}, nil, nil, PhaseMain)
	if !errors.Is(err, store.ErrLockLost) || store.KindOf(err) != "" {
		t.Errorf("got %v", err)
	}
}

func TestParseBuiltIn(t *testing.T) {
	e := NewEngine(Config{}, nil)
	all, err := e.ParseBuiltIn([]byte(`
- description: one
  priority: -5
  sensitive: true
  conditions:
    - op: "!eq"
      args: {values: [1, 2.5]}
  actions:
    - op: set-attribute
      args: [/extra/a, {deep: [true]}]
- uuid: 5d7a51e6-7a2c-4b0c-9b1f-8f5a6f1c2d3e
  phase: main
  actions:
    - {op: fail, args: {msg: no}}
- actions:
    - {op: log, args: {msg: hello, level: debug}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, r := range all {
		encoded, _ := json.Marshal([]any{r.Priority, r.Sensitive, r.Conditions, r.Actions})
		shown = append(shown, r.UUID+" "+string(encoded))
	}
	want := []string{
		`00000000-0000-0000-0000-000000000000 [-5,true,[{"args":{"values":[1,2.5]},"op":"!eq"}],[{"args":["/extra/a",{"deep":[true]}],"op":"set-attribute"}]]`,
		`5d7a51e6-7a2c-4b0c-9b1f-8f5a6f1c2d3e [0,false,null,[{"args":{"msg":"no"},"op":"fail"}]]`,
		`00000000-0000-0000-0000-000000000001 [0,false,null,[{"args":{"level":"debug","msg":"hello"},"op":"log"}]]`}
	if !slices.Equal(shown, want) {
		t.Errorf("got %q\nwant %q", shown, want)
	}
}

func TestBuiltInRulesThatAreRefused(t *testing.T) {
	refused := map[string]string{
		`7`:                                               "reading a list of rules: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!int `7` into []map[string]interface {}",
		`[{colour: red}]`:                                 "rule 1: colour is unknown",
		`[{conditions: []}]`:                              "rule 1: there are no actions",
		`[{phase: early, actions: []}]`:                   `rule 1: phase is "early", and there is only main`,
		`[{priority: high, actions: []}]`:                 "rule 1: priority: high is not a whole number",
		`[{sensitive: 1, actions: []}]`:                   "rule 1: sensitive is neither true nor false",
		`[{actions: 5}]`:                                  "rule 1: actions is not a list",
		`[{actions: [5]}]`:                                "rule 1: actions: number 1 is not an object",
		`[{actions: [{op: dance}]}]`:                      `rule 1: actions: number 1: there is no action "dance"`,
		`[{actions: [{op: api-call}]}]`:                   `rule 1: actions: number 1: there is no action "api-call"`,
		`[{actions: [{op: fail}]}]`:                       "rule 1: actions: number 1: args is neither a list nor an object",
		`[{actions: [{op: fail, args: {}}]}]`:             "rule 1: actions: number 1: args: msg is missing",
		`[{actions: [{op: fail, args: []}]}]`:             "rule 1: actions: number 1: there are 0 args",
		`[{actions: [{op: fail, args: {msg: a, x: b}}]}]`: "rule 1: actions: number 1: args: x is unknown",
		`[{actions: [], conditions: [{op: near}]}]`:       `rule 1: conditions: number 1: there is no condition "near"`,
		`[{actions: [], conditions: [{args: {}}]}]`:       "rule 1: conditions: number 1: Operation must contain 'op' key",
		`[{actions: [{op: log, args: {msg: 2001-12-14t21:59:43.10Z}}]}]`: "rule 1: actions: args: msg: a value of type time.Time is not understood",
	}
	for _, text := range slices.Sorted(maps.Keys(refused)) {
		_, err := NewEngine(Config{}, nil).ParseBuiltIn([]byte(text))
		if err == nil || err.Error() != refused[text] {
			t.Errorf("%s: %v, want %s", text, err, refused[text])
		}
	}
}

// Whatever a rule says of whatever was found, it ends, and what it leaves can be stored.
func FuzzApply(f *testing.F) {
	var cases map[string]goldenCase
	read(f, "cases.json", &cases)
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		for _, rule := range cases[name].Rules {
			if name == "action-call-refused" {
				continue
			}
			encoded, err := json.Marshal(rule)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(encoded, []byte(`{"disks": [{"rotational": true}], "cpu": {"count": 8}}`), []byte(`{"a": {"password": "x", "list": [1]}}`))
		}
	}
	f.Fuzz(func(t *testing.T, rule, inventory, plugin []byte) {
		var r store.InspectionRule
		var given struct{ Conditions, Actions []store.Dict }
		decoder := json.NewDecoder(strings.NewReader(string(rule)))
		decoder.UseNumber()
		if decoder.Decode(&given) != nil {
			return
		}
		r.Conditions, r.Actions = given.Conditions, given.Actions
		found, err := store.ParseDict(inventory)
		if err != nil {
			return
		}
		data, err := store.ParseDict(plugin)
		if err != nil {
			return
		}
		k := &keeper{rules: []*store.InspectionRule{&r}, ports: []*store.Port{{UUID: "p"}}}
		n := goldenCase{}.node()
		for _, mask := range []string{MaskAlways, MaskNever} {
			_ = NewEngine(Config{MaskSecrets: mask, ValuesFormatted: true}, k).Apply(t.Context(),
				&drivers.Task{Node: n, Worker: k, Log: zerolog.Nop()}, found, data, PhaseMain)
		}
		if _, err := store.TakeSnapshot(n); err != nil {
			t.Error(err)
		}
		if _, err := store.AppendJSON(nil, data); err != nil {
			t.Error(err)
		}
		if n.ID != 1 || n.ProvisionState != "" || n.Reservation != "" {
			t.Errorf("the rule changed what is not its own: %+v", n)
		}
	})
}
