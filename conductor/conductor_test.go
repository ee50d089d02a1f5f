package conductor

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
)

// A worker that starts lets go of what an earlier run of it held, and fails what that run can't have finished.
func TestStartAfterACrash(t *testing.T) {
	r := newRig(t, nil)
	enroll := idleOn(t, r)
	node := func(state, target string) *store.Node {
		return enroll.enroll(t, func(n *store.Node) {
			n.ProvisionState, n.TargetProvisionState, n.TargetPowerState = state, target, store.PowerOn
		})
	}
	stuck := map[string]*store.Node{}
	for state, target := range map[string]string{store.Deploying: store.Active, store.Cleaning: store.Available,
		store.Verifying: store.Manageable, store.Inspecting: store.Manageable, store.Adopting: store.Active,
		store.Rescuing: store.Rescue, store.Unrescuing: store.Active, store.Deleting: store.Available} {
		stuck[state] = node(state, target)
	}
	waits := node(store.DeployWait, store.Active)
	foreign := node(store.Deploying, store.Active)
	for _, n := range stuck {
		// Whatever the case of the host's name.
		if _, err := r.db.Reserve(t.Context(), n.UUID, "Worker-1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.db.Reserve(t.Context(), foreign.UUID, "worker-2"); err != nil {
		t.Fatal(err)
	}
	before := enroll.lock(t, waits.UUID, lockMode{purpose: "a test"})
	_ = before // the crash: the lock is never released
	enroll.closeMemory()

	w := r.start(t)
	for state, fails := range map[string]string{store.Deploying: store.DeployFail, store.Cleaning: store.CleanFail,
		store.Verifying: store.Enroll, store.Inspecting: store.InspectFail, store.Adopting: store.AdoptFail,
		store.Rescuing: store.RescueFail, store.Unrescuing: store.UnrescueFail, store.Deleting: store.ErrorState} {
		got := w.settled(t, stuck[state].UUID, fails)
		equal(t, "last error", got.LastError, "The "+state+" state can't be resumed by conductor worker-1. Moving to fail state.")
		equal(t, "target power state", got.TargetPowerState, "")
	}
	got := w.settled(t, waits.UUID, store.DeployWait)
	equal(t, "last error of a node that waits", got.LastError, "")
	equal(t, "target power state of a node that waits", got.TargetPowerState, "")
	equal(t, "stale locks", len(w.local.Stale()), 0)
	equal(t, "another's node", w.row(t, foreign.UUID).Reservation, "worker-2")
	equal(t, "another's node", w.row(t, foreign.UUID).ProvisionState, store.Deploying)
	row, err := r.db.Conductor(t.Context(), "worker-1")
	if err != nil || !row.Online || !slices.Equal(row.Drivers, []string{"fake-hardware"}) {
		t.Errorf("registered as %+v, %v", row, err)
	}
}

type idleWorker struct {
	*worker
	closeMemory func()
}

// idleOn is idle on a rig that lives on: closeMemory is the worker's death.
func idleOn(t *testing.T, r *rig) idleWorker {
	t.Helper()
	c, bus, closeMemory := r.build(t)
	t.Cleanup(closeMemory)
	c.lease.renew(r.clock.uptime())
	return idleWorker{&worker{Conductor: c, db: r.db, url: r.url, script: r.script, clock: r.clock, bus: bus}, closeMemory}
}

// A request that was accepted before a crash runs after it, once, and its caller is answered.
// An agent asks again until it is answered. A token made for what it asked a worker that died would be known to nobody.
func TestALookupFromBeforeARestartIsNotRun(t *testing.T) {
	r := newRig(t, nil)
	before := idleOn(t, r)
	n := before.enroll(t, func(n *store.Node) { n.ProvisionState = store.DeployWait })
	request := &oslo.Request{Method: "get_node_with_token", Version: "1.49", UniqueID: "once", Context: oslo.AdminContext(),
		Args: map[string]json.RawMessage{"node_id": raw(t, n.UUID)}}
	body, err := request.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.local.Accept(local.Call{ID: "once", Body: body, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	before.closeMemory()

	w := r.start(t)
	calls, err := w.local.Pending()
	if err != nil || len(calls) > 0 {
		t.Errorf("left in the inbox are %v, %v", calls, err)
	}
	w.stop()
	equal(t, "token", w.row(t, n.UUID).DriverInternalInfo.String(keyAgentToken), "")
}

func TestAcceptedRequestsRunAfterARestart(t *testing.T) {
	r := newRig(t, nil)
	before := idleOn(t, r)
	n := before.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	request := &oslo.Request{Method: "do_provisioning_action", Version: "1.23", UniqueID: "once", Context: oslo.AdminContext(),
		Args: map[string]json.RawMessage{"node_id": raw(t, n.UUID), "action": raw(t, "provide")}}
	body, err := request.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for id, body := range map[string][]byte{"once": body, "garbage": []byte("garbage")} {
		if _, err := before.local.Accept(local.Call{ID: id, Body: body, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	before.closeMemory()

	w := r.start(t)
	w.settled(t, n.UUID, store.Available)
	waitUntil(t, "the inbox is empty", func() bool {
		calls, err := w.local.Pending()
		return err == nil && len(calls) == 0
	})
	w.stop()
	w = r.start(t)
	w.handle(t.Context(), w.bus.message(body, ackNothing))
	w.announced(t, n.UUID)
	equal(t, "provision state", w.row(t, n.UUID).ProvisionState, store.Available)
}

// What came over JSON-RPC before a crash runs after it, also when the worker then listens to a broker. What nobody can read
// is dropped.
func TestRequestsOfAnotherTransportRunAfterARestart(t *testing.T) {
	r := newRig(t, nil)
	before := idleOn(t, r)
	n := before.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	body := raw(t, map[string]any{"jsonrpc": "2.0", "id": "req-1", "method": "do_provisioning_action",
		"params": map[string]any{"node_id": n.UUID, "action": "provide", "context": map[string]any{}, "rpc.version": "1.23"}})
	for form, body := range map[Form][]byte{FormJSONRPC: body, FormOslo: []byte("garbage"), "smoke signals": body} {
		call := local.Call{ID: string(form), Form: string(form), Body: body, At: time.Now()}
		if _, err := before.local.Accept(call); err != nil {
			t.Fatal(err)
		}
	}
	before.closeMemory()
	w := r.start(t)
	w.settled(t, n.UUID, store.Available)
	waitUntil(t, "the inbox is empty", func() bool {
		calls, err := w.local.Pending()
		return err == nil && len(calls) == 0
	})
	w.announced(t, n.UUID, "provision_set.start", "provision_set.end")
}

// A worker that drains finishes what runs, releases what it holds and deregisters.
func TestDrain(t *testing.T) {
	w := startWorker(t, nil)
	running, finish := make(chan struct{}), make(chan struct{})
	w.script.use(behaviour{prepare: func(*drivers.Task) error { close(running); <-finish; return nil }})
	n := w.available(t, nil)
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
	<-running
	w.End(Drain)
	waitUntil(t, "new work is refused", func() bool {
		_, err := w.doNodeDeploy(context.Background(), oslo.AdminContext(), deployArgs{NodeID: w.available(t, nil).UUID})
		return store.KindOf(err) == store.NoFreeConductorWorker
	})
	close(finish)
	<-w.ended
	got := w.row(t, n.UUID)
	equal(t, "provision state", got.ProvisionState, store.Active)
	equal(t, "reservation", got.Reservation, "")
	row, err := w.db.Conductor(t.Context(), "worker-1")
	if err != nil || row.Online {
		t.Errorf("still registered: %+v, %v", row, err)
	}
	if !slices.Contains(w.bus.seen(n.UUID), "provision_set.end") {
		t.Errorf("the end was not announced: %q", w.bus.seen(n.UUID))
	}
}

func TestOperatorsSeeHealthLocksAndMetrics(t *testing.T) {
	w := startWorker(t, nil)
	registry := prometheus.NewRegistry()
	newMetrics(w.Conductor, registry)
	admin := httptest.NewServer(w.AdminHandler(registry))
	defer admin.Close()
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get(admin.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b strings.Builder
		if _, err := io.Copy(&b, resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b.String()
	}
	status, _ := get("/healthz")
	equal(t, "health", status, http.StatusOK)

	n := w.enroll(t, nil)
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	reader, err := w.lockShared(t.Context(), oslo.AdminContext(), n.UUID, "reading")
	if err != nil {
		t.Fatal(err)
	}
	_, text := get("/locks")
	var locks []LockView
	if err := json.Unmarshal([]byte(text), &locks); err != nil {
		t.Fatal(err)
	}
	if len(locks) != 2 || locks[0].Node != n.UUID || locks[0].Purpose != "a test" || !locks[1].Shared {
		t.Errorf("locks shown: %s", text)
	}
	if _, text := get("/metrics"); !strings.Contains(text, "ironmaster_locks_held 1") {
		t.Errorf("metrics: %s", text)
	}
	for _, task := range []*task{held, reader} {
		if err := task.release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	w.clock.forward(time.Hour)
	status, text = get("/healthz")
	equal(t, "health", status, http.StatusServiceUnavailable)
	equal(t, "says why", strings.Contains(text, "could not renew its registration"), true)
	equal(t, "says since when", strings.Contains(text, "lapsed at "+time.Now().UTC().Format("2006-")), true)
}
