package conductor

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// offered creates a node that an allocation for gold may get.
func (w *worker) offered(t *testing.T, change func(*store.Node)) *store.Node {
	t.Helper()
	return w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.PowerState, n.ResourceClass = store.Available, store.PowerOff, pointer("gold")
		if change != nil {
			change(n)
		}
	})
}

// gold is a request for any node of the class gold.
func gold(change func(*store.Allocation)) *store.Allocation {
	a := &store.Allocation{UUID: uuid.NewString(), ResourceClass: pointer("gold")}
	if change != nil {
		change(a)
	}
	return a
}

var newAllocationFields = []string{"uuid", "name", "resource_class", "traits", "candidate_nodes", "owner", "node_id"}

func (w *worker) allocationArgs(a *store.Allocation) map[string]any {
	o := w.codec.EncodeAllocation(a)
	if a.ID == 0 {
		delete(o.Data, "id") // It is not created yet.
		if a.NodeID == nil {
			delete(o.Data, "node_id") // ironic-api names a node only to backfill.
		}
	}
	for _, list := range []string{"traits", "candidate_nodes"} {
		if o.Data[list] == nil {
			delete(o.Data, list)
		}
	}
	return map[string]any{"allocation": patched(o, newAllocationFields...)}
}

// settledAllocation waits until nobody looks for the allocation's node any more.
func (w *worker) settledAllocation(t *testing.T, uuid string) *store.Allocation {
	t.Helper()
	var a *store.Allocation
	waitUntil(t, "the allocation is settled", func() bool {
		var err error
		if a, err = w.db.Allocation(t.Context(), uuid); err != nil {
			t.Fatal(err)
		}
		return a.State != store.AllocationAllocating
	})
	return a
}

func TestAllocationComesAndGoes(t *testing.T) {
	w := startWorker(t, nil)
	n := w.offered(t, nil)
	if err := w.db.AddTraits(t.Context(), n, sql.Guard{}, []string{"CUSTOM_A", "CUSTOM_B"}); err != nil {
		t.Fatal(err)
	}
	a := gold(func(a *store.Allocation) { a.Traits = []string{"CUSTOM_B"} })
	answer, _, err := w.codec.DecodeAllocation(w.must(t, "create_allocation", w.allocationArgs(a)))
	if err != nil || answer.State != store.AllocationAllocating || answer.CandidateNodes != nil || answer.NodeID != nil ||
		*answer.ConductorAffinity != w.conductorID {
		t.Errorf("answered %+v, %v", answer, err)
	}
	got := w.settledAllocation(t, a.UUID)
	if got.State != store.AllocationActive || *got.NodeID != n.ID || got.LastError != "" {
		t.Errorf("allocation %+v", got)
	}
	row := w.settled(t, n.UUID, store.Available)
	if row.InstanceUUID != a.UUID || *row.AllocationID != got.ID || len(row.InstanceInfo.List("traits")) != 1 {
		t.Errorf("node %+v", row)
	}
	w.must(t, "destroy_allocation", w.allocationArgs(got))
	if row := w.settled(t, n.UUID, store.Available); row.InstanceUUID != "" || row.AllocationID != nil {
		t.Errorf("the node keeps instance %q, allocation %v", row.InstanceUUID, row.AllocationID)
	}
	equal(t, "refusal", w.refused(t, store.AllocationNotFound, "destroy_allocation", w.allocationArgs(got)),
		"Allocation "+a.UUID+" could not be found.")
	w.unlocked(t)
}

func TestAllocationIsRefused(t *testing.T) {
	w := startWorker(t, nil)
	w.offered(t, nil)
	first := gold(func(a *store.Allocation) { a.Name = pointer("taken") })
	w.must(t, "create_allocation", w.allocationArgs(first))
	equal(t, "refusal", w.refused(t, store.AllocationDuplicateName, "create_allocation",
		w.allocationArgs(gold(func(a *store.Allocation) { a.Name = first.Name }))), "An allocation with name taken already exists.")
	equal(t, "refusal", w.refused(t, store.AllocationAlreadyExists, "create_allocation",
		w.allocationArgs(gold(func(a *store.Allocation) { a.UUID = first.UUID }))),
		"An allocation with UUID "+first.UUID+" already exists.")
	w.settledAllocation(t, first.UUID)
	w.unlocked(t)
}

// Without a free worker the caller is told, and the node is looked for later.
func TestAllocationWithoutAFreeWorker(t *testing.T) {
	w := startWorker(t, nil)
	w.offered(t, nil)
	w.pool.resize(0, 0)
	a := gold(nil)
	w.refused(t, store.NoFreeConductorWorker, "create_allocation", w.allocationArgs(a))
	w.pool.resize(8, 0)
	if err := w.resumeAllocations(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "state", w.settledAllocation(t, a.UUID).State, store.AllocationActive)
	w.unlocked(t)
}

func TestBackfill(t *testing.T) {
	w := startWorker(t, nil)
	active := func(change func(*store.Node)) *store.Node {
		return w.offered(t, func(n *store.Node) {
			n.ProvisionState = store.Active
			if change != nil {
				change(n)
			}
		})
	}
	of := func(n *store.Node, change func(*store.Allocation)) *store.Allocation {
		return gold(func(a *store.Allocation) {
			a.NodeID = &n.ID
			if n.InstanceUUID != "" {
				a.UUID = n.InstanceUUID
			}
			if change != nil {
				change(a)
			}
		})
	}
	n := active(func(n *store.Node) { n.InstanceUUID = uuid.NewString() })
	a := of(n, func(a *store.Allocation) { a.Name = pointer("taken") })
	answer, _, err := w.codec.DecodeAllocation(w.must(t, "create_allocation", w.allocationArgs(a)))
	if err != nil || answer.State != store.AllocationActive || *answer.NodeID != n.ID || answer.UpdatedAt.IsZero() {
		t.Errorf("answered %+v, %v", answer, err)
	}
	if row := w.settled(t, n.UUID, store.Active); *row.AllocationID != answer.ID || row.InstanceUUID != a.UUID {
		t.Errorf("node %+v", row)
	}

	cannot := "Failed to process allocation %a: Cannot backfill an allocation for node %s: "
	for _, c := range []struct {
		name   string
		node   *store.Node
		change func(*store.Allocation)
		kind   store.Kind
		text   string // %a stands for the allocation, %s for the node
	}{
		{"a node that is not active", w.offered(t, nil), nil, store.AllocationFailed,
			cannot + `Node must be in the "active" state, but the current state is "available".`},
		{"several reasons", active(nil), func(a *store.Allocation) {
			a.ResourceClass, a.CandidateNodes = pointer("silver"), []string{n.UUID}
		}, store.AllocationFailed, cannot + "Resource class gold does not match the requested resource class silver; Candidate nodes " +
			"must be empty or contain the target node, but got ['" + n.UUID + "']."},
		{"another instance", active(func(n *store.Node) { n.InstanceUUID = "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a" }),
			func(a *store.Allocation) { a.UUID = uuid.NewString() }, store.NodeAssociated,
			"Node %s is associated with instance 6817d0ab-bb5c-516f-b9c3-dbc072bbc98a."},
		{"a node that is not there", &store.Node{ID: 4711}, nil, store.NodeNotFound, "Node 4711 could not be found."},
		{"a taken name", active(nil), func(a *store.Allocation) { a.Name = pointer("taken") }, store.AllocationDuplicateName,
			"An allocation with name taken already exists."},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := of(c.node, c.change)
			text := strings.NewReplacer("%a", a.UUID, "%s", c.node.UUID).Replace(c.text)
			equal(t, "refusal", w.refused(t, c.kind, "create_allocation", w.allocationArgs(a)), text)
			kept, err := w.db.Allocation(t.Context(), a.UUID)
			if c.kind == store.AllocationDuplicateName {
				if store.KindOf(err) != store.AllocationNotFound {
					t.Errorf("kept %+v, %v", kept, err)
				}
				return
			}
			if err != nil || kept.State != store.AllocationError || kept.LastError != text || kept.NodeID != nil {
				t.Errorf("kept %+v, %v", kept, err)
			}
		})
	}
	locked := active(nil)
	w.exec(t, "UPDATE nodes SET reservation = 'somebody' WHERE id = ?", locked.ID)
	a = of(locked, nil)
	text := w.refused(t, store.NodeLocked, "create_allocation", w.allocationArgs(a))
	if kept := w.settledAllocation(t, a.UUID); kept.LastError != "Unexpected exception during allocation: "+text {
		t.Errorf("kept %+v", kept)
	}
	w.unlocked(t)
}

func TestDestroyAllocationOfANodeThatIsUsed(t *testing.T) {
	w := startWorker(t, nil)
	for _, c := range []struct {
		name string
		node func(*store.Node)
		text string // %a stands for the allocation, %s for the node; "" is allowed
	}{
		{"available", nil, ""},
		{"active", func(n *store.Node) { n.ProvisionState = store.Active },
			"Cannot remove allocation %a for node %s, because the node is active (and maintenance mode is off)"},
		{"in maintenance", func(n *store.Node) { n.ProvisionState, n.Maintenance = store.Active, true }, ""},
		{"deploying", func(n *store.Node) { n.ProvisionState, n.TargetProvisionState = store.DeployWait, store.Active },
			"Cannot remove allocation %a for node %s, because the node is in state wait call-back where updates are not allowed (and " +
				"maintenance mode is off)"},
		{"failed", func(n *store.Node) { n.ProvisionState, n.TargetProvisionState = store.DeployFail, store.Active }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.offered(t, nil)
			a := gold(func(a *store.Allocation) { a.CandidateNodes = []string{n.UUID} })
			w.must(t, "create_allocation", w.allocationArgs(a))
			a = w.settledAllocation(t, a.UUID)
			n = w.settled(t, n.UUID, store.Available)
			if c.node != nil {
				c.node(n)
				if err := w.db.SaveNode(t.Context(), n, sql.Guard{}); err != nil {
					t.Fatal(err)
				}
			}
			if c.text == "" {
				w.must(t, "destroy_allocation", w.allocationArgs(a))
				equal(t, "instance", w.row(t, n.UUID).InstanceUUID, "")
				return
			}
			equal(t, "refusal", w.refused(t, store.InvalidState, "destroy_allocation", w.allocationArgs(a)),
				strings.NewReplacer("%a", a.UUID, "%s", n.UUID).Replace(c.text))
			equal(t, "instance", w.row(t, n.UUID).InstanceUUID, a.UUID)
		})
	}
	w.unlocked(t)
}

// The allocation got its node after ironic-api had read it: the node's lock is taken all the same.
func TestDestroyAllocationThatGotItsNodeMeanwhile(t *testing.T) {
	w := startWorker(t, nil)
	n := w.offered(t, nil)
	a := gold(nil)
	w.must(t, "create_allocation", w.allocationArgs(a))
	now := w.settledAllocation(t, a.UUID)
	w.settled(t, n.UUID, store.Available)
	w.exec(t, "UPDATE nodes SET reservation = 'somebody' WHERE id = ?", n.ID)
	stale := *now
	stale.NodeID, stale.State = nil, store.AllocationAllocating
	w.refused(t, store.NodeLocked, "destroy_allocation", w.allocationArgs(&stale))
	w.exec(t, "UPDATE nodes SET reservation = NULL WHERE id = ?", n.ID)
	w.must(t, "destroy_allocation", w.allocationArgs(&stale))
	equal(t, "instance", w.row(t, n.UUID).InstanceUUID, "")
	w.unlocked(t)
}
