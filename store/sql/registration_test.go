package sql_test

import (
	"errors"
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// oneInterface is what a worker of these tests registers.
var oneInterface = []store.HardwareInterface{
	{HardwareType: "fake-hardware", InterfaceType: "boot", InterfaceName: "fake", Default: true},
}

// asTwoProcesses runs a test on all kinds of databases, with two handles on each.
func asTwoProcesses(t *testing.T, test func(t *testing.T, one, two *sql.DB)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			url := e.url(t)
			e.url = func(*testing.T) string { return url }
			test(t, open(t, e, nil), open(t, e, nil))
		})
	}
}

// ghostOf registers worker-1 on a connection of its own, lets it reserve a node, and registers worker-1 again on db, as it is
// when a host was started anew while its old process goes on.
func ghostOf(t *testing.T, db *sql.DB, ghost *sql.DB) (held *store.Node) {
	t.Helper()
	if _, err := ghost.Register(t.Context(), &store.Conductor{Hostname: "worker-1"}, oneInterface); err != nil {
		t.Fatal(err)
	}
	n := createNode(t, db, nil)
	held, err := ghost.Reserve(t.Context(), n.UUID, "worker-1")
	if err != nil {
		t.Fatal(err)
	}
	if replaced, err := db.Register(t.Context(), &store.Conductor{Hostname: "worker-1"}, oneInterface); err != nil || !replaced {
		t.Fatalf("registering anew: replaced %v, %v", replaced, err)
	}
	return held
}

func TestAGhostWritesNothing(t *testing.T) {
	asTwoProcesses(t, func(t *testing.T, db, ghost *sql.DB) {
		n := ghostOf(t, db, ghost)
		free := createNode(t, db, nil)
		before := readNode(t, db, n.UUID)
		row, err := db.Conductor(t.Context(), "worker-1")
		if err != nil {
			t.Fatal(err)
		}
		guard := sql.Guard{Reservation: "worker-1"}
		for name, write := range map[string]func() error{
			"reserve": func() error { _, err := ghost.Reserve(t.Context(), free.UUID, "worker-1"); return err },
			"release": func() error { return ghost.Release(t.Context(), n.ID, "worker-1") },
			"save": func() error {
				n.LastError = "written by a ghost"
				return ghost.SaveNode(t.Context(), n, guard)
			},
			"set traits":     func() error { return ghost.SetTraits(t.Context(), n, guard, []string{"CUSTOM_GHOST"}) },
			"delete":         func() error { return ghost.DestroyNode(t.Context(), n, guard) },
			"sign of life":   func() error { return ghost.Touch(t.Context(), "worker-1", true) },
			"clear":          func() error { _, err := ghost.ClearReservations(t.Context(), "worker-1"); return err },
			"abort power":    func() error { _, err := ghost.ClearTargetPowerStates(t.Context(), "worker-1"); return err },
			"deregistration": func() error { return ghost.Unregister(t.Context(), "worker-1") },
		} {
			if err := write(); !errors.Is(err, sql.ErrReplaced) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := readNode(t, db, n.UUID); got.Reservation != "worker-1" || !got.UpdatedAt.Equal(before.UpdatedAt) || len(got.Traits) != 0 {
			t.Errorf("the ghost wrote: %+v", got)
		}
		if got := readNode(t, db, free.UUID); got.Reservation != "" {
			t.Errorf("the ghost reserved a node as %q", got.Reservation)
		}
		if got, err := db.Conductor(t.Context(), "worker-1"); err != nil || !got.Online || !got.UpdatedAt.Equal(row.UpdatedAt) {
			t.Errorf("the ghost wrote the conductor's row: %+v, %v", got, err)
		}

		// The later process frees what the ghost held, and works.
		if freed, err := db.ClearReservations(t.Context(), "worker-1"); err != nil || len(freed) != 1 || freed[0] != n.UUID {
			t.Errorf("freed %v, %v", freed, err)
		}
		held, err := db.Reserve(t.Context(), n.UUID, "worker-1")
		if err != nil {
			t.Fatal(err)
		}
		held.LastError = "written by its holder"
		if err := errors.Join(db.SaveNode(t.Context(), held, guard), db.Release(t.Context(), n.ID, "worker-1"),
			db.Touch(t.Context(), "worker-1", true)); err != nil {
			t.Error(err)
		}
	})
}

// A later process that has come and gone has fenced the ghost for good.
func TestAGhostOutlivesItsSuccessorInVain(t *testing.T) {
	asTwoProcesses(t, func(t *testing.T, db, ghost *sql.DB) {
		n := ghostOf(t, db, ghost)
		if err := db.Unregister(t.Context(), "worker-1"); err != nil {
			t.Fatal(err)
		}
		n.LastError = "written by a ghost"
		if err := ghost.SaveNode(t.Context(), n, sql.Guard{Reservation: "worker-1"}); !errors.Is(err, sql.ErrReplaced) {
			t.Errorf("saving: %v", err)
		}
		if err := ghost.Touch(t.Context(), "worker-1", true); !errors.Is(err, sql.ErrReplaced) {
			t.Errorf("a sign of life: %v", err)
		}
	})
}

func TestAWorkerThatHasDeregisteredEndsItsWork(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		if _, err := db.Register(t.Context(), &store.Conductor{Hostname: "worker-1"}, oneInterface); err != nil {
			t.Fatal(err)
		}
		n := createNode(t, db, nil)
		held, err := db.Reserve(t.Context(), n.UUID, "worker-1")
		if err != nil {
			t.Fatal(err)
		}
		held.LastError = "the end"
		if err := errors.Join(db.Unregister(t.Context(), "worker-1"), db.Touch(t.Context(), "worker-1", false),
			db.SaveNode(t.Context(), held, sql.Guard{Reservation: "worker-1"}), db.Release(t.Context(), n.ID, "worker-1"),
			db.Unregister(t.Context(), "worker-1")); err != nil {
			t.Error(err)
		}
		if got := readNode(t, db, n.UUID); got.LastError != "the end" || got.Reservation != "" {
			t.Errorf("the node has last_error %q and reservation %q", got.LastError, got.Reservation)
		}
	})
}
