package sql_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestFilters(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		// The test's clock advances by a minute with each look, so a is older than b, and so on.
		for _, n := range []store.Node{
			{Name: new("a"), Driver: "redfish", ProvisionState: store.Active, InstanceUUID: "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a"},
			{Name: new("b"), Driver: "redfish", ProvisionState: store.DeployWait, Maintenance: true, Fault: store.FaultPower},
			{Name: new("c"), Driver: "ipmi", ProvisionState: store.CleanWait, ConductorGroup: "rack1"},
			{Name: new("d"), Driver: "ipmi", ProvisionState: store.Enroll, Retired: new(true), ConsoleEnabled: true,
				DriverInternalInfo: store.Dict{"kept": store.Dict{"id": 1}}},
		} {
			createNode(t, db, func(row *store.Node) { *row = n })
		}
		c := one(t, db, "c")
		if _, err := db.Reserve(t.Context(), c.UUID, "worker-1"); err != nil {
			t.Fatal(err)
		}
		// b is touched first, c much later.
		if err := db.TouchProvisioning(t.Context(), one(t, db, "b").ID); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			if err := db.TouchProvisioning(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
		}
		for _, test := range []struct {
			name   string
			filter sql.Filter
			want   []string
		}{
			{"all", sql.Filter{}, []string{"a", "b", "c", "d"}},
			{"reserved", sql.Filter{Reserved: new(true)}, []string{"c"}},
			{"free", sql.Filter{Reserved: new(false)}, []string{"a", "b", "d"}},
			{"associated", sql.Filter{Associated: new(true)}, []string{"a"}},
			{"maintenance", sql.Filter{Maintenance: new(true)}, []string{"b"}},
			{"no maintenance", sql.Filter{Maintenance: new(false)}, []string{"a", "c", "d"}},
			{"states", sql.Filter{ProvisionStates: []string{store.DeployWait, store.CleanWait}}, []string{"b", "c"}},
			{"name", sql.Filter{Name: "b"}, []string{"b"}},
			{"driver and group", sql.Filter{Driver: "ipmi", ConductorGroup: new("")}, []string{"d"}},
			{"fault", sql.Filter{Fault: store.FaultPower}, []string{"b"}},
			{"with a key", sql.Filter{InfoHas: "kept"}, []string{"d"}},
			{"held by", sql.Filter{ReservedByAnyOf: []string{"worker-1", "worker-2"}}, []string{"c"}},
			{"retired", sql.Filter{Retired: new(true)}, []string{"d"}},
			{"console", sql.Filter{ConsoleEnabled: new(true)}, []string{"d"}},
			{"written to lately", sql.Filter{ChangedWithin: 5 * time.Minute}, []string{"c"}},
			{"waiting for long", sql.Filter{ProvisionedBefore: 20 * time.Minute}, []string{"b"}},
			{"by uuid", sql.Filter{UUIDs: []string{c.UUID}}, []string{"c"}},
			{"sorted", sql.Filter{OrderBy: "driver"}, []string{"c", "d", "a", "b"}},
			{"light", sql.Filter{Columns: []string{"name", "uuid"}}, []string{"a", "b", "c", "d"}},
		} {
			nodes, err := db.Nodes(t.Context(), test.filter)
			var names []string
			for _, n := range nodes {
				names = append(names, *n.Name)
			}
			if err != nil || !slices.Equal(names, test.want) {
				t.Errorf("%s: %v, %v; want %v", test.name, names, err, test.want)
			}
		}
		for _, wrong := range []sql.Filter{{OrderBy: "nothing; DROP TABLE nodes"}, {Columns: []string{"nothing"}}} {
			if _, err := db.Nodes(t.Context(), wrong); err == nil {
				t.Errorf("%+v is accepted", wrong)
			}
		}
		for _, test := range []struct {
			group *string
			want  int
		}{{nil, 3}, {new("rack1"), 1}, {new(""), 2}, {new("rack2"), 0}} {
			n, err := db.CountNodes(t.Context(), test.group, store.DeployWait, store.Active, store.CleanWait, store.Deploying)
			if err != nil || n != test.want {
				t.Errorf("counted %d, %v; want %d", n, err, test.want)
			}
		}
	})
}

func TestLightNodesCannotBeSaved(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		createNode(t, db, nil)
		nodes, err := db.Nodes(t.Context(), sql.Filter{Columns: []string{"uuid", "driver"}})
		if err != nil || len(nodes) != 1 || nodes[0].Driver != "fake-hardware" {
			t.Fatalf("%v, %v", nodes, err)
		}
		if err := db.SaveNode(t.Context(), nodes[0], sql.Guard{}); err == nil {
			t.Error("a node of which only two columns were read was saved as a whole")
		}
	})
}

func one(t *testing.T, db *sql.DB, name string) *store.Node {
	t.Helper()
	nodes, err := db.Nodes(t.Context(), sql.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(nodes, func(n *store.Node) bool { return n.Name != nil && *n.Name == name })
	if i < 0 {
		t.Fatalf("no node %s", name)
	}
	return nodes[i]
}
