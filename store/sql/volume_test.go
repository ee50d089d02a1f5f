package sql_test

import (
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestVolumeConnectorsComeAndGo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := createNode(t, db, nil)
		c := &store.VolumeConnector{NodeID: n.ID, Type: new("iqn"), ConnectorID: new("iqn.2026-11.net.example:a")}
		if err := db.CreateVolumeConnector(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if c.Version != "1.0" || c.CreatedAt.IsZero() || !c.UpdatedAt.IsZero() {
			t.Errorf("created %+v", c)
		}
		c.Extra, c.ConnectorID = store.Dict{"rack": "7"}, new("iqn.2026-11.net.example:b")
		if err := db.SaveVolumeConnector(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		read, err := db.VolumeConnector(t.Context(), c.UUID)
		if err != nil || *read.ConnectorID != "iqn.2026-11.net.example:b" || read.Extra.String("rack") != "7" || read.NodeID != n.ID ||
			!read.UpdatedAt.Equal(c.UpdatedAt) {
			t.Errorf("connector %+v, %v", read, err)
		}
		other := &store.VolumeConnector{NodeID: n.ID, Type: new("mac"), ConnectorID: c.ConnectorID}
		if err := db.CreateVolumeConnector(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		const taken = "A volume connector with type iqn and connector ID iqn.2026-11.net.example:b already exists."
		twin := &store.VolumeConnector{NodeID: n.ID, Type: c.Type, ConnectorID: c.ConnectorID}
		wantKind(t, db.CreateVolumeConnector(t.Context(), twin), store.VolumeConnectorTypeAndIdAlreadyExists, taken)
		other.Type = c.Type
		wantKind(t, db.SaveVolumeConnector(t.Context(), other), store.VolumeConnectorTypeAndIdAlreadyExists, taken)
		sameUUID := &store.VolumeConnector{UUID: c.UUID, NodeID: n.ID, Type: new("ip"), ConnectorID: new("192.0.2.1")}
		wantKind(t, db.CreateVolumeConnector(t.Context(), sameUUID), store.VolumeConnectorAlreadyExists,
			"A volume connector with UUID "+c.UUID+" already exists.")

		if all, err := db.VolumeConnectorsOfNode(t.Context(), n.ID); err != nil || len(all) != 2 || all[0].UUID != c.UUID || all[1].UUID != other.UUID {
			t.Errorf("connectors of the node: %v, %v", all, err)
		}
		if none, err := db.VolumeConnectorsOfNode(t.Context(), n.ID+1); err != nil || len(none) != 0 {
			t.Errorf("connectors of another node: %v, %v", none, err)
		}

		if err := db.DestroyVolumeConnector(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		missing := "Volume connector " + c.UUID + " could not be found."
		wantKind(t, db.DestroyVolumeConnector(t.Context(), c), store.VolumeConnectorNotFound, missing)
		_, err = db.VolumeConnector(t.Context(), c.UUID)
		wantKind(t, err, store.VolumeConnectorNotFound, missing)
	})
}

func TestVolumeTargetsComeAndGo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n, elsewhere := createNode(t, db, nil), createNode(t, db, nil)
		boot := &store.VolumeTarget{NodeID: n.ID, VolumeType: new("iscsi"), VolumeID: new("v-1"), BootIndex: new(int64(0))}
		if err := db.CreateVolumeTarget(t.Context(), boot); err != nil {
			t.Fatal(err)
		}
		boot.Properties, boot.BootIndex = store.Dict{"target_lun": "1"}, new(int64(1))
		if err := db.SaveVolumeTarget(t.Context(), boot); err != nil {
			t.Fatal(err)
		}
		read, err := db.VolumeTarget(t.Context(), boot.UUID)
		if err != nil || *read.BootIndex != 1 || read.Properties.String("target_lun") != "1" || *read.VolumeID != "v-1" ||
			read.NodeID != n.ID || read.Version != "1.0" {
			t.Errorf("target %+v, %v", read, err)
		}
		last := &store.VolumeTarget{NodeID: n.ID, BootIndex: new(int64(0))}
		for _, free := range []*store.VolumeTarget{
			{NodeID: elsewhere.ID, BootIndex: new(int64(1))}, {NodeID: n.ID}, {NodeID: n.ID}, last,
		} {
			if err := db.CreateVolumeTarget(t.Context(), free); err != nil {
				t.Errorf("boot index %v of node %d: %v", free.BootIndex, free.NodeID, err)
			}
		}
		const taken = "A volume target with boot index '1' for the same node already exists."
		twin := &store.VolumeTarget{NodeID: n.ID, BootIndex: new(int64(1))}
		wantKind(t, db.CreateVolumeTarget(t.Context(), twin), store.VolumeTargetBootIndexAlreadyExists, taken)
		last.BootIndex = new(int64(1))
		wantKind(t, db.SaveVolumeTarget(t.Context(), last), store.VolumeTargetBootIndexAlreadyExists, taken)
		sameUUID := &store.VolumeTarget{UUID: boot.UUID, NodeID: n.ID}
		wantKind(t, db.CreateVolumeTarget(t.Context(), sameUUID), store.VolumeTargetAlreadyExists,
			"A volume target with UUID "+boot.UUID+" already exists.")

		if all, err := db.VolumeTargetsOfNode(t.Context(), n.ID); err != nil || len(all) != 4 || all[0].UUID != boot.UUID ||
			all[0].Properties.String("target_lun") != "1" {
			t.Errorf("targets of the node: %v, %v", all, err)
		}

		if err := db.DestroyVolumeTarget(t.Context(), boot); err != nil {
			t.Fatal(err)
		}
		missing := "Volume target " + boot.UUID + " could not be found."
		wantKind(t, db.DestroyVolumeTarget(t.Context(), boot), store.VolumeTargetNotFound, missing)
		_, err = db.VolumeTarget(t.Context(), boot.UUID)
		wantKind(t, err, store.VolumeTargetNotFound, missing)
	})
}
