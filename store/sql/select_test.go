package sql_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// TestSelectGoesPageByPage reads nodes one by one in every order, among them some without a value in the column to sort by.
func TestSelectGoesPageByPage(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		for _, name := range []string{"c", "", "a", "", "b"} {
			createNode(t, db, func(n *store.Node) {
				n.Name = nil
				if name != "" {
					n.Name = &name
				}
			})
		}
		label := func(n *store.Node) string {
			if n.Name == nil {
				return "-"
			}
			return *n.Name
		}
		for _, c := range []struct {
			key        string
			descending bool
			want       []string
		}{
			{"", false, []string{"c", "-", "a", "-", "b"}}, {"", true, []string{"b", "-", "a", "-", "c"}},
			{"name", false, []string{"-", "-", "a", "b", "c"}}, {"name", true, []string{"c", "b", "a", "-", "-"}},
			{"created_at", false, []string{"c", "-", "a", "-", "b"}}, {"created_at", true, []string{"b", "-", "a", "-", "c"}},
		} {
			var got []string
			var last *int64
			seen := map[int64]bool{}
			for range 6 {
				page, err := sql.Select[store.Node](t.Context(), db, "nodes",
					sql.Selection{SortKey: c.key, Descending: c.descending, Limit: 1, After: last})
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				n := page[0]
				got, seen[n.ID] = append(got, label(n)), true
				last = &n.ID
			}
			if !slices.Equal(got, c.want) || len(seen) != 5 {
				t.Errorf("by %q, descending %v: %v, want %v", c.key, c.descending, got, c.want)
			}
		}
		page, err := sql.Select[store.Node](t.Context(), db, "nodes", sql.Selection{SortKey: "name", After: new(int64(-1))})
		if err != nil || len(page) != 0 {
			t.Errorf("after a row that is gone: %v, %v", page, err)
		}
		_, err = sql.Select[store.Node](t.Context(), db, "nodes", sql.Selection{SortKey: "frob"})
		wantKind(t, err, store.InvalidParameterValue, `The sort_key value "frob" is an invalid field for sorting`)
	})
}

func TestSelectConditions(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		owned := createNode(t, db, func(n *store.Node) { n.Name, n.Owner = new("owned"), new("o") })
		leased := createNode(t, db, func(n *store.Node) { n.Name, n.Lessee = new("leased"), new("o") })
		other := createNode(t, db, func(n *store.Node) { n.Name, n.Description = new("other"), new("in the cellar") })
		port := &store.Port{NodeID: owned.ID, Address: "52:54:00:00:00:01"}
		if err := db.CreatePort(t.Context(), port); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name  string
			where sql.Condition
			want  []int64
		}{
			{"a value", sql.Equals("nodes.name", "owned"), []int64{owned.ID}},
			{"no value", sql.Equals("nodes.owner", nil), []int64{leased.ID, other.ID}},
			{"any value", sql.HasValue("nodes.owner", true), []int64{owned.ID}},
			{"none", sql.HasValue("nodes.owner", false), []int64{leased.ID, other.ID}},
			{"one of", sql.OneOf("nodes.name", []any{"owned", "other", "x"}), []int64{owned.ID, other.ID}},
			{"one of nothing", sql.OneOf("nodes.name", nil), nil},
			{"a text", sql.Contains("nodes.description", "cell"), []int64{other.ID}},
			{"a project", sql.OfProject("o"), []int64{owned.ID, leased.ID}},
			{"an earlier time", sql.Before("nodes.created_at", owned.CreatedAt.Add(-time.Hour)), nil},
			{"a later time", sql.Before("nodes.created_at", owned.CreatedAt.Add(time.Hour)), []int64{owned.ID, leased.ID, other.ID}},
		} {
			found, err := sql.Select[store.Node](t.Context(), db, "nodes", sql.Selection{Where: []sql.Condition{c.where}})
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			var got []int64
			for _, n := range found {
				got = append(got, n.ID)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: nodes %v, want %v", c.name, got, c.want)
			}
		}
		ports, err := sql.Select[store.Port](t.Context(), db, "ports", sql.Selection{Where: []sql.Condition{sql.OfProject("o")}})
		if err != nil || len(ports) != 1 || ports[0].NodeUUID != owned.UUID {
			t.Errorf("ports of a project: %v, %v", ports, err)
		}
	})
}

func TestChassisComeAndGo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		chassis := &store.Chassis{Description: new("row 1")}
		if err := db.CreateChassis(t.Context(), chassis); err != nil {
			t.Fatal(err)
		}
		chassis.Extra = store.Dict{"room": "cellar"}
		if err := db.SaveChassis(t.Context(), chassis); err != nil {
			t.Fatal(err)
		}
		read, err := db.Chassis(t.Context(), chassis.UUID)
		if err != nil || *read.Description != "row 1" || read.Extra.String("room") != "cellar" {
			t.Fatalf("read %+v, %v", read, err)
		}
		wantKind(t, db.CreateChassis(t.Context(), &store.Chassis{UUID: chassis.UUID}), store.ChassisAlreadyExists,
			"A chassis with UUID "+chassis.UUID+" already exists.")
		node := createNode(t, db, func(n *store.Node) { n.ChassisID = &read.ID })
		wantKind(t, db.DestroyChassis(t.Context(), read), store.ChassisNotEmpty,
			"Cannot complete the requested action because chassis "+chassis.UUID+" contains nodes.")
		if err := db.DestroyNode(t.Context(), node, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		if err := db.DestroyChassis(t.Context(), read); err != nil {
			t.Fatal(err)
		}
		_, err = db.Chassis(t.Context(), chassis.UUID)
		wantKind(t, err, store.ChassisNotFound, "Chassis "+chassis.UUID+" could not be found.")
	})
}
