package conductor

import (
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// A worker that could not renew its registration stops acting before its peers may take its nodes, and goes on when it can.
func TestAWorkerThatIsNotSeenDoesNotAct(t *testing.T) {
	w := startWorker(t, nil)
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

	w.lease.renew(w.clock.now())
	w.must(t, "change_node_power_state", args)
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
