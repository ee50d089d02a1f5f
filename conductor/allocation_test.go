package conductor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestCandidates(t *testing.T) {
	w := startWorker(t, nil)
	fit := w.offered(t, func(n *store.Node) { n.Name = pointer("n1") })
	owned := w.offered(t, func(n *store.Node) { n.Owner = pointer("p") })
	leased := w.offered(t, func(n *store.Node) { n.Lessee = pointer("p") })
	apt := w.offered(t, nil)
	if err := w.db.AddTraits(t.Context(), apt, sql.Guard{}, []string{"CUSTOM_A", "CUSTOM_B"}); err != nil {
		t.Fatal(err)
	}
	w.offered(t, func(n *store.Node) { n.ResourceClass = pointer("silver") })
	w.offered(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	w.offered(t, func(n *store.Node) { n.InstanceUUID = "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a" })
	w.offered(t, func(n *store.Node) { n.Maintenance = true })
	w.offered(t, func(n *store.Node) { n.PowerState = "" })
	all := []*store.Node{fit, owned, leased, apt}
	for _, c := range []struct {
		name string
		ask  func(*store.Allocation)
		want []*store.Node
		text string // after the allocation
	}{
		{"any", nil, all, ""},
		{"no class of that name", func(a *store.Allocation) { a.ResourceClass = pointer("lead") }, nil,
			"no available nodes match the resource class lead"},
		{"some", func(a *store.Allocation) { a.CandidateNodes = []string{fit.UUID, leased.UUID} }, []*store.Node{fit, leased}, ""},
		{"none of some", func(a *store.Allocation) {
			a.CandidateNodes, a.ResourceClass = []string{fit.UUID}, pointer("silver")
		}, nil, "none of the requested nodes are available and match the resource class silver"},
		{"a project's", func(a *store.Allocation) { a.Owner = pointer("p") }, []*store.Node{owned, leased}, ""},
		{"with traits", func(a *store.Allocation) { a.Traits = []string{"CUSTOM_B"} }, []*store.Node{apt}, ""},
		{"with traits that no node has", func(a *store.Allocation) { a.Traits = []string{"CUSTOM_C", "CUSTOM_A"} }, nil,
			"no suitable nodes have the requested traits CUSTOM_A, CUSTOM_C"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := gold(c.ask)
			nodes, err := w.candidates(t.Context(), a)
			if c.text != "" {
				if store.KindOf(err) != store.AllocationFailed || err.Error() != "Failed to process allocation "+a.UUID+": "+c.text+"." {
					t.Errorf("failed with %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "nodes", uuidsOf(nodes), uuidsOf(c.want))
		})
	}
	for range 20 {
		nodes, err := w.candidates(t.Context(), gold(func(a *store.Allocation) { a.Name = fit.Name }))
		if err != nil || len(nodes) != 4 || nodes[0].UUID != fit.UUID {
			t.Fatalf("the allocation's namesake is not tried first: %v, %v", nodes, err)
		}
	}
}

func uuidsOf(nodes []*store.Node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.UUID)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestNodesThatChangeWhileTheyAreTried(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.NodeLockedRetryInterval = time.Millisecond })
	for _, c := range []struct {
		name   string
		change string
		text   string
	}{
		{"locked", "reservation = 'somebody'", "could not reserve any of 1 suitable nodes"},
		{"in maintenance", "maintenance = 1", "all nodes were filtered out during reservation"},
		{"in use", "instance_uuid = '6817d0ab-bb5c-516f-b9c3-dbc072bbc98a'", "all nodes were filtered out during reservation"},
		{"not available", "provision_state = 'manageable'", "all nodes were filtered out during reservation"},
		{"of another class", "resource_class = 'silver'", "all nodes were filtered out during reservation"},
		{"without the trait", "extra = '{}'", "all nodes were filtered out during reservation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.offered(t, nil)
			a := gold(nil)
			if c.name == "without the trait" {
				a.Traits = []string{"CUSTOM_A"}
			}
			w.exec(t, "UPDATE nodes SET "+c.change+" WHERE id = ?", n.ID)
			err := w.allocateOneOf(t.Context(), a, []*store.Node{n})
			if store.KindOf(err) != store.AllocationFailed || err.Error() != "Failed to process allocation "+a.UUID+": "+c.text+"." {
				t.Errorf("failed with %v", err)
			}
			w.exec(t, "DELETE FROM nodes WHERE id = ?", n.ID)
			err = w.allocateOneOf(t.Context(), a, []*store.Node{n})
			if store.KindOf(err) != store.AllocationFailed {
				t.Errorf("a node that is gone: %v", err)
			}
		})
	}
	w.unlocked(t)
}

// A node that somebody holds for a moment, such as a power sync, is tried again.
func TestLockedCandidateIsTriedAgain(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.NodeLockedRetryAttempts = 1000 })
	n := w.offered(t, nil)
	if _, err := w.db.Reserve(t.Context(), n.UUID, "somebody"); err != nil {
		t.Fatal(err)
	}
	a := gold(nil)
	w.must(t, "create_allocation", w.allocationArgs(a))
	if err := w.db.Release(t.Context(), n.ID, "somebody"); err != nil {
		t.Fatal(err)
	}
	equal(t, "state", w.settledAllocation(t, a.UUID).State, store.AllocationActive)
	w.unlocked(t)
}

// A worker that is killed between the INSERT and the node goes on at its next start.
func TestAllocationIsResumedAfterARestart(t *testing.T) {
	r := newRig(t, nil)
	w := r.start(t)
	mine := w.conductorID
	w.stop()
	a := gold(func(a *store.Allocation) { a.ConductorAffinity = &mine })
	if err := r.db.CreateAllocation(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	n := w.offered(t, nil)
	w = r.start(t)
	equal(t, "node", *w.settledAllocation(t, a.UUID).NodeID, n.ID)
	w.unlocked(t)
}

// The allocations of a worker that is gone are taken over; those of one that lives are left alone.
func TestAllocationsOfWorkersThatAreGone(t *testing.T) {
	w := startWorker(t, nil)
	conductors := map[string]*store.Allocation{"gone": gold(nil), "alive": gold(nil)}
	for host, a := range conductors {
		c := &store.Conductor{Hostname: host, Online: true}
		if _, err := w.db.Register(t.Context(), c, nil); err != nil {
			t.Fatal(err)
		}
		a.ConductorAffinity = &c.ID
		if err := w.db.CreateAllocation(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	w.exec(t, "UPDATE conductors SET updated_at = '2020-01-01 00:00:00' WHERE hostname = 'gone'")
	n := w.offered(t, nil)
	if err := w.resumeAllocations(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, a := range conductors {
		if now, err := w.db.Allocation(t.Context(), a.UUID); err != nil || *now.ConductorAffinity != *a.ConductorAffinity {
			t.Errorf("taken over before the nodes of its worker were freed: %+v, %v", now, err)
		}
	}
	w.clock.forward(2 * orphanSpacing)
	if err := w.resumeAllocations(t.Context()); err != nil {
		t.Fatal(err)
	}
	taken := w.settledAllocation(t, conductors["gone"].UUID)
	if taken.State != store.AllocationActive || *taken.NodeID != n.ID || *taken.ConductorAffinity != w.conductorID {
		t.Errorf("taken over: %+v", taken)
	}
	left, err := w.db.Allocation(t.Context(), conductors["alive"].UUID)
	if err != nil || left.State != store.AllocationAllocating || *left.ConductorAffinity == w.conductorID {
		t.Errorf("left alone: %+v, %v", left, err)
	}
	w.unlocked(t)
}

// A request that was cut short after its INSERT is answered from its row when it is run again.
func TestAllocationRequestRunAgain(t *testing.T) {
	w := startWorker(t, nil)
	n := w.offered(t, nil)
	a := gold(nil)
	w.must(t, "create_allocation", w.allocationArgs(a))
	w.settledAllocation(t, a.UUID)
	again := withCall(t.Context(), &acceptedCall{id: "x", again: true})
	result, err := w.createAllocation(again, oslo.AdminContext(),
		createAllocationArgs{Allocation: raw(t, w.allocationArgs(a)["allocation"])})
	if err != nil || *result.(*store.Allocation).NodeID != n.ID {
		t.Errorf("answered %+v, %v", result, err)
	}
	failed := gold(func(a *store.Allocation) { a.NodeID = &n.ID })
	text := w.refused(t, store.AllocationFailed, "create_allocation", w.allocationArgs(failed))
	result, err = w.createAllocation(again, oslo.AdminContext(),
		createAllocationArgs{Allocation: raw(t, w.allocationArgs(failed)["allocation"])})
	if store.KindOf(err) != store.AllocationFailed || err.Error() != text {
		t.Errorf("a backfill that failed is answered %+v, %v", result, err)
	}
	w.unlocked(t)
}
