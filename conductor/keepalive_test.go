package conductor

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql/sqltest"
)

// A worker that could not renew its registration stops acting before its peers may take its nodes, and goes on when it can.
func TestAWorkerThatIsNotSeenDoesNotAct(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.HeartbeatInterval = time.Hour }) // no sign of life meanwhile
	n := w.enroll(t, nil)
	args := map[string]any{"node_id": n.UUID, "new_state": store.PowerOn}

	w.clock.forward(40 * time.Second) // of 60, less the margin
	w.must(t, "change_node_power_state", args)
	w.settled(t, n.UUID, store.Enroll)

	w.clock.forward(10 * time.Second)
	text := w.refused(t, store.TemporaryFailure, "change_node_power_state", args)
	if !strings.Contains(text, "could not renew its registration for 50s") {
		t.Errorf("refused with %q", text)
	}
	// Reading harms nobody.
	w.must(t, "get_supported_boot_devices", map[string]any{"node_id": n.UUID})
	w.unlocked(t)

	w.lease.renew(w.clock.uptime())
	w.must(t, "change_node_power_state", args)
}

// Whoever sets the clock of a worker's machine, by hours and in either direction, neither ends its lease nor prolongs it.
func TestALeaseIgnoresTheWallClock(t *testing.T) {
	for _, step := range []time.Duration{3 * time.Hour, -3 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			w := idle(t, nil)
			w.clock.step(step)
			if err := w.mayAct(); err != nil {
				t.Errorf("after the clock was set: %v", err)
			}
			w.clock.forward(50 * time.Second)
			if err := w.mayAct(); store.KindOf(err) != store.TemporaryFailure {
				t.Errorf("a lease that was not renewed for 50 s: %v", err)
			}
		})
	}
}

// A process goes on while its host is started anew with another state file. It finds out, lets go, and leaves the later
// one's registration and nodes alone.
func TestAGhostLetsGo(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HeartbeatInterval = 5 * time.Millisecond })
	ghost := r.start(t)
	n := ghost.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	held := ghost.lock(t, n.UUID, lockMode{purpose: "a test"})

	anew := r.peer(t, "worker-1")
	anew.db = sqltest.OpenAt(t, r.url, nil)
	later := anew.start(t)
	now := later.lock(t, n.UUID, lockMode{purpose: "a test"})

	waitUntil(t, "the ghost knows", func() bool { return !ghost.Health().Ready })
	text := ghost.refused(t, store.TemporaryFailure, "change_node_power_state", map[string]any{"node_id": n.UUID,
		"new_state": store.PowerOn})
	equal(t, "says why", strings.Contains(text, "was started anew elsewhere"), true)
	equal(t, "so does its health", strings.Contains(ghost.Health().Parts["registration"], "was started anew elsewhere"), true)

	held.Node.LastError = "written by a ghost"
	if err := held.save(t.Context()); !lost(err) {
		t.Errorf("the ghost saved a node: %v", err)
	}
	if err := held.release(t.Context()); err != nil {
		t.Errorf("the ghost gave the node back: %v", err)
	}
	ghost.stop()
	equal(t, "reservation", later.row(t, n.UUID).Reservation, "worker-1")
	now.Node.LastError = "written by its holder"
	if err := errors.Join(now.save(t.Context()), now.release(t.Context())); err != nil {
		t.Error(err)
	}
	row, err := later.db.Conductor(t.Context(), "worker-1")
	if err != nil || !row.Online {
		t.Errorf("the later process is registered as %+v, %v", row, err)
	}
	if err := later.mayAct(); err != nil {
		t.Error(err)
	}
}

func TestKeepAliveRenewsTheRow(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.HeartbeatInterval = 5 * time.Millisecond })
	w.exec(t, "UPDATE conductors SET updated_at = '2020-01-01 00:00:00'")
	w.clock.forward(time.Hour)
	waitUntil(t, "the row and the lease are renewed", func() bool {
		row, err := w.db.Conductor(t.Context(), "worker-1")
		return err == nil && time.Since(row.UpdatedAt) < time.Hour && w.mayAct() == nil
	})
}

// A caller that monitors its call hears of it while it runs; ironic's own clients do not.
func TestMonitoredCallersHearSignsOfLife(t *testing.T) {
	w := idle(t, nil)
	timeout := 0.004
	answers := make(chan []byte, 100)
	w.bus.replies["reply_x"] = answers
	keepWaiting := func(r oslo.Request) (stop func()) {
		body, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return w.bus.message(body, ackNothing).KeepWaiting(t.Context())
	}
	stop := keepWaiting(oslo.Request{Method: "heartbeat", MsgID: "m", ReplyQ: "reply_x", Timeout: &timeout})
	defer stop()
	reply, err := oslo.DecodeReply(<-answers)
	if err != nil || reply.Ending || reply.MsgID != "m" {
		t.Errorf("heard %+v, %v", reply, err)
	}
	for _, r := range []oslo.Request{{Method: "x", Timeout: &timeout}, {Method: "x", MsgID: "m", ReplyQ: "reply_y"}} {
		keepWaiting(r)()
	}
}

// Whatever timeout a caller names, its request neither ends the worker nor keeps it busy. It is in the inbox by then, and would end
// each of the worker's next lives as well.
func TestOddTimeoutsOfMonitoredCallers(t *testing.T) {
	for timeout, want := range map[float64]time.Duration{1e-300: time.Millisecond, 1e-9: time.Millisecond, 0.5: 250 * time.Millisecond, 60: 30 * time.Second,
		1e9: time.Hour, 1e300: time.Hour} {
		equal(t, fmt.Sprintf("the pause for a timeout of %v s", timeout), keepalivePause(timeout), want)
	}
}
