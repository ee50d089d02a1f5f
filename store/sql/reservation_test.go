package sql_test

import (
	stdsql "database/sql"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestReserveAndRelease(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := createNode(t, db, nil)
		held, err := db.Reserve(t.Context(), n.UUID, "worker-1")
		if err != nil {
			t.Fatal(err)
		}
		if held.Reservation != "worker-1" || held.Snapshot == nil || held.UpdatedAt.IsZero() {
			t.Errorf("reserved node: %+v", held)
		}
		const locked = "Node %s is locked by host worker-1, please retry after the current operation is completed."
		for _, host := range []string{"worker-1", "worker-2"} {
			_, err := db.Reserve(t.Context(), itoa(n.ID), host)
			wantKind(t, err, store.NodeLocked, fmt.Sprintf(locked, n.UUID))
		}
		wantKind(t, db.Release(t.Context(), n.ID, "worker-2"), store.NodeLocked, fmt.Sprintf(locked, n.UUID))
		if err := db.Release(t.Context(), n.ID, "worker-1"); err != nil {
			t.Fatal(err)
		}
		wantKind(t, db.Release(t.Context(), n.ID, "worker-1"), store.NodeNotLocked,
			"Node "+n.UUID+" found not to be locked on release")
		if err := db.DestroyNode(t.Context(), n, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		wantKind(t, db.Release(t.Context(), n.ID, "worker-1"), store.NodeNotFound, "Node "+itoa(n.ID)+" could not be found.")
		_, err = db.Reserve(t.Context(), n.UUID, "worker-1")
		wantKind(t, err, store.NodeNotFound, "Node "+n.UUID+" could not be found.")
	})
}

func TestOneOfManyReserves(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := createNode(t, db, nil)
		var won, lost atomic.Int32
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				_, err := db.Reserve(t.Context(), n.UUID, fmt.Sprintf("worker-%d", i%5))
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, &store.Error{Kind: store.NodeLocked}):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != 49 {
			t.Errorf("%d won and %d lost", won.Load(), lost.Load())
		}
	})
}

func TestStartClearsWhatTheHostLeft(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		var nodes []*store.Node
		for _, holder := range []string{"Worker_1", "worker_1", "workerX1", ""} {
			n := createNode(t, db, func(n *store.Node) { n.TargetPowerState = store.PowerOn })
			nodes = append(nodes, n)
			if holder == "" {
				continue
			}
			if _, err := db.Reserve(t.Context(), n.UUID, holder); err != nil {
				t.Fatal(err)
			}
		}
		own := []string{nodes[0].UUID, nodes[1].UUID}
		aborted, err := db.ClearTargetPowerStates(t.Context(), "worker_1")
		if err != nil || !reflect.DeepEqual(aborted, own) {
			t.Errorf("aborted power actions of %v, %v; want %v", aborted, err, own)
		}
		flow := createNode(t, db, func(n *store.Node) { n.TargetPowerState, n.ProvisionState = store.PowerOn, store.Deploying })
		if _, err := db.Reserve(t.Context(), flow.UUID, "worker_1"); err != nil {
			t.Fatal(err)
		}
		if aborted, err := db.ClearTargetPowerStates(t.Context(), "worker_1", store.Deploying, store.Cleaning); err != nil || aborted != nil {
			t.Errorf("aborted of a flow %v, %v", aborted, err)
		}
		if got := readNode(t, db, flow.UUID); got.LastError != "" || got.TargetPowerState != "" {
			t.Errorf("a flow: last_error %q, target %q", got.LastError, got.TargetPowerState)
		}
		own = append(own, flow.UUID)
		freed, err := db.ClearReservations(t.Context(), "worker_1")
		if err != nil || !reflect.DeepEqual(freed, own) {
			t.Errorf("freed %v, %v; want %v", freed, err, own)
		}
		for i, n := range nodes {
			got := readNode(t, db, n.UUID)
			wantError, wantTarget := "", store.PowerOn
			if i < 2 {
				wantError, wantTarget = "Pending power operation was aborted due to conductor restart", ""
			}
			if got.LastError != wantError || got.TargetPowerState != wantTarget || (got.Reservation != "") != (i == 2) {
				t.Errorf("node %d: last_error %q, target %q, reservation %q", i, got.LastError, got.TargetPowerState, got.Reservation)
			}
		}
	})
}

// leaveBehind registers worker-1, lets it reserve a node, and returns its row as a peer finds it when worker-1 is gone.
func leaveBehind(t *testing.T, db *sql.DB) (*store.Node, store.Conductor) {
	t.Helper()
	if _, err := db.Register(t.Context(), &store.Conductor{Hostname: "worker-1"}, nil); err != nil {
		t.Fatal(err)
	}
	n := createNode(t, db, nil)
	if _, err := db.Reserve(t.Context(), n.UUID, "worker-1"); err != nil {
		t.Fatal(err)
	}
	offline, err := db.OfflineConductors(t.Context(), time.Second)
	if err != nil || len(offline) != 1 {
		t.Fatalf("offline: %v, %v", offline, err)
	}
	return n, offline[0]
}

func TestTakeOverFromAWorkerThatIsGone(t *testing.T) {
	for _, tag := range []string{"worker-2", ""} {
		onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
			n, gone := leaveBehind(t, db)
			if taken, err := db.TakeOver(t.Context(), n.ID, gone, tag); err != nil || !taken {
				t.Fatalf("taken %v, %v", taken, err)
			}
			if got := readNode(t, db, n.UUID); got.Reservation != tag || !got.UpdatedAt.After(n.UpdatedAt) {
				t.Errorf("reserved by %q instead of %q, updated at %v", got.Reservation, tag, got.UpdatedAt)
			}
			if taken, err := db.TakeOver(t.Context(), n.ID, gone, "worker-3"); err != nil || taken {
				t.Errorf("taken twice: %v, %v", taken, err)
			}
			if got := readNode(t, db, n.UUID); got.Reservation != tag {
				t.Errorf("the second try left the reservation at %q", got.Reservation)
			}
		})
	}
}

func TestTakeOverSparesAWorkerThatIsBack(t *testing.T) {
	for _, test := range []struct {
		name string
		back func(t *testing.T, db *sql.DB, n *store.Node) error
	}{
		{"a sign of life", func(t *testing.T, db *sql.DB, n *store.Node) error {
			return db.Touch(t.Context(), "worker-1", true)
		}},
		{"registered anew, and reserved anew", func(t *testing.T, db *sql.DB, n *store.Node) error {
			if _, err := db.Register(t.Context(), &store.Conductor{Hostname: "worker-1"}, nil); err != nil {
				return err
			}
			if _, err := db.ClearReservations(t.Context(), "worker-1"); err != nil {
				return err
			}
			_, err := db.Reserve(t.Context(), n.UUID, "worker-1")
			return err
		}},
		{"deregistered", func(t *testing.T, db *sql.DB, n *store.Node) error {
			return db.Unregister(t.Context(), "worker-1")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
				n, gone := leaveBehind(t, db)
				if err := test.back(t, db, n); err != nil {
					t.Fatal(err)
				}
				if taken, err := db.TakeOver(t.Context(), n.ID, gone, ""); err != nil || taken {
					t.Errorf("taken %v, %v", taken, err)
				}
				if got := readNode(t, db, n.UUID); got.Reservation != "worker-1" {
					t.Errorf("reserved by %q", got.Reservation)
				}
			})
		})
	}
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		_, gone := leaveBehind(t, db)
		if taken, err := db.TakeOver(t.Context(), 1<<30, gone, "worker-2"); err != nil || taken {
			t.Errorf("a node that is gone: taken %v, %v", taken, err)
		}
	})
}

// TestTakeOverWaitsForARegistration has the worker come back while its peer is at it: the row of the conductor decides.
func TestTakeOverWaitsForARegistration(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		n, gone := leaveBehind(t, db)
		registering, err := raw.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = registering.Rollback() }()
		mustExec(t, registering, "UPDATE conductors SET updated_at = '2026-11-22 08:30:00.000000'")
		taken := make(chan bool)
		go func() {
			done, err := db.TakeOver(t.Context(), n.ID, gone, "")
			if err != nil {
				t.Error(err)
			}
			taken <- done
		}()
		if err := registering.Commit(); err != nil {
			t.Fatal(err)
		}
		if <-taken {
			t.Error("taken from a worker that was registering")
		}
		if got := readNode(t, db, n.UUID); got.Reservation != "worker-1" {
			t.Errorf("reserved by %q", got.Reservation)
		}
	})
}
