package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	// quiet is how long nothing happens after a case that has come to its end.
	quiet = 120 * time.Millisecond
	// stuck is how long nothing happens in a case that will not reach what was recorded.
	stuck = 2 * time.Second
	// endless bounds every case.
	endless = 40 * time.Second
)

func TestReplay(t *testing.T) {
	w := start(t, nil, nil)
	t.Run("registration", w.registration)
	t.Run("topology", w.topology)
	t.Run("recorded", w.replayRecorded)
	t.Run("further", w.replayOwn)
	t.Run("networks", w.networks)
	t.Run("traits", w.networkTraits)
	t.Run("inspections", w.inspections)
	t.Run("coverage", w.coverage)
	t.Run("bad input", w.badInput)
	t.Run("restarts", w.restarts)
	t.Run("timeouts", w.timeouts)
	t.Run("crowded", w.crowded)
	t.Run("monitored", w.monitored)
}

func (w *world) replayRecorded(t *testing.T) {
	var s setups
	w.read(t, "setup.json", &s)
	differences := w.differences(t)
	asked, outcomes := w.recordings(t)
	w.addAgentCommands(t, s, outcomes)
	tally{what: "cases"}.run(t, slices.Sorted(maps.Keys(asked)), func(name string) outcome {
		if w.recordingChanges() {
			w.noteCase(t, s, asked[name], outcomes[name])
			return same
		}
		c := trial{asked: asked[name], want: w.expectation(t, outcomes[name]), untold: untold}
		w.countUse(c.want)
		return w.replay(t, s, c, differences[name], differences["*"])
	})
}

// untold are tables that whoever recorded the wire did not look at.
var untold = []string{"chassis", "deploy_templates", "deploy_template_steps"}

// leaveOut removes the rows of some tables.
func leaveOut(rows map[string]any, tables []string) {
	maps.DeleteFunc(rows, func(place string, _ any) bool {
		table, _, _ := strings.Cut(place, "/")
		return slices.Contains(tables, table)
	})
}

// addAgentCommands completes outcomes by what the agent was told, which stands in files of its own.
func (w *world) addAgentCommands(t *testing.T, s setups, outcomes map[string]recording) {
	t.Helper()
	for name, r := range outcomes {
		told := s.Cases[name].Agent.Commands
		if told.File == "" {
			continue
		}
		var all []command
		w.read(t, told.File, &all)
		r.Agent = shortCommands(all[told.From:told.To])
		outcomes[name] = r
	}
}

// outcome is how a case went.
type outcome int

const (
	same outcome = iota
	onPurpose
	different
)

// tally counts the cases that are the same.
type tally struct {
	what string
	// sequence tells that cases build on those before them, so that none can be left out.
	sequence bool
}

func (c tally) run(t *testing.T, names []string, replay func(name string) outcome) {
	counts, total := map[outcome]int{}, 0
	for _, name := range names {
		if !c.sequence && !selected(name) {
			continue
		}
		total++
		counts[replay(name)]++
	}
	fmt.Printf("%d of %d %s same, %d differ on purpose, %d differ\n",
		counts[same], total, c.what, counts[onPurpose], counts[different])
}

// replay runs a case and reports what differs and should not.
func (w *world) replay(t *testing.T, s setups, c trial, allowed, everywhere difference) outcome {
	t.Helper()
	if allowed.Notifications != nil {
		c.want.Notifications = allowed.Notifications
	}
	found := w.run(t, s, c)
	var wrong []mismatch
	for _, m := range found {
		if !covered(allowed.Paths, m.path) && !covered(everywhere.Paths, m.path) {
			wrong = append(wrong, m)
		}
	}
	for i, m := range wrong {
		if i == 12 {
			t.Errorf("%s: and %d more", c.asked.name, len(wrong)-i)
			break
		}
		t.Errorf("%s: %s", c.asked.name, m)
	}
	if len(found) == 0 && len(allowed.Paths) > 0 {
		t.Logf("%s: no longer differs, although testdata/differences.json says so", c.asked.name)
	}
	switch {
	case len(wrong) > 0:
		return different
	case len(found) > 0 || allowed.Notifications != nil:
		return onPurpose
	default:
		return same
	}
}

// begin puts the state before the case in place and returns the rows that it begins with.
func (w *world) begin(t *testing.T, s setups, r recording) (before map[string]any) {
	t.Helper()
	own := s.Cases[r.name]
	err := w.db.seed(s.Nodes, own, r, recordingText(r))
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	if before, err = w.db.rows(); err != nil {
		t.Fatal(err)
	}
	w.agent.reset(own.Agent)
	w.wire()
	w.tap.reset()
	return before
}

// run begins the case, asks, and returns in what the outcome differs from the recording.
func (w *world) run(t *testing.T, s setups, c trial) []mismatch {
	t.Helper()
	before := w.begin(t, s, c.asked)
	started := time.Now()
	answers := w.ask(t, c)

	after := comparable(expected(before, c.want))
	leaveOut(after, c.untold)
	var found []mismatch
	state, changed := "", time.Now()
	for {
		rows, err := w.db.rows()
		if err != nil {
			t.Fatal(err)
		}
		leaveOut(rows, c.untold)
		seen, silence := w.tap.traffic()
		found = append(answers, w.compareCase(c.want, after, rows, seen)...)
		found = append(found, w.compareNeutron(c.want)...)
		if len(found) == 0 && silence > quiet {
			return nil
		}
		if now := fmt.Sprint(rows, len(seen.notifications), len(w.agent.commands())); now != state {
			state, changed = now, time.Now()
		}
		patience := stuck
		if busy(rows) {
			patience = 4 * stuck
		}
		if time.Since(changed) > patience && silence > stuck || time.Since(started) > endless {
			return found
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// busy tells that the conductor holds a node, or looks for one.
func busy(rows map[string]any) bool {
	for place, values := range rows {
		searching := strings.HasPrefix(place, "allocations/") && values.(row)["state"] == "allocating" &&
			values.(row)["conductor_affinity"] != nil
		if searching || values.(row)["reservation"] == hostname {
			return true
		}
	}
	return false
}

func recordingText(r recording) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	for _, part := range []any{r.HTTP, r.Request, r.Changes} {
		if err := encoder.Encode(part); err != nil {
			panic(err) // It came from JSON.
		}
	}
	return text.String()
}

// ask sends the recorded requests, over HTTP or straight to the broker, and compares the HTTP answers.
func (w *world) ask(t *testing.T, c trial) []mismatch {
	t.Helper()
	var found []mismatch
	direct := true
	for i, e := range c.asked.HTTP {
		if e.Request == nil {
			continue
		}
		direct = false
		status, body := w.request(t, *e.Request)
		at := "http"
		if i > 0 {
			at = fmt.Sprintf("http%d", i)
		}
		want := c.want.HTTP[i].Response
		found = append(found, compare(at+".status", want.Status, json.Number(fmt.Sprint(status)))...)
		found = append(found, compare(at+".body", dropIDs(c.want, plain("", want.Body)), dropIDs(c.want, plain("", body)))...)
	}
	if direct {
		if err := w.tap.publish(t.Context(), w.direct(*c.asked.Request)); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// direct makes a request of our own of a recorded one.
func (w *world) direct(m message) message {
	inner := map[string]any{}
	for key, value := range m.Message {
		inner[key] = value
	}
	w.serial++
	inner["_unique_id"] = fmt.Sprintf("%032x", w.serial)
	if inner["_reply_q"] != nil {
		inner["_msg_id"] = fmt.Sprintf("%032x", w.serial)
		inner["_reply_q"] = w.tap.replyQueue
	}
	m.Message = inner
	return m
}

func (w *world) request(t *testing.T, r httpRequest) (int, any) {
	t.Helper()
	return askAPI(t, w.lab.IronicURL, r)
}

func (w *jsonWorld) request(t *testing.T, r httpRequest) (int, any) {
	t.Helper()
	return askAPI(t, w.lab.IronicURL, r)
}

func askAPI(t *testing.T, ironic string, r httpRequest) (int, any) {
	t.Helper()
	var body bytes.Buffer
	if r.Body != nil {
		if err := json.NewEncoder(&body).Encode(r.Body); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 70*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, r.Method, ironic+r.Path, &body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("X-OpenStack-Ironic-API-Version", "latest")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Path, err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	var decoded any
	decoder := json.NewDecoder(&text)
	decoder.UseNumber()
	whole := text.String()
	if decoder.Decode(&decoded) != nil {
		return response.StatusCode, whole
	}
	return response.StatusCode, decoded
}

// dropIDs removes row numbers that the database chose.
func dropIDs(r recording, value any) any {
	if parts, ok := value.([]any); ok {
		for _, part := range parts {
			dropIDs(r, part)
		}
	}
	if data, ok := value.(map[string]any); ok && strings.Contains(r.name, "create") {
		if inner, ok := data["ironic_object.data"].(map[string]any); ok {
			delete(inner, "id")
		}
		delete(data, "id")
	}
	return value
}

// compareCase compares all but the HTTP answers.
func (w *world) compareCase(r recording, after map[string]any, rows map[string]any, seen traffic) []mismatch {
	var found []mismatch
	if r.Request != nil {
		found = append(found, compareRequest(*r.Request, seen.requests)...)
		found = append(found, compareReply(r, seen)...)
	}
	found = append(found, w.compareNotifications(r, seen)...)
	got := comparable(rows)
	for place, change := range r.Changes {
		if _, isNew := created(change); isNew {
			dropKey(after, place)
			dropKey(got, place)
		}
	}
	found = append(found, trim(compare("", after, got))...)
	if r.Agent != nil {
		found = append(found, compare("agent", r.Agent, w.agent.commands())...)
	}
	return found
}

func dropKey(rows map[string]any, place string) {
	if values, ok := rows[place].(map[string]any); ok {
		delete(values, "id")
	}
}

func trim(all []mismatch) []mismatch {
	for i := range all {
		all[i].path = strings.TrimPrefix(all[i].path, ".")
	}
	return all
}

// compareRequest checks the harness rather than the conductor: the API asked what it asked when the case was recorded,
// whole nodes included.
func compareRequest(want message, requests []message) []mismatch {
	for _, got := range requests {
		if got.Message["method"] == want.Message["method"] {
			var found []mismatch
			for _, key := range []string{"version", "args"} {
				found = append(found, compare("request."+key, plainRequest(want.Message[key]), plainRequest(got.Message[key]))...)
			}
			return found
		}
	}
	return []mismatch{{path: "request", want: want.Message["method"], got: absent}}
}

func plainRequest(value any) any {
	p := plain("", value)
	if args, ok := p.(map[string]any); ok {
		for _, argument := range args {
			object, _ := argument.(map[string]any)
			if data, ok := object["ironic_object.data"].(map[string]any); ok {
				delete(data, "updated_at")
			}
		}
	}
	return p
}

func compareReply(r recording, seen traffic) []mismatch {
	if r.Kind != "call" {
		if len(seen.replies) > 0 {
			return []mismatch{{path: "reply", want: absent, got: seen.replies[0].Message}}
		}
		return nil
	}
	if len(seen.replies) == 0 || len(r.Replies) == 0 {
		return []mismatch{{path: "reply", want: "a reply", got: absent}}
	}
	// Signs of life of a call that is monitored come before the reply.
	i := slices.IndexFunc(seen.replies, func(m message) bool { return m.Message["ending"] != false })
	if i < 0 {
		return []mismatch{{path: "reply", want: "a reply", got: "a sign of life"}}
	}
	// Where the API asks twice, the first answer was recorded.
	want, got := r.Replies[len(r.Replies)-1].Message, seen.replies[i].Message
	found := compare("reply.result", dropIDs(r, plain("", want["result"])), dropIDs(r, plain("", got["result"])))
	return append(found, compare("reply.failure", failure(want["failure"]), failure(got["failure"]))...)
}

// failure keeps of a failure what the API makes use of: the class, the text and the HTTP code.
func failure(value any) any {
	decoded, ok := plain("", value).(map[string]any)
	if !ok {
		return value
	}
	if decoded["tb"] == nil && decoded["code"] != nil {
		return decoded // It went through here before.
	}
	kept := map[string]any{"class": decoded["class"], "module": decoded["module"], "message": decoded["message"], "args": decoded["args"]}
	if arguments, ok := decoded["kwargs"].(map[string]any); ok && arguments["code"] != nil {
		kept["code"] = fmt.Sprint(arguments["code"])
	}
	if kept["code"] == nil {
		kept["code"] = "500"
	}
	return kept
}

func (w *world) compareNotifications(r recording, seen traffic) []mismatch {
	want, got := r.Notifications, seen.notifications
	if slices.Equal(want, got) || w.python && sameButLost(want, got) {
		return nil
	}
	return []mismatch{{path: "notifications", want: want, got: got}}
}

// sameButLost compares notifications apart from the ends of quick changes: whether upstream loses them is up to chance.
func sameButLost(want, got []string) bool {
	lost := func(event string) bool { return event == "baremetal.node.provision_set.end [INFO]" }
	return slices.Equal(slices.DeleteFunc(slices.Clone(want), lost), slices.DeleteFunc(slices.Clone(got), lost))
}
