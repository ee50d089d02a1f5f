package conductor

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/store"
)

// What ironic measures is measured under its names, requests that were refused are not.
func TestRequestsAreMetered(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.MetricsPrefix = "site." })
	meter := &Collector{}
	w.meter = meter
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Available, "power on" })
	w.must(t, "get_boot_device", map[string]any{"node_id": n.UUID})
	w.must(t, "get_boot_device", map[string]any{"node_id": n.UUID})
	w.refused(t, store.NodeNotFound, "get_supported_boot_devices", map[string]any{"node_id": uuid.NewString()})
	w.syncPower(t)
	measured := meter.collected()
	if names := slices.Sorted(maps.Keys(measured)); !slices.Equal(names, []string{
		"site.ironic.conductor.manager.ConductorManager.PowerSyncNodesCount",
		"site.ironic.conductor.manager.ConductorManager.get_boot_device"}) {
		t.Fatalf("measured %v", names)
	}
	text := string(raw(t, measured["site.ironic.conductor.manager.ConductorManager.get_boot_device"]))
	if !strings.HasPrefix(text, `{"count":2,"sum":`) || !strings.HasSuffix(text, `,"type":"timer"}`) {
		t.Errorf("a timer is %s", text)
	}
	equal(t, "a gauge", string(raw(t, measured["site.ironic.conductor.manager.ConductorManager.PowerSyncNodesCount"])),
		`{"value":1,"type":"gauge"}`)
}

// The names are those of ironic's timers, not of its methods.
func TestNamesOfTimers(t *testing.T) {
	meter := &Collector{}
	c := &Conductor{meter: meter}
	for _, method := range []string{"get_indicator_state", "detach_virtual_media", "create_node"} {
		c.meterRequest(method, 1500*time.Microsecond, nil)
	}
	equal(t, "measured", string(raw(t, meter.collected())), `{"ironic.conductor.manager.ConductorManager.create_node":{"count":1,"sum":1.5,"type":"timer"},`+
		`"ironic.conductor.manager.ConductorManager.get_indicator_states":{"count":1,"sum":1.5,"type":"timer"}}`)
}

// What a collector keeps is announced with the sensor data, also when no node is asked for its own.
func TestMeasuresAreAnnounced(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Sensors = SensorConfig{Interval: time.Hour, Workers: 1, Limit: time.Minute, Types: []string{"ALL"}, Worker: true, Topics: []string{"notifications"}}
	})
	w := r.start(t)
	w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Active })
	meter := &Collector{}
	w.meter = meter
	if err := w.sendSensorData(t.Context()); err != nil {
		t.Fatal(err)
	}
	meter.Time("create_node", 2*time.Millisecond)
	meter.Time("create_node", 3*time.Millisecond)
	if err := w.sendSensorData(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.bus.waitFor(t, func(types []string) bool { return slices.Contains(types, "ironic.metrics") })
	w.bus.mu.Lock()
	defer w.bus.mu.Unlock()
	var payload map[string]any
	if err := json.Unmarshal(w.bus.events[0].Payload, &payload); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"hostname": w.cfg.Host, "event_type": "ironic.metrics.update"} {
		equal(t, key, payload[key], want)
	}
	equal(t, "payload", string(raw(t, payload["payload"])), `{"create_node":{"count":2,"sum":5,"type":"timer"}}`)
	equal(t, "messages", len(w.bus.events), 1)
}
