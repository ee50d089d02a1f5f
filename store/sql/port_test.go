package sql_test

import (
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestPortsComeAndGo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := createNode(t, db, nil)
		p := &store.Port{NodeID: n.ID, Address: "52:54:00:00:00:01", Name: new("eth0"),
			LocalLinkConnection: store.Dict{"port_id": "Gig0/1"}}
		if err := db.CreatePort(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if p.NodeUUID != n.UUID || !*p.PXEEnabled || *p.IsSmartNIC || p.Version != "1.11" || !p.UpdatedAt.IsZero() {
			t.Errorf("created %+v", p)
		}
		p.Extra = store.Dict{"vif_port_id": "x"}
		if err := db.SavePort(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		ports, err := db.PortsOfNode(t.Context(), n.ID)
		if err != nil || len(ports) != 1 || ports[0].Extra.String("vif_port_id") != "x" ||
			ports[0].LocalLinkConnection.String("port_id") != "Gig0/1" || !ports[0].UpdatedAt.Equal(p.UpdatedAt) {
			t.Errorf("ports %v, %v", ports, err)
		}

		const unused = "b1acc0d3-4c90-5210-bb98-bdd30773def7"
		second := &store.Port{NodeID: n.ID, Address: "52:54:00:00:00:02"}
		for _, test := range []struct {
			port    store.Port
			kind    store.Kind
			message string
		}{
			{store.Port{Address: p.Address}, store.MACAlreadyExists, "A port with MAC address 52:54:00:00:00:01 already exists."},
			{store.Port{Address: second.Address, UUID: p.UUID}, store.PortAlreadyExists, "A port with UUID " + p.UUID + " already exists."},
			{store.Port{Address: second.Address, UUID: unused, Name: new("eth0")}, store.PortAlreadyExists,
				"A port with UUID " + unused + " already exists."},
		} {
			test.port.NodeID = n.ID
			wantKind(t, db.CreatePort(t.Context(), &test.port), test.kind, test.message)
		}
		if err := db.CreatePort(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		second.Name = new("eth0")
		wantKind(t, db.SavePort(t.Context(), second), store.PortDuplicateName, "A port with name eth0 already exists.")
		second.Address, second.Name = p.Address, nil
		wantKind(t, db.SavePort(t.Context(), second), store.MACAlreadyExists,
			"A port with MAC address 52:54:00:00:00:01 already exists.")

		if err := db.DestroyPort(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		wantKind(t, db.DestroyPort(t.Context(), p), store.PortNotFound, "Port "+p.UUID+" could not be found.")
		_, err = db.Port(t.Context(), p.UUID)
		wantKind(t, err, store.PortNotFound, "Port "+p.UUID+" could not be found.")
	})
}
