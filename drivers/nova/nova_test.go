package nova_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/nova"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

const server = "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a"

// answering is a Nova that gives one answer, and what it was asked.
func answering(t *testing.T, status int, body string) (*nova.Client, *http.Request, *string) {
	t.Helper()
	asked, sent := &http.Request{}, new(string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = *r
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*sent = string(content)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return client(t, s.URL+"/v2.1/"), asked, sent
}

func client(t *testing.T, url string) *nova.Client {
	t.Helper()
	c, err := nova.New(keystone.ServiceConfig{Config: keystone.Config{Group: "nova", AuthType: keystone.AuthNone},
		EndpointOverride: url, ServiceType: "compute"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPowerUpdates(t *testing.T) {
	for power, tag := range map[string]string{store.PowerOn: "POWER_ON", store.PowerOff: "POWER_OFF"} {
		c, asked, sent := answering(t, http.StatusOK, `{"events": [{"code": 200, "status": "completed"}]}`)
		if err := c.PowerUpdate(t.Context(), server, power, "req-global"); err != nil {
			t.Fatal(err)
		}
		var body map[string][]map[string]string
		if err := json.Unmarshal([]byte(*sent), &body); err != nil {
			t.Fatal(err)
		}
		if got := body["events"]; len(got) != 1 || len(got[0]) != 3 || got[0]["name"] != "power-update" ||
			got[0]["server_uuid"] != server || got[0]["tag"] != tag {
			t.Errorf("%s: Nova was sent %s", power, *sent)
		}
		if asked.Method != http.MethodPost || asked.URL.Path != "/v2.1/os-server-external-events" {
			t.Errorf("Nova was asked %s %s", asked.Method, asked.URL.Path)
		}
		for header, want := range map[string]string{"OpenStack-API-Version": "compute 2.76",
			"X-OpenStack-Nova-API-Version": "2.76", "X-OpenStack-Request-ID": "req-global"} {
			if got := asked.Header.Get(header); got != want {
				t.Errorf("%s: %q, want %q", header, got, want)
			}
		}
	}
}

func TestEventsThatNovaDoesNotTake(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"refused":              {http.StatusForbidden, `{"forbidden": {"message": "Policy does not allow it"}}`, "Policy does not allow it"},
		"an unknown server":    {http.StatusMultiStatus, `{"events": [{"code": 404, "status": "failed"}]}`, `code 404, status "failed"`},
		"an answer without it": {http.StatusOK, `{"events": []}`, "with 0 events"},
		"no JSON":              {http.StatusOK, `<html>`, "invalid character"},
	} {
		client, _, _ := answering(t, c.status, c.body)
		err := client.PowerUpdate(t.Context(), server, store.PowerOn, "")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(strings.ToLower(err.Error()), "nova") {
			t.Errorf("%s: %v, want Nova and %q in it", name, err, c.want)
		}
	}
	if err := client(t, "http://127.0.0.1:1").PowerUpdate(t.Context(), server, store.PowerOff, ""); err == nil {
		t.Error("a Nova that nobody reaches took an event")
	}
	if err := client(t, "http://127.0.0.1:1").PowerUpdate(t.Context(), server, "", ""); err == nil ||
		!strings.Contains(err.Error(), `power state ""`) {
		t.Errorf("an unknown power state: %v", err)
	}
}
