package sql_test

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

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
