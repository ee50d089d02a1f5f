package conductor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// scriptInspect is scripted inspection.
type scriptInspect struct {
	*fake.Inspect
	s *script
}

func (i *scriptInspect) Validate(context.Context, *drivers.Task) error {
	return maybe(i.s.called("").inspectValidate)
}

func (i *scriptInspect) InspectHardware(_ context.Context, t *drivers.Task) (drivers.Outcome, error) {
	if f := i.s.called("inspect.begin").inspect; f != nil {
		return f(t)
	}
	return drivers.Done, nil
}

func (i *scriptInspect) AbortInspection(ctx context.Context, t *drivers.Task) error {
	if f := i.s.called("inspect.abort").abortInspection; f != nil {
		return f(t)
	}
	return i.Inspect.AbortInspection(ctx, t)
}

func (i *scriptInspect) ContinueInspection(ctx context.Context, t *drivers.Task, inventory, pluginData store.Dict) error {
	if f := i.s.called("inspect.findings").findings; f != nil {
		return f(inventory, pluginData)
	}
	return i.Inspect.ContinueInspection(ctx, t, inventory, pluginData)
}

func awaitsRamdisk(*drivers.Task) (drivers.Outcome, error) { return drivers.Waiting, nil }

func ends(err error) func(*drivers.Task) (drivers.Outcome, error) {
	return func(*drivers.Task) (drivers.Outcome, error) { return drivers.Done, err }
}

func TestInspectHardware(t *testing.T) {
	for _, c := range []struct {
		name      string
		from      string
		release   messaging.Release
		acts      behaviour
		state     string
		lastError string
		did       string
		events    []string
	}{
		{name: "done at once", state: store.Manageable, events: []string{"provision_set.start", "provision_set.end"}},
		{name: "after one that failed", from: store.InspectFail, state: store.Manageable,
			events: []string{"provision_set.start", "provision_set.end"}},
		{name: "a ramdisk goes on", acts: behaviour{inspect: awaitsRamdisk}, state: store.InspectWait,
			events: []string{"provision_set.start", "provision_set.success"}},
		{name: "the BMC refuses", acts: behaviour{inspect: ends(store.Errorf(store.HardwareInspectionFailure,
			"Failed to inspect hardware. Reason: no CPU"))}, state: store.InspectFail,
			lastError: "Failed to inspect hardware. Reason: no CPU", events: []string{"provision_set.start", "provision_set.error"}},
		{name: "something unforeseen", acts: behaviour{inspect: ends(errors.New("smoke"))}, state: store.InspectFail,
			lastError: "Unexpected exception: smoke", events: []string{"provision_set.start", "provision_set.error"}},
		{name: "a failure on 29.0", release: messaging.V2025_1, acts: behaviour{inspect: ends(errors.New("smoke"))},
			state: store.InspectFail, lastError: "Unexpected exception: smoke",
			events: []string{"provision_set.start", "provision_set.error"}},
		{name: "a failure since 34.0 is cleaned up", release: messaging.Newest, state: store.InspectFail, did: ", inspect.abort",
			acts:      behaviour{inspect: ends(errors.New("smoke")), abortInspection: func(*drivers.Task) error { return nil }},
			lastError: "Unexpected exception: smoke", events: []string{"provision_set.start", "provision_set.error"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, func(cfg *Config) {
				if c.release != 0 {
					cfg.Release = c.release
				}
			})
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState = store.Manageable
				if c.from != "" {
					n.ProvisionState, n.LastError = c.from, "an older one"
				}
				n.DriverInternalInfo = store.Dict{keyAgentURL: "http://192.0.2.1", keyAgentToken: "t", keyAgentVerifyCA: "/ca"}
			})
			w.script.use(c.acts)
			w.must(t, "inspect_hardware", map[string]any{"node_id": n.UUID})
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, c.lastError)
			equal(t, "did", strings.Join(w.script.did(), ", "), "inspect.begin"+c.did)
			equal(t, "finished", !got.InspectionFinishedAt.IsZero(), c.state == store.Manageable)
			equal(t, "started", !got.InspectionStartedAt.IsZero(), c.state == store.InspectWait)
			for _, key := range []string{keyAgentURL, keyAgentToken, keyAgentVerifyCA} {
				if v, there := got.DriverInternalInfo[key]; there {
					t.Errorf("%s is left: %v", key, v)
				}
			}
			w.announced(t, n.UUID, c.events...)
			w.unlocked(t)
		})
	}
}

func TestInspectHardwareRefusals(t *testing.T) {
	invalid := func() error { return store.Errorf(store.MissingParameterValue, "no address") }
	w := startWorker(t, nil)
	for _, c := range []struct {
		name  string
		state string
		acts  behaviour
		class store.Kind
		text  string
	}{
		{"power settings", store.Manageable, behaviour{powerValidate: invalid}, store.MissingParameterValue, "no address"},
		{"settings", store.Manageable, behaviour{inspectValidate: invalid}, store.MissingParameterValue, "no address"},
		{"its state", store.Available, behaviour{}, store.InvalidStateRequested, `The requested action "inspect" can not be ` +
			`performed on node "%s" while it is in state "available".`},
		{"under way", store.InspectWait, behaviour{}, store.InvalidStateRequested, `The requested action "inspect" can not be ` +
			`performed on node "%s" while it is in state "inspect wait".`},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.enroll(t, func(n *store.Node) { n.ProvisionState = c.state })
			w.script.use(c.acts)
			equal(t, "refusal", w.refused(t, c.class, "inspect_hardware", map[string]any{"node_id": n.UUID}), withNode(c.text, n.UUID))
			equal(t, "state", w.settled(t, n.UUID, c.state).LastError, "")
			equal(t, "did", len(w.script.did()), 0)
		})
	}
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Manageable })
	if _, err := w.db.Reserve(t.Context(), n.UUID, "someone-else"); err != nil {
		t.Fatal(err)
	}
	w.refused(t, store.NodeLocked, "inspect_hardware", map[string]any{"node_id": n.UUID})
}

func TestAbortOfAnInspection(t *testing.T) {
	for _, c := range []struct {
		name      string
		abort     func(*drivers.Task) error
		class     store.Kind
		state     string
		lastError string
	}{
		{"a ramdisk is called back", func(*drivers.Task) error { return nil }, "", store.InspectFail,
			"Inspection was aborted by request."},
		{"a ramdisk that stays", func(*drivers.Task) error { return &drivers.RamdiskLeft{Problems: []string{"stuck"}} }, "",
			store.InspectFail, "Inspection was aborted by request."},
		{"an interface that has none", nil, store.UnsupportedDriverExtension, store.InspectWait, ""},
		{"it does not work", func(*drivers.Task) error { return store.Errorf(store.PowerStateFailure, "stuck") },
			store.PowerStateFailure, store.InspectWait, "Failed to abort inspection: stuck"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, nil)
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState, n.TargetProvisionState = store.InspectWait, store.Manageable
			})
			w.script.use(behaviour{abortInspection: c.abort})
			args := map[string]any{"node_id": n.UUID, "action": "abort"}
			if c.class != "" {
				w.refused(t, c.class, "do_provisioning_action", args)
			} else {
				w.must(t, "do_provisioning_action", args)
			}
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, c.lastError)
			equal(t, "target", got.TargetProvisionState, store.Manageable)
		})
	}
}

func TestInspectionsWhoseRamdiskIsSilentFail(t *testing.T) {
	for _, c := range []struct {
		name      string
		release   messaging.Release
		node      store.Node
		fresh     bool
		state     string
		lastError string
		did       int
	}{
		{name: "before 34.0", release: messaging.V2023_1, state: store.InspectFail,
			lastError: "timeout reached while inspecting the node"},
		{name: "since 34.0", release: messaging.Newest, state: store.InspectFail, did: 1,
			lastError: "Timeout reached while inspecting the node. Please check if the ramdisk responsible for the inspection is " +
				"running on the node."},
		{name: "a young one", release: messaging.V2023_1, fresh: true, state: store.InspectWait},
		{name: "in maintenance", release: messaging.V2023_1, node: store.Node{Maintenance: true}, state: store.InspectWait},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorker(t, func(cfg *Config) { cfg.InspectWaitTimeout, cfg.Release = time.Hour, c.release })
			n := w.enroll(t, func(n *store.Node) {
				*n = c.node
				n.Driver, n.ProvisionState, n.TargetProvisionState = "fake-hardware", store.InspectWait, store.Manageable
			})
			since := time.Now().UTC()
			if !c.fresh {
				since = since.Add(-2 * time.Hour)
			}
			w.exec(t, "UPDATE nodes SET inspection_started_at = ? WHERE id = ?", since.Format(time.DateTime), n.ID)
			if err := w.failSilentInspections(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := w.settled(t, n.UUID, c.state)
			equal(t, "last error", got.LastError, c.lastError)
			equal(t, "target", got.TargetProvisionState, store.Manageable)
			equal(t, "aborts", len(w.script.did("inspect.abort")), c.did)
		})
	}
}
