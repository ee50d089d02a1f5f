package docs

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// verdicts are what the tables of docs/compatibility.md say about each thing.
var verdicts = []string{"same", "differs", "not supported"}

func verdict(t *testing.T, where, cell string) string {
	t.Helper()
	for _, v := range verdicts {
		if strings.HasPrefix(cell, v) {
			if v != "same" && len(cell) < len(v)+3 {
				t.Errorf("docs/compatibility.md, %s: %q does not say why, or what is answered", where, cell)
			}
			return v
		}
	}
	t.Errorf("docs/compatibility.md, %s: %q is none of %q", where, cell, verdicts)
	return ""
}

func TestCompatibilityJudgesEveryMethod(t *testing.T) {
	methods := rpcMethods(t)
	seen := map[string]bool{}
	for _, row := range table(t, read(t, "docs/compatibility.md"), "| method | version | here |") {
		name := strings.Trim(row[0], "`")
		seen[name] = true
		supported := verdict(t, name, row[2]) != "not supported"
		if known := slices.Contains(methods, name); known != supported {
			t.Errorf("docs/compatibility.md says %q of %s; conductor/rpc.go has it: %v", row[2], name, known)
		}
	}
	for _, name := range methods {
		if !seen[name] {
			t.Errorf("docs/compatibility.md does not judge the method %s", name)
		}
	}
}

func TestCompatibilityJudgesEveryInterface(t *testing.T) {
	content, err := os.ReadFile("testdata/entry-points.json")
	if err != nil {
		t.Fatal(err)
	}
	var releases map[string]map[string][]string
	if err := json.Unmarshal(content, &releases); err != nil {
		t.Fatal(err)
	}
	built := buildOfAll()
	here := map[string][]string{"hardware type": slices.Sorted(maps.Keys(built.Types))}
	for typ := range built.Implementations {
		here[string(typ)] = built.Names(typ)
	}
	unjudged := map[string]bool{}
	for _, types := range releases {
		for typ, names := range types {
			for _, name := range names {
				unjudged[typ+" "+name] = true
			}
		}
	}
	page := read(t, "docs/compatibility.md")
	_, below, _ := strings.Cut(page, "\n## Not there yet\n")
	missing := codeSpans(below)
	for _, row := range table(t, page, "| type | same | differ | not supported |") {
		for i, cell := range row[1:] {
			for _, name := range codeSpans(cell) {
				delete(unjudged, row[0]+" "+name)
				if i == 2 && !slices.Contains(missing, name) {
					t.Errorf("docs/compatibility.md does not support %s %s, and does not say so below", row[0], name)
				}
				if built := slices.Contains(here[row[0]], name); built != (i < 2) {
					t.Errorf("docs/compatibility.md has %s %s in the wrong column; it is in the build: %v", row[0], name, built)
				}
			}
		}
	}
	if len(unjudged) > 0 {
		t.Errorf("docs/compatibility.md does not judge %q", slices.Sorted(maps.Keys(unjudged)))
	}
}

// TestCompatibilityJudgesEveryVerb holds the table against the events of the state machine that users send.
func TestCompatibilityJudgesEveryVerb(t *testing.T) {
	internal := []string{"done", "fail", "wait", "resume", "hold"}
	// The API's names for two events.
	names := map[string]string{"deploy": "active", "delete": "deleted"}
	var want []string
	for _, event := range eventNames(t) {
		if !slices.Contains(internal, event) {
			if name, ok := names[event]; ok {
				event = name
			}
			want = append(want, event)
		}
	}
	var got []string
	for _, row := range table(t, read(t, "docs/compatibility.md"), "| verb | here |") {
		verdict(t, row[0], row[1])
		got = append(got, strings.Trim(row[0], "`"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("docs/compatibility.md judges the verbs %q, conductor/machine.go has %q", got, want)
	}
}

// eventNames reads the constants of the state machine's events out of its source.
func eventNames(t *testing.T) []string {
	t.Helper()
	var events []string
	for line := range strings.Lines(read(t, "conductor/machine.go")) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && strings.HasPrefix(name, "event") {
			if value = strings.TrimSpace(value); strings.HasPrefix(value, `"`) {
				events = append(events, strings.Trim(value, `"`))
			}
		}
	}
	if len(events) < 10 {
		t.Fatalf("conductor/machine.go has the events %q only", events)
	}
	return events
}
