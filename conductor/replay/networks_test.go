package replay

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
)

// Neutron ports of tenants, before each case.
const (
	freeVIF  = "11111111-1111-4111-8111-111111111111"
	boundVIF = "22222222-2222-4222-8222-222222222222"
)

// networks asks a conductor with the network interfaces flat and neutron, in front of a Neutron that notes what is asked of it.
func (w *world) networks(t *testing.T) {
	if err := w.db.empty(); err != nil {
		t.Fatal(err)
	}
	w.restart(t, w.withNeutron())
	w.replayFurther(t, "cases with Neutron", func(s setup) bool { return s.Neutron })
	w.restart(t, nil)
}

func (w *world) withNeutron() options {
	return options{
		"DEFAULT": {"enabled_network_interfaces": "flat,neutron,noop", "default_network_interface": "noop"},
		"neutron": {"auth_type": "none", "endpoint_override": w.neutron.URL, "cleaning_network": "cleaning",
			"provisioning_network": "provisioning", "fail_on_port_binding_failure": "false", "dhcpv6_stateful_address_count": "1"},
	}
}

// networkTraits asks a conductor that chooses ports by the rules of testdata/network-traits.yaml. Releases before 34.0 know nothing
// of them, and choose as ever.
func (w *world) networkTraits(t *testing.T) {
	if err := w.db.empty(); err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(filepath.Join("testdata", "network-traits.yaml"))
	file := filepath.Join(w.lab.Dir, "network-traits.yaml")
	if err == nil {
		err = os.WriteFile(file, rules, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.restart(t, lay(w.withNeutron(), options{"conductor": {"enable_trait_based_networking": "true",
		"trait_based_networking_config_file": file}}))
	w.replayFurther(t, "cases with traits of networks", func(s setup) bool { return s.NetworkTraits })
	w.restart(t, nil)
}

// wire makes the networks anew.
func (w *world) wire() {
	w.neutron.Reset()
	for _, n := range []neutrontest.Object{{"id": "c1ea0000-0000-4000-8000-000000000000", "name": "cleaning"},
		{"id": "920f0000-0000-4000-8000-000000000000", "name": "provisioning"},
		{"id": "7e000000-0000-4000-8000-000000000000", "name": "tenant", "provider:physical_network": "physnet1"},
		{"id": "7e000000-0000-4000-8000-000000000001", "name": "twin"}, {"id": "7e000000-0000-4000-8000-000000000002", "name": "twin"}} {
		w.neutron.Add("networks", n)
	}
	w.neutron.Add("subnets", neutrontest.Object{"id": "subnet", "cidr": "10.0.0.0/24", "ip_version": 4})
	for id, host := range map[string]string{freeVIF: "", boundVIF: "elsewhere"} {
		w.neutron.Add("ports", neutrontest.Object{"id": id, "name": "", "network_id": "7e000000-0000-4000-8000-000000000000",
			"mac_address": "fa:16:3e:00:00:01", "binding:host_id": host, "binding:profile": neutrontest.Object{"of": host},
			"binding:vnic_type": "normal", "device_owner": "", "device_id": "", "status": "DOWN",
			"fixed_ips": []any{neutrontest.Object{"subnet_id": "subnet", "ip_address": "10.0.0.9"}}})
	}
}

// compareNeutron tells what else Neutron was asked to change.
func (w *world) compareNeutron(want recording) []mismatch {
	if got := w.neutron.Changes(); !slices.Equal(got, want.Neutron) {
		return []mismatch{{"neutron", anyList(want.Neutron), anyList(got)}}
	}
	return nil
}
