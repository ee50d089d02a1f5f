package replay

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recording is what was seen when upstream's conductor answered one request.
type recording struct {
	name string

	HTTP          []exchange
	Request       *message
	Replies       []message
	Kind          string
	Notifications []string
	// Changes maps "table/key" to "deleted", to {"created": row}, or to {column: [before, after]}.
	Changes map[string]any `json:"db_changes"`
	// Agent is what the agent was told, where that was recorded.
	Agent []any
	// Neutron is what Neutron was asked to change.
	Neutron []string
}

// trial is a case: what is asked, with the rows that 21.4 had before it, and what should come of it.
type trial struct {
	asked, want recording
	// untold are tables that the recording does not tell of.
	untold []string
}

// exchange is one request to ironic-api with its answer.
type exchange struct {
	Request  *httpRequest `json:"request"`
	Response struct {
		Status json.Number
		Body   any
	} `json:"response"`
}

type httpRequest struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   any    `json:"body"`
}

// message is one message on the broker, with its decoded inner oslo.message.
type message struct {
	Exchange   string         `json:"exchange"`
	RoutingKey string         `json:"routing_key"`
	Message    map[string]any `json:"message"`
}

type row map[string]any

// setup is what the database holds, and what the agent did, before a case.
type setup struct {
	// Nodes holds, by UUID, what differs from the node as it usually is and from what the recording saw before.
	Nodes map[string]row
	// Absent names usual nodes that must not be there.
	Absent     []string
	Ports      []row
	Portgroups []row
	Traits     []row
	BIOS       []row `json:"bios_settings"`
	Connectors []row `json:"volume_connectors"`
	Targets    []row `json:"volume_targets"`
	// Allocations that have a node need its allocation_id, too.
	Allocations []row
	// Rows are those of other tables, by table.
	Rows  map[string][]row
	Agent agentScript
	// Neutron tells that the worker has the network interfaces flat and neutron.
	Neutron bool
	// NetworkTraits tells that it has them, and goes by the rules of trait-based networking where the release can.
	NetworkTraits bool `json:"network_traits"`
	// Inspection tells that the worker takes findings of ramdisks where the release can.
	Inspection bool
	// Reason says why the case differs from the recording's own state, where it does.
	Reason string
}

type setups struct {
	Nodes map[string]row
	Cases map[string]setup
}

// difference is a deliberate one: the paths in which a case may differ, and why.
type difference struct {
	Reason string
	Paths  []string
	// Notifications replaces the recorded list.
	Notifications []string
}

// places replaces addresses in the recordings by those of the lab.
func (w *world) places() *strings.Replacer {
	return strings.NewReplacer(
		"http://127.0.0.1:6385", w.lab.IronicURL,
		"http://127.0.0.1:8089", w.files.URL,
		"http://127.0.0.1:9998", w.agent.url,
		"http://127.0.0.1:9696", w.neutron.URL,
		"/srv/ref/http", w.root,
		"/var/lib/ironic", filepath.Join(w.lab.Dir, "state"),
	)
}

func (w *world) read(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := decode(w.places().Replace(string(content)), into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func decode(text string, into any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// recordings returns the recorded cases as they are asked, and what came of each on 21.4.
func (w *world) recordings(t *testing.T) (asked, outcomes map[string]recording) {
	t.Helper()
	files, err := filepath.Glob("testdata/21.4/*--*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings (%v)", err)
	}
	asked, outcomes = map[string]recording{}, map[string]recording{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if strings.HasPrefix(name, "agent-http--") || !selected(name) {
			continue
		}
		a, o := recording{name: name}, recording{name: name}
		w.read(t, filepath.Join("21.4", name+".json"), &a)
		w.read(t, filepath.Join("21.4", name+".json"), &o)
		asked[name], outcomes[name] = a, o
	}
	return asked, outcomes
}

// columns returns the recorded column values of a changed row: before when index is 0, after when it is 1.
func columns(change any, index int) row {
	pairs, _ := change.(map[string]any)
	values := row{}
	for column, pair := range pairs {
		if both, ok := pair.([]any); ok && len(both) == 2 {
			values[column] = both[index]
		}
	}
	return values
}

func created(change any) (row, bool) {
	pairs, _ := change.(map[string]any)
	values, ok := pairs["created"].(map[string]any)
	return values, ok
}

// text is the value that MariaDB gives for a column.
func text(value any) any {
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		return v
	case []byte:
		return string(v)
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "1"
		}
		return "0"
	case map[string]any, []any:
		encoded, err := json.Marshal(v)
		if err != nil {
			panic(err) // It came from JSON.
		}
		return string(encoded)
	default:
		return fmt.Sprint(v)
	}
}
