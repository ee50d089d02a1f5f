package sql_test

import (
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestPortgroupsComeAndGo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := createNode(t, db, nil)
		bond := &store.Portgroup{NodeID: n.ID, Address: "52:54:00:00:00:0a", Name: new("bond0"), Mode: new("802.3ad"),
			Properties: store.Dict{"miimon": "100"}}
		if err := db.CreatePortgroup(t.Context(), bond); err != nil {
			t.Fatal(err)
		}
		if bond.NodeUUID != n.UUID || !*bond.StandalonePortsSupported || bond.Version != "1.5" || !bond.UpdatedAt.IsZero() {
			t.Errorf("created %+v", bond)
		}
		bond.InternalInfo, bond.StandalonePortsSupported = store.Dict{"tenant_vif_port_id": "x"}, new(false)
		if err := db.SavePortgroup(t.Context(), bond); err != nil {
			t.Fatal(err)
		}
		groups, err := db.PortgroupsOfNode(t.Context(), n.ID)
		if err != nil || len(groups) != 1 || groups[0].InternalInfo.String("tenant_vif_port_id") != "x" ||
			*groups[0].StandalonePortsSupported || *groups[0].Mode != "802.3ad" || groups[0].Properties.String("miimon") != "100" ||
			!groups[0].UpdatedAt.Equal(bond.UpdatedAt) {
			t.Errorf("port groups %v, %v", groups, err)
		}

		other := &store.Portgroup{NodeID: n.ID}
		for _, test := range []struct {
			group   store.Portgroup
			kind    store.Kind
			message string
		}{
			{store.Portgroup{Name: new("bond0")}, store.PortgroupDuplicateName, "A portgroup with name bond0 already exists."},
			{store.Portgroup{Address: bond.Address}, store.PortgroupMACAlreadyExists,
				"A portgroup with MAC address 52:54:00:00:00:0a already exists."},
			{store.Portgroup{UUID: bond.UUID}, store.PortgroupAlreadyExists, "A portgroup with UUID " + bond.UUID + " already exists."},
		} {
			test.group.NodeID = n.ID
			wantKind(t, db.CreatePortgroup(t.Context(), &test.group), test.kind, test.message)
		}
		if err := db.CreatePortgroup(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		other.Name = new("bond0")
		wantKind(t, db.SavePortgroup(t.Context(), other), store.PortgroupDuplicateName, "A portgroup with name bond0 already exists.")

		member := &store.Port{NodeID: n.ID, Address: "52:54:00:00:00:01", PortgroupID: &bond.ID}
		if err := db.CreatePort(t.Context(), member); err != nil {
			t.Fatal(err)
		}
		wantKind(t, db.DestroyPortgroup(t.Context(), bond, bond.UUID), store.PortgroupNotEmpty,
			"Cannot complete the requested action because portgroup "+bond.UUID+" contains ports.")
		if err := db.DestroyPort(t.Context(), member); err != nil {
			t.Fatal(err)
		}
		if err := db.DestroyPortgroup(t.Context(), bond, bond.UUID); err != nil {
			t.Fatal(err)
		}
		missing := "Portgroup " + bond.UUID + " could not be found."
		wantKind(t, db.DestroyPortgroup(t.Context(), bond, bond.UUID), store.PortgroupNotFound, missing)
		_, err = db.Portgroup(t.Context(), bond.UUID)
		wantKind(t, err, store.PortgroupNotFound, missing)
	})
}
