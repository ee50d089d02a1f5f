package conductor

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// Without a broker nothing waits to be sent, and those who follow the worker at the operators' address still see all.
func TestEventsWithoutABroker(t *testing.T) {
	r := newRig(t, func(c *Config) { c.NotificationLevel = "" })
	r.brokerless = true
	w := r.start(t)
	admin := httptest.NewServer(w.AdminHandler(prometheus.NewRegistry()))
	defer admin.Close()
	response, err := http.Get(admin.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	n := w.enroll(t, nil)
	for _, step := range [][2]string{{"manage", store.Manageable}, {"provide", store.Available}} {
		w.must(t, "do_provisioning_action", map[string]any{"node_id": n.UUID, "action": step[0]})
		w.settled(t, n.UUID, step[1])
	}
	var types []string
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		note, err := oslo.DecodeNotification(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, note.EventType)
		if slices.Contains(types, "baremetal.node.deploy_progress.end") {
			break
		}
	}
	if !slices.Contains(types, "baremetal.node.provision_set.start") {
		t.Errorf("seen: %q", types)
	}
	if s := w.local.Outbox(); s.Durable+s.Volatile > 0 {
		t.Errorf("the outbox holds %+v", s)
	}
	if parts := w.Health().Parts; parts["registration"] != "ok" {
		t.Errorf("health: %v", parts)
	}
}
