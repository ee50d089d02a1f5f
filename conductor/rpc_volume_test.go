package conductor

import (
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

func TestVolumeConnectors(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.PowerState = store.PowerOff })
	c := &store.VolumeConnector{NodeID: n.ID, Type: pointer("iqn"), ConnectorID: pointer("a")}
	taken := &store.VolumeConnector{NodeID: n.ID, Type: pointer("iqn"), ConnectorID: pointer("taken")}
	for _, connector := range []*store.VolumeConnector{c, taken} {
		if err := w.db.CreateVolumeConnector(t.Context(), connector); err != nil {
			t.Fatal(err)
		}
	}
	args := func(id string, changes ...string) map[string]any {
		wanted := *c
		wanted.ConnectorID = &id
		return map[string]any{"connector": patched(w.codec.EncodeVolumeConnector(&wanted), changes...)}
	}
	stored := func() string {
		got, err := w.db.VolumeConnector(t.Context(), c.UUID)
		if err != nil {
			t.Fatal(err)
		}
		return *got.ConnectorID
	}
	w.must(t, "update_volume_connector", args("b", "connector_id"))
	equal(t, "connector_id", stored(), "b")
	equal(t, "refusal", w.refused(t, store.VolumeConnectorTypeAndIdAlreadyExists, "update_volume_connector", args("taken", "connector_id")),
		"A volume connector with type iqn and connector ID taken already exists.")
	equal(t, "refusal", w.refused(t, store.InvalidParameterValue, "update_volume_connector", args("b", "uuid")),
		"Cannot overwrite UUID for an existing Volume Connector.")
	for power, shown := range map[string]string{"power on": "power on", "": "None"} {
		w.exec(t, "UPDATE nodes SET power_state = NULLIF(?, '') WHERE id = ?", power, n.ID)
		for method, action := range map[string]string{"update_volume_connector": "volume connector update",
			"destroy_volume_connector": "volume connector deletion"} {
			equal(t, "refusal", w.refused(t, store.InvalidStateRequested, method, args("c", "connector_id")), `The requested action "`+
				action+`" can not be performed on node "`+n.UUID+`" while it is in state "`+shown+`".`)
		}
	}
	equal(t, "connector_id", stored(), "b")
	w.exec(t, "UPDATE nodes SET power_state = 'power off' WHERE id = ?", n.ID)
	w.must(t, "destroy_volume_connector", args("b"))
	for _, method := range []string{"update_volume_connector", "destroy_volume_connector"} {
		equal(t, "refusal", w.refused(t, store.VolumeConnectorNotFound, method, args("c", "connector_id")),
			"Volume connector "+c.UUID+" could not be found.")
	}
	w.unlocked(t)
}

func TestVolumeTargets(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.PowerState = store.PowerOff })
	v := &store.VolumeTarget{NodeID: n.ID, BootIndex: pointer(int64(0)), Properties: store.Dict{"auth_password": "secret"}}
	taken := &store.VolumeTarget{NodeID: n.ID, BootIndex: pointer(int64(1))}
	for _, target := range []*store.VolumeTarget{v, taken} {
		if err := w.db.CreateVolumeTarget(t.Context(), target); err != nil {
			t.Fatal(err)
		}
	}
	args := func(index int64, changes ...string) map[string]any {
		wanted := *v
		wanted.BootIndex = &index
		return map[string]any{"target": patched(w.codec.EncodeVolumeTarget(&wanted), changes...)}
	}
	stored := func() int64 {
		got, err := w.db.VolumeTarget(t.Context(), v.UUID)
		if err != nil {
			t.Fatal(err)
		}
		return *got.BootIndex
	}
	w.must(t, "update_volume_target", args(2, "boot_index"))
	equal(t, "boot_index", stored(), 2)
	equal(t, "refusal", w.refused(t, store.VolumeTargetBootIndexAlreadyExists, "update_volume_target", args(1, "boot_index")),
		"A volume target with boot index '1' for the same node already exists.")
	equal(t, "refusal", w.refused(t, store.InvalidParameterValue, "update_volume_target", args(2, "uuid")),
		"Cannot overwrite UUID for an existing Volume Target.")
	w.exec(t, "UPDATE nodes SET power_state = 'power on' WHERE id = ?", n.ID)
	for method, action := range map[string]string{"update_volume_target": "volume target update",
		"destroy_volume_target": "volume target deletion"} {
		equal(t, "refusal", w.refused(t, store.InvalidStateRequested, method, args(3, "boot_index")), `The requested action "`+
			action+`" can not be performed on node "`+n.UUID+`" while it is in state "power on".`)
	}
	equal(t, "boot_index", stored(), 2)
	w.exec(t, "UPDATE nodes SET power_state = 'power off', reservation = 'somebody' WHERE id = ?", n.ID)
	w.refused(t, store.NodeLocked, "destroy_volume_target", args(2))
	w.exec(t, "UPDATE nodes SET reservation = NULL WHERE id = ?", n.ID)
	w.must(t, "destroy_volume_target", args(2))
	for _, method := range []string{"update_volume_target", "destroy_volume_target"} {
		equal(t, "refusal", w.refused(t, store.VolumeTargetNotFound, method, args(3, "boot_index")),
			"Volume target "+v.UUID+" could not be found.")
	}
	w.unlocked(t)
}

// Since 39.0 the volumes of a node that may be deleted itself can be deleted while it is on.
func TestVolumesOfIdleNodesAreDeleted(t *testing.T) {
	for release, kind := range map[messaging.Release]store.Kind{messaging.V2025_1: store.InvalidStateRequested, messaging.Newest: ""} {
		t.Run(release.String(), func(t *testing.T) {
			w := startWorker(t, func(c *Config) { c.Release = release })
			idle := w.enroll(t, func(n *store.Node) { n.PowerState = store.PowerOn })
			used := w.enroll(t, func(n *store.Node) { n.PowerState, n.ProvisionState = store.PowerOn, store.Available })
			for node, want := range map[*store.Node]store.Kind{idle: kind, used: store.InvalidStateRequested} {
				v := &store.VolumeTarget{NodeID: node.ID}
				if err := w.db.CreateVolumeTarget(t.Context(), v); err != nil {
					t.Fatal(err)
				}
				args := map[string]any{"target": patched(w.codec.EncodeVolumeTarget(v))}
				if want == "" {
					w.must(t, "destroy_volume_target", args)
				} else {
					w.refused(t, want, "destroy_volume_target", args)
				}
			}
			w.unlocked(t)
		})
	}
}
