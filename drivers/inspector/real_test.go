package inspector_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers/inspector"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

const (
	node = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
	mac  = "52:54:00:00:00:01"
)

// ironic is as much of ironic-api as ironic-inspector asks for about one node.
func ironic(t *testing.T) string {
	t.Helper()
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version := map[string]any{"id": "v1", "status": "CURRENT", "version": "1.82", "min_version": "1.1",
			"links": []any{map[string]any{"rel": "self", "href": server.URL + "/v1/"}}}
		port := map[string]any{"address": mac, "uuid": "6c5a7c8e-2f3a-4b8e-9e0a-1f0e6d2c3b4a", "node_uuid": node, "pxe_enabled": true,
			"extra": map[string]any{}, "is_smartnic": false}
		var document any = map[string]any{"uuid": node, "name": "n", "provision_state": "inspecting", "driver_info": map[string]any{},
			"properties": map[string]any{}, "extra": map[string]any{}, "maintenance": false, "power_state": "power off"}
		switch path := strings.Trim(r.URL.Path, "/"); {
		case path == "" || path == "v1":
			document = map[string]any{"default_version": version, "versions": []any{version}, "id": "v1", "version": version}
		case strings.HasPrefix(path, "v1/ports/"), strings.HasSuffix(path, "/ports"), path == "v1/ports/detail":
			document = map[string]any{"ports": []any{port}}
		case path == "v1/ports":
			document = map[string]any{"ports": []any{port}}
			if r.Method == http.MethodPost {
				document = port
			}
		case strings.HasSuffix(path, "/validate"):
			document = map[string]any{"power": map[string]any{"result": true}}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(document)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// await waits until an inspection is as a test wants it.
func await(t *testing.T, c *inspector.Client, met func(inspector.Status) bool) inspector.Status {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for range 300 {
		status, err := c.Status(t.Context(), node)
		if err != nil {
			t.Fatal(err)
		}
		if status != nil && met(*status) {
			return *status
		}
		<-ticker.C
	}
	t.Fatal("the inspection does not go on")
	return inspector.Status{}
}

func waits(s inspector.Status) bool { return s.State == inspector.Waiting }
func ended(s inspector.Status) bool { return s.Finished }

// A real ironic-inspector takes what it is told, by a machine that this test is.
func TestRealInspector(t *testing.T) {
	url, err := lab.NewForTest(t, lab.Options{}).StartInspector(ironic(t))
	if err != nil {
		t.Fatal(err)
	}
	c, err := inspector.New(inspector.Config{NotFound: "ResourceNotFound", ServiceConfig: keystone.ServiceConfig{
		Config: keystone.Config{AuthType: keystone.AuthNone}, EndpointOverride: url}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if status, err := c.Status(t.Context(), node); status != nil || err != nil {
		t.Fatalf("before: %v, %v", status, err)
	}
	if err := c.Abort(t.Context(), node); err != nil {
		t.Errorf("nothing to abort: %v", err)
	}
	if _, err := c.Data(t.Context(), node); err == nil || !strings.HasPrefix(err.Error(), "ResourceNotFound: 404: Client Error for url: "+
		url+"/v1/introspection/"+node+"/data, Introspection data not found") {
		t.Errorf("nothing found: %v", err)
	}
	// It may be told twice.
	for range 2 {
		if err := c.Start(t.Context(), node, true); err != nil {
			t.Fatal(err)
		}
		if status := await(t, c, waits); status.Finished || status.Error != "" {
			t.Fatalf("begun: %v", status)
		}
	}
	found := store.Dict{"boot_interface": mac, "inventory": store.Dict{
		"interfaces": []any{store.Dict{"name": "eth0", "mac_address": mac, "ipv4_address": "192.0.2.9", "has_carrier": true}},
		"cpu":        store.Dict{"count": 4, "architecture": "x86_64"}, "memory": store.Dict{"physical_mb": 4096},
		"disks": []any{}, "bmc_address": "192.0.2.1", "boot": store.Dict{"current_boot_mode": "uefi"}}}
	if err := c.Continue(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	if status := await(t, c, ended); status.Error != "" {
		t.Fatalf("at the end: %v", status)
	}
	data, err := c.Data(t.Context(), node)
	if cpu := data.Dict("inventory").Dict("cpu"); err != nil || cpu["count"] != json.Number("4") {
		t.Errorf("found %v, %v", data, err)
	}
	// One that waits is ended.
	if err := c.Start(t.Context(), node, true); err != nil {
		t.Fatal(err)
	}
	await(t, c, waits)
	if err := c.Abort(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	if status := await(t, c, ended); status.Error != "Canceled by operator" {
		t.Errorf("aborted: %v", status)
	}
}
