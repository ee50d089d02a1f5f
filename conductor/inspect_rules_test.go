package conductor

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// ruleBook is what inspection rules do.
type ruleBook struct {
	apply func(n *store.Node, pluginData store.Dict) error
	times atomic.Int32
}

func (r *ruleBook) Apply(_ context.Context, t *drivers.Task, _, pluginData store.Dict, _ string) error {
	r.times.Add(1)
	return r.apply(t.Node, pluginData)
}

// adds adds to the node's rack and to what is stored.
func adds(n *store.Node, pluginData store.Dict) error {
	n.Extra = n.Extra.Clone()
	if n.Extra == nil {
		n.Extra = store.Dict{}
	}
	n.Extra["racks"] = append(slices.Clone(n.Extra.List("racks")), "r7")
	pluginData["ruled"] = true
	return nil
}

func (w *worker) sendFindings(t *testing.T, n *store.Node) {
	t.Helper()
	w.must(t, "continue_inspection", map[string]any{"node_id": n.UUID, "inventory": map[string]any{"cpu": map[string]any{}},
		"plugin_data": map[string]any{"logs": "bG9ncw=="}})
}

func ruledRig(t *testing.T, apply func(*store.Node, store.Dict) error) (*rig, *ruleBook) {
	t.Helper()
	r := newRig(t, func(c *Config) { c.Release, c.StoreInventory, c.AutoDiscovery = messaging.V2025_1, true, true })
	book := &ruleBook{apply: apply}
	r.rules = book
	r.script.use(behaviour{findings: taken})
	return r, book
}

func waitsForFindings(n *store.Node) {
	n.ProvisionState, n.TargetProvisionState = store.InspectWait, store.Manageable
}

func TestRulesAreAppliedToFindings(t *testing.T) {
	r, _ := ruledRig(t, adds)
	w := r.start(t)
	n := w.enroll(t, waitsForFindings)
	w.sendFindings(t, n)
	got := w.settled(t, n.UUID, store.Manageable)
	if racks := got.Extra.List("racks"); !slices.Equal(racks, []any{"r7"}) {
		t.Errorf("racks %v", racks)
	}
	_, pluginData := w.stored(t, n.ID)
	equal(t, "plugin data", pluginData, `{"ruled": true}`)
}

func TestARuleThatFailsFailsTheInspection(t *testing.T) {
	r, _ := ruledRig(t, func(n *store.Node, pluginData store.Dict) error {
		_ = adds(n, pluginData)
		return store.Errorf(store.HardwareInspectionFailure, "not wanted")
	})
	w := r.start(t)
	n := w.enroll(t, waitsForFindings)
	w.sendFindings(t, n)
	got := w.settled(t, n.UUID, store.InspectFail)
	equal(t, "last error", got.LastError, "Failed to finish inspection: not wanted")
	if racks := got.Extra.List("racks"); len(racks) != 1 {
		t.Errorf("what was done before stays, and racks are %v", racks)
	}
	inventory, _ := w.stored(t, n.ID)
	equal(t, "inventory", inventory, "")
}

// Rules that were applied when the worker died are not applied again, for they add to what is there.
func TestRulesAreNotAppliedTwice(t *testing.T) {
	r, book := ruledRig(t, adds)
	before := idleOn(t, r)
	n := before.crashed(t, interrupted{node: store.Node{ProvisionState: store.Inspecting, TargetProvisionState: store.Manageable,
		Extra: store.Dict{"racks": []any{"r7"}}}, mark: store.Dict{markFound: true, markRuled: true}}, "worker-1")
	ruled := findings{store.Dict{"cpu": store.Dict{"count": json.Number("4")}}, store.Dict{"ruled": true}}
	if err := before.taskOf(&drivers.Task{Node: n}).keepFindings(t.Context(), journalRuled, ruled); err != nil {
		t.Fatal(err)
	}
	before.closeMemory()
	w := r.start(t)
	got := w.settled(t, n.UUID, store.Manageable)
	equal(t, "did", strings.Join(w.script.did("inspect.findings", "inspect.begin"), ", "), "")
	if racks := got.Extra.List("racks"); len(racks) != 1 || book.times.Load() != 0 {
		t.Errorf("the rules were applied %d times more, racks %v", book.times.Load(), racks)
	}
	inventory, pluginData := w.stored(t, n.ID)
	equal(t, "stored", inventory+pluginData, `{"cpu": {"count": 4}}{"ruled": true}`)
}

// An inspection whose ramdisk could not be taken away fails, too, when its worker died after the rules.
func TestARamdiskThatIsLeftIsNotForgotten(t *testing.T) {
	r, _ := ruledRig(t, adds)
	before := idleOn(t, r)
	n := before.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.TargetProvisionState = store.Inspecting, store.Manageable
		n.DriverInternalInfo = store.Dict{keyEpoch: store.Dict{markHost: "worker-1", markNumber: 1, markFound: true}}
	})
	held := before.lock(t, n.UUID, lockMode{purpose: "a test"})
	r.script.use(behaviour{findings: func(_, _ store.Dict) error {
		return &drivers.RamdiskLeft{Problems: []string{"the machine is stuck", "and hot"}}
	}})
	f := findings{store.Dict{"cpu": store.Dict{}}, store.Dict{}}
	if err := held.useFindings(t.Context(), f); err == nil {
		t.Fatal("the ramdisk was taken away")
	}
	before.closeMemory()
	w := r.start(t)
	got := w.settled(t, n.UUID, store.InspectFail)
	equal(t, "last error", got.LastError, "Inspection clean up failed: the machine is stuck, and hot")
	if racks := got.Extra.List("racks"); len(racks) != 1 {
		t.Errorf("racks %v", racks)
	}
	inventory, _ := w.stored(t, n.ID)
	equal(t, "inventory", inventory, `{"cpu": {}}`)
}

func TestDiscovery(t *testing.T) {
	r, book := ruledRig(t, adds)
	w := r.start(t)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Enroll })
	w.sendFindings(t, n)
	waitUntil(t, "the findings are stored", func() bool { inventory, _ := w.stored(t, n.ID); return inventory != "" })
	w.unlocked(t)
	got := w.settled(t, n.UUID, store.Enroll)
	if racks := got.Extra.List("racks"); len(racks) != 1 || got.LastError != "" {
		t.Errorf("racks %v, last error %q", racks, got.LastError)
	}
	equal(t, "knows that rules were applied", mark(got).Bool(markRuled, false), false)
	// The next findings are new ones.
	w.sendFindings(t, n)
	waitUntil(t, "the rules are applied again", func() bool { return book.times.Load() == 2 })
	w.unlocked(t)
}

func TestDiscoveryThatFails(t *testing.T) {
	r, _ := ruledRig(t, func(*store.Node, store.Dict) error {
		return store.Errorf(store.HardwareInspectionFailure, "not wanted")
	})
	w := r.start(t)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Enroll })
	w.sendFindings(t, n)
	waitUntil(t, "the failure is recorded", func() bool {
		got, err := w.db.Node(t.Context(), n.UUID)
		return err == nil && got.LastError == "Failed to finish inspection: not wanted"
	})
	w.unlocked(t)
	equal(t, "state", w.settled(t, n.UUID, store.Enroll).ProvisionState, store.Enroll)
}

func TestDiscoveryHasToBeWanted(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.Release = messaging.V2025_1 })
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Enroll })
	w.refused(t, store.NotFound, "continue_inspection", map[string]any{"node_id": n.UUID, "inventory": map[string]any{}})
}
