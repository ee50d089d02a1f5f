package conductor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// syncPower is one power sync to the end of the last node.
func (w *worker) syncPower(t testing.TB) {
	t.Helper()
	if err := w.syncPowerStates(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.answered(t)
}

// answered waits until no controller is being asked.
func (w *worker) answered(t testing.TB) {
	t.Helper()
	waitUntil(t, "all controllers have answered", func() bool { return w.controllers.asked() == 0 })
}

// The rows of reference/states.md §5.1.
func TestPowerSync(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.PowerStateSyncMaxRetries = 2 })
	reads := func(state string, err error) behaviour {
		return behaviour{powerState: func() (string, error) { return state, err }}
	}
	broken := errors.New("no route")
	stubborn := behaviour{powerState: func() (string, error) { return store.PowerOff, nil },
		setPower: func(context.Context, string) error { return broken }}
	const corrected = "power_state_corrected.success"
	for _, c := range []struct {
		name     string
		node     func(*store.Node)
		recorded string
		acts     behaviour
		force    bool
		failures int // in a row before
		power    string
		count    int // of failures after
		gaveUp   bool
		reason   string
		skipped  bool
		forced   bool
		events   []string
	}{
		{name: "equal", recorded: "power on", acts: reads("power on", nil), failures: 2, power: "power on"},
		{name: "unknown so far", acts: reads("power on", nil), power: "power on", events: []string{corrected}},
		{name: "unknown on both sides", acts: reads("", nil)},
		{name: "unknown and not valid", acts: behaviour{powerValidate: func() error {
			return store.Errorf(store.MissingParameterValue, "no address")
		}, powerState: func() (string, error) { return "", broken }}, failures: 5},
		{name: "unreadable", recorded: "power on", acts: reads("", broken), failures: 1, power: "power on", count: 2},
		{name: "unreadable too often", recorded: "power on", acts: reads("", broken), failures: 2, count: 3, gaveUp: true,
			reason: "node state None does not match expected state 'power on'. Updating DB state to 'None' Switching node to " +
				"maintenance mode. Error: no route", events: []string{corrected}},
		{name: "an error state", recorded: "power on", acts: reads("error", nil), failures: 2, power: "error", count: 3,
			gaveUp: true, reason: "Error: Power driver returned ERROR state while trying to sync power state.",
			events: []string{corrected}},
		{name: "different and believed", recorded: "power on", acts: reads("power off", nil), power: "power off", count: 1,
			events: []string{corrected}},
		{name: "different and forced", recorded: "power on", acts: reads("power off", nil), force: true, power: "power on",
			count: 1, forced: true, events: []string{"power_set.start", "power_set.end"}},
		{name: "different, and the interface can't be forced", recorded: "power on", force: true,
			acts: behaviour{powerState: func() (string, error) { return "power off", nil }, noSync: true}, power: "power off",
			count: 1, events: []string{corrected}},
		{name: "forced in vain", recorded: "power on", acts: stubborn, force: true, power: "power on", count: 1, forced: true,
			events: []string{"power_set.start", "power_set.error"}},
		{name: "forced in vain too often", recorded: "power on", acts: stubborn, force: true, failures: 2, power: "power off",
			count: 3, gaveUp: true, reason: "node state power off does not match expected state 'power on'",
			events: []string{corrected}},
		{name: "waiting for an agent", node: func(n *store.Node) { n.ProvisionState = store.DeployWait }, skipped: true},
		{name: "cleaning waits", node: func(n *store.Node) { n.ProvisionState = store.CleanWait }, skipped: true},
		{name: "enrolled only", node: func(n *store.Node) { n.ProvisionState = store.Enroll }, skipped: true},
		{name: "adoption failed", node: func(n *store.Node) { n.ProvisionState = store.AdoptFail }, skipped: true},
		{name: "in maintenance", node: func(n *store.Node) { n.Maintenance = true }, skipped: true},
		{name: "on its way", node: func(n *store.Node) { n.TargetPowerState = "power on" }, skipped: true},
		{name: "held by another", node: func(n *store.Node) { n.Reservation = "worker-2" }, skipped: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.live().ForcePowerStateDuringSync = c.force
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState, n.PowerState = store.Manageable, c.recorded
				if c.node != nil {
					c.node(n)
				}
			})
			defer w.forgetNode(t, n.UUID)
			w.powerCounts.set(n.UUID, c.failures)
			w.script.use(c.acts)
			w.syncPower(t)
			got := w.row(t, n.UUID)
			if c.skipped {
				equal(t, "questions to the BMC", len(w.script.did()), 0)
				equal(t, "row changed", got.UpdatedAt.Equal(n.UpdatedAt), true)
				return
			}
			equal(t, "power state", got.PowerState, c.power)
			equal(t, "failures in a row", w.powerCounts.get(n.UUID), c.count)
			equal(t, "maintenance", got.Maintenance, c.gaveUp)
			equal(t, "reservation", got.Reservation, "")
			equal(t, "forced", slices.Contains(w.script.did(), "power power on"), c.forced)
			w.announced(t, n.UUID, c.events...)
			if !c.gaveUp {
				return
			}
			equal(t, "fault", got.Fault, store.FaultPower)
			equal(t, "last error", got.LastError, *got.MaintenanceReason)
			if !strings.HasPrefix(got.LastError, "During sync_power_state, max retries exceeded for node "+n.UUID) ||
				!strings.Contains(got.LastError, c.reason) {
				t.Errorf("last error is %q", got.LastError)
			}
		})
	}
}

// forgetNode deletes a node whose case is over, so that it is out of the way of the next one.
func (w *worker) forgetNode(t *testing.T, node string) {
	t.Helper()
	n := w.row(t, node)
	if err := w.db.DestroyNode(t.Context(), n, sql.Guard{}); err != nil {
		t.Error(err)
	}
}

// An operator who was quicker keeps their reason, and the node does not come back by itself.
func TestGivingUpLeavesAnOperatorsMaintenanceAlone(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.PowerStateSyncMaxRetries = 0 })
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Manageable, store.PowerOn })
	reason := "a new disk"
	w.script.use(behaviour{powerState: func() (string, error) {
		held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
		held.Node.Maintenance, held.Node.MaintenanceReason = true, &reason
		return "", errors.Join(errors.New("no route"), held.save(t.Context()), held.release(t.Context()))
	}})
	w.syncPower(t)
	got := w.row(t, n.UUID)
	equal(t, "reason", *got.MaintenanceReason, reason)
	equal(t, "fault", got.Fault, "")
}

func TestPowerSyncClearsASettledErrorWhereHistoryKeepsIt(t *testing.T) {
	for _, c := range []struct {
		release messaging.Release
		history bool
		want    string
	}{{messaging.V2023_1, true, "an old error"}, {messaging.V2025_2, true, ""}, {messaging.V2025_2, false, "an old error"}} {
		w := idle(t, func(cfg *Config) { cfg.NodeHistory, cfg.Release = c.history, c.release })
		n := w.enroll(t, func(n *store.Node) {
			n.ProvisionState, n.PowerState, n.LastError = store.Manageable, store.PowerOn, "an old error"
		})
		w.syncPowerOf(t.Context(), n, w.now(), &place{of: w.controllers})
		equal(t, "last error", w.row(t, n.UUID).LastError, c.want)
	}
}

// Rows are read many at a time, and their turn may come after BMCs that were slow.
func TestPowerSyncGoesByTheRowAsItIs(t *testing.T) {
	w := idle(t, nil)
	asked := 0
	w.script.use(behaviour{powerState: func() (string, error) { asked++; return store.PowerOff, nil }})
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Manageable, store.PowerOn })
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	held.Node.Maintenance = true
	if err := errors.Join(held.save(t.Context()), held.release(t.Context())); err != nil {
		t.Fatal(err)
	}
	w.syncPowerOf(t.Context(), n, w.now(), &place{of: w.controllers})
	equal(t, "power state that an old row led to", w.row(t, n.UUID).PowerState, store.PowerOn)
	equal(t, "times the BMC was asked", asked, 1)
	w.syncPowerOf(t.Context(), n, w.now().Add(-time.Minute), &place{of: w.controllers})
	equal(t, "times the BMC was asked", asked, 1)
}

func TestPowerSyncLearnsVendorAndBootMode(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Manageable, store.PowerOn })
	w.script.use(behaviour{vendor: func() (string, error) { return "acme", nil },
		bootMode: func() (string, error) { return "uefi", nil }, secureBoot: func() (bool, error) { return true, nil }})
	w.syncPower(t)
	got := w.row(t, n.UUID)
	equal(t, "vendor", got.Properties.String("vendor"), "acme")
	equal(t, "boot mode", got.BootMode, "uefi")
	equal(t, "secure boot", got.SecureBoot != nil && *got.SecureBoot, true)
}

func TestNodesWhoseBMCAnswersAgainLeaveMaintenance(t *testing.T) {
	w := startWorker(t, nil)
	for _, c := range []struct {
		name      string
		node      func(*store.Node)
		acts      behaviour
		recovered bool
	}{
		{name: "it answers", acts: behaviour{powerState: func() (string, error) { return store.PowerOff, nil }}, recovered: true},
		{name: "it does not", acts: behaviour{powerState: func() (string, error) { return "", errors.New("no") }}},
		{name: "it answers error", acts: behaviour{powerState: func() (string, error) { return "error", nil }}},
		{name: "its address is wrong", acts: behaviour{powerValidate: func() error { return errors.New("no") }}},
		{name: "an operator's maintenance", node: func(n *store.Node) { n.Fault = "" }},
		{name: "another fault", node: func(n *store.Node) { n.Fault = store.FaultClean }},
		{name: "enrolled only", node: func(n *store.Node) { n.ProvisionState = store.Enroll }},
	} {
		t.Run(c.name, func(t *testing.T) {
			reason := "the BMC is away"
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState, n.Maintenance, n.MaintenanceReason, n.Fault = store.Active, true, &reason, store.FaultPower
				if c.node != nil {
					c.node(n)
				}
			})
			defer w.forgetNode(t, n.UUID)
			w.script.use(c.acts)
			if err := w.recoverPowerFailures(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.answered(t)
			got := w.row(t, n.UUID)
			equal(t, "maintenance", got.Maintenance, !c.recovered)
			if c.recovered {
				equal(t, "fault", got.Fault, "")
				equal(t, "reason", got.MaintenanceReason, nil)
				equal(t, "power state", got.PowerState, store.PowerOff)
				w.announced(t, n.UUID, "power_state_corrected.success")
			}
		})
	}
}

// BenchmarkPowerSync is the cost of a node in a turn in which nothing has changed.
func BenchmarkPowerSync(b *testing.B) {
	w := startWorker(b, nil)
	const nodes = 1000
	for range nodes {
		w.enroll(b, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Manageable, store.PowerOn })
	}
	w.script.use(behaviour{powerState: func() (string, error) { return store.PowerOn, nil }})
	for b.Loop() {
		w.syncPower(b)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/nodes, "ns/node")
}
