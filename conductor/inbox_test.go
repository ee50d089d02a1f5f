package conductor

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

func cast(t *testing.T, method, id string, args map[string]any) []byte {
	t.Helper()
	r := &oslo.Request{Method: method, Version: "1.0", UniqueID: id, Context: oslo.AdminContext(), Args: map[string]json.RawMessage{}}
	for name, value := range args {
		r.Args[name] = raw(t, value)
	}
	body, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// What waits in the queue of a worker that starts comes before it may act: it is taken when the worker is registered, and
// stays in the queue when the start comes to nothing.
func TestRequestsWaitForTheRegistration(t *testing.T) {
	for name, c := range map[string]struct {
		proceed func(w *worker, cancel func())
		acks    int
		device  string
	}{
		"it comes": {func(w *worker, _ func()) { close(w.registered) }, 1, "pxe"},
		"it fails": {func(w *worker, _ func()) { w.endWork() }, 0, ""},
		"too late": {func(_ *worker, cancel func()) { cancel() }, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := idle(t, nil)
			n := w.enroll(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m := w.bus.counted(cast(t, "add_node_traits", "x", map[string]any{"node_id": n.UUID,
				"traits": []string{"CUSTOM_A"}}))
			done := make(chan struct{})
			go func() {
				defer close(done)
				w.receive(ctx, m)
			}()
			c.proceed(w, cancel)
			<-done
			equal(t, "acks", m.acks, c.acks)
			equal(t, "traits", len(w.row(t, n.UUID).Traits), c.acks)
		})
	}
}

// A request that a stop cuts short runs after the restart.
func TestARequestThatIsCutShortRunsLater(t *testing.T) {
	r := newRig(t, func(c *Config) { c.GracefulShutdownTimeout = 0 })
	w := r.start(t)
	n := w.waiting(t, store.CleanWait, func(n *store.Node) {
		n.TargetProvisionState = store.Available
		n.DriverInternalInfo["clean_steps"] = []any{}
	})
	// Somebody else holds the node, so the request waits for it patiently.
	if _, err := w.db.Reserve(t.Context(), n.UUID, "worker-2"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	m := w.bus.counted(cast(t, "continue_node_clean", "once", map[string]any{"node_id": n.UUID}))
	go func() {
		defer close(done)
		w.handle(context.Background(), m)
	}()
	waitUntil(t, "the request is accepted", func() bool {
		calls, err := w.local.Pending()
		return err == nil && len(calls) == 1
	})
	w.stop()
	<-done
	equal(t, "acks", m.acks, 1)
	if err := r.db.Release(t.Context(), n.ID, "worker-2"); err != nil {
		t.Fatal(err)
	}
	w = r.start(t)
	w.settled(t, n.UUID, store.Available)
}
