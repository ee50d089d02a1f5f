package conductor

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func TestSetTargetRAIDConfig(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	none := w.enroll(t, func(n *store.Node) { n.RAIDInterface = "no-raid" })
	args := func(node string, target any) map[string]any {
		return map[string]any{"node_id": node, "target_raid_config": target}
	}
	disk := map[string]any{"size_gb": 100, "raid_level": "1", "is_root_volume": true}
	good := map[string]any{"logical_disks": []any{disk}}
	equal(t, "answer", string(w.must(t, "set_target_raid_config", args(n.UUID, good))), "null")
	if got := w.row(t, n.UUID).TargetRAIDConfig; len(got.List("logical_disks")) != 1 {
		t.Errorf("target_raid_config %v", got)
	}
	for _, c := range []struct {
		node   string
		class  store.Kind
		target any
		want   string
	}{
		{n.UUID, store.InvalidParameterValue, map[string]any{"logical_disks": []any{map[string]any{"size_gb": 1}}},
			"RAID config validation error: 'raid_level' is a required property"},
		{n.UUID, store.InvalidParameterValue, map[string]any{"logical_disks": []any{disk, disk}},
			"Raid config cannot have more than one root volume. 2 root volumes were specified"},
		{none.UUID, store.UnsupportedDriverExtension, good, "Driver fake-hardware does not support raid (disabled or not implemented)."},
		{"0ff4cd68-0a63-4f5f-a3ac-d7ae0f0e0c0d", store.NodeNotFound, good, "Node 0ff4cd68-0a63-4f5f-a3ac-d7ae0f0e0c0d could not be found."},
	} {
		equal(t, c.want, w.refused(t, c.class, "set_target_raid_config", args(c.node, c.target)), c.want)
	}
	if got := w.row(t, n.UUID).TargetRAIDConfig; len(got.List("logical_disks")) != 1 {
		t.Errorf("target_raid_config %v after refusals", got)
	}
	w.must(t, "set_target_raid_config", args(n.UUID, map[string]any{}))
	w.must(t, "set_target_raid_config", args(none.UUID, map[string]any{}))
	if got := w.row(t, n.UUID).TargetRAIDConfig; len(got) != 0 {
		t.Errorf("target_raid_config %v after it was taken back", got)
	}
	w.exec(t, "UPDATE nodes SET reservation = 'another' WHERE uuid = ?", n.UUID)
	w.refused(t, store.NodeLocked, "set_target_raid_config", args(n.UUID, good))
}

func TestRAIDLogicalDiskProperties(t *testing.T) {
	w := startWorker(t, nil)
	var all map[string]string
	if err := json.Unmarshal(w.must(t, "get_raid_logical_disk_properties", map[string]any{"driver_name": "fake-hardware"}), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 10 || !strings.HasPrefix(all["raid_level"], "RAID level for the logical disk.") {
		t.Errorf("properties %v", all)
	}
	w.refused(t, store.DriverNotFound, "get_raid_logical_disk_properties", map[string]any{"driver_name": "nothing"})
}
