package conductor

import (
	"errors"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func TestConsoleMode(t *testing.T) {
	w := startWorker(t, nil)
	broken := errors.New("no port is free")
	for _, c := range []struct {
		name               string
		was, want, enabled bool
		acts               behaviour
		did                string
		lastError          string
		events             []string
	}{
		{name: "on", want: true, enabled: true, did: "start console", events: []string{"console_set.start", "console_set.end"}},
		{name: "off", was: true, did: "stop console", events: []string{"console_set.start", "console_set.end"}},
		{name: "on when it is on", was: true, want: true, enabled: true, lastError: "an old error"},
		{name: "on fails", want: true, did: "start console", acts: behaviour{startConsole: func() error { return broken }},
			lastError: "Error enabling the console on node UUID. Reason: no port is free",
			events:    []string{"console_set.start", "console_set.error"}},
		{name: "off fails", was: true, enabled: true, did: "stop console", acts: behaviour{stopConsole: func() error { return broken }},
			lastError: "Error disabling the console on node UUID. Reason: no port is free",
			events:    []string{"console_set.start", "console_set.error"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.enroll(t, func(n *store.Node) {
				n.ProvisionState, n.ConsoleEnabled, n.LastError = store.Manageable, c.was, "an old error"
			})
			w.script.use(c.acts)
			w.must(t, "set_console_mode", map[string]any{"node_id": n.UUID, "enabled": c.want})
			w.announced(t, n.UUID, c.events...)
			got := w.settled(t, n.UUID, store.Manageable)
			equal(t, "console enabled", got.ConsoleEnabled, c.enabled)
			equal(t, "last error", got.LastError, strings.ReplaceAll(c.lastError, "UUID", n.UUID))
			equal(t, "asked", strings.Join(w.script.did("start console", "stop console"), ", "), c.did)
		})
	}
}

func TestConsoleInformation(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	args := map[string]any{"node_id": n.UUID}
	equal(t, "refusal", w.refused(t, store.NodeConsoleNotEnabled, "get_console_information", args),
		"Console access is not enabled on node "+n.UUID)
	n = w.enroll(t, func(n *store.Node) { n.ConsoleEnabled = true })
	equal(t, "access", string(w.must(t, "get_console_information", map[string]any{"node_id": n.UUID})),
		`{"type":"socat","url":"tcp://192.0.2.1:10000"}`)
	none := w.enroll(t, func(n *store.Node) { n.ConsoleInterface = "no-console" })
	w.refused(t, store.UnsupportedDriverExtension, "set_console_mode", map[string]any{"node_id": none.UUID, "enabled": true})
}

// A worker that starts starts the consoles of its nodes; one that does not start is disabled.
func TestConsolesStartWithTheWorker(t *testing.T) {
	for name, failure := range map[string]error{"starts": nil, "fails": errors.New("no port is free")} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			n := &store.Node{Driver: "fake-hardware", ProvisionState: store.Manageable, ConsoleEnabled: true, ConsoleInterface: "fake"}
			if err := r.db.CreateNode(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			r.script.use(behaviour{startConsole: func() error { return failure }})
			w := r.start(t)
			want, status := "", "end"
			if failure != nil {
				want, status = "Failed to start console of node "+n.UUID+" while starting the conductor, so changing the "+
					"console_enabled status to False, error: no port is free", "error"
			}
			w.announced(t, n.UUID, "console_restore.start", "console_restore."+status)
			got := w.settled(t, n.UUID, store.Manageable)
			equal(t, "console enabled", got.ConsoleEnabled, failure == nil)
			equal(t, "last error", got.LastError, want)
		})
	}
}

// The console is ended with the instance, so that nobody reads along with the next one, and started with the next one.
func TestConsoleFollowsTheInstance(t *testing.T) {
	r := newRig(t, nil)
	n := &store.Node{Driver: "fake-hardware", ProvisionState: store.Active, ConsoleEnabled: true, ConsoleInterface: "fake"}
	if err := r.db.CreateNode(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	w := r.start(t)
	w.announced(t, n.UUID, "console_restore.start", "console_restore.end")
	w.settled(t, n.UUID, store.Active)
	w.must(t, "do_node_tear_down", map[string]any{"node_id": n.UUID})
	waitUntil(t, "the console is stopped", func() bool { return len(w.script.did("stop console")) == 1 })
	n = w.settled(t, n.UUID, store.Available)
	equal(t, "console enabled", n.ConsoleEnabled, true)
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID, "rebuild": false, "configdrive": nil})
	n = w.settled(t, n.UUID, store.Active)
	equal(t, "asked", strings.Join(w.script.did("start console", "stop console"), ", "), "start console, stop console, start console")
	w.exec(t, "UPDATE nodes SET provision_state = ?, instance_uuid = NULL WHERE uuid = ?", store.Manageable, n.UUID)
	w.must(t, "destroy_node", map[string]any{"node_id": n.UUID})
	equal(t, "asked at the end", w.script.did("start console", "stop console")[3], "stop console")
}

// Consoles that are open for too long are closed; those of other kinds, of others' nodes and of locked nodes are left alone.
func TestConsolesExpire(t *testing.T) {
	w := startWorker(t, nil)
	console := func(name, state string, enabled bool) *store.Node {
		return w.enroll(t, func(n *store.Node) {
			n.ConsoleInterface, n.ConsoleEnabled, n.DriverInternalInfo = name, enabled, store.Dict{"console": state}
		})
	}
	console("expiring", "expired", true)
	console("expiring", "open", true)
	console("expiring", "expired", false)
	console("fake", "expired", true)
	locked := console("expiring", "expired", true)
	w.exec(t, "UPDATE nodes SET reservation = 'someone-else' WHERE uuid = ?", locked.UUID)
	if err := w.closeExpiredConsoles(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "asked", strings.Join(w.script.did("stop console"), ", "), "stop console")
}

// The containers of an earlier run end before consoles are started anew, and those of this one at its end.
func TestConsoleContainersEndWithTheWorker(t *testing.T) {
	r := newRig(t, nil)
	r.script.use(behaviour{stopContainers: func() error { return nil }})
	n := &store.Node{Driver: "fake-hardware", ProvisionState: store.Manageable, ConsoleEnabled: true, ConsoleInterface: "fake"}
	if err := r.db.CreateNode(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	w := r.start(t)
	w.announced(t, n.UUID, "console_restore.start", "console_restore.end")
	w.stop()
	equal(t, "asked", strings.Join(w.script.did("stop containers", "start console"), ", "), "stop containers, start console, stop containers")
}

func TestAWorkerWhoseContainersDoNotEndDoesNotStart(t *testing.T) {
	r := newRig(t, nil)
	r.script.use(behaviour{stopContainers: func() error { return errors.New("no engine") }})
	c, bus, closeMemory := r.build(t)
	defer closeMemory()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(t.Context()) }()
	<-bus.handle
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "stopping console containers: no engine") {
		t.Errorf("the worker ended with %v", err)
	}
}
