package replay

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const victim = "b3c17625-54b9-566c-aab3-080ac396aeb0"

// badInput sends what no client should send. A call must be answered with a clear error; nothing may change, no lock may
// stay, and the conductor goes on serving.
func (w *world) badInput(t *testing.T) {
	var own ownCases
	w.read(t, "own.json", &own)
	seed := func(t *testing.T) {
		t.Helper()
		if err := w.db.seed(own.Nodes, setup{}, recording{}, victim); err != nil {
			t.Fatal(err)
		}
		w.tap.reset()
	}
	call := func(method string, args map[string]any) map[string]any {
		w.serial++
		id := fmt.Sprintf("%032x", w.serial)
		return map[string]any{"method": method, "args": args, "version": "1.55", "_msg_id": id, "_unique_id": id,
			"_reply_q": w.tap.replyQueue, "_timeout": nil, "_context_request_id": "req-1", "_context_roles": []any{}}
	}
	huge := strings.Repeat("x", 10<<20)

	t.Run("malformed", func(t *testing.T) {
		seed(t)
		for name, body := range map[string]string{
			"empty": "", "no JSON": "{", "a list": "[]", "a number": "7", "no message": `{"oslo.version": "2.0"}`,
			"message no JSON":   `{"oslo.version": "2.0", "oslo.message": "{"}`,
			"message a list":    `{"oslo.version": "2.0", "oslo.message": "[]"}`,
			"message no text":   `{"oslo.version": "2.0", "oslo.message": {"method": "destroy_node"}}`,
			"other version":     `{"oslo.version": "9.0", "oslo.message": "{}"}`,
			"no method":         `{"oslo.version": "2.0", "oslo.message": "{\"args\": {}}"}`,
			"method a number":   `{"oslo.version": "2.0", "oslo.message": "{\"method\": 7, \"args\": {}}"}`,
			"arguments a list":  `{"oslo.version": "2.0", "oslo.message": "{\"method\": \"destroy_node\", \"args\": []}"}`,
			"10 MB of rubbish":  huge,
			"not even Unicode":  "\xff\xfe\x00",
			"deep":              strings.Repeat("[", 100000),
			"version no number": `{"oslo.version": "2.0", "oslo.message": "{\"method\": \"destroy_node\", \"version\": \"x\", \"args\": {\"node_id\": \"` + victim + `\"}}"}`,
		} {
			if err := w.tap.publishBody(t.Context(), "ironic", "ironic.conductor_manager."+hostname, []byte(body)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		w.stillServes(t, call("get_boot_device", map[string]any{"node_id": victim}))
		w.unchanged(t, own.Nodes[victim])
	})
	for name, bad := range map[string]struct {
		method string
		args   map[string]any
		text   string
	}{
		"10 MB":                {"get_boot_device", map[string]any{"node_id": victim, "colour": huge}, ""},
		"10 MB for an id":      {"get_boot_device", map[string]any{"node_id": huge}, ""},
		"node id a list":       {"get_boot_device", map[string]any{"node_id": []any{victim}}, ""},
		"node id an object":    {"destroy_node", map[string]any{"node_id": map[string]any{}}, ""},
		"node id null":         {"destroy_node", map[string]any{"node_id": nil}, ""},
		"no arguments":         {"change_node_power_state", map[string]any{}, "missing"},
		"state a number":       {"change_node_power_state", map[string]any{"node_id": victim, "new_state": 7}, ""},
		"steps a text":         {"do_node_clean", map[string]any{"node_id": victim, "clean_steps": "all"}, ""},
		"node no object":       {"create_node", map[string]any{"node_obj": 7}, ""},
		"node without content": {"create_node", map[string]any{"node_obj": map[string]any{}}, ""},
		"port for no node": {"create_port", map[string]any{"port_obj": map[string]any{"ironic_object.name": "Port",
			"ironic_object.namespace": "ironic", "ironic_object.version": "1.11", "ironic_object.data": map[string]any{
				"address": "52:54:00:00:00:01", "node_id": 99999}, "ironic_object.changes": []any{"address", "node_id"}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			seed(t)
			reply := w.call(t, call(bad.method, bad.args))
			text := fmt.Sprint(reply["failure"])
			if reply["failure"] == nil || !strings.Contains(text, bad.text) {
				t.Errorf("the reply is %s, want a failure that names %q", brief(reply), bad.text)
			}
			if len(text) > 1<<20 && !w.python {
				t.Errorf("the failure repeats %d bytes of the request", len(text))
			}
			w.unchanged(t, own.Nodes[victim])
		})
	}
	t.Run("what later work adds is answered", func(t *testing.T) { w.laterWork(t, seed) })
}

// laterWork asks for what this build does not do: each request gets an answer in time, and none leaves a lock.
func (w *world) laterWork(t *testing.T, seed func(*testing.T)) {
	t.Helper()
	for _, r := range []httpRequest{
		{"GET", "/v1/nodes/" + victim + "/states/console", nil},
		{"PUT", "/v1/nodes/" + victim + "/states/console", map[string]any{"enabled": true}},
		{"PUT", "/v1/nodes/" + victim + "/states/raid", map[string]any{"logical_disks": []any{}}},
		{"GET", "/v1/nodes/" + victim + "/vifs", nil},
		{"POST", "/v1/nodes/" + victim + "/vifs", map[string]any{"id": "vif"}},
		{"GET", "/v1/nodes/" + victim + "/vendor_passthru/methods", nil},
		{"POST", "/v1/nodes/" + victim + "/vendor_passthru?method=nope", map[string]any{}},
		{"GET", "/v1/drivers/fake-hardware/raid/logical_disk_properties", nil},
		{"POST", "/v1/allocations", map[string]any{"resource_class": "none"}},
	} {
		seed(t)
		started := time.Now()
		status, body := w.request(t, r)
		if status >= http.StatusInternalServerError && strings.Contains(fmt.Sprint(body), "Timed out") || time.Since(started) > 20*time.Second {
			t.Errorf("%s %s: %d after %v: %v", r.Method, r.Path, status, time.Since(started), body)
		}
		rows, _ := w.settle(t)
		if node := rows["nodes/"+victim].(row); node["reservation"] != nil {
			t.Errorf("%s %s left a lock", r.Method, r.Path)
		}
	}
}

// call publishes a request and waits for its reply.
func (w *world) call(t *testing.T, inner map[string]any) map[string]any {
	t.Helper()
	m := message{Exchange: "ironic", RoutingKey: "ironic.conductor_manager." + hostname, Message: inner}
	if err := w.tap.publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		seen, _ := w.tap.traffic()
		for _, reply := range seen.replies {
			if reply.Message["_msg_id"] == inner["_msg_id"] {
				return reply.Message
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("nobody answered %s", inner["method"])
	return nil
}

func (w *world) stillServes(t *testing.T, good map[string]any) {
	t.Helper()
	if reply := w.call(t, good); reply["failure"] != nil {
		t.Errorf("after bad input a good call fails: %v", reply["failure"])
	}
}

// unchanged checks that the only node is as it was seeded, and free.
func (w *world) unchanged(t *testing.T, seeded row) {
	t.Helper()
	rows, _ := w.settle(t)
	if len(rows) != 1 {
		t.Errorf("%d rows are there, want the one node", len(rows))
	}
	node, ok := rows["nodes/"+victim].(row)
	if !ok {
		t.Fatal("the node is gone")
	}
	want := w.db.complete(seeded, victim, "")
	for column, value := range want {
		if fmt.Sprint(text(value)) != fmt.Sprint(node[column]) {
			t.Errorf("%s is %v, want %v", column, node[column], value)
		}
	}
	for _, column := range []string{"reservation", "last_error", "target_power_state", "target_provision_state"} {
		if node[column] != nil {
			t.Errorf("%s is %v, want nothing", column, node[column])
		}
	}
}
