package dhcp

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// neutron answers as the Networking API v2.0 does (https://docs.openstack.org/api-ref/network/v2/#ports).
type neutron struct {
	*httptest.Server
	addresses map[string][]string // by port; one that is missing is not found
	updates   map[string]json.RawMessage
	refuse    bool
	hangUp    int // connections that break before an answer
}

func newNeutron(t *testing.T) (*neutron, *Neutron) {
	t.Helper()
	n := &neutron{addresses: map[string][]string{}, updates: map[string]json.RawMessage{}}
	n.Server = httptest.NewServer(n)
	t.Cleanup(n.Close)
	client, err := NewNeutron(NeutronConfig{ServiceConfig: keystone.ServiceConfig{
		Config: keystone.Config{Group: "neutron", AuthType: keystone.AuthNone}, ServiceType: "network", EndpointOverride: n.URL,
	}, RequestTimeout: 5 * time.Second, Retries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return n, client
}

func (n *neutron) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if n.hangUp > 0 {
		n.hangUp--
		panic(http.ErrAbortHandler)
	}
	id := strings.TrimPrefix(r.URL.Path, "/v2.0/ports/")
	addresses, found := n.addresses[id]
	w.Header().Set("Content-Type", "application/json")
	switch {
	case !found:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"NeutronError": {"type": "PortNotFound", "message": "Port %s could not be found.", "detail": ""}}`, id)
		return
	case r.Method == http.MethodPut && n.refuse:
		w.WriteHeader(http.StatusForbidden)
		return
	case r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		n.updates[id] = body
	}
	ips := []map[string]string{}
	for _, a := range addresses {
		ips = append(ips, map[string]string{"subnet_id": "s", "ip_address": a})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"port": map[string]any{"id": id, "fixed_ips": ips}})
}

func connected(id string) *store.Port {
	return &store.Port{UUID: "port-" + id, InternalInfo: store.Dict{"provisioning_vif_port_id": id}}
}

var both = []Option{{"67", "pxelinux.0", 4}, {"66", "192.0.2.1", 4}, {"59", "tftp://[fd00::1]/x.efi", 6}}

func TestNeutronPortsGetTheOptionsOfTheirAddresses(t *testing.T) {
	n, client := newNeutron(t)
	n.addresses["four"], n.addresses["six"] = []string{"10.0.0.7"}, []string{"fd00::7"}
	n.hangUp = 1
	task, _ := newTask(connected("four"), connected("six"), &store.Port{UUID: "unconnected"})
	if err := client.Update(t.Context(), task, both); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"four": `{"port":{"extra_dhcp_opts":[{"ip_version":4,"opt_name":"67","opt_value":"pxelinux.0"},` +
			`{"ip_version":4,"opt_name":"66","opt_value":"192.0.2.1"}]}}`,
		"six": `{"port":{"extra_dhcp_opts":[{"ip_version":6,"opt_name":"59","opt_value":"tftp://[fd00::1]/x.efi"}]}}`,
	} {
		if got := string(n.updates[id]); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if got, err := client.Addresses(t.Context(), task); err != nil || !slices.Equal(got, []string{"10.0.0.7", "fd00::7"}) {
		t.Errorf("addresses %q, %v", got, err)
	}
}

func TestNeutronsRefusalsHaveIronicsTexts(t *testing.T) {
	n, client := newNeutron(t)
	n.addresses["good"] = []string{"10.0.0.7"}
	unconnected, _ := newTask(&store.Port{UUID: "p"})
	noopNode, _ := newTask(connected("good"))
	noopNode.Hardware.Network = noop.NewNetwork()
	none := "No VIFs found for node n1 when attempting to update DHCP BOOT options."
	lost, _ := newTask(connected("gone"))
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no port connected":      {client.Update(t.Context(), unconnected, both), none},
		"network interface noop": {client.Update(t.Context(), noopNode, both), none},
		"port not found": {client.Update(t.Context(), lost, both),
			"Failed to set DHCP BOOT options for any port on node n1."},
	} {
		if store.KindOf(c.err) != store.FailedToUpdateDHCPOptOnPort || c.err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, c.err, c.want)
		}
	}
	one, _ := newTask(connected("good"), connected("gone"))
	if err := client.Update(t.Context(), one, both); err != nil {
		t.Errorf("one of two ports took its options: %v", err)
	}
	if got, err := client.Addresses(t.Context(), one); err != nil || !slices.Equal(got, []string{"10.0.0.7"}) {
		t.Errorf("addresses %q, %v", got, err)
	}
	n.refuse = true
	if err := client.Update(t.Context(), one, both); store.KindOf(err) != store.FailedToUpdateDHCPOptOnPort {
		t.Errorf("refused: %v", err)
	}
}
