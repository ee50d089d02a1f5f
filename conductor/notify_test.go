package conductor

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// topics makes a node manageable and returns the events that its worker then has in its outbox, as "topic bare|sealed".
func topics(t *testing.T, change func(*Config)) []string {
	t.Helper()
	w := idle(t, change)
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.TargetProvisionState = store.Verifying, store.Manageable })
	held := w.lock(t, n.UUID, lockMode{purpose: "a test"})
	if err := held.processEvent(t.Context(), eventFail, eventOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := held.processEvent(t.Context(), eventManage, eventOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := held.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	events, err := w.local.Peek(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range events {
		var sealed map[string]json.RawMessage
		if err := json.Unmarshal(e.Body, &sealed); err != nil {
			t.Fatal(err)
		}
		kind := "bare"
		if sealed["oslo.message"] != nil {
			kind = "sealed"
		}
		found = append(found, e.Topic+" "+kind)
	}
	return found
}

func TestNotificationsFollowTheConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"as it is": {nil, []string{"ironic_versioned_notifications.error sealed", "ironic_versioned_notifications.info sealed"}},
		"two topics": {func(c *Config) { c.NotificationTopics = []string{"a", "b"} },
			[]string{"a.error sealed", "b.error sealed", "a.info sealed", "b.info sealed"}},
		"errors only": {func(c *Config) { c.NotificationLevel = "error" }, []string{"ironic_versioned_notifications.error sealed"}},
		"everything": {func(c *Config) { c.NotificationLevel = "debug" },
			[]string{"ironic_versioned_notifications.error sealed", "ironic_versioned_notifications.info sealed"}},
		"none wanted": {func(c *Config) { c.NotificationLevel = "" }, nil},
		"without envelope": {func(c *Config) { c.NotificationDrivers = []string{"messaging"} },
			[]string{"ironic_versioned_notifications.error bare", "ironic_versioned_notifications.info bare"}},
		"to nobody": {func(c *Config) { c.NotificationDrivers = []string{"noop", "log"} }, nil},
		"no driver": {func(c *Config) { c.NotificationDrivers = nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := topics(t, c.change); !slices.Equal(got, c.want) {
				t.Errorf("events %q, want %q", got, c.want)
			}
		})
	}
}

// Events that the broker could not take wait, across a restart too, and go out in order.
func TestEventsWaitForTheBroker(t *testing.T) {
	r := newRig(t, nil)
	before := idleOn(t, r)
	n := before.enroll(t, func(n *store.Node) { n.ProvisionState = store.Verifying })
	held := before.lock(t, n.UUID, lockMode{purpose: "a test"})
	for _, event := range []string{eventFail, eventManage, eventDone} {
		if err := held.processEvent(t.Context(), event, eventOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := held.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	before.closeMemory()
	w := r.start(t)
	w.announced(t, n.UUID, "provision_set.error", "provision_set.start", "provision_set.end")
	waitUntil(t, "the outbox is empty", func() bool { return w.local.Outbox().Durable == 0 })

	w.bus.away.Store(true)
	w.must(t, "set_boot_device", map[string]any{"node_id": n.UUID, "device": "pxe"})
	w.must(t, "change_node_power_state", map[string]any{"node_id": n.UUID, "new_state": store.PowerOn})
	w.settled(t, n.UUID, store.Manageable)
	equal(t, "events that wait", w.local.Outbox().Durable, 2)
	w.bus.away.Store(false)
	w.announced(t, n.UUID, "provision_set.error", "provision_set.start", "provision_set.end", "power_set.start", "power_set.end")
}
