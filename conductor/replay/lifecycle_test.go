package replay

import (
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

// registration compares the rows that make a conductor known with those recorded.
func (w *world) registration(t *testing.T) {
	var recorded struct {
		Conductors []row
		Interfaces []row `json:"conductor_hardware_interfaces"`
	}
	w.read(t, filepath.Join("21.4", "lifecycle", "conductor-start-db-rows.json"), &recorded)
	conductors, err := w.db.table("conductors")
	if err != nil || len(conductors) != 1 {
		t.Fatalf("%d conductors (%v), want one", len(conductors), err)
	}
	interfaces, err := w.db.table("conductor_hardware_interfaces")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range interfaces {
		if r["version"] != nil || r["updated_at"] != nil {
			t.Errorf("%s has version %v and updated_at %v, want none", interfaceKey(r), r["version"], r["updated_at"])
		}
	}
	first, got := registered(recorded.Conductors[0], recorded.Interfaces), registered(conductors[0], interfaces)
	if w.recordingChanges() {
		w.note(t, "registration", first, got)
		return
	}
	want := w.wanted("registration", first).(map[string]any)
	if !w.python {
		w.compareInterfaces(t, members(want["interfaces"]), members(got["interfaces"]))
		delete(want, "interfaces")
		delete(got, "interfaces")
	}
	for _, m := range compare("registration", want, got) {
		t.Error(m)
	}
}

// registered is a registration as a plain value: the conductor, and its interfaces with "1" for those that are a default.
func registered(conductor row, interfaces []row) map[string]any {
	columns, all := map[string]any{}, map[string]any{}
	for _, column := range []string{"hostname", "drivers", "online", "conductor_group", "version"} {
		columns[column] = plain(column, text(conductor[column]))
	}
	for _, r := range interfaces {
		all[interfaceKey(r)] = text(r["default"])
	}
	return map[string]any{"conductor": columns, "interfaces": all}
}

// compareInterfaces holds those of this build against upstream's: none that upstream lacks, and its defaults.
func (w *world) compareInterfaces(t *testing.T, want, got map[string]any) {
	t.Helper()
	defaults := map[string]string{}
	for key, value := range want {
		if parts := strings.Split(key, "/"); value == "1" {
			defaults[parts[0]+"/"+parts[1]] = parts[2]
		}
	}
	for key, value := range got {
		// Upstream's manual-management has no fake (docs/compatibility.md).
		if want[key] == nil && key != "manual-management/boot/fake" {
			t.Errorf("%s is registered, which upstream does not have", key)
		}
		if parts := strings.Split(key, "/"); value == "1" && parts[2] != defaults[parts[0]+"/"+parts[1]] {
			t.Errorf("the default of %s/%s is %s, want %s", parts[0], parts[1], parts[2], defaults[parts[0]+"/"+parts[1]])
		}
	}
}

func interfaceKey(r row) string {
	return fmt.Sprint(r["hardware_type"], "/", r["interface_type"], "/", r["interface_name"])
}

// topology compares exchanges and queues with what an oslo.messaging server of the default options declares.
func (w *world) topology(t *testing.T) {
	queues, err := w.lab.RabbitMQ.Ctl(t.Context(), "list_queues", "--formatter", "json", "name", "durable", "auto_delete", "arguments", "consumers")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Name       string
		Durable    bool
		AutoDelete bool `json:"auto_delete"`
		Arguments  [][]any
		Consumers  int
	}
	if err := json.Unmarshal([]byte(queues), &all); err != nil {
		t.Fatalf("%v: %s", err, queues)
	}
	found := map[string]string{}
	for _, q := range all {
		name := q.Name
		if strings.HasPrefix(name, "ironic.conductor_manager_fanout_") {
			name = "fanout"
		}
		// RabbitMQ 4 adds the type that a queue has when nothing is said of it.
		q.Arguments = slices.DeleteFunc(q.Arguments, func(a []any) bool { return a[0] == "x-queue-type" && a[2] == "classic" })
		for _, argument := range q.Arguments {
			// RabbitMQ compares numbers by value, whatever their width.
			argument[1] = strings.Replace(fmt.Sprint(argument[1]), "long", "signedint", 1)
		}
		found[name] = fmt.Sprintf("durable=%v auto_delete=%v arguments=%v consumers=%d", q.Durable, q.AutoDelete, q.Arguments, q.Consumers)
	}
	for name, want := range map[string]string{
		"ironic.conductor_manager":             "durable=false auto_delete=false arguments=[] consumers=1",
		"ironic.conductor_manager." + hostname: "durable=false auto_delete=false arguments=[] consumers=1",
		"fanout":                               "durable=false auto_delete=false arguments=[[x-expires signedint 1.8e+06]] consumers=1",
	} {
		if found[name] != want {
			t.Errorf("queue %s: %s, want %s", name, found[name], want)
		}
	}
	exchanges, err := w.lab.RabbitMQ.Ctl(t.Context(), "list_exchanges", "--formatter", "json", "name", "type", "durable", "auto_delete")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"name":"ironic","type":"topic","durable":false,"auto_delete":false}`,
		`{"name":"ironic.conductor_manager_fanout","type":"fanout","durable":false,"auto_delete":true}`,
	} {
		if !strings.Contains(strings.ReplaceAll(exchanges, " ", ""), want) {
			t.Errorf("no exchange %s among %s", want, exchanges)
		}
	}
}

// startStates are nodes that a conductor finds when it starts, by what they are.
var startStates = map[string]row{
	"mine-powering": {"reservation": hostname, "target_power_state": "power on", "power_state": "power off"},
	"mine":          {"reservation": hostname},
	"mine-shouted":  {"reservation": strings.ToUpper(hostname)},
	"others":        {"reservation": "someone-else", "provision_state": "deploying", "target_provision_state": "active"},
	"mine-cleaning": {"reservation": hostname, "provision_state": "cleaning", "target_provision_state": "available"},
	"deploying":     {"provision_state": "deploying", "target_provision_state": "active"},
	"cleaning":      {"provision_state": "cleaning", "target_provision_state": "available"},
	"cleaning-hand": {"provision_state": "cleaning", "target_provision_state": "manageable"},
	"verifying":     {"provision_state": "verifying", "target_provision_state": "manageable"},
	"inspecting":    {"provision_state": "inspecting", "target_provision_state": "manageable"},
	"adopting":      {"provision_state": "adopting", "target_provision_state": "active"},
	"rescuing":      {"provision_state": "rescuing", "target_provision_state": "rescue"},
	"unrescuing":    {"provision_state": "unrescuing", "target_provision_state": "active"},
	"deleting":      {"provision_state": "deleting", "target_provision_state": "available"},
	"clean-wait":    {"provision_state": "clean wait", "target_provision_state": "available"},
	"deploy-wait":   {"provision_state": "wait call-back", "target_provision_state": "active"},
	"maintenance":   {"provision_state": "cleaning", "target_provision_state": "available", "maintenance": "1"},
}

// waitStates are nodes whose agent does not call back, with timeouts of a second.
var waitStates = map[string]row{
	"deploying":         {"provision_state": "wait call-back", "target_provision_state": "active", "power_state": "power on"},
	"deploying-step":    {"provision_state": "wait call-back", "target_provision_state": "active", "deploy_step": `{"step": "write_image", "interface": "deploy", "priority": 80}`},
	"cleaning":          {"provision_state": "clean wait", "target_provision_state": "available", "power_state": "power on"},
	"cleaning-step":     {"provision_state": "clean wait", "target_provision_state": "manageable", "clean_step": `{"step": "erase_devices", "interface": "deploy", "priority": 10}`},
	"in-maintenance":    {"provision_state": "wait call-back", "target_provision_state": "active", "maintenance": "1"},
	"others":            {"provision_state": "clean wait", "target_provision_state": "available", "reservation": "someone-else"},
	"active":            {"provision_state": "active"},
	"manual-deployment": {"provision_state": "wait call-back", "target_provision_state": "active", "deploy_interface": "direct"},
}

// restarts ends the conductor, lets it find nodes in every state, and starts it again.
func (w *world) restarts(t *testing.T) {
	if err := w.db.empty(); err != nil {
		t.Fatal(err)
	}
	w.stops(t)
	uuids := w.plant(t, startStates)
	if err := w.conductor.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.comparePlanted(t, "start", uuids)
}

// timeouts lets nodes wait for agents that never call.
func (w *world) timeouts(t *testing.T) {
	if err := w.db.empty(); err != nil {
		t.Fatal(err)
	}
	w.restart(t, options{"conductor": {
		"deploy_callback_timeout": "1", "clean_callback_timeout": "1", "check_provision_state_interval": "1",
	}})
	uuids := w.plant(t, waitStates)
	if _, err := w.db.Exec("UPDATE nodes SET provision_updated_at = ?", time.Now().UTC().Add(-time.Hour).Format(time.DateTime)); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for moved := 0; moved < 5 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err := w.db.QueryRow("SELECT COUNT(*) FROM nodes WHERE provision_state LIKE '%failed'").Scan(&moved); err != nil {
			t.Fatal(err)
		}
	}
	w.comparePlanted(t, "timeouts", uuids)
}

// plant inserts nodes of the fake hardware type and returns their UUIDs by name.
func (w *world) plant(t *testing.T, states map[string]row) map[string]string {
	t.Helper()
	uuids := map[string]string{}
	for i, name := range slices.Sorted(maps.Keys(states)) {
		uuids[name] = fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		node := row{"network_interface": "noop", "storage_interface": "noop", "name": name}
		for _, kind := range []string{"bios", "boot", "console", "deploy", "inspect", "management", "power", "raid", "rescue", "vendor"} {
			node[kind+"_interface"] = "fake"
		}
		maps.Copy(node, states[name])
		if err := w.db.insert("nodes", w.db.complete(node, uuids[name], "")); err != nil {
			t.Fatal(err)
		}
	}
	return uuids
}

// comparePlanted compares what became of planted nodes with what Debian's conductor makes of them, which stands in
// testdata/WHAT-21.4.json.
func (w *world) comparePlanted(t *testing.T, what string, uuids map[string]string) {
	t.Helper()
	rows, _ := w.settle(t)
	got := map[string]any{}
	for name, uuid := range uuids {
		after := rows["nodes/"+uuid].(row)
		kept := map[string]any{}
		for _, column := range []string{"provision_state", "target_provision_state", "power_state", "target_power_state",
			"reservation", "last_error", "maintenance", "fault", "clean_step", "deploy_step"} {
			kept[column] = plain(column, after[column])
		}
		got[name] = kept
	}
	file := what + "-21.4.json"
	if w.recording() && w.release == 0 {
		encoded, err := json.MarshalIndent(got, "", " ")
		if err == nil {
			err = os.WriteFile(filepath.Join("testdata", file), append(encoded, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	var first map[string]any
	w.read(t, file, &first)
	if w.recordingChanges() {
		w.note(t, what, plain("", first), got)
		return
	}
	want := w.wanted(what, plain("", first))
	allowed := w.differences(t)[what]
	for _, m := range compare(what, want, got) {
		if !covered(allowed.Paths, m.path) {
			t.Error(m)
		}
	}
}

// stops ends the conductor in order and looks at what it leaves.
func (w *world) stops(t *testing.T) {
	t.Helper()
	for i, holder := range []string{hostname, "someone-else"} {
		node := w.db.complete(row{"reservation": holder}, fmt.Sprintf("00000000-0000-4000-8000-9%011d", i), "")
		if err := w.db.insert("nodes", node); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.conductor.Stop(); err != nil {
		t.Fatal(err)
	}
	if w.recordingChanges() {
		// Newer releases wait for locks, and are killed meanwhile.
		return
	}
	conductors, err := w.db.table("conductors")
	if err != nil || len(conductors) != 1 || conductors[0]["online"] != "0" {
		t.Errorf("after the end the conductor's row is %v (%v), want it offline", conductors, err)
	}
	if interfaces, err := w.db.table("conductor_hardware_interfaces"); err != nil || len(interfaces) != 0 {
		t.Errorf("after the end %d interfaces are registered (%v), want none", len(interfaces), err)
	}
	nodes, err := w.db.table("nodes")
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes {
		if node["reservation"] == hostname {
			t.Errorf("after the end node %s is still reserved", node["uuid"])
		}
	}
	if len(nodes) != 2 || nodes[1]["reservation"] != "someone-else" {
		t.Errorf("the end touched somebody else's reservation: %v", nodes)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		queues, err := w.lab.RabbitMQ.Ctl(t.Context(), "list_queues", "name")
		if err != nil {
			t.Fatal(err)
		}
		fanout := strings.Contains(queues, "ironic.conductor_manager_fanout_")
		if !fanout && strings.Contains(queues, "ironic.conductor_manager."+hostname) {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("after the end the queues are\n%s\nwant the host's, without the fanout", queues)
			break
		}
	}
	if err := w.db.empty(); err != nil {
		t.Fatal(err)
	}
}

// crowded starts the conductor with hardly any workers and switches eight slow machines on at once.
func (w *world) crowded(t *testing.T) {
	var r recording
	w.read(t, filepath.Join("21.4", "special", "change_node_power_state--err-no-free-worker.json"), &r)
	size := "3"
	if releases[w.release].name == "39.0" {
		// With less upstream's conductor refuses to start.
		size = "6"
	}
	w.restart(t, options{
		"conductor": {"workers_pool_size": size, "sync_power_state_workers": "1", "periodic_max_workers": "1"},
		"fake":      {"power_delay": "2"},
	})
	var refusal any
	for _, e := range r.HTTP {
		if e.Response.Status == "503" {
			refusal = plain("", e.Response.Body)
		}
	}
	if err := w.db.empty(); err != nil {
		t.Fatal(err)
	}
	s := setups{Nodes: map[string]row{}}
	for i, e := range r.HTTP {
		uuid := strings.Split(e.Request.Path, "/")[3]
		node := row{"id": fmt.Sprint(67 + i), "network_interface": "noop", "storage_interface": "noop"}
		for _, kind := range []string{"bios", "boot", "console", "deploy", "inspect", "management", "power", "raid", "rescue", "vendor"} {
			node[kind+"_interface"] = "fake"
		}
		s.Nodes[uuid] = node
	}
	r.Changes = nil
	if err := w.db.seed(s.Nodes, setup{}, r, recordingText(r)); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		uuid   string
		status int
		body   any
	}
	answers := make(chan answer)
	for _, e := range r.HTTP {
		go func() {
			status, body := w.request(t, *e.Request)
			answers <- answer{strings.Split(e.Request.Path, "/")[3], status, plain("", body)}
		}()
	}
	refused := map[string]bool{}
	for range r.HTTP {
		a := <-answers
		switch a.status {
		case 202:
		case 503:
			refused[a.uuid] = true
			for _, m := range compare("body", refusal, a.body) {
				t.Error(m)
			}
		default:
			t.Errorf("node %s: status %d, want 202 or 503", a.uuid, a.status)
		}
	}
	if len(refused) == 0 || len(refused) == len(r.HTTP) {
		t.Errorf("%d of %d requests were refused, want some", len(refused), len(r.HTTP))
	}
	rows, _ := w.settle(t)
	for uuid := range s.Nodes {
		node := rows["nodes/"+uuid].(row)
		want := row{"power_state": "power on", "last_error": nil, "target_power_state": nil, "reservation": nil}
		if refused[uuid] {
			want["power_state"], want["last_error"] = nil, "No free conductor workers available"
		}
		for column, value := range want {
			if node[column] != value {
				t.Errorf("node %s: %s is %v, want %v", uuid, column, node[column], value)
			}
		}
	}
}
