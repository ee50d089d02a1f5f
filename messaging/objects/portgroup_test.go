package objects

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// A port group as ironic-api 21.4 sends it, with what it changed.
const patchedPortgroup = `{"ironic_object.name": "Portgroup", "ironic_object.namespace": "ironic", "ironic_object.version": "1.5",
	"ironic_object.data": {"id": 3, "uuid": "8b81a40c-3cce-569c-9fe6-e4af3c79731f", "name": "pg1", "node_id": 50,
	"node_uuid": "3ec5b512-f27f-5623-95af-56931cb070df", "address": "52:54:00:CF:2D:31", "extra": {"x": "y"}, "internal_info": {},
	"standalone_ports_supported": true, "mode": "balance-rr", "properties": {"miimon": 100},
	"created_at": "2026-11-22T07:26:27Z", "updated_at": null}, "ironic_object.changes": ["mode", "extra", "unheard_of"]}`

func TestPortgroupIsRead(t *testing.T) {
	p, changes, err := codec(t, messaging.V2023_1, 0).DecodePortgroup(json.RawMessage(patchedPortgroup))
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != 3 || p.NodeID != 50 || p.NodeUUID != "3ec5b512-f27f-5623-95af-56931cb070df" || *p.Mode != "balance-rr" ||
		p.Address != "52:54:00:cf:2d:31" || p.Properties.String("miimon") != "100" || !*p.StandalonePortsSupported {
		t.Errorf("read %+v", p)
	}
	if !slices.Equal(changes, []string{"extra", "mode"}) {
		t.Errorf("changes %v", changes)
	}
}

func TestPortgroupIsWrittenAtTheReleasesVersion(t *testing.T) {
	newer := []string{"physical_network", "category", "dynamic_portgroup"}
	for _, tc := range []struct {
		release, pin messaging.Release
		version      string
		newer        bool
	}{
		{messaging.V2023_1, 0, "1.5", false}, {messaging.V2023_1, 2101, "1.4", false}, {messaging.V2025_1, 0, "1.5", false},
		{messaging.Newest, 0, "1.9", true}, {messaging.Newest, messaging.V2025_1, "1.5", false},
	} {
		o := codec(t, tc.release, tc.pin).EncodePortgroup(&store.Portgroup{})
		if o.Version != tc.version {
			t.Errorf("%s pinned to %s: version %s, want %s", tc.release, tc.pin, o.Version, tc.version)
		}
		for _, field := range newer {
			if _, ok := o.Data[field]; ok != tc.newer {
				t.Errorf("%s pinned to %s: %s is there: %v", tc.release, tc.pin, field, ok)
			}
		}
		if _, ok := o.Data["node_uuid"]; !ok {
			t.Errorf("%s pinned to %s: node_uuid is missing", tc.release, tc.pin)
		}
	}
}
