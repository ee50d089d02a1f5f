package dhcp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers/neutron"
	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// newNeutron starts a Neutron, and gives it ports with addresses.
func newNeutron(t *testing.T, addresses map[string]string) (*neutrontest.Server, *Neutron) {
	t.Helper()
	n := neutrontest.New(t)
	for id, address := range addresses {
		n.Add("ports", neutrontest.Object{"id": id, "fixed_ips": []any{neutrontest.Object{"subnet_id": "s", "ip_address": address}}})
	}
	client, err := neutron.NewClient(neutron.ClientConfig{ServiceConfig: keystone.ServiceConfig{
		Config: keystone.Config{Group: "neutron", AuthType: keystone.AuthNone}, ServiceType: "network", EndpointOverride: n.URL,
	}, RequestTimeout: time.Minute, Retries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return n, NewNeutron(client, 0)
}

func connected(id string) *store.Port {
	return &store.Port{UUID: "port-" + id, InternalInfo: store.Dict{"provisioning_vif_port_id": id}}
}

var both = []Option{{"67", "pxelinux.0", 4}, {"66", "192.0.2.1", 4}, {"59", "tftp://[fd00::1]/x.efi", 6}}

func TestNeutronPortsGetTheOptionsOfTheirAddresses(t *testing.T) {
	n, client := newNeutron(t, map[string]string{"four": "10.0.0.7", "six": "fd00::7"})
	hangUp := true
	n.Refuse(func(string, string, neutrontest.Object) int {
		if hangUp {
			hangUp = false
			return -1
		}
		return 0
	})
	task, w := newTask(connected("four"), &store.Port{UUID: "unconnected"})
	w.groups = []*store.Portgroup{{UUID: "group", InternalInfo: store.Dict{"provisioning_vif_port_id": "six"}}}
	if err := client.Update(t.Context(), task, both); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"four": "[map[ip_version:4 opt_name:67 opt_value:pxelinux.0] map[ip_version:4 opt_name:66 opt_value:192.0.2.1]]",
		"six":  "[map[ip_version:6 opt_name:59 opt_value:tftp://[fd00::1]/x.efi]]",
	} {
		if got := fmt.Sprint(n.Port(id)["extra_dhcp_opts"]); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if got, err := client.Addresses(t.Context(), task); err != nil || !slices.Equal(got, []string{"10.0.0.7", "fd00::7"}) {
		t.Errorf("addresses %q, %v", got, err)
	}
}

func TestAClientIDIsSetAndTakenBack(t *testing.T) {
	n, client := newNeutron(t, map[string]string{"four": "10.0.0.7"})
	task, _ := newTask()
	for id, want := range map[string]string{"ff:00": "[map[ip_version:4 opt_name:61 opt_value:ff:00]]",
		"": "[map[ip_version:4 opt_name:61 opt_value:<nil>]]"} {
		if err := client.SetClientID(t.Context(), task, "four", id); err != nil || fmt.Sprint(n.Port("four")["extra_dhcp_opts"]) != want {
			t.Errorf("%q: %v, %v", id, err, n.Port("four"))
		}
	}
	err := client.SetClientID(t.Context(), task, "gone", "ff:00")
	if store.KindOf(err) != store.FailedToUpdateDHCPOptOnPort || err.Error() != "Update DHCP options on port: gone failed." {
		t.Errorf("gone: %v", err)
	}
}

func TestNeutronsRefusalsHaveIronicsTexts(t *testing.T) {
	n, client := newNeutron(t, map[string]string{"good": "10.0.0.7"})
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
	n.Refuse(func(method, _ string, _ neutrontest.Object) int {
		if method == "PUT" {
			return 403
		}
		return 0
	})
	if err := client.Update(t.Context(), one, both); store.KindOf(err) != store.FailedToUpdateDHCPOptOnPort {
		t.Errorf("refused: %v", err)
	}
}
