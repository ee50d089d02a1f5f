package conductor

import (
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// The texts are those that ironic 21.4.4 answers with.
func TestArgumentsOfOtherTypesAreTakenAsPythonTakesThem(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	none := w.enroll(t, func(n *store.Node) { n.RAIDInterface = "no-raid" })
	active := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Active })
	free := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Available })
	type args = map[string]any
	list, object := []any{"x"}, map[string]any{"a": 1}
	for _, c := range []struct {
		method string
		args   args
		class  store.Kind
		want   string
	}{
		{"get_driver_properties", args{"driver_name": nil}, store.DriverNotFound, "Could not find the following driver(s) or hardware type(s): None."},
		{"get_driver_properties", args{"driver_name": true}, store.DriverNotFound, "Could not find the following driver(s) or hardware type(s): True."},
		{"get_driver_properties", args{"driver_name": list}, "TypeError", "unhashable type: 'list'"},
		{"change_node_power_state", args{"node_id": n.UUID, "new_state": object}, store.InvalidParameterValue,
			"The driver fake-hardware does not support the power state, {'a': 1}"},
		{"do_provisioning_action", args{"node_id": n.UUID, "action": object}, "TypeError", "unhashable type: 'dict'"},
		{"do_provisioning_action", args{"node_id": n.UUID, "action": 5}, store.InvalidStateRequested,
			`The requested action "5" can not be performed on node "` + n.UUID + `" while it is in state "manageable".`},
		{"set_target_raid_config", args{"node_id": n.UUID, "target_raid_config": list}, store.InvalidParameterValue,
			"RAID config validation error: ['x'] is not of type 'object'"},
		{"set_target_raid_config", args{"node_id": none.UUID, "target_raid_config": "x"}, store.UnsupportedDriverExtension,
			"Driver fake-hardware does not support raid (disabled or not implemented)."},
		{"set_target_raid_config", args{"node_id": n.UUID, "target_raid_config": ""}, "SyntaxError", "invalid syntax (<unknown>, line 0)"},
		{"set_target_raid_config", args{"node_id": n.UUID, "target_raid_config": 0}, "TypeError", "'int' object is not iterable"},
		{"add_node_traits", args{"node_id": n.UUID, "traits": nil}, "TypeError", "'NoneType' object is not iterable"},
		{"remove_node_traits", args{"node_id": n.UUID, "traits": 1.5}, "TypeError", "'float' object is not iterable"},
		{"vif_attach", args{"node_id": n.UUID, "vif_info": args{}}, "KeyError", "'id'"},
		{"vif_attach", args{"node_id": n.UUID, "vif_info": nil}, "TypeError", "'NoneType' object is not subscriptable"},
		{"vif_attach", args{"node_id": n.UUID, "vif_info": "vif"}, "TypeError", "string indices must be integers, not 'str'"},
		{"vif_attach", args{"node_id": n.UUID, "vif_info": list}, "TypeError", "list indices must be integers or slices, not str"},
		{"do_node_rescue", args{"node_id": active.UUID, "rescue_password": nil}, "TypeError", "crypt() argument 1 must be str, not None"},
		{"do_node_rescue", args{"node_id": active.UUID, "rescue_password": list}, "TypeError", "crypt() argument 1 must be str, not list"},
		{"do_node_deploy", args{"node_id": free.UUID, "deploy_steps": 5}, "TypeError", "'int' object is not iterable"},
		{"do_node_deploy", args{"node_id": free.UUID, "deploy_steps": []any{5}}, "TypeError", "'int' object is not subscriptable"},
		{"do_node_deploy", args{"node_id": free.UUID, "deploy_steps": object}, "TypeError", "string indices must be integers, not 'str'"},
		{"vendor_passthru", args{"node_id": n.UUID, "driver_method": "first", "http_method": 5, "info": args{}}, store.InvalidParameterValue,
			"No handler for method first"},
		{"vendor_passthru", args{"node_id": n.UUID, "driver_method": "second_method", "http_method": 5, "info": args{}}, "AttributeError",
			"'int' object has no attribute 'upper'"},
		{"vif_list", args{"node_id": n.UUID, "context": args{}}, "TypeError", "ConductorManager.vif_list() got multiple values for argument 'context'"},
		{"update_port", args{"port_obj": nil}, "AttributeError", "'NoneType' object has no attribute 'uuid'"},
		{"destroy_allocation", args{"allocation": args{}}, "AttributeError", "'dict' object has no attribute 'node_id'"},
		{"create_node", args{"node_obj": args{"ironic_object.name": "Node"}}, "KeyError", "'ironic_object.namespace'"},
		{"create_node", args{"node_obj": args{"ironic_object.name": "Node", "ironic_object.namespace": "ironic", "ironic_object.version": "1.37",
			"ironic_object.data": nil}}, "TypeError", "argument of type 'NoneType' is not iterable"},
		{"create_node", args{"node_obj": args{"ironic_object.name": "Moon", "ironic_object.namespace": "ironic", "ironic_object.version": "1.0",
			"ironic_object.data": args{}}}, "UnsupportedObjectError", "Unsupported object type Moon"},
		{"create_port", args{"port_obj": args{"ironic_object.name": "Port", "ironic_object.namespace": "ironic", "ironic_object.version": "1.11",
			"ironic_object.data": args{"uuid": n.UUID}}}, "NotImplementedError", "Cannot load 'node_id' in the base class"},
		{"vif_list", args{"self": 1}, "TypeError", "ConductorManager.vif_list() got multiple values for argument 'self'"},
	} {
		equal(t, c.method, w.refused(t, c.class, c.method, c.args), c.want)
	}
	w.unlocked(t)
}

func TestWhatCountsAsTrueIs(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	traits := func(replace any, names any) map[string]any {
		return map[string]any{"node_id": n.UUID, "traits": names, "replace": replace}
	}
	w.must(t, "add_node_traits", traits(nil, []any{"CUSTOM_A", 5}))
	equal(t, "added", len(w.row(t, n.UUID).Traits), 2)
	w.must(t, "add_node_traits", traits([]any{}, map[string]any{"CUSTOM_B": 1}))
	equal(t, "an empty list is false", len(w.row(t, n.UUID).Traits), 3)
	w.must(t, "add_node_traits", traits("yes", "ab"))
	equal(t, "a text is true, and one of characters", len(w.row(t, n.UUID).Traits), 2)
}

func TestStepsThatAreNoneFailTheCleaningThatReadsThem(t *testing.T) {
	for _, c := range []struct {
		steps any
		want  string
	}{
		{nil, "'NoneType' object is not iterable"},
		{true, "'bool' object is not iterable"},
		{"", ""},
		{map[string]any{}, ""},
		{"all", "string indices must be integers, not 'str'"},
		{[]any{nil}, "'NoneType' object is not subscriptable"},
	} {
		w := startWorker(t, nil)
		n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
		w.must(t, "do_node_clean", map[string]any{"node_id": n.UUID, "clean_steps": c.steps})
		w.unlocked(t)
		row := w.row(t, n.UUID)
		if c.want == "" {
			equal(t, "state", row.ProvisionState, store.Manageable)
			continue
		}
		equal(t, "state", row.ProvisionState, store.CleanFail)
		equal(t, "last_error", row.LastError, "Cannot clean node "+n.UUID+": "+c.want)
	}
}

func TestCleaningGoesOnOnlyWithSteps(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.TargetProvisionState = store.CleanWait, store.Available
	})
	w.must(t, "continue_node_clean", map[string]any{"node_id": n.UUID})
	w.unlocked(t)
	row := w.row(t, n.UUID)
	equal(t, "state", row.ProvisionState, store.CleanFail)
	equal(t, "last_error", row.LastError, "Unexpected error when processing next clean step. AssertionError: BUG: No clean steps for "+
		n.UUID+", step index is 0")
}

func TestDefaultInterfacesOutliveAnUpgradedLock(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	w.exec(t, "UPDATE nodes SET power_interface = NULL WHERE id = ?", n.ID)
	w.must(t, "set_console_mode", map[string]any{"node_id": n.UUID, "enabled": 1})
	w.unlocked(t)
	equal(t, "power_interface", w.row(t, n.UUID).PowerInterface, "fake")
	equal(t, "console", w.row(t, n.UUID).ConsoleEnabled, true)
}
