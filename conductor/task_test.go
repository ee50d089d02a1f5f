package conductor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// idle is a conductor that does nothing by itself, for tests of what its parts do.
func idle(t *testing.T, change func(*Config)) *worker {
	t.Helper()
	r := newRig(t, change)
	c, bus, closeMemory := r.build(t)
	t.Cleanup(func() {
		c.endWork()
		c.pool.Close()
		closeMemory()
	})
	c.lease.renew(r.clock.uptime())
	return &worker{Conductor: c, db: r.db, url: r.url, script: r.script, clock: r.clock, bus: bus}
}

func (w *worker) lock(t *testing.T, node string, mode lockMode) *task {
	t.Helper()
	held, err := w.lockExclusive(t.Context(), oslo.AdminContext(), node, mode)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func TestALockedNodeIsRefusedByNameAndTakenWhenFree(t *testing.T) {
	w := idle(t, nil)
	n := w.enroll(t, nil)
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	equal(t, "reservation", w.row(t, n.UUID).Reservation, "worker-1")
	equal(t, "locks shown", len(w.local.Locks()), 1)

	_, err := w.lockExclusive(t.Context(), oslo.AdminContext(), n.UUID, lockMode{purpose: "another test"})
	equal(t, "refusal", err.Error(), "Node "+n.UUID+
		" is locked by host worker-1, please retry after the current operation is completed.")
	equal(t, "kind", store.KindOf(err), store.NodeLocked)

	taken := make(chan error)
	go func() {
		patient, err := w.lockExclusive(t.Context(), oslo.AdminContext(), n.UUID, lockMode{purpose: "patience", attempts: forever})
		if err == nil {
			err = patient.release(t.Context())
		}
		taken <- err
	}()
	if err := held.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-taken; err != nil {
		t.Errorf("the patient one did not get the node: %v", err)
	}
	equal(t, "reservation", w.row(t, n.UUID).Reservation, "")
	equal(t, "locks left", len(w.local.Locks()), 0)
}

func TestANodeReservedByAnotherHostIsNamedAfterIt(t *testing.T) {
	w := idle(t, nil)
	n := w.enroll(t, nil)
	if _, err := w.db.Reserve(t.Context(), n.UUID, "worker-2"); err != nil {
		t.Fatal(err)
	}
	_, err := w.lockExclusive(t.Context(), oslo.AdminContext(), n.UUID, lockMode{purpose: "a test"})
	equal(t, "kind", store.KindOf(err), store.NodeLocked)
	equal(t, "names the holder", strings.Contains(err.Error(), "worker-2"), true)
	equal(t, "locks left", len(w.local.Locks()), 0)
	equal(t, "reservation", w.row(t, n.UUID).Reservation, "worker-2")
}

func TestReadersHinderNobodyAndCanBecomeWriters(t *testing.T) {
	w := idle(t, nil)
	n := w.enroll(t, nil)
	read := func() *task {
		t.Helper()
		reader, err := w.lockShared(t.Context(), oslo.AdminContext(), n.UUID, "reading")
		if err != nil {
			t.Fatal(err)
		}
		return reader
	}
	one, two := read(), read()
	equal(t, "locks shown", len(w.local.Locks()), 2)
	equal(t, "kind of saving as a reader", store.KindOf(one.save(t.Context())), store.ExclusiveLockRequired)

	writer := w.lock(t, n.UUID, lockMode{purpose: "writing"})
	if err := one.upgrade(t.Context(), "upgrading", 0); store.KindOf(err) != store.NodeLocked {
		t.Errorf("upgraded beside a writer: %v", err)
	}
	equal(t, "still a reader", one.Shared, true)
	writer.Node.LastError = "written"
	if err := errors.Join(writer.save(t.Context()), writer.release(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := one.upgrade(t.Context(), "upgrading", 0); err != nil {
		t.Fatal(err)
	}
	equal(t, "the row was read again", one.Node.LastError, "written")
	equal(t, "reservation", w.row(t, n.UUID).Reservation, "worker-1")
	purposes := map[string]bool{}
	for _, l := range w.local.Locks() {
		purposes[l.Purpose] = l.Shared
	}
	if len(purposes) != 2 || purposes["upgrading"] || !purposes["reading"] {
		t.Errorf("locks shown: %v", purposes)
	}
	// Another host holds the node: the record goes back to a shared one.
	if err := one.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Reserve(t.Context(), n.UUID, "worker-2"); err != nil {
		t.Fatal(err)
	}
	if err := two.upgrade(t.Context(), "upgrading", 1); store.KindOf(err) != store.NodeLocked {
		t.Errorf("upgraded against another host: %v", err)
	}
	if locks := w.local.Locks(); len(locks) != 1 || !locks[0].Shared {
		t.Errorf("locks shown: %v", locks)
	}
	if err := two.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "locks left", len(w.local.Locks()), 0)
	equal(t, "reservation", w.row(t, n.UUID).Reservation, "worker-2")
}

func TestANodeWithoutItsDriverLeavesNoLock(t *testing.T) {
	w := idle(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.PowerInterface = "fake" })
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	held.Node.Driver = "gone"
	if err := errors.Join(held.save(t.Context()), held.release(t.Context())); err != nil {
		t.Fatal(err)
	}
	_, err := w.lockExclusive(t.Context(), oslo.AdminContext(), n.UUID, lockMode{purpose: "a test"})
	equal(t, "kind", store.KindOf(err), store.DriverNotFound)
	_, err = w.lockShared(t.Context(), oslo.AdminContext(), n.UUID, "a test")
	equal(t, "kind", store.KindOf(err), store.DriverNotFound)
	equal(t, "locks left", len(w.local.Locks()), 0)
	equal(t, "reservation", w.row(t, n.UUID).Reservation, "")
	if err := w.lock(t, n.UUID, lockMode{purpose: "a test", noDriver: true}).release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWorkThatFindsNoWorkerIsUndone(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.WorkersPoolSize = 0 })
	const text = "No free conductor workers available"
	for _, c := range []struct {
		method string
		args   map[string]any
		state  string
		target string
	}{
		{"do_provisioning_action", map[string]any{"action": "manage"}, store.Enroll, ""},
		{"do_provisioning_action", map[string]any{"action": "provide"}, store.Manageable, ""},
		{"do_provisioning_action", map[string]any{"action": "adopt"}, store.Manageable, ""},
		{"do_node_deploy", nil, store.Available, ""},
		{"do_node_tear_down", nil, store.DeployFail, store.Active},
		{"do_node_clean", map[string]any{"clean_steps": []any{}}, store.Manageable, ""},
		{"change_node_power_state", map[string]any{"new_state": store.PowerOn}, store.Manageable, ""},
		{"continue_node_deploy", nil, store.DeployWait, store.Active},
		{"continue_node_clean", nil, store.CleanWait, store.Manageable},
		{"change_node_boot_mode", map[string]any{"new_state": "uefi"}, store.Manageable, ""},
		{"change_node_secure_boot", map[string]any{"new_state": true}, store.Manageable, ""},
	} {
		n := w.enroll(t, func(n *store.Node) {
			n.ProvisionState, n.TargetProvisionState, n.PowerState = c.state, c.target, store.PowerOff
		})
		args := map[string]any{"node_id": n.UUID}
		for k, v := range c.args {
			args[k] = v
		}
		w.refused(t, store.NoFreeConductorWorker, c.method, args)
		got := w.row(t, n.UUID)
		if got.ProvisionState != c.state || got.TargetProvisionState != c.target || got.LastError != text ||
			got.Reservation != "" || got.PowerState != store.PowerOff || got.TargetPowerState != "" {
			t.Errorf("%s left %q, target %q, last error %q, reservation %q, power %q, target power %q", c.method,
				got.ProvisionState, got.TargetProvisionState, got.LastError, got.Reservation, got.PowerState, got.TargetPowerState)
		}
		if _, marked := got.DriverInternalInfo[keyEpoch]; marked != store.Unstable(c.state) {
			t.Errorf("%s left its epoch: %v", c.method, marked)
		}
		if seen := w.bus.seen(n.UUID); len(seen) != 0 && !store.Unstable(c.state) {
			t.Errorf("%s announced %q", c.method, seen)
		}
	}
	beaten := w.waiting(t, store.DeployWait, nil)
	w.refused(t, store.NoFreeConductorWorker, "heartbeat", beatArgs(beaten))
	w.unlocked(t)
}

// A flow whose reservation somebody else has taken stops, and touches neither the hardware nor the row.
func TestALostLockEndsTheFlow(t *testing.T) {
	w := startWorker(t, nil)
	for name, c := range map[string]struct {
		method, state string
		args          map[string]any
		behaviour     func(steal func(*drivers.Task)) behaviour
	}{
		"while preparing a deployment": {"do_node_deploy", store.Available, nil, func(steal func(*drivers.Task)) behaviour {
			return behaviour{prepare: func(t *drivers.Task) error { steal(t); return nil }}
		}},
		"while a deploy step runs": {"do_node_deploy", store.Available, nil, func(steal func(*drivers.Task)) behaviour {
			one := drivers.Step{Interface: drivers.TypeDeploy, Name: "one", Priority: 9,
				Run: func(_ context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
					steal(t)
					return drivers.Done, nil
				}}
			return behaviour{steps: map[drivers.StepKind][]drivers.Step{drivers.DeployStep: {one, step("two", 8, 0, nil)}}}
		}},
		"while preparing a cleaning": {"do_provisioning_action", store.Manageable, map[string]any{"action": "provide"},
			func(steal func(*drivers.Task)) behaviour {
				return behaviour{prepareCleaning: func(t *drivers.Task) (drivers.Outcome, error) {
					steal(t)
					return drivers.Done, nil
				}}
			}},
		"while a verification runs": {"do_provisioning_action", store.Enroll, map[string]any{"action": "manage"},
			func(steal func(*drivers.Task)) behaviour {
				one := drivers.Step{Interface: drivers.TypeDeploy, Name: "one", Priority: 9,
					Run: func(_ context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
						steal(t)
						return drivers.Done, errors.New("too late")
					}}
				return behaviour{steps: map[drivers.StepKind][]drivers.Step{drivers.VerifyStep: {one}}}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			n := w.enroll(t, func(n *store.Node) { n.ProvisionState = c.state })
			stolen := make(chan *store.Node, 1)
			w.script.use(c.behaviour(func(dt *drivers.Task) {
				if err := w.db.Release(context.Background(), dt.Node.ID, "worker-1"); err != nil {
					t.Error(err)
				}
				row, err := w.db.Reserve(context.Background(), dt.Node.UUID, "worker-2")
				if err != nil {
					t.Error(err)
				}
				stolen <- row
			}))
			args := map[string]any{"node_id": n.UUID}
			for k, v := range c.args {
				args[k] = v
			}
			w.must(t, c.method, args)
			before := <-stolen
			w.unlocked(t)
			got := w.row(t, n.UUID)
			equal(t, "reservation", got.Reservation, "worker-2")
			equal(t, "provision state", got.ProvisionState, before.ProvisionState)
			equal(t, "last error", got.LastError, before.LastError)
			for _, call := range w.script.did() {
				if strings.HasPrefix(call, "power ") || strings.HasSuffix(call, "up") || strings.HasSuffix(call, "down") {
					t.Errorf("the hardware was touched afterwards: %q", w.script.did())
				}
			}
		})
	}
}

// While the worker lives its clean-up waits for a database that is away; when it stops there is a limit.
func TestLingering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, stop := context.WithCancel(t.Context())
		ctx, cancel := lingering(parent)
		defer cancel()
		time.Sleep(24 * time.Hour)
		if ctx.Err() != nil {
			t.Fatal("ended by itself")
		}
		stop()
		time.Sleep(releaseTimeout - time.Second)
		if ctx.Err() != nil {
			t.Fatal("ended at once")
		}
		time.Sleep(2 * time.Second)
		if ctx.Err() == nil {
			t.Fatal("did not end")
		}
	})
}
