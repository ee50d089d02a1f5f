package conductor

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
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

// A worker takes requests while its start is not over yet. What it took itself is not left from before the restart: it runs
// already, and running it again would undo what came after it.
func TestAStartRunsWhatWasLeftAndNotWhatJustCame(t *testing.T) {
	w := idle(t, nil)
	left, fresh := w.enroll(t, nil), w.enroll(t, nil)
	accept := func(id string, n *store.Node) {
		t.Helper()
		body := cast(t, "add_node_traits", id, map[string]any{"node_id": n.UUID, "traits": []string{"CUSTOM_A"}})
		if isNew, err := w.local.Accept(local.Call{ID: id, At: w.now(), Body: body}); err != nil || !isNew {
			t.Fatalf("accepting %s: %v, %v", id, isNew, err)
		}
	}
	w.waiting(t, store.DeployWait, func(n *store.Node) { n.DriverInternalInfo[keyEpoch] = store.Dict{"host": "worker-1"} })
	w.script.use(behaviour{takeOver: func(*drivers.Task) error { accept("fresh", fresh); return nil }})
	accept("left", left)
	if err := w.Conductor.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "what was left has run", func() bool { return len(w.row(t, left.UUID).Traits) == 1 })
	equal(t, "traits by what is under way elsewhere", len(w.row(t, fresh.UUID).Traits), 0)
	waitUntil(t, "the inbox holds only what is under way", func() bool {
		calls, err := w.local.Pending()
		return err == nil && len(calls) == 1 && calls[0].ID == "fresh"
	})
	w.endWork()
	w.background.Wait()
}
