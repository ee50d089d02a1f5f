package objects

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

func node(version, data string) json.RawMessage {
	return fmt.Appendf(nil, `{"ironic_object.name": "Node", "ironic_object.namespace": "ironic",
		"ironic_object.version": %q, "ironic_object.data": {%s}, "ironic_object.changes": ["extra", "name", "bogus", "name"]}`, version, data)
}

func TestDecodeTolerates(t *testing.T) {
	c := codec(t, messaging.V2023_1, 0)
	n, changes, err := c.DecodeNode(node("1.36.2", `"bogus": 1, "extra": null, "name": 17, "id": "5", "chassis_id": null,
		"retired": true, "provision_updated_at": "2026-11-22T08:27:02.5+01:00", "inspection_started_at": "2026-11-22T07:27:02",
		"properties": {"cpus": 1.50}, "traits": null`))
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2026, 11, 22, 7, 27, 2, 5e8, time.UTC)
	if n.ID != 5 || *n.Name != "17" || n.Extra == nil || n.ChassisID != nil || !*n.Retired || !n.ProvisionUpdatedAt.Equal(want) ||
		!n.InspectionStartedAt.Equal(want.Truncate(time.Second)) || n.Properties["cpus"] != json.Number("1.50") || n.Version != "1.36" {
		t.Errorf("%+v", n)
	}
	if fmt.Sprint(changes) != "[extra name]" {
		t.Errorf("changes %v", changes)
	}
}

func TestDecodeRefuses(t *testing.T) {
	c := codec(t, messaging.V2023_1, 0)
	whole := func(name, space, version, data string) string {
		return fmt.Sprintf(`{"ironic_object.name": %s, "ironic_object.namespace": %s, "ironic_object.version": %s, "ironic_object.data": %s}`,
			name, space, version, data)
	}
	field := func(text string) string { return string(node("1.37", text)) }
	for _, tc := range []struct {
		raw  string
		kind store.Kind
		text string
	}{
		{`null`, store.InvalidParameterValue, "Expected a Node object"},
		{`"hunter2"`, store.InvalidParameterValue, "Expected a Node object"},
		{`{}`, store.InvalidParameterValue, "ironic_object.name"},
		{whole(`5`, `"ironic"`, `"1.37"`, `{}`), store.InvalidParameterValue, "ironic_object.name"},
		{whole(`"Node"`, `"ironic"`, `"1.37"`, `[]`), store.InvalidParameterValue, "ironic_object.data"},
		{whole(`"Node"`, `"ironic"`, `1.37`, `{}`), store.InvalidParameterValue, "ironic_object.version"},
		{whole(`"Node"`, `"nova"`, `"1.37"`, `{}`), store.UnsupportedObjectError, "Unsupported object type nova.Node"},
		{whole(`"Flavor"`, `"ironic"`, `"1.37"`, `{}`), store.UnsupportedObjectError, "Unsupported object type Flavor"},
		{whole(`"Port"`, `"ironic"`, `"1.11"`, `{}`), store.InvalidParameterValue, "Expected a Node object but received a Port object"},
		{whole(`"Node"`, `"ironic"`, `"1.38"`, `{}`), store.IncompatibleObjectVersion,
			"Version 1.38 of Node is not supported, supported version is 1.37"},
		{whole(`"Node"`, `"ironic"`, `"2.0"`, `{}`), store.IncompatibleObjectVersion, "Version 2.0 of Node"},
		{whole(`"Node"`, `"ironic"`, `"new"`, `{}`), store.IncompatibleObjectVersion, "Version new of Node"},
		{field(`"driver_info": "hunter2"`), store.InvalidParameterValue, "Field driver_info of Node is not an object."},
		{field(`"extra": ["hunter2"]`), store.InvalidParameterValue, "Field extra of Node is not an object."},
		{field(`"maintenance": "false"`), store.InvalidParameterValue, "Field maintenance of Node is not a boolean."},
		{field(`"maintenance": null`), store.InvalidParameterValue, "Field maintenance of Node cannot be null."},
		{field(`"conductor_group": null`), store.InvalidParameterValue, "Field conductor_group of Node cannot be null."},
		{field(`"id": 1.5`), store.InvalidParameterValue, "Field id of Node is not a whole number."},
		{field(`"id": null`), store.InvalidParameterValue, "Field id of Node cannot be null."},
		{field(`"uuid": {"a": "hunter2"}`), store.InvalidParameterValue, "Field uuid of Node is not a string."},
		{field(`"uuid": true`), store.InvalidParameterValue, "Field uuid of Node is not a string."},
		{field(`"updated_at": "yesterday"`), store.InvalidParameterValue, "Field updated_at of Node is not a date and time."},
		{field(`"updated_at": 5`), store.InvalidParameterValue, "Field updated_at of Node is not a date and time."},
		{field(`"traits": []`), store.InvalidParameterValue, "Expected a TraitList object"},
		{field(`"traits": ` + whole(`"TraitList"`, `"ironic"`, `"1.0"`, `{}`)), store.InvalidParameterValue, "Field objects of TraitList"},
		{field(`"traits": ` + whole(`"TraitList"`, `"ironic"`, `"1.9"`, `{}`)), store.IncompatibleObjectVersion, "TraitList"},
	} {
		_, _, err := c.DecodeNode(json.RawMessage(tc.raw))
		if store.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.text) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s\n  gave %s %v, want %s %s", tc.raw, store.KindOf(err), err, tc.kind, tc.text)
		}
	}
}

func TestPortAddress(t *testing.T) {
	c := codec(t, messaging.V2023_1, 0)
	port := func(address string) json.RawMessage {
		return fmt.Appendf(nil, `{"ironic_object.name": "Port", "ironic_object.namespace": "ironic", "ironic_object.version": "1.11",
			"ironic_object.data": {"node_id": 5, "node_uuid": "n", "address": %q}}`, address)
	}
	p, _, err := c.DecodePort(port("52:54:00:AB:cd:01"))
	if err != nil || p.Address != "52:54:00:ab:cd:01" || p.NodeUUID != "n" || p.NodeID != 5 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"52:54:00:00:00", "52-54-00-00-00-01", "5254.0000.0001", "52:54:00:00:00:zz", "0:0:0:0:0:1"} {
		if _, _, err := c.DecodePort(port(bad)); store.KindOf(err) != store.InvalidMAC || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s gave %v", bad, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, rec := range readLines(f, "../testdata/rpc-21.4.jsonl") {
		for _, raw := range rec.Request.Args {
			if known(objectName(raw)) {
				f.Add([]byte(raw))
			}
		}
	}
	c := codec(f, messaging.Newest, 0)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		o, _, err := recode(c, raw)
		if err != nil {
			if store.KindOf(err) == "" {
				t.Errorf("unnamed failure %v", err)
			}
			return
		}
		if _, _, err := recode(c, mustJSON(t, o)); err != nil {
			t.Errorf("cannot decode what was encoded: %v", err)
		}
	})
}
