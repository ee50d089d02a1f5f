package conductor

import (
	stdsql "database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// stored is what the database has of a node's inspection.
func (w *worker) stored(t *testing.T, node int64) (inventory, pluginData string) {
	t.Helper()
	db, err := stdsql.Open("sqlite", strings.TrimPrefix(w.url, "sqlite:///")+"?_pragma=busy_timeout(20000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.QueryRow("SELECT inventory_data, plugin_data FROM node_inventory WHERE node_id = ?", node).Scan(&inventory, &pluginData)
	if err != nil && !errors.Is(err, stdsql.ErrNoRows) {
		t.Fatal(err)
	}
	return inventory, pluginData
}

func taken(store.Dict, store.Dict) error { return nil }

func TestContinueInspection(t *testing.T) {
	for _, c := range []struct {
		name      string
		release   messaging.Release
		noStore   bool
		acts      behaviour
		state     string
		lastError string
		stored    bool
		did       []string
		events    []string
	}{
		{name: "well", acts: behaviour{findings: taken}, state: store.Manageable, stored: true, did: []string{"inspect.findings"},
			events: []string{"provision_set.success", "provision_set.end"}},
		{name: "with nothing stored", noStore: true, acts: behaviour{findings: taken}, state: store.Manageable,
			did: []string{"inspect.findings"}, events: []string{"provision_set.success", "provision_set.end"}},
		{name: "hooks refuse", acts: behaviour{findings: func(_, _ store.Dict) error { return store.Errorf(store.HardwareInspectionFailure, "no") }},
			state: store.InspectFail, lastError: "Failed to finish inspection: no", did: []string{"inspect.findings"},
			events: []string{"provision_set.success", "provision_set.error"}},
		{name: "hooks refuse since 34.0", release: messaging.Newest, acts: behaviour{
			findings:        func(_, _ store.Dict) error { return errors.New("smoke") },
			abortInspection: func(*drivers.Task) error { return nil }}, state: store.InspectFail,
			lastError: "Failed to finish inspection: smoke", did: []string{"inspect.findings", "inspect.abort"},
			events: []string{"provision_set.success", "provision_set.error"}},
		{name: "hooks refuse since 34.0, and the machine is switched off", release: messaging.Newest, acts: behaviour{
			findings: func(_, _ store.Dict) error { return store.Errorf(store.HardwareInspectionFailure, "no") },
			abortInspection: func(t *drivers.Task) error {
				t.Node.LastError = "" // as SetPower does
				return nil
			}}, state: store.InspectFail, lastError: "Async execution of continue_inspection failed with error: no",
			did:    []string{"inspect.findings", "inspect.abort"},
			events: []string{"provision_set.success", "provision_set.error"}},
		{name: "the ramdisk stays", acts: behaviour{findings: func(_, _ store.Dict) error {
			return &drivers.RamdiskLeft{Problems: []string{"unable to power off the node: stuck"}}
		}}, state: store.InspectFail, stored: true, lastError: "Inspection clean up failed: unable to power off the node: stuck",
			did: []string{"inspect.findings"}, events: []string{"provision_set.success", "provision_set.error"}},
		{name: "an interface that takes none", state: store.InspectFail, did: []string{"inspect.findings"},
			lastError: "Failed to finish inspection: Driver fake-hardware does not support continue_inspection (disabled or not implemented).",
			events:    []string{"provision_set.success", "provision_set.error"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, func(cfg *Config) {
				cfg.Release, cfg.StoreInventory = max(messaging.V2025_1, c.release), !c.noStore
			})
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState, n.TargetProvisionState, n.LastError = store.InspectWait, store.Manageable, ""
			})
			w.script.use(c.acts)
			w.must(t, "continue_inspection", map[string]any{"node_id": n.UUID,
				"inventory":   map[string]any{"cpu": map[string]any{"count": 4}, "bytes": 1000204886016},
				"plugin_data": map[string]any{"logs": "bG9ncw==", "root_disk": nil}})
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, c.lastError)
			if did := w.script.did(); !slices.Equal(did, c.did) {
				t.Errorf("did %q, want %q", did, c.did)
			}
			inventory, pluginData := w.stored(t, n.ID)
			want, wantPlugin := "", ""
			if c.stored {
				want, wantPlugin = `{"bytes": 1000204886016, "cpu": {"count": 4}}`, `{"root_disk": null}`
			}
			equal(t, "inventory", inventory, want)
			equal(t, "plugin data", pluginData, wantPlugin)
			w.announced(t, n.UUID, c.events...)
			waitUntil(t, "the findings are forgotten", func() bool {
				var kept []string
				_, err := w.Journal(&drivers.Task{Node: n}).Get(t.Context(), journalFindings, &kept)
				return err == nil && kept == nil
			})
		})
	}
}

func TestContinueInspectionRefusals(t *testing.T) {
	w := startWorker(t, func(cfg *Config) { cfg.Release = messaging.V2025_1 })
	for _, state := range []string{store.Manageable, store.Inspecting, store.InspectFail, store.Active} {
		n := w.enroll(t, func(n *store.Node) { n.ProvisionState = state })
		args := map[string]any{"node_id": n.UUID, "inventory": map[string]any{}}
		equal(t, "refusal in "+state, w.refused(t, store.NotFound, "continue_inspection", args), "Resource could not be found.")
		equal(t, "state", w.settled(t, n.UUID, state).LastError, "")
	}
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.InspectWait })
	w.refused(t, store.InvalidParameterValue, "continue_inspection", map[string]any{"node_id": n.UUID, "inventory": "x"})
	if _, err := w.db.Reserve(t.Context(), n.UUID, "someone-else"); err != nil {
		t.Fatal(err)
	}
	w.refused(t, store.NodeLocked, "continue_inspection", map[string]any{"node_id": n.UUID, "inventory": map[string]any{}})
	old := startWorker(t, nil)
	equal(t, "on 21.4", old.call(t, "continue_inspection", map[string]any{"node_id": "x", "inventory": map[string]any{}}).Failure.Class,
		"NoSuchMethod")
}

// Findings that were being worked on when the worker died are taken again by itself, and anew by another worker.
func TestFindingsOutliveTheWorker(t *testing.T) {
	row := interrupted{node: store.Node{ProvisionState: store.Inspecting, TargetProvisionState: store.Manageable},
		mark: store.Dict{markFound: true}}
	f := findings{store.Dict{"cpu": store.Dict{"count": json.Number("4")}}, store.Dict{}}
	newer := func(c *Config) { c.Release, c.StoreInventory = messaging.V2025_1, true }
	t.Run("its own", func(t *testing.T) {
		r := newRig(t, newer)
		r.script.use(behaviour{findings: taken})
		before := idleOn(t, r)
		n := before.crashed(t, row, "worker-1")
		if err := before.taskOf(&drivers.Task{Node: n}).keepFindings(t.Context(), journalFindings, f); err != nil {
			t.Fatal(err)
		}
		before.closeMemory()
		w := r.start(t)
		w.settled(t, n.UUID, store.Manageable)
		equal(t, "did", strings.Join(w.script.did("inspect.findings", "inspect.begin"), ", "), "inspect.findings")
		inventory, _ := w.stored(t, n.ID)
		equal(t, "inventory", inventory, `{"cpu": {"count": 4}}`)
	})
	t.Run("another worker's", func(t *testing.T) {
		r := newRig(t, newer)
		r.script.use(behaviour{findings: taken, inspect: awaitsRamdisk})
		w := r.start(t)
		w.exec(t, "INSERT INTO conductors (id, hostname, online, updated_at) VALUES (99, 'worker-0', 1, ?)",
			time.Now().UTC().Add(-time.Hour).Format(time.DateTime))
		n := (idleWorker{worker: w}).crashed(t, row, "worker-0")
		if err := w.takeOverFlows(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := w.settled(t, n.UUID, store.InspectWait)
		equal(t, "did", strings.Join(w.script.did("inspect.findings", "inspect.begin"), ", "), "inspect.begin")
		equal(t, "knows of findings", mark(got).Bool(markFound, false), false)
	})
}

// A flow that goes on after a restart has begun before: its beginning is not announced again, what it does next is.
func TestAFlowWithoutStepsGoesOnUnderItsName(t *testing.T) {
	for state, flow := range map[string]string{store.Inspecting: flowInspect, store.InspectWait: flowInspect, store.Rescuing: flowRescue} {
		t.Run(state, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Release = messaging.V2025_1 })
			r.script.use(behaviour{inspect: awaitsRamdisk, rescue: waits})
			before := idleOn(t, r)
			n := before.crashed(t, interrupted{node: store.Node{ProvisionState: state, TargetProvisionState: store.Manageable}}, "worker-1")
			before.closeMemory()
			w := r.start(t)
			waitUntil(t, "the flow goes on", func() bool { return len(w.script.did("inspect.begin", "rescue")) == 1 })
			w.unlocked(t)
			running := ""
			w.progress.with(n.UUID, func(p *flowProgress) { running = p.flow })
			equal(t, "flow", running, flow)
			w.must(t, "change_node_power_state", map[string]any{"node_id": n.UUID, "new_state": store.PowerOff, "timeout": nil})
			types := w.bus.waitFor(t, func(types []string) bool { return slices.Contains(types, "baremetal.node.power_set.end") })
			equal(t, "begins again", slices.Contains(types, "baremetal.node.deploy_progress.start"), false)
		})
	}
}

// A machine that waits boots its ramdisk anew, for it may have looked in vain for what a worker that was away serves.
func TestInspectionThatWaitsBeginsAnew(t *testing.T) {
	row := interrupted{node: store.Node{ProvisionState: store.InspectWait, TargetProvisionState: store.Manageable}}
	r := newRig(t, func(c *Config) { c.Release = messaging.V2025_1 })
	r.script.use(behaviour{inspect: awaitsRamdisk})
	before := idleOn(t, r)
	n := before.crashed(t, row, "worker-1")
	before.closeMemory()
	w := r.start(t)
	waitUntil(t, "the ramdisk boots", func() bool { return len(w.script.did("inspect.begin")) == 1 })
	w.settled(t, n.UUID, store.InspectWait)
	w.unlocked(t)
}
