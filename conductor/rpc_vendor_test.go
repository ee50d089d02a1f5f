package conductor

import (
	"encoding/json"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// Answers and texts are those of wire/21.4 (vendor_passthru--*, get_*_vendor_passthru_methods--*).
func TestVendorPassthru(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	args := func(method, verb string, info any) map[string]any {
		return map[string]any{"node_id": n.UUID, "driver_method": method, "http_method": verb, "info": info}
	}
	for bar, want := range map[string]string{"meow": `{"async":false,"attach":false,"return":true}`, "woof": `{"async":false,"attach":false,"return":false}`} {
		got := w.must(t, "vendor_passthru", args("third_method_sync", "post", map[string]any{"bar": bar}))
		equal(t, bar, string(got), want)
	}
	for _, method := range []string{"second_method", "fourth_method_shared_lock"} {
		got := w.must(t, "vendor_passthru", args(method, "POST", map[string]any{"bar": "kazoo"}))
		equal(t, method, string(got), `{"async":true,"attach":false,"return":null}`)
		w.settled(t, n.UUID, store.Manageable)
	}
	for _, c := range []struct {
		class        store.Kind
		method, verb string
		info         any
		want         string
	}{
		{store.InvalidParameterValue, "sixth_method", "POST", map[string]any{}, "No handler for method sixth_method"},
		{store.InvalidParameterValue, "third_method_sync", "GET", map[string]any{}, "The method third_method_sync does not support HTTP GET"},
		{store.MissingParameterValue, "third_method_sync", "POST", map[string]any{}, "Parameter 'bar' not passed to method 'third_method_sync'."},
		{store.VendorPassthruException, "third_method_sync", "POST", map[string]any{"bar": "a", "foo": 1},
			"FakeVendorB.third_method_sync() got an unexpected keyword argument 'foo'"},
		{store.InvalidParameterValue, "sixth_method", "POST", []any{1}, "No handler for method sixth_method"},
		{"TypeError", "third_method_sync", "POST", []any{1},
			"ironic.drivers.modules.fake.FakeVendorB.validate() argument after ** must be a mapping, not list"},
		{"TypeError", "second_method", "POST", nil,
			"ironic.drivers.modules.fake.FakeVendorB.validate() argument after ** must be a mapping, not NoneType"},
		{"TypeError", "third_method_sync", "POST", map[string]any{"bar": "a", "http_method": "x"},
			"ironic.drivers.modules.fake.FakeVendorB.validate() got multiple values for keyword argument 'http_method'"},
		{"TypeError", "second_method", "POST", map[string]any{"bar": "a", "task": 1},
			"FakeVendorB.validate() got multiple values for argument 'task'"},
	} {
		equal(t, c.method, w.refused(t, c.class, "vendor_passthru", args(c.method, c.verb, c.info)), c.want)
	}
	w.exec(t, "UPDATE nodes SET reservation = 'another' WHERE uuid = ?", n.UUID)
	w.refused(t, store.NodeLocked, "vendor_passthru", args("third_method_sync", "POST", map[string]any{"bar": "meow"}))
	w.must(t, "vendor_passthru", args("fourth_method_shared_lock", "POST", map[string]any{"bar": "woof"}))
}

func TestVendorMethods(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	var methods map[string]map[string]any
	if err := json.Unmarshal(w.must(t, "get_node_vendor_passthru_methods", map[string]any{"node_id": n.UUID}), &methods); err != nil {
		t.Fatal(err)
	}
	if m := methods["fourth_method_shared_lock"]; len(methods) != 3 || m["async"] != true || m["require_exclusive_lock"] != false ||
		m["attach"] != false || m["description"] != "Test if the value of bar is woof" {
		t.Errorf("methods %v", methods)
	}
	none := w.enroll(t, func(n *store.Node) { n.VendorInterface = "no-vendor" })
	equal(t, "no-vendor", string(w.must(t, "get_node_vendor_passthru_methods", map[string]any{"node_id": none.UUID})), "{}")
	driver := map[string]any{"driver_name": "fake-hardware"}
	equal(t, "driver", string(w.must(t, "get_driver_vendor_passthru_methods", driver)), "{}")
	w.refused(t, store.DriverNotFound, "get_driver_vendor_passthru_methods", map[string]any{"driver_name": "nothing"})
	equal(t, "driver call", w.refused(t, store.InvalidParameterValue, "driver_vendor_passthru", map[string]any{
		"driver_name": "fake-hardware", "driver_method": "x", "http_method": "POST", "info": map[string]any{}}), "No handler for method x")
}
