package conductor

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// remote is an object that a caller without a database holds, as ironic-api does.
type remote struct {
	w       *worker
	name    string
	version string
	data    map[string]any
}

// act runs a method of the object, of which the fields named were changed, and takes over what it answers.
func (r *remote) act(t *testing.T, method string, changes ...string) {
	t.Helper()
	reply := r.ask(t, method, changes...)
	if reply.Failure != nil {
		t.Fatalf("%s.%s: %s: %s", r.name, method, reply.Failure.Class, reply.Failure.Message)
	}
	var answer []map[string]any
	if err := json.Unmarshal(reply.Result, &answer); err != nil || len(answer) != 2 {
		t.Fatalf("%s.%s answers %s", r.name, method, reply.Result)
	}
	maps.Copy(r.data, answer[0])
	delete(r.data, whatChanged)
}

func (r *remote) ask(t *testing.T, method string, changes ...string) *oslo.Reply {
	t.Helper()
	if method == "create" {
		changes = slices.Sorted(maps.Keys(r.data))
	}
	return r.w.call(t, "object_action", map[string]any{"objmethod": method, "args": []any{}, "kwargs": map[string]any{},
		"objinst": map[string]any{"ironic_object.name": r.name, "ironic_object.namespace": "ironic", "ironic_object.version": r.version,
			"ironic_object.data": r.data, "ironic_object.changes": changes}})
}

// class runs a method of a class.
func (w *worker) class(t *testing.T, name, method string, args ...any) *oslo.Reply {
	t.Helper()
	versions := map[string]any{"DeployTemplate": "1.1", "Trait": "1.0", "TraitList": "1.0", "BIOSSetting": "1.1", "BIOSSettingList": "1.0",
		"Allocation": "1.1", "Deployment": "1.0", "NodeInventory": "1.0"}
	if args == nil {
		args = []any{}
	}
	return w.call(t, "object_class_action_versions", map[string]any{"objname": name, "objmethod": method, "object_versions": versions,
		"args": args, "kwargs": map[string]any{}})
}

func failed(t *testing.T, reply *oslo.Reply, class, text string) {
	t.Helper()
	if reply.Failure == nil || reply.Failure.Class != class || !strings.Contains(reply.Failure.Message, text) {
		t.Errorf("answered %s, %+v; want %s: %s", reply.Result, reply.Failure, class, text)
	}
}

func TestDeployTemplateIsWrittenForOthers(t *testing.T) {
	w := startWorker(t, nil)
	first := map[string]any{"interface": "bios", "step": "reset", "args": map[string]any{}, "priority": 10}
	second := map[string]any{"interface": "raid", "step": "create", "args": map[string]any{"a": 1}, "priority": 20}
	template := &remote{w, "DeployTemplate", "1.1", map[string]any{"uuid": uuid.NewString(), "name": "CUSTOM_A",
		"steps": []any{first, second}}}
	template.act(t, "create")
	again := &remote{w, "DeployTemplate", "1.1", map[string]any{"uuid": uuid.NewString(), "name": "CUSTOM_A", "steps": []any{}}}
	failed(t, again.ask(t, "create"), "DeployTemplateDuplicateName", "A deploy template with name CUSTOM_A already exists.")

	second["priority"] = 30
	template.data["steps"] = []any{second, first}
	template.act(t, "save", "steps")
	read, err := w.db.DeployTemplates(t.Context(), []string{"CUSTOM_A"})
	if err != nil || len(read) != 1 {
		t.Fatal(read, err)
	}
	// The step that stays keeps its place.
	if steps := read[0].Steps; len(steps) != 2 || steps[0].String("step") != "reset" || steps[1].String("priority") != "30" {
		t.Errorf("steps %v", read[0].Steps)
	}
	template.data["name"] = "CUSTOM_B"
	template.act(t, "save", "name")
	template.data["name"] = "stale"
	template.act(t, "refresh")
	if template.data["name"] != "CUSTOM_B" {
		t.Errorf("refreshed as %v", template.data)
	}
	failed(t, template.ask(t, "destroy"), "TypeError", "DeployTemplate.destroy() takes 1 positional argument but 2 were given")
}

func TestTraitsAreWrittenForOthers(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	trait := &remote{w, "Trait", "1.0", map[string]any{"node_id": n.ID, "trait": "CUSTOM_A"}}
	trait.act(t, "create")
	trait.act(t, "create")
	if got := w.class(t, "TraitList", "create", n.ID, []string{"CUSTOM_B", "CUSTOM_C"}); got.Failure != nil {
		t.Fatal(got.Failure)
	}
	failed(t, w.class(t, "Trait", "destroy", n.ID, "CUSTOM_A"), "NodeTraitNotFound", "doesn't have a trait 'CUSTOM_A'")
	if got := w.class(t, "Trait", "destroy", n.ID, "CUSTOM_B"); got.Failure != nil {
		t.Fatal(got.Failure)
	}
	if got := w.row(t, n.UUID).Traits; !slices.Equal(got, []string{"CUSTOM_C"}) {
		t.Errorf("traits %q", got)
	}
	if got := w.class(t, "TraitList", "destroy", n.ID); got.Failure != nil || len(w.row(t, n.UUID).Traits) > 0 {
		t.Errorf("traits %q after %+v", w.row(t, n.UUID).Traits, got.Failure)
	}
	for _, method := range []string{"get_by_node_id", "destroy"} {
		failed(t, w.class(t, "TraitList", method, 4711), "NodeNotFound", "Node 4711 could not be found.")
	}
}

func TestBIOSSettingsAreWrittenForOthers(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	one := &remote{w, "BIOSSetting", "1.1", map[string]any{"node_id": n.ID, "name": "boot", "value": "bios", "read_only": true}}
	one.act(t, "create")
	failed(t, one.ask(t, "create"), "BIOSSettingAlreadyExists", "A BIOS setting boot for node")
	settings := []any{map[string]any{"name": "lan", "value": "on"}, map[string]any{"name": "usb", "value": nil}}
	if got := w.class(t, "BIOSSettingList", "create", n.ID, settings); got.Failure != nil {
		t.Fatal(got.Failure)
	}
	one.data["value"] = "uefi"
	failed(t, one.ask(t, "save", "value"), "KeyError", "name")
	one.act(t, "save", "node_id", "name", "value")
	if one.data["value"] != "uefi" || one.data["read_only"] != nil {
		t.Errorf("saved as %v", one.data)
	}
	missing := []any{map[string]any{"name": "lan", "value": "off"}, map[string]any{"name": "none", "value": "x"}}
	failed(t, w.class(t, "BIOSSettingList", "save", n.ID, missing), "BIOSSettingNotFound", "doesn't have a BIOS setting 'none'")
	compared := w.class(t, "BIOSSettingList", "sync_node_setting", n.ID, missing)
	want := `[[{"name":"none","value":"x"}],[{"name":"lan","value":"off"}],[{"name":"boot","value":"uefi"},{"name":"usb","value":null}],[]]`
	if string(compared.Result) != want {
		t.Errorf("compared as %s, want %s: a refused request changed something, or more", compared.Result, want)
	}
	failed(t, w.class(t, "BIOSSettingList", "sync_node_setting", n.ID, []any{map[string]any{"name": "usb"}}), "KeyError", "value")
	failed(t, w.class(t, "BIOSSettingList", "delete", n.ID, []string{"lan", "x", "y"}), "BIOSSettingListNotFound", "settings 'x,y'")
	failed(t, w.class(t, "BIOSSetting", "get", n.ID, "lan"), "BIOSSettingNotFound", "'lan'")
	if got := w.class(t, "BIOSSetting", "delete", n.ID, "boot"); got.Failure != nil {
		t.Fatal(got.Failure)
	}
}

func TestAllocationIsWrittenForOthers(t *testing.T) {
	w := startWorker(t, nil)
	n, taken := w.enroll(t, nil), w.enroll(t, func(n *store.Node) { n.InstanceUUID = uuid.NewString() })
	a := &remote{w, "Allocation", "1.1", map[string]any{"uuid": uuid.NewString(), "name": "a", "resource_class": "bm",
		"traits": []string{"CUSTOM_A"}}}
	a.act(t, "create")
	a.data["node_id"] = taken.ID
	failed(t, a.ask(t, "save", "node_id"), "NodeAssociated", "is associated with instance")
	a.data["node_id"], a.data["state"] = n.ID, "active"
	a.act(t, "save", "node_id", "state")
	if got := w.row(t, n.UUID); got.InstanceUUID != a.data["uuid"] || got.AllocationID == nil || len(got.InstanceInfo.List("traits")) != 1 {
		t.Errorf("the node has instance %q, allocation %v and %v", got.InstanceUUID, got.AllocationID, got.InstanceInfo)
	}
	a.act(t, "destroy")
	if got := w.row(t, n.UUID); got.InstanceUUID != "" || got.AllocationID != nil {
		t.Errorf("the node keeps instance %q", got.InstanceUUID)
	}
	failed(t, w.class(t, "Allocation", "check_node_list", []string{}, nil), "AttributeError", "check_node_list")
}

func TestDeploymentIsALookAtANode(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	d := &remote{w, "Deployment", "1.0", map[string]any{"uuid": uuid.NewString(), "node_uuid": n.UUID, "image_ref": "http://x/i", "root_gib": 7}}
	d.act(t, "create")
	got := w.row(t, n.UUID)
	if got.InstanceUUID != d.data["uuid"] || got.InstanceInfo.String("image_source") != "http://x/i" || d.data["state"] != got.ProvisionState {
		t.Errorf("instance %q of %v, deployment %v", got.InstanceUUID, got.InstanceInfo, d.data)
	}
	whole := d.data["uuid"]
	d.data["uuid"] = map[string]any{"a": 1}
	failed(t, d.ask(t, "refresh"), "InvalidParameterValue", "Argument uuid has the wrong type")
	d.data["uuid"] = whole
	d.act(t, "refresh")
	d.data["state"] = "active"
	failed(t, d.ask(t, "create"), "BadRequest", "cannot be set or updated")
	d.act(t, "destroy")
	if got := w.row(t, n.UUID); got.InstanceUUID != "" || len(got.InstanceInfo) > 0 {
		t.Errorf("instance %q of %v", got.InstanceUUID, got.InstanceInfo)
	}
	failed(t, w.class(t, "Deployment", "get_by_uuid", uuid.NewString()), "InstanceNotFound", "")
}

func TestInventoryIsWrittenForOthers(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	inventory := &remote{w, "NodeInventory", "1.0", map[string]any{"node_id": n.ID, "inventory_data": map[string]any{"a": 1}}}
	inventory.act(t, "create")
	if got := w.class(t, "NodeInventory", "get_by_node_id", n.ID); got.Failure != nil || !strings.Contains(string(got.Result), `"a":1`) {
		t.Errorf("read %s, %+v", got.Result, got.Failure)
	}
	inventory.act(t, "destroy")
	failed(t, inventory.ask(t, "destroy"), "NodeInventoryNotFound", "Node inventory record for node")
}
