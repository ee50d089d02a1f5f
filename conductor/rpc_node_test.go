package conductor

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/store"
)

// nodeObject is a node as ironic-api sends it, with the fields that were changed.
func (w *worker) nodeObject(t *testing.T, n *store.Node, changes ...string) map[string]any {
	t.Helper()
	o := w.codec.EncodeNode(n)
	return map[string]any{"ironic_object.name": o.Name, "ironic_object.namespace": o.Namespace,
		"ironic_object.version": o.Version, "ironic_object.data": o.Data, "ironic_object.changes": changes}
}

func TestCreateNode(t *testing.T) {
	w := startWorker(t, nil)
	id := uuid.NewString()
	object := func(change func(*store.Node)) map[string]any {
		n := &store.Node{UUID: id, Driver: "fake-hardware"}
		changes := []string{"uuid", "driver"}
		if change != nil {
			change(n)
			changes = append(changes, "properties", "conductor_group", "power_interface", "name")
		}
		return map[string]any{"node_obj": w.nodeObject(t, n, changes...)}
	}
	for _, c := range []struct {
		name   string
		change func(*store.Node)
		kind   store.Kind
		text   string
	}{
		{"an unknown driver", func(n *store.Node) { n.Driver = "abacus" }, store.DriverNotFound, "abacus"},
		{"an unknown interface", func(n *store.Node) { n.PowerInterface = "steam" }, store.InterfaceNotFoundInEntrypoint, "steam"},
		{"bad properties", func(n *store.Node) { n.Properties = store.Dict{"cpus": "many", "memory_mb": "-1"} },
			store.InvalidParameterValue, "should be non-negative integers, but provided values are: cpus=many, memory_mb=-1"},
		{"odd properties", func(n *store.Node) { n.Properties = store.Dict{"local_gb": []any{"a", nil}, "cpus": true} },
			store.InvalidParameterValue, "but provided values are: local_gb=['a', None]"},
		{"a bad group", func(n *store.Node) { n.ConductorGroup = "a b" }, store.InvalidConductorGroup,
			"Expected a conductor group but received a b."},
	} {
		t.Run(c.name, func(t *testing.T) {
			if text := w.refused(t, c.kind, "create_node", object(c.change)); !strings.Contains(text, c.text) {
				t.Errorf("refused with %q", text)
			}
			if _, err := w.db.Node(t.Context(), id); store.KindOf(err) != store.NodeNotFound {
				t.Errorf("the node is there: %v", err)
			}
		})
	}
	unnamed := w.nodeObject(t, &store.Node{UUID: id, Driver: "fake-hardware"}, "uuid", "driver", "deploy_interface")
	unnamed["ironic_object.data"].(map[string]any)["deploy_interface"] = ""
	text := w.refused(t, store.InterfaceNotFoundInEntrypoint, "create_node", map[string]any{"node_obj": unnamed})
	if want := "Could not find the following interface in the 'ironic.hardware.interfaces.deploy' entrypoint: . Valid"; !strings.HasPrefix(text, want) {
		t.Errorf("refused with %q", text)
	}
	w.must(t, "create_node", object(func(n *store.Node) { n.ConductorGroup = "Rack-7" }))
	got := w.row(t, id)
	equal(t, "provision state", got.ProvisionState, store.Enroll)
	equal(t, "group", got.ConductorGroup, "rack-7")
	equal(t, "power interface", got.PowerInterface, "fake")
	equal(t, "network interface", got.NetworkInterface, "noop")
	w.refused(t, store.NodeAlreadyExists, "create_node", object(nil))
}

func TestUpdateNode(t *testing.T) {
	w := startWorker(t, nil)
	instance := "7d8c1d0a-5e0f-4f39-9a21-4b2d3b8e8f10"
	for _, c := range []struct {
		name    string
		node    func(*store.Node)
		patch   func(*store.Node)
		changes []string
		reset   bool
		kind    store.Kind
		text    string
		check   func(t *testing.T, n *store.Node)
	}{
		{name: "only what was changed", node: func(n *store.Node) { n.Extra = store.Dict{"kept": "yes"} },
			patch: func(n *store.Node) { n.Description, n.Extra = pointer("new"), store.Dict{} }, changes: []string{"description"},
			check: func(t *testing.T, n *store.Node) {
				equal(t, "description", *n.Description, "new")
				equal(t, "extra", n.Extra.String("kept"), "yes")
			}},
		{name: "out of maintenance", node: func(n *store.Node) {
			n.Maintenance, n.MaintenanceReason, n.Fault = true, pointer("broken"), store.FaultClean
		}, patch: func(n *store.Node) { n.Maintenance = false }, changes: []string{"maintenance"},
			check: func(t *testing.T, n *store.Node) {
				equal(t, "reason", n.MaintenanceReason, nil)
				equal(t, "fault", n.Fault, "")
			}},
		{name: "protection of an active node", node: func(n *store.Node) { n.ProvisionState = store.Active },
			patch:   func(n *store.Node) { n.Protected, n.ProtectedReason = true, pointer("mine") },
			changes: []string{"protected", "protected_reason"},
			check:   func(t *testing.T, n *store.Node) { equal(t, "reason", *n.ProtectedReason, "mine") }},
		{name: "protection ends", node: func(n *store.Node) {
			n.ProvisionState, n.Protected, n.ProtectedReason = store.Active, true, pointer("mine")
		}, patch: func(n *store.Node) { n.Protected = false }, changes: []string{"protected"},
			check: func(t *testing.T, n *store.Node) { equal(t, "reason", n.ProtectedReason, nil) }},
		{name: "protection of a node at rest", patch: func(n *store.Node) { n.Protected = true }, changes: []string{"protected"},
			kind: store.InvalidState, text: "Node %s can only be made protected in provision states 'active' or 'rescue', the " +
				"current state is 'enroll'"},
		{name: "a reason without protection", patch: func(n *store.Node) { n.ProtectedReason = pointer("x") },
			changes: []string{"protected_reason"}, kind: store.InvalidParameterValue,
			text: "The protected_reason field can only be set when protected is True"},
		{name: "retirement of an available node", node: func(n *store.Node) { n.ProvisionState = store.Available },
			patch: func(n *store.Node) { n.Retired = pointer(true) }, changes: []string{"retired"}, kind: store.InvalidState,
			text: "Node %s can not have 'retired' set in provision state 'available', the current state is 'available'"},
		{name: "a reason without retirement", patch: func(n *store.Node) { n.RetiredReason = pointer("x") },
			changes: []string{"retired_reason"}, kind: store.InvalidParameterValue,
			text: "The retired_reason field can only be set when retired is True"},
		{name: "retirement ends", node: func(n *store.Node) { n.Retired, n.RetiredReason = pointer(true), pointer("old") },
			patch: func(n *store.Node) { n.Retired = pointer(false) }, changes: []string{"retired"},
			check: func(t *testing.T, n *store.Node) { equal(t, "reason", n.RetiredReason, nil) }},
		{name: "another interface", patch: func(n *store.Node) { n.RAIDInterface = "no-raid" }, changes: []string{"raid_interface"},
			check: func(t *testing.T, n *store.Node) { equal(t, "raid interface", n.RAIDInterface, "no-raid") }},
		{name: "an interface that is not enabled", patch: func(n *store.Node) { n.PowerInterface = "steam" },
			changes: []string{"power_interface"}, kind: store.InterfaceNotFoundInEntrypoint, text: "steam"},
		{name: "another interface of an active node", node: func(n *store.Node) { n.ProvisionState = store.Active },
			patch: func(n *store.Node) { n.RAIDInterface = "fake" }, changes: []string{"raid_interface"}, kind: store.InvalidState,
			text: "Node %s can not have raid_interface updated unless it is in one of allowed (enroll, inspecting, inspect wait, " +
				"manageable, available) states or in maintenance mode."},
		{name: "the same in maintenance", node: func(n *store.Node) { n.ProvisionState, n.Maintenance = store.Active, true },
			patch: func(n *store.Node) { n.RAIDInterface = "no-raid" }, changes: []string{"raid_interface"},
			check: func(t *testing.T, n *store.Node) { equal(t, "raid interface", n.RAIDInterface, "no-raid") }},
		{name: "an unknown driver", patch: func(n *store.Node) { n.Driver = "abacus" }, changes: []string{"driver"},
			kind: store.DriverNotFound, text: "abacus"},
		{name: "a driver with its interfaces reset", node: func(n *store.Node) { n.RAIDInterface = "no-raid" },
			changes: []string{"driver"}, reset: true,
			check: func(t *testing.T, n *store.Node) { equal(t, "raid interface", n.RAIDInterface, "fake") }},
		{name: "an instance over another", node: func(n *store.Node) { n.InstanceUUID = instance },
			patch:   func(n *store.Node) { n.InstanceUUID = uuid.NewString() },
			changes: []string{"instance_uuid"}, kind: store.NodeAssociated,
			text: "Node %s is associated with instance " + instance + "."},
		{name: "another resource class of an active node", changes: []string{"resource_class"}, kind: store.InvalidState,
			node:  func(n *store.Node) { n.ProvisionState, n.ResourceClass = store.Active, pointer("big") },
			patch: func(n *store.Node) { n.ResourceClass = pointer("small") },
			text: "Node %s can not have resource_class updated unless it is in one of allowed (enroll, inspecting, inspect wait, " +
				"manageable, available) states."},
		{name: "the first resource class of an active node", changes: []string{"resource_class"},
			node:  func(n *store.Node) { n.ProvisionState = store.Active },
			patch: func(n *store.Node) { n.ResourceClass = pointer("small") },
			check: func(t *testing.T, n *store.Node) { equal(t, "resource class", *n.ResourceClass, "small") }},
		{name: "bad properties", patch: func(n *store.Node) { n.Properties = store.Dict{"local_gb": "-5"} },
			changes: []string{"properties"}, kind: store.InvalidParameterValue, text: "local_gb=-5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.enroll(t, c.node)
			wanted := *n
			if c.patch != nil {
				c.patch(&wanted)
			}
			args := map[string]any{"node_obj": w.nodeObject(t, &wanted, c.changes...), "reset_interfaces": c.reset}
			if c.kind != "" {
				if text := w.refused(t, c.kind, "update_node", args); !strings.Contains(text, withNode(c.text, n.UUID)) {
					t.Errorf("refused with %q, want %q", text, c.text)
				}
				before, after := w.codec.EncodeNode(n).Data, w.codec.EncodeNode(w.row(t, n.UUID)).Data
				delete(before, "updated_at")
				delete(after, "updated_at")
				equal(t, "the row", string(raw(t, after)), string(raw(t, before)))
			} else {
				answer, _, err := w.codec.DecodeNode(w.must(t, "update_node", args))
				if err != nil {
					t.Fatal(err)
				}
				c.check(t, answer)
				c.check(t, w.row(t, n.UUID))
			}
			equal(t, "reservation", w.row(t, n.UUID).Reservation, "")
		})
	}
	w.unlocked(t)
}

func TestClearingTheInstanceEndsItsAllocation(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.InstanceUUID = store.Available, "7d8c1d0a-5e0f-4f39-9a21-4b2d3b8e8f10"
	})
	w.exec(t, "INSERT INTO allocations (id, uuid, node_id, state) VALUES (5, 'a', ?, 'active')", n.ID)
	w.exec(t, "UPDATE nodes SET allocation_id = 5 WHERE id = ?", n.ID)
	wanted := *n
	wanted.InstanceUUID = ""
	w.must(t, "update_node", map[string]any{"node_obj": w.nodeObject(t, &wanted, "instance_uuid")})
	got := w.row(t, n.UUID)
	equal(t, "instance", got.InstanceUUID, "")
	equal(t, "allocation", got.AllocationID, nil)

	w.exec(t, "INSERT INTO allocations (id, uuid, node_id, state) VALUES (6, 'b', ?, 'active')", n.ID)
	w.exec(t, "UPDATE nodes SET allocation_id = 6, instance_uuid = ?, provision_state = 'active' WHERE id = ?",
		n.InstanceUUID, n.ID)
	wanted = *w.row(t, n.UUID)
	wanted.InstanceUUID = ""
	w.refused(t, store.InvalidState, "update_node", map[string]any{"node_obj": w.nodeObject(t, &wanted, "instance_uuid")})
	equal(t, "instance", w.row(t, n.UUID).InstanceUUID, n.InstanceUUID)
}

func TestDestroyNode(t *testing.T) {
	w := startWorker(t, nil)
	w.live().AllowDeletingAvailableNodes = false
	for _, c := range []struct {
		name string
		node func(*store.Node)
		kind store.Kind
		text string
	}{
		{"enrolled", nil, "", ""},
		{"manageable", func(n *store.Node) { n.ProvisionState = store.Manageable }, "", ""},
		{"active in maintenance", func(n *store.Node) {
			n.ProvisionState, n.Maintenance, n.InstanceUUID = store.Active, true, "7d8c1d0a-5e0f-4f39-9a21-4b2d3b8e8f10"
		}, "", ""},
		{"with an instance", func(n *store.Node) { n.InstanceUUID = "7d8c1d0a-5e0f-4f39-9a21-4b2d3b8e8f11" }, store.NodeAssociated,
			"Node %s is associated with instance 7d8c1d0a-5e0f-4f39-9a21-4b2d3b8e8f11."},
		{"protected", func(n *store.Node) { n.Protected, n.Maintenance = true, true }, store.NodeProtected,
			"Node %s is protected and cannot be undeployed, rebuilt or deleted"},
		{"active", func(n *store.Node) { n.ProvisionState = store.Active }, store.InvalidState,
			`Can not delete node "%s" while it is in provision state "active". Valid provision states to perform deletion are: ` +
				`"('manageable', 'enroll', 'adopt failed')", or set the node into maintenance mode`},
		{"available", func(n *store.Node) { n.ProvisionState = store.Available }, store.InvalidState, "available"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.enroll(t, c.node)
			if err := w.local.Put(n.UUID, "key", "value"); err != nil {
				t.Fatal(err)
			}
			args := map[string]any{"node_id": n.UUID}
			if c.kind != "" {
				if text := w.refused(t, c.kind, "destroy_node", args); !strings.Contains(text, withNode(c.text, n.UUID)) {
					t.Errorf("refused with %q", text)
				}
				equal(t, "reservation", w.row(t, n.UUID).Reservation, "")
				return
			}
			w.must(t, "destroy_node", args)
			if _, err := w.db.Node(t.Context(), n.UUID); store.KindOf(err) != store.NodeNotFound {
				t.Errorf("still there: %v", err)
			}
			var value string
			if found, err := w.local.Get(n.UUID, "key", &value); found || err != nil {
				t.Errorf("the journal remembers %q, %v", value, err)
			}
		})
	}
	w.unlocked(t)
}

func TestTraits(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	traits := func() string {
		got := w.row(t, n.UUID).Traits
		slices.Sort(got)
		return strings.Join(got, " ")
	}
	w.must(t, "add_node_traits", map[string]any{"node_id": n.ID, "traits": []string{"CUSTOM_A", "CUSTOM_B"}})
	equal(t, "traits", traits(), "CUSTOM_A CUSTOM_B")
	w.must(t, "add_node_traits", map[string]any{"node_id": n.UUID, "traits": []string{"CUSTOM_C"}})
	w.must(t, "remove_node_traits", map[string]any{"node_id": n.UUID, "traits": []string{"CUSTOM_A"}})
	equal(t, "traits", traits(), "CUSTOM_B CUSTOM_C")
	w.refused(t, store.NodeTraitNotFound, "remove_node_traits", map[string]any{"node_id": n.UUID, "traits": []string{"CUSTOM_Z"}})
	w.must(t, "add_node_traits", map[string]any{"node_id": n.UUID, "traits": []string{"CUSTOM_D"}, "replace": true})
	equal(t, "traits", traits(), "CUSTOM_D")
	w.must(t, "remove_node_traits", map[string]any{"node_id": n.UUID, "traits": nil})
	equal(t, "traits", traits(), "")
	w.unlocked(t)
}
