package wholeworker

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// TestNotificationsOnABrokerOfTheirOwn gives notifications another transport than RPC, as [oslo_messaging_notifications]
// allows, here a virtual host of the same broker.
func TestNotificationsOnABrokerOfTheirOwn(t *testing.T) {
	var notices *events
	w := start(t, setup{database: "sqlite", own: func(w *world) options {
		broker := w.lab.RabbitMQ
		for _, args := range [][]string{{"add_vhost", "notices"}, {"set_permissions", "-p", "notices", "ironmaster", ".*", ".*", ".*"}} {
			if out, err := broker.Ctl(t.Context(), args...); err != nil {
				t.Fatalf("rabbitmqctl %s: %v: %s", args[0], err, out)
			}
		}
		url := strings.TrimSuffix(broker.TransportURL, "/") + "/notices"
		notices = follow(t, url)
		return options{"oslo_messaging_notifications": {"transport_url": url}}
	}})
	switched := switchOn(t, w, notices)
	for _, e := range w.events.of(switched) {
		if strings.HasPrefix(e.kind, "baremetal.node.power_set") {
			t.Errorf("%s went to the broker of RPC too", e.kind)
		}
	}
}

// TestNotificationsBesideJSONRPC gives notifications a broker where requests need none.
func TestNotificationsBesideJSONRPC(t *testing.T) {
	var notices *events
	w := start(t, setup{database: "sqlite", transport: "json-rpc", own: func(w *world) options {
		broker, err := w.lab.StartRabbitMQ()
		must(t, err)
		notices = follow(t, broker.TransportURL)
		return options{"oslo_messaging_notifications": {"driver": "messagingv2", "transport_url": broker.TransportURL}}
	}})
	switchOn(t, w, notices)
	health, err := w.get(t.Context(), "/healthz")
	must(t, err)
	if text := string(health); !strings.Contains(text, `"json-rpc":"ok"`) || strings.Contains(text, "broker") {
		t.Errorf("health: %s", text)
	}
}

// switchOn creates a node, switches it on and waits until that was announced.
func switchOn(t *testing.T, w *world, notices *events) (uuid string) {
	t.Helper()
	var created node
	must(t, w.api.do(t.Context(), http.MethodPost, "/v1/nodes", map[string]any{"driver": "fake-hardware"}, &created))
	must(t, w.api.do(t.Context(), http.MethodPut, "/v1/nodes/"+created.UUID+"/states/power", map[string]any{"target": "power on"}, nil))
	eventually(t, "the notification of the power change", func() error {
		for _, e := range notices.of(created.UUID) {
			if e.kind == "baremetal.node.power_set.end" {
				return nil
			}
		}
		return errors.New("not seen yet")
	})
	return created.UUID
}
