package neutron

import (
	"testing"

	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
	"github.com/ironmaster/ironmaster/store"
)

// smart is a port of a Smart NIC, whose agent runs on the card.
func smart(p *store.Port) {
	yes := true
	p.IsSmartNIC, p.LocalLinkConnection = &yes, store.Dict{"port_id": "rep0-0", "hostname": "card"}
}

func (b *bench) agent(name string, alive bool) {
	b.Add("agents", neutrontest.Object{"id": name, "host": "card", "alive": alive, "agent_type": "Open vSwitch agent"})
}

// A Smart NIC is bound to the agent on it, which has to be alive; so is one of a tenant, and it has to be there to be unbound.
func TestSmartNICsAreBoundToTheirAgents(t *testing.T) {
	b := newBench(t, wired("p1", smart, holding("vif")))
	b.tenantPort("vif")
	b.agent("one", false)
	cfg := config()
	n := b.separate(cfg)
	dead := "Agent on host card failed to reach state up"
	refused(t, n.AddCleaningNetwork(t.Context(), b.task), store.NetworkError, dead)
	refused(t, n.ConfigureTenantNetworks(t.Context(), b.task), store.NetworkError, dead)
	refused(t, n.UnconfigureTenantNetworks(t.Context(), b.task), store.NetworkError, dead)
	if changes := b.Changes(); len(changes) > 0 {
		t.Errorf("with a dead agent Neutron was told %q", changes)
	}

	b.agent("two", true)
	if err := n.AddCleaningNetwork(t.Context(), b.task); err != nil {
		t.Fatal(err)
	}
	if err := n.ConfigureTenantNetworks(t.Context(), b.task); err != nil {
		t.Fatal(err)
	}
	all := b.Server.Ports()
	if len(all) != 2 {
		t.Fatalf("%d ports: %v", len(all), all)
	}
	for _, p := range all {
		if p["binding:host_id"] != "card" || p["binding:vnic_type"] != "smart-nic" {
			t.Errorf("port %v", p)
		}
	}
	if err := n.UnconfigureTenantNetworks(t.Context(), b.task); err != nil || b.Server.Port("vif")["binding:host_id"] != "" {
		t.Errorf("unbound: %v, %v", b.Server.Port("vif"), err)
	}
}

// Without the name of the card's host any agent would do.
func TestSmartNICsHaveHosts(t *testing.T) {
	b := newBench(t, wired("p1", smart, holding("vif"), func(p *store.Port) { p.LocalLinkConnection = store.Dict{"port_id": "rep0-0"} }))
	b.tenantPort("vif")
	b.agent("one", true)
	n := b.separate(config())
	nameless := "A Smart NIC's port has no hostname in its local_link_connection"
	refused(t, n.ConfigureTenantNetworks(t.Context(), b.task), store.NetworkError, nameless)
	refused(t, n.UnconfigureTenantNetworks(t.Context(), b.task), store.NetworkError, nameless)
	if changes := b.Changes(); len(changes) > 0 {
		t.Errorf("Neutron was told %q", changes)
	}
}

// A port of a Smart NIC that does not become active is a failure on every release.
func TestSmartNICsHaveToBecomeActive(t *testing.T) {
	b := newBench(t, wired("p1", smart, holding("vif")))
	b.agent("one", true)
	b.tenantPort("vif")
	b.Refuse(func(_, _ string, body neutrontest.Object) int {
		// The binding is lost on the way, so that nothing comes of it.
		delete(body, "binding:host_id")
		return 0
	})
	refused(t, b.separate(config()).ConfigureTenantNetworks(t.Context(), b.task), store.NetworkError, "Port vif failed to reach status ACTIVE")
}

func TestPowerForSmartNICs(t *testing.T) {
	for name, c := range map[string]struct {
		ports []*store.Port
		needs bool
	}{
		"none":  {nil, false},
		"plain": {[]*store.Port{wired("p1")}, false},
		"smart": {[]*store.Port{wired("p1"), wired("p2", smart)}, true},
	} {
		b := newBench(t, c.ports...)
		b.agent("one", false)
		n := b.separate(config())
		if needs, err := n.NeedsPower(t.Context(), b.task); err != nil || needs != c.needs {
			t.Errorf("%s: needs power: %v, %v", name, needs, err)
		}
		if err := n.AwaitRestart(t.Context(), b.task); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		b.agent("two", true)
		if err := n.AwaitRestart(t.Context(), b.task); c.needs {
			refused(t, err, store.NetworkError, "Agent on host card failed to reach state down")
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := n.Settle(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
