package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Further cases of the recordings' kinds: testdata/own.json says what is asked in which state, testdata/own-21.4.jsonl what
// Debian's conductor did. REPLAY_CONDUCTOR=python REPLAY_RECORD=1 writes the latter, on ironic 21.4.

type ownCase struct {
	HTTP   []httpRequest
	Direct *struct {
		Exchange   string
		RoutingKey string `json:"routing_key"`
		Method     string
		Args       map[string]any
		Version    string
		Cast       bool
	}
	Setup setup
	// Since is the first release on which the case is asked, where that is not the first of all.
	Since string
}

type ownCases struct {
	Nodes map[string]row
	Cases map[string]ownCase
}

const ownOutcomes = "own-21.4.jsonl"

// asRecording is the case before anything is known of its outcome.
func (c ownCase) asRecording(name string) recording {
	r := recording{name: name, Kind: "call"}
	for _, request := range c.HTTP {
		r.HTTP = append(r.HTTP, exchange{Request: &request})
	}
	if c.Direct == nil {
		return r
	}
	m := message{Exchange: c.Direct.Exchange, RoutingKey: c.Direct.RoutingKey, Message: map[string]any{
		"method": c.Direct.Method, "args": c.Direct.Args, "version": c.Direct.Version, "_timeout": nil,
		"_context_request_id": "req-4f19795c-2428-48ac-a659-ee65bb3a3df7", "_context_roles": []any{},
		"_context_is_admin": false, "_context_user_identity": "- - - - -", "_context_is_admin_project": true,
	}}
	if c.Direct.Cast {
		r.Kind = "cast"
	} else {
		m.Message["_reply_q"], m.Message["_msg_id"] = "reply", "id"
	}
	r.Request = &m
	return r
}

func (c ownCases) setups() setups {
	s := setups{Nodes: c.Nodes, Cases: map[string]setup{}}
	for name, one := range c.Cases {
		s.Cases[name] = one.Setup
	}
	return s
}

func (w *world) replayOwn(t *testing.T) {
	w.replayFurther(t, "further cases", func(s setup) bool { return !s.Neutron && !s.NetworkTraits && !s.Inspection })
}

// replayFurther replays the cases with setups of a kind.
func (w *world) replayFurther(t *testing.T, what string, kind func(setup) bool) {
	var own ownCases
	w.read(t, "own.json", &own)
	asked := slices.DeleteFunc(slices.Sorted(maps.Keys(own.Cases)), func(name string) bool {
		since := own.Cases[name].Since
		return !kind(own.Cases[name].Setup) || since != "" && older(releases[w.release].name, since) && !w.recording()
	})
	s := own.setups()
	if w.recording() && w.release == 0 {
		w.recordOwn(t, ownOutcomes, own, s, asked)
		return
	}
	outcomes, differences := w.outcomes(t, ownOutcomes), w.differences(t)
	tally{what: what}.run(t, asked, func(name string) outcome {
		r, ok := outcomes[name]
		if !ok {
			t.Errorf("%s: nobody recorded what upstream does", name)
			return different
		}
		c := trial{asked: own.Cases[name].asRecording(name)}
		if w.recordingChanges() {
			w.noteCase(t, s, c.asked, r)
			return same
		}
		c.want = w.expectation(t, r)
		w.countUse(c.want)
		if c.asked.Request != nil {
			c.want.Request = c.asked.Request
		}
		return w.replay(t, s, c, differences[name], differences["*"])
	})
}

func (w *world) outcomes(t *testing.T, file string) map[string]recording {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]recording{}
	lines := bufio.NewScanner(strings.NewReader(w.places().Replace(string(content))))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var line struct {
			Name string
			recording
		}
		if err := decode(lines.Text(), &line); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		line.name = line.Name
		all[line.Name] = line.recording
	}
	return all
}

// recordOwn asks cases and writes down what happens.
func (w *world) recordOwn(t *testing.T, name string, own ownCases, s setups, asked []string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	lines := map[string]string{}
	if old, err := os.ReadFile(file); err == nil {
		for line := range strings.Lines(string(old)) {
			var head struct{ Name string }
			if json.Unmarshal([]byte(line), &head) == nil && own.Cases[head.Name].HTTP != nil || own.Cases[head.Name].Direct != nil {
				lines[head.Name] = strings.TrimRight(line, "\n")
			}
		}
	}
	for _, name := range asked {
		if selected(name) {
			lines[name] = w.canonical(w.record(t, s, own.Cases[name].asRecording(name)))
		}
	}
	var all bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintln(&all, lines[name])
	}
	if err := os.WriteFile(file, all.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (w *world) record(t *testing.T, s setups, r recording) map[string]any {
	t.Helper()
	before := w.begin(t, s, r)
	var exchanges []any
	direct := r.Request != nil
	for _, e := range r.HTTP {
		if e.Request == nil {
			exchanges = append(exchanges, map[string]any{})
			continue
		}
		direct = false
		status, body := w.request(t, *e.Request)
		exchanges = append(exchanges, map[string]any{"request": e.Request, "response": map[string]any{"status": status, "body": body}})
	}
	if direct {
		if err := w.tap.publish(t.Context(), w.direct(*r.Request)); err != nil {
			t.Fatal(err)
		}
	}
	after, seen := w.settle(t)
	out := map[string]any{"name": r.name, "http": exchanges, "kind": r.Kind, "notifications": seen.notifications,
		"db_changes": changes(before, after)}
	if changed := w.neutron.Changes(); len(changed) > 0 {
		out["neutron"] = changed
	}
	if len(seen.requests) > 0 {
		first := seen.requests[0]
		out["request"] = map[string]any{"message": map[string]any{
			"method": first.Message["method"], "args": first.Message["args"], "version": first.Message["version"]}}
		out["replies"] = []any{}
		for _, reply := range seen.replies {
			out["replies"] = []any{map[string]any{"message": map[string]any{
				"result": reply.Message["result"], "failure": withoutTraceback(reply.Message["failure"])}}}
			break
		}
	}
	return out
}

// noteCase asks a case and writes down, under the name of its outcome on 21.4, in what the outcome differs here.
func (w *world) noteCase(t *testing.T, s setups, asked, first recording) {
	t.Helper()
	got := recording{}
	encoded, err := json.Marshal(w.record(t, s, asked))
	if err == nil {
		err = decode(string(encoded), &got)
	}
	if err != nil {
		t.Fatalf("%s: %v", asked.name, err)
	}
	got.name = first.name
	if first.Agent != nil {
		got.Agent = w.agent.commands()
	}
	if !slices.ContainsFunc(asked.HTTP, func(e exchange) bool { return e.Request != nil }) {
		// What was asked does not depend on the release when no ironic-api asked it.
		got.Request = first.Request
	}
	if sameButLost(sorted(first.Notifications), sorted(got.Notifications)) {
		// Newer releases publish from several threads at once.
		got.Notifications = first.Notifications
	}
	w.note(t, first.name, account(first), account(got))
}

func sorted(texts []string) []string { return slices.Sorted(slices.Values(texts)) }

// settle waits until nothing happens any more.
func (w *world) settle(t *testing.T) (map[string]any, traffic) {
	t.Helper()
	state, since := "", time.Now()
	for {
		rows, err := w.db.rows()
		if err != nil {
			t.Fatal(err)
		}
		seen, silence := w.tap.traffic()
		if now := fmt.Sprint(rows, len(seen.notifications)); now != state {
			state, since = now, time.Now()
		}
		patience := 600 * time.Millisecond
		if busy(rows) {
			patience = 2 * time.Minute
		}
		if time.Since(since) > patience && silence > patience {
			return rows, seen
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// changes is db_changes of a recording.
func changes(before, after map[string]any) map[string]any {
	all := map[string]any{}
	for place, values := range after {
		old, known := before[place].(row)
		if !known {
			fresh := map[string]any{}
			for column, value := range values.(row) {
				if value != nil {
					fresh[column] = value
				}
			}
			all[place] = map[string]any{"created": fresh}
			continue
		}
		changed := map[string]any{}
		for column, value := range values.(row) {
			if old[column] != value {
				changed[column] = []any{old[column], value}
			}
		}
		if len(changed) > 0 {
			all[place] = changed
		}
	}
	for place := range before {
		if after[place] == nil {
			all[place] = "deleted"
		}
	}
	return all
}

func withoutTraceback(failure any) any {
	text, ok := failure.(string)
	if !ok {
		return failure
	}
	var decoded map[string]any
	if decode(text, &decoded) != nil {
		return failure
	}
	delete(decoded, "tb")
	encoded, err := json.Marshal(decoded)
	if err != nil {
		return failure
	}
	return string(encoded)
}

// canonical writes the addresses of the first recordings.
func (w *world) canonical(out map[string]any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(out); err != nil {
		panic(err) // It came from JSON.
	}
	return strings.TrimRight(strings.NewReplacer(
		w.lab.IronicURL, "http://127.0.0.1:6385", w.files.URL, "http://127.0.0.1:8089", w.agent.url, "http://127.0.0.1:9998", w.neutron.URL, "http://127.0.0.1:9696",
		w.root, "/srv/ref/http", filepath.Join(w.lab.Dir, "state"), "/var/lib/ironic",
	).Replace(text.String()), "\n")
}
