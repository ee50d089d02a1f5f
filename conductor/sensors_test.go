package conductor

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Active nodes that are not in maintenance are read; what is sent has the form of ironic's messages, whatever notification_level is.
func TestSensorData(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.NotificationLevel = ""
		c.Sensors = SensorConfig{Interval: time.Hour, Workers: 2, Limit: time.Minute, Types: []string{"fan"}, Nodes: true, Topics: []string{"notifications"}}
	})
	r.script.use(behaviour{sensors: func(n *store.Node) (drivers.SensorData, error) {
		if *n.Name == "broken" {
			return nil, errors.New("no such sensor")
		}
		return drivers.SensorData{"Fan": {"FAN1 (0x1)": store.Dict{"Sensor Reading": "3000 RPM", "Sensor ID": "FAN1 (0x1)"}},
			"Temperature": {"CPU (0x2)": store.Dict{"Sensor Reading": "42 degrees C"}}}, nil
	}})
	w := r.start(t)
	active := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.Name = store.Active, pointer("good") })
	w.enroll(t, func(n *store.Node) { n.ProvisionState, n.Name = store.Active, pointer("broken") })
	w.enroll(t, func(n *store.Node) { n.ProvisionState, n.Maintenance = store.Active, true })
	w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Available })
	if err := w.sendSensorData(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.announced(t, active.UUID, "hardware.fake-hardware.metrics")
	w.bus.mu.Lock()
	defer w.bus.mu.Unlock()
	if len(w.bus.events) != 1 {
		t.Fatalf("%d messages", len(w.bus.events))
	}
	e := w.bus.events[0]
	var payload map[string]any
	if err := json.Unmarshal(e.Payload, &payload); err != nil {
		t.Fatal(err)
	}
	if e.PublisherID != "None."+w.cfg.PublisherHost || e.Priority != "INFO" || payload["node_uuid"] != active.UUID ||
		payload["node_name"] != "good" || payload["instance_uuid"] != nil || payload["event_type"] != "hardware.fake-hardware.metrics.update" {
		t.Errorf("message %+v, %v", e, payload)
	}
	text, err := json.Marshal(payload["payload"])
	if err != nil || !strings.Contains(string(text), `{"Fan":{"FAN1 (0x1)":{"Sensor ID":"FAN1 (0x1)","Sensor Reading":"3000 RPM"}}}`) {
		t.Errorf("sensors %s, %v", text, err)
	}
}
