package conductor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// scriptDelegate is scripted inspection by a service.
type scriptDelegate struct{ scriptInspect }

func (i *scriptDelegate) InspectHardware(_ context.Context, t *drivers.Task) (drivers.Outcome, error) {
	if f := i.s.called("inspect.begin").inspect; f != nil {
		return f(t)
	}
	return drivers.Waiting, nil
}

func (i *scriptDelegate) TakesNode(*store.Node) bool { return !i.s.called("").bootsForService }

// spoken notes what the service is told, and that nobody holds the node meanwhile.
func (i *scriptDelegate) spoken(t *drivers.Task, what string) behaviour {
	if !t.Shared {
		what += " (locked)"
	}
	return i.s.called(what)
}

func (i *scriptDelegate) Begin(ctx context.Context, t *drivers.Task) error {
	if f := i.spoken(t, "service.begin").begin; f != nil {
		return f(ctx)
	}
	return nil
}

func (i *scriptDelegate) Standing(context.Context, *drivers.Task) (drivers.Standing, error) {
	if f := i.s.called("service.standing").standing; f != nil {
		return f()
	}
	return drivers.Standing{Known: true, Awaited: true}, nil
}

func (i *scriptDelegate) Findings(_ context.Context, t *drivers.Task) (inventory, pluginData store.Dict, err error) {
	if f := i.spoken(t, "service.findings").found; f != nil {
		return f()
	}
	return store.Dict{"cpu": "fast"}, store.Dict{"extra": "x"}, nil
}

func (i *scriptDelegate) Conclude(_ context.Context, t *drivers.Task) error {
	return maybeOn(i.s.called("service.conclude").conclude, t)
}

func (i *scriptDelegate) Forward(_ context.Context, t *drivers.Task, inventory, pluginData store.Dict) error {
	if f := i.spoken(t, fmt.Sprint("service.forward ", inventory, pluginData)).forward; f != nil {
		return f(inventory, pluginData)
	}
	return nil
}

func stands(s drivers.Standing) func() (drivers.Standing, error) {
	return func() (drivers.Standing, error) { return s, nil }
}

var over = stands(drivers.Standing{Known: true, Over: true})

func (w *worker) delegated(t *testing.T, state string) *store.Node {
	return w.enroll(t, func(n *store.Node) {
		n.ProvisionState, n.InspectInterface = state, "inspector"
		if state == store.InspectWait {
			n.TargetProvisionState = store.Manageable
		}
	})
}

func TestAServiceIsToldToInspect(t *testing.T) {
	for _, c := range []struct {
		name      string
		acts      behaviour
		state     string
		lastError string
		did       []string
	}{
		{name: "it takes the node", state: store.InspectWait, did: []string{"inspect.begin", "service.begin"}},
		{name: "this conductor boots for it", acts: behaviour{bootsForService: true}, state: store.InspectWait,
			did: []string{"inspect.begin", "service.standing"}},
		{name: "it refuses", acts: behaviour{begin: func(context.Context) error { return errors.New("busy") }}, state: store.InspectFail,
			lastError: "Failed to start inspection: busy", did: []string{"inspect.begin", "service.begin", "service.conclude"}},
		{name: "it is quick", acts: behaviour{bootsForService: true, standing: over}, state: store.Manageable,
			did: []string{"inspect.begin", "service.standing", "service.findings", "service.conclude"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, func(cfg *Config) { cfg.StoreInventory = true })
			n := w.delegated(t, store.Manageable)
			w.script.use(c.acts)
			w.must(t, "inspect_hardware", map[string]any{"node_id": n.UUID})
			waitUntil(t, "the service is told", func() bool { return len(w.script.did()) == len(c.did) })
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, c.lastError)
			equal(t, "did", strings.Join(w.script.did(), ", "), strings.Join(c.did, ", "))
			w.unlocked(t)
		})
	}
}

func TestInspectionsByAServiceAreFollowed(t *testing.T) {
	failed := drivers.Standing{Known: true, Over: true, Error: "no disk"}
	for _, c := range []struct {
		name      string
		noStore   bool
		acts      behaviour
		state     string
		lastError string
		stored    string
		did       string
	}{
		{name: "under way", state: store.InspectWait, did: "standing"},
		{name: "not known", acts: behaviour{standing: stands(drivers.Standing{})}, state: store.InspectWait, did: "standing"},
		{name: "away", acts: behaviour{standing: func() (drivers.Standing, error) { return drivers.Standing{}, io.EOF }},
			state: store.InspectWait, did: "standing"},
		{name: "over", acts: behaviour{standing: over}, state: store.Manageable, stored: `{"cpu": "fast"} {"extra": "x"}`,
			did: "standing findings conclude"},
		{name: "over, with nothing stored", noStore: true, acts: behaviour{standing: over}, state: store.Manageable,
			did: "standing conclude"},
		{name: "over, and its findings are lost", acts: behaviour{standing: over, found: func() (a, b store.Dict, err error) {
			return nil, nil, errors.New("404")
		}}, state: store.Manageable, did: "standing findings conclude"},
		{name: "over, and then away", acts: behaviour{standing: over, found: func() (a, b store.Dict, err error) {
			return nil, nil, io.ErrUnexpectedEOF
		}}, state: store.InspectWait, did: "standing findings"},
		{name: "over, and the ramdisk stays", acts: behaviour{standing: over, conclude: func(*drivers.Task) error {
			return &drivers.RamdiskLeft{Problems: []string{"unable to clean up ramdisk boot: stuck"}}
		}}, state: store.InspectFail, lastError: "Inspection clean up failed: unable to clean up ramdisk boot: stuck",
			stored: `{"cpu": "fast"} {"extra": "x"}`, did: "standing findings conclude"},
		{name: "failed", acts: behaviour{standing: stands(failed)}, state: store.InspectFail,
			lastError: "ironic-inspector inspection failed: no disk", did: "standing conclude"},
		{name: "failed, and the ramdisk stays", acts: behaviour{standing: stands(failed), conclude: func(*drivers.Task) error {
			return &drivers.RamdiskLeft{Problems: []string{"stuck"}}
		}}, state: store.InspectFail, lastError: "ironic-inspector inspection failed: no disk", did: "standing conclude"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, func(cfg *Config) { cfg.StoreInventory = !c.noStore })
			n := w.delegated(t, store.InspectWait)
			other := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.InspectWait })
			w.script.use(c.acts)
			if err := w.followInspections(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, c.lastError)
			equal(t, "did", strings.ReplaceAll(strings.Join(w.script.did(), " "), "service.", ""), c.did)
			inventory, pluginData := w.stored(t, n.ID)
			equal(t, "stored", strings.TrimSpace(inventory+" "+pluginData), c.stored)
			equal(t, "another interface's node", w.row(t, other.UUID).ProvisionState, store.InspectWait)
			w.unlocked(t)
		})
	}
}

// What a ramdisk tells ironic-api goes to the service once it is there.
func TestFindingsAreForwardedToAService(t *testing.T) {
	w := startWorker(t, func(cfg *Config) { cfg.Release = messaging.V2025_1 })
	n := w.delegated(t, store.InspectWait)
	w.script.use(behaviour{forward: func(_, _ store.Dict) error { return io.EOF }})
	w.must(t, "continue_inspection", map[string]any{"node_id": n.UUID, "inventory": map[string]any{"a": 1},
		"plugin_data": map[string]any{"b": 2}})
	const told = "service.forward map[a:1] map[b:2]"
	waitUntil(t, "the service is told", func() bool { return len(w.script.did(told)) == 1 })
	w.settled(t, n.UUID, store.InspectWait)
	w.unlocked(t)
	waitUntil(t, "the service is left alone", func() bool {
		_, busy := w.tended.Load(n.UUID)
		return !busy
	})
	w.script.use(behaviour{})
	for range 2 {
		if err := w.followInspections(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "did", strings.Join(w.script.did(), ", "), told+", service.standing")
	// One that it does not take fails the inspection.
	w.script.use(behaviour{forward: func(_, _ store.Dict) error { return errors.New("unknown node") }})
	w.must(t, "continue_inspection", map[string]any{"node_id": n.UUID, "inventory": map[string]any{}})
	equal(t, "last error", w.settled(t, n.UUID, store.InspectFail).LastError, "Failed to finish inspection: unknown node")
}

// A worker that comes back leaves alone what goes on without it.
func TestInspectionsByAServiceOutliveTheWorker(t *testing.T) {
	for _, c := range []struct {
		name   string
		cut    bool
		before behaviour
		acts   behaviour
		did    []string
	}{
		{name: "the service was told", did: []string{"service.standing", "service.standing"}},
		{name: "the service was about to be told", cut: true,
			did: []string{"service.begin"}},
		{name: "this conductor boots for it", before: behaviour{bootsForService: true}, acts: behaviour{bootsForService: true},
			did: []string{"service.standing", "inspect.begin", "service.standing"}},
		{name: "the ramdisk was heard of", before: behaviour{bootsForService: true},
			acts: behaviour{bootsForService: true, standing: stands(drivers.Standing{Known: true})},
			did:  []string{"service.standing", "service.standing"}},
		{name: "the service forgot", acts: behaviour{standing: stands(drivers.Standing{})},
			did: []string{"service.standing", "inspect.begin", "service.begin"}},
		{name: "it is over", acts: behaviour{standing: over}, did: []string{"service.standing", "service.standing", "service.conclude"}},
		{name: "the service is away", acts: behaviour{standing: func() (drivers.Standing, error) { return drivers.Standing{}, io.EOF }},
			did: []string{"service.standing", "service.standing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			w := r.start(t)
			n := w.delegated(t, store.Manageable)
			begun := make(chan struct{})
			if c.cut {
				c.before.begin = func(ctx context.Context) error {
					close(begun)
					<-ctx.Done()
					return ctx.Err()
				}
			}
			w.script.use(c.before)
			w.must(t, "inspect_hardware", map[string]any{"node_id": n.UUID})
			if c.cut {
				<-begun
			} else {
				waitUntil(t, "the service is told", func() bool { return len(w.script.did()) == 2 })
			}
			w.settled(t, n.UUID, store.InspectWait)
			w.stop()
			r.script.use(c.acts)
			w = r.start(t)
			waitUntil(t, "the inspection goes on", func() bool { return len(w.script.did()) >= len(c.did) })
			waitUntil(t, "the node is free", func() bool { return w.row(t, n.UUID).Reservation == "" })
			equal(t, "did", strings.Join(w.script.did(), ", "), strings.Join(c.did, ", "))
		})
	}
}
