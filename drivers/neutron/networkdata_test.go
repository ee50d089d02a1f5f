package neutron

import (
	"encoding/json"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
	"github.com/ironmaster/ironmaster/store"
)

func TestNetworkData(t *testing.T) {
	b := newBench(t, wired("p1", holding("vif")), wired("p2"))
	b.tenantPort("vif")
	b.Add("networks", neutrontest.Object{"id": "tenant-net", "mtu": 1450})
	b.Add("subnets", neutrontest.Object{"id": "subnet", "cidr": "10.0.0.0/22", "ip_version": 4, "gateway_ip": "10.0.0.1",
		"host_routes":     []any{neutrontest.Object{"destination": "10.9.0.0/16", "nexthop": "10.0.0.2"}},
		"dns_nameservers": []any{"10.0.0.3"}})
	cfg := config()
	cfg.NameServers = true
	n := b.separate(cfg)
	data, err := n.NetworkData(t.Context(), b.task)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(data)
	want := `{"links":[{"ethernet_mac_address":"fa:16:3e:aa:aa:aa","id":"p1","mtu":1450,"type":"vif","vif_id":"vif"}],` +
		`"networks":[{"id":"subnet","ip_address":"10.0.0.9","link":"p1","netmask":"255.255.252.0","network_id":"tenant-net","routes":[` +
		`{"gateway":"10.0.0.1","netmask":"0.0.0.0","network":"0.0.0.0"},{"gateway":"10.0.0.2","netmask":"255.255.0.0","network":"10.9.0.0"}],` +
		`"type":"ipv4"}],"services":[{"address":"10.0.0.3","type":"dns"}]}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	b.task.Node.NetworkData = store.Dict{"own": true}
	if data, err := n.NetworkData(t.Context(), b.task); err != nil || !data.Bool("own", false) {
		t.Errorf("the operator's: %v, %v", data, err)
	}
	b.task.Node.NetworkData = nil
	b.Refuse(func(_, path string, _ neutrontest.Object) int {
		if path == "/networks/tenant-net" {
			return 500
		}
		return 0
	})
	_, err = n.NetworkData(t.Context(), b.task)
	refused(t, err, store.NetworkError, "Unable to get network info for tenant-net. Error: HttpException: 500")
}
