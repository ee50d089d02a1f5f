package conductor

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func TestBootDevicesIndicatorsAndNMI(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	node := map[string]any{"node_id": n.UUID}
	with := func(more map[string]any) map[string]any {
		args := map[string]any{"node_id": n.UUID}
		for k, v := range more {
			args[k] = v
		}
		return args
	}
	for _, c := range []struct {
		method string
		args   map[string]any
		want   string
		kind   store.Kind
	}{
		{method: "get_supported_boot_devices", args: node, want: `["pxe"]`},
		{method: "set_boot_device", args: with(map[string]any{"device": "pxe", "persistent": true}), want: "null"},
		{method: "set_boot_device", args: with(map[string]any{"device": "toaster"}), kind: store.InvalidParameterValue},
		{method: "get_boot_device", args: node, want: `{"boot_device":"pxe","persistent":false}`},
		{method: "inject_nmi", args: node, kind: store.UnsupportedDriverExtension},
		{method: "get_supported_indicators", args: node,
			want: `{"chassis":{"led-0":{"readonly":true,"states":["off","on"]}},` +
				`"system":{"led":{"readonly":false,"states":["blinking","off","on"]}}}`},
		{method: "get_supported_indicators", args: with(map[string]any{"component": "nothing"}), want: `{}`},
		{method: "get_indicator_state", args: with(map[string]any{"component": "system", "indicator": "led"}), want: `"on"`},
		{method: "set_indicator_state", args: with(map[string]any{"component": "chassis", "indicator": "led-0", "state": "ON"}),
			kind: store.UnsupportedDriverExtension},
	} {
		if c.kind != "" {
			w.refused(t, c.kind, c.method, c.args)
			continue
		}
		var got, want any
		if err := errors.Join(json.Unmarshal(w.must(t, c.method, c.args), &got), json.Unmarshal([]byte(c.want), &want)); err != nil {
			t.Fatal(err)
		}
		equal(t, c.method, string(raw(t, got)), string(raw(t, want)))
	}
	w.script.use(behaviour{managementValidate: func() error { return store.Errorf(store.MissingParameterValue, "no address") }})
	for _, method := range []string{"get_boot_device", "inject_nmi", "change_node_boot_mode"} {
		args := node
		if method == "change_node_boot_mode" {
			args = with(map[string]any{"new_state": "uefi"})
		}
		w.refused(t, store.MissingParameterValue, method, args)
	}
	w.unlocked(t)
}

func TestValidationNamesEachInterface(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	w.script.use(behaviour{
		powerValidate:   func() error { return store.Errorf(store.MissingParameterValue, "no address") },
		networkValidate: func() error { return errors.New("on fire") },
	})
	var answer map[string]struct {
		Result bool
		Reason string
	}
	if err := json.Unmarshal(w.must(t, "validate_driver_interfaces", map[string]any{"node_id": n.UUID}), &answer); err != nil {
		t.Fatal(err)
	}
	for name, a := range answer {
		switch name {
		case "power":
			equal(t, name, a.Reason, "no address")
		case "network":
			equal(t, name, a.Reason, "Unexpected exception, traceback saved into log by ironic conductor service that is running "+
				"on worker-1: on fire")
		default:
			equal(t, name, a.Reason, "")
		}
		equal(t, name+" is valid", a.Result, name != "power" && name != "network")
	}
	if _, there := answer["vendor"]; there || len(answer) != 11 {
		t.Errorf("%d interfaces: %v", len(answer), answer)
	}
	w.unlocked(t)
	equal(t, "row saved", w.row(t, n.UUID).UpdatedAt, n.UpdatedAt)
}

func TestDriverProperties(t *testing.T) {
	w := startWorker(t, nil)
	w.must(t, "get_driver_properties", map[string]any{"driver_name": "fake-hardware"})
	if text := w.refused(t, store.DriverNotFound, "get_driver_properties", map[string]any{"driver_name": "abacus"}); !strings.Contains(text, "abacus") {
		t.Errorf("refused with %q", text)
	}
}
