package sql_test

import (
	stdsql "database/sql"
	"errors"
	"reflect"
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestTearDownGivesTheAllocationBack(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		n := createNode(t, db, nil)
		const uuid = "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a"
		for _, statement := range []string{
			"INSERT INTO allocations (id, uuid, node_id, state) VALUES (7, '" + uuid + "', " + itoa(n.ID) + ", 'active')",
			"UPDATE nodes SET allocation_id = 7, instance_uuid = '" + uuid + "'",
		} {
			if _, err := raw.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		n, err := db.Reserve(t.Context(), n.UUID, "worker-1")
		if err != nil {
			t.Fatal(err)
		}
		if err := db.DestroyAllocation(t.Context(), n, sql.Guard{Reservation: "worker-2"}); err == nil {
			t.Error("the allocation was deleted without the lock")
		}
		if err := db.DestroyAllocation(t.Context(), n, sql.Guard{Reservation: "worker-1"}); err != nil {
			t.Fatal(err)
		}
		got := readNode(t, db, n.UUID)
		if got.AllocationID != nil || got.InstanceUUID != "" || !reflect.DeepEqual(got.Snapshot, n.Snapshot) {
			t.Errorf("row %v %q, in memory %v %q", got.AllocationID, got.InstanceUUID, n.AllocationID, n.InstanceUUID)
		}
		if left := query[int](t, raw, "SELECT COUNT(*) FROM allocations"); left != 0 {
			t.Errorf("%d allocations left", left)
		}
	})
}

// hold reserves a node that exists.
func hold(t *testing.T, db *sql.DB, n *store.Node) (*store.Node, sql.Guard) {
	t.Helper()
	held, err := db.Reserve(t.Context(), n.UUID, "worker-1")
	if err != nil {
		t.Fatal(err)
	}
	return held, sql.Guard{Reservation: "worker-1", ProvisionState: held.ProvisionState}
}

// worker registers a conductor and returns the number of its row.
func worker(t *testing.T, db *sql.DB, host string) *int64 {
	t.Helper()
	c := &store.Conductor{Hostname: host, Online: true}
	if _, err := db.Register(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	return &c.ID
}

func createAllocation(t *testing.T, db *sql.DB, a *store.Allocation) *store.Allocation {
	t.Helper()
	if err := db.CreateAllocation(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAllocationsComeAndGo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		mine := worker(t, db, "worker-1")
		a := createAllocation(t, db, &store.Allocation{Name: new("a"), ResourceClass: new("gold"), Traits: []string{"CUSTOM_A"},
			ConductorAffinity: mine})
		if a.State != store.AllocationAllocating || a.Version != "1.1" || a.NodeID != nil || len(a.CandidateNodes) != 0 {
			t.Errorf("created %+v", a)
		}
		wantKind(t, db.CreateAllocation(t.Context(), &store.Allocation{Name: new("a")}), store.AllocationDuplicateName,
			"An allocation with name a already exists.")
		wantKind(t, db.CreateAllocation(t.Context(), &store.Allocation{UUID: a.UUID}), store.AllocationAlreadyExists,
			"An allocation with UUID "+a.UUID+" already exists.")
		waiting, err := db.AllocationsIn(t.Context(), store.AllocationAllocating)
		if err != nil || len(waiting) != 1 || waiting[0].UUID != a.UUID {
			t.Errorf("waiting: %v, %v", waiting, err)
		}
		if err := db.FailAllocation(t.Context(), a, "no luck"); err != nil {
			t.Fatal(err)
		}
		failed, err := db.Allocation(t.Context(), a.UUID)
		if err != nil || failed.State != store.AllocationError || failed.LastError != "no luck" {
			t.Errorf("failed: %+v, %v", failed, err)
		}
		if err := db.FailAllocation(t.Context(), a, "again"); !errors.Is(err, sql.ErrAllocationChanged) {
			t.Errorf("an allocation failed twice: %v", err)
		}
		if err := db.DeleteAllocation(t.Context(), a, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		wantKind(t, db.DeleteAllocation(t.Context(), a, sql.Guard{}), store.AllocationNotFound,
			"Allocation "+a.UUID+" could not be found.")
	})
}

func TestAllocationGetsItsNode(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		mine := worker(t, db, "worker-1")
		n := createNode(t, db, func(n *store.Node) { n.InstanceInfo = store.Dict{"kept": "x"} })
		a := createAllocation(t, db, &store.Allocation{Traits: []string{"CUSTOM_A"}, ConductorAffinity: mine})
		before := *a

		held, guard := hold(t, db, n)
		if err := db.Allocate(t.Context(), a, held, sql.Guard{Reservation: "worker-2"}); !errors.Is(err, store.ErrLockLost) {
			t.Errorf("without the node's lock: %v", err)
		}
		if now, err := db.Allocation(t.Context(), a.UUID); err != nil || now.State != store.AllocationAllocating || now.NodeID != nil {
			t.Errorf("after a refusal the allocation is %+v, %v", now, err)
		}
		if err := db.Allocate(t.Context(), a, held, guard); err != nil {
			t.Fatal(err)
		}
		now, err := db.Allocation(t.Context(), a.UUID)
		if err != nil || now.State != store.AllocationActive || *now.NodeID != n.ID || !now.UpdatedAt.Equal(a.UpdatedAt) {
			t.Errorf("allocation %+v, %v", now, err)
		}
		got := readNode(t, db, n.UUID)
		if *got.AllocationID != a.ID || got.InstanceUUID != a.UUID || got.InstanceInfo.String("kept") != "x" ||
			len(got.InstanceInfo.List("traits")) != 1 {
			t.Errorf("node %+v", got)
		}
		// The answer of an attempt that took effect was lost.
		again := before
		if err := db.Allocate(t.Context(), &again, held, guard); err != nil {
			t.Errorf("a second attempt: %v", err)
		}
		// Somebody else's search ended.
		other, otherGuard := hold(t, db, createNode(t, db, nil))
		again = before
		if err := db.Allocate(t.Context(), &again, other, otherGuard); !errors.Is(err, sql.ErrAllocationChanged) {
			t.Errorf("a second node: %v", err)
		}
		if err := db.DeleteAllocation(t.Context(), &before, sql.Guard{}); !errors.Is(err, sql.ErrAllocationChanged) {
			t.Errorf("deleted without its node's lock: %v", err)
		}
		if err := db.DeleteAllocation(t.Context(), a, sql.Guard{Reservation: "worker-2"}); !errors.Is(err, store.ErrLockLost) {
			t.Errorf("deleted under a lost lock: %v", err)
		}
		if err := db.DeleteAllocation(t.Context(), a, guard); err != nil {
			t.Fatal(err)
		}
		if got := readNode(t, db, n.UUID); got.AllocationID != nil || got.InstanceUUID != "" {
			t.Errorf("the node keeps allocation %v, instance %q", got.AllocationID, got.InstanceUUID)
		}
	})
}

func TestAllocationIsRefusedANodeInUse(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		mine := worker(t, db, "worker-1")
		const instance = "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a"
		used, usedGuard := hold(t, db, createNode(t, db, func(n *store.Node) { n.InstanceUUID = instance }))
		free, freeGuard := hold(t, db, createNode(t, db, nil))
		a := createAllocation(t, db, &store.Allocation{ConductorAffinity: mine})
		wantKind(t, db.Allocate(t.Context(), a, used, usedGuard), store.NodeAssociated,
			"Node "+used.UUID+" is associated with instance "+instance+".")
		twin := createAllocation(t, db, &store.Allocation{UUID: instance, ConductorAffinity: mine})
		wantKind(t, db.Allocate(t.Context(), twin, free, freeGuard), store.InstanceAssociated, "Instance "+instance+
			" is already associated with a node, it cannot be associated with this other node "+free.UUID)
		if now, err := db.Allocation(t.Context(), twin.UUID); err != nil || now.State != store.AllocationAllocating {
			t.Errorf("after a refusal the allocation is %+v, %v", now, err)
		}
	})
}

// Who gives an allocation its node without holding that has read the node before, and others may have come first.
func TestANodeGoesToOneAllocation(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, _ engine) {
		read := createNode(t, db, nil)
		first := createAllocation(t, db, &store.Allocation{Name: new("first"), State: store.AllocationAllocating})
		second := createAllocation(t, db, &store.Allocation{Name: new("second"), State: store.AllocationAllocating})
		changed := readNode(t, db, read.UUID)
		changed.InstanceInfo = store.Dict{"image_source": "http://there/x"}
		if err := db.SaveNode(t.Context(), changed, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		first.NodeID, second.NodeID = &read.ID, &read.ID
		if err := db.SaveAllocationWithNode(t.Context(), first, read, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		if err := db.SaveAllocationWithNode(t.Context(), second, read, sql.Guard{}); store.KindOf(err) != store.NodeAssociated {
			t.Errorf("the second one: %v", err)
		}
		got := readNode(t, db, read.UUID)
		if got.InstanceUUID != first.UUID || got.InstanceInfo.String("image_source") == "" {
			t.Errorf("the node has instance %q and %v", got.InstanceUUID, got.InstanceInfo)
		}
		if left, err := db.Allocation(t.Context(), second.UUID); err != nil || left.NodeID != nil {
			t.Errorf("the second one has a node: %+v, %v", left, err)
		}
	})
}

func TestSettledAllocations(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		const instance = "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a"
		n, guard := hold(t, db, createNode(t, db, func(n *store.Node) { n.InstanceUUID = instance }))
		a := &store.Allocation{UUID: instance, Name: new("a")}
		if err := db.CreateSettledAllocation(t.Context(), a, n, guard); err != nil {
			t.Fatal(err)
		}
		if a.State != store.AllocationActive || *a.NodeID != n.ID || a.UpdatedAt.IsZero() {
			t.Errorf("created %+v", a)
		}
		if got := readNode(t, db, n.UUID); *got.AllocationID != a.ID || got.InstanceUUID != instance {
			t.Errorf("node %+v", got)
		}
		failed := &store.Allocation{UUID: "b1acc0d3-4c90-5210-bb98-bdd30773def7", LastError: "no luck"}
		if err := db.CreateSettledAllocation(t.Context(), failed, nil, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		if failed.State != store.AllocationError || failed.LastError != "no luck" || failed.NodeID != nil {
			t.Errorf("created %+v", failed)
		}
		twin := &store.Allocation{UUID: "35a4d9f1-dd71-58a4-b7b1-9b2b49b2ea6a", Name: new("a")}
		wantKind(t, db.CreateSettledAllocation(t.Context(), twin, nil, sql.Guard{}), store.AllocationDuplicateName,
			"An allocation with name a already exists.")
	})
}

func TestAllocationsAreTakenOverOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		gone, mine, peer := worker(t, db, "gone"), worker(t, db, "worker-1"), worker(t, db, "worker-2")
		a := createAllocation(t, db, &store.Allocation{ConductorAffinity: gone})
		late, early := *a, *a
		if taken, err := db.TakeOverAllocation(t.Context(), a, *mine); err != nil || !taken || *a.ConductorAffinity != *mine {
			t.Errorf("taken over: %v, %v, now %d", taken, err, *a.ConductorAffinity)
		}
		if taken, err := db.TakeOverAllocation(t.Context(), &late, *peer); err != nil || taken {
			t.Errorf("taken over twice: %v, %v", taken, err)
		}
		// The one that was taken for gone comes back.
		if err := db.FailAllocation(t.Context(), &early, "no luck"); !errors.Is(err, sql.ErrAllocationChanged) {
			t.Errorf("the former worker wrote to it: %v", err)
		}
		n, guard := hold(t, db, createNode(t, db, nil))
		if err := db.Allocate(t.Context(), &early, n, guard); !errors.Is(err, sql.ErrAllocationChanged) {
			t.Errorf("the former worker gave it a node: %v", err)
		}
		if err := db.Allocate(t.Context(), a, n, guard); err != nil {
			t.Error(err)
		}
	})
}
