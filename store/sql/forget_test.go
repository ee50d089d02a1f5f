package sql_test

import (
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestForgetConductor(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		worker := &store.Conductor{Hostname: "gone", Online: true}
		if _, err := db.Register(t.Context(), worker, []store.HardwareInterface{
			{HardwareType: "fake-hardware", InterfaceType: "power", InterfaceName: "fake", Default: true}}); err != nil {
			t.Fatal(err)
		}
		held := createNode(t, db, func(n *store.Node) { n.ConductorAffinity = &worker.ID })
		if _, err := db.Reserve(t.Context(), held.UUID, "gone"); err != nil {
			t.Fatal(err)
		}
		forget := func(what string, c *store.Conductor, want bool) {
			t.Helper()
			if got, err := db.ForgetConductor(t.Context(), *c); err != nil || got != want {
				t.Errorf("%s: forgotten %v, %v; want %v", what, got, err, want)
			}
		}
		stale, err := db.Conductor(t.Context(), "gone")
		if err != nil {
			t.Fatal(err)
		}
		forget("it holds a node", stale, false)
		if _, err := db.ClearReservations(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
		if err := db.Touch(t.Context(), "gone", true); err != nil {
			t.Fatal(err)
		}
		forget("it gave a sign of life", stale, false)
		if stale, err = db.Conductor(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
		forget("it is gone", stale, true)
		_, err = db.Conductor(t.Context(), "gone")
		wantKind(t, err, store.ConductorNotFound, "Conductor gone could not be found.")
		node, err := db.Node(t.Context(), held.UUID)
		if err != nil || node.ConductorAffinity != nil {
			t.Errorf("the node has the affinity %v, %v; want none", node.ConductorAffinity, err)
		}
	})
}
