package neutron

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
	"github.com/ironmaster/ironmaster/store"
)

func TestTenantsNetworksArePluggedAndUnplugged(t *testing.T) {
	mode, name := "802.3ad", "bond"
	b := newBench(t, wired("p1", holding("single"), func(p *store.Port) { p.Extra["client-id"] = "ff:00" }), wired("p2", in(7)),
		wired("p3", in(7)), wired("p4"))
	b.groups = []*store.Portgroup{group(7, "g7", func(g *store.Portgroup) {
		g.Name, g.Mode, g.Properties = &name, &mode, store.Dict{"miimon": "100", "bond_xmit_hash_policy": "layer2"}
		g.InternalInfo[tenantKey] = "bonded"
	})}
	b.tenantPort("single")
	b.tenantPort("bonded")
	n := b.separate(config())
	for range 2 { // The second time as after a restart.
		if err := n.ConfigureTenantNetworks(t.Context(), b.task); err != nil {
			t.Fatal(err)
		}
	}
	single, bonded := b.Server.Port("single"), b.Server.Port("bonded")
	for what, c := range map[string]struct{ got, want any }{
		"host":              {single["binding:host_id"], "node"},
		"type":              {single["binding:vnic_type"], "baremetal"},
		"MAC":               {single["mac_address"], "52:54:00:00:00:01"},
		"profile":           {single["binding:profile"], "map[local_link_information:[map[port_id:ethp1 switch_id:aa:bb]]]"},
		"options":           {single["extra_dhcp_opts"], "[map[opt_name:61 opt_value:ff:00]]"},
		"MAC of a group":    {bonded["mac_address"], "fa:16:3e:aa:aa:aa"},
		"links of a group":  {bonded["binding:profile"].(map[string]any)["local_link_information"], "[map[port_id:ethp2 switch_id:aa:bb] map[port_id:ethp3 switch_id:aa:bb]]"},
		"the group":         {bonded["binding:profile"].(map[string]any)["local_group_information"], "map[bond_mode:802.3ad bond_properties:map[bond_miimon:100 bond_xmit_hash_policy:layer2] id:g7 name:bond]"},
		"current interface": {n.CurrentVIF(b.ports[0].InternalInfo), "single"},
	} {
		if fmt.Sprint(c.got) != c.want {
			t.Errorf("%s: %v, want %v", what, c.got, c.want)
		}
	}
	for range 2 {
		if err := n.UnconfigureTenantNetworks(t.Context(), b.task); err != nil {
			t.Fatal(err)
		}
	}
	single, bonded = b.Server.Port("single"), b.Server.Port("bonded")
	if single["binding:host_id"] != "" || bonded["binding:host_id"] != "" || single["mac_address"] == "52:54:00:00:00:01" ||
		bonded["mac_address"] != "fa:16:3e:aa:aa:aa" {
		t.Errorf("unplugged: %v, %v", single, bonded)
	}
}

func TestFailuresToPlug(t *testing.T) {
	b := newBench(t)
	n := b.separate(config())
	refused(t, n.ConfigureTenantNetworks(t.Context(), b.task), store.NetworkError, "No ports are associated with node node")
	b.ports = []*store.Port{wired("p1")}
	refused(t, n.ConfigureTenantNetworks(t.Context(), b.task), store.NetworkError,
		"No neutron ports or portgroups are associated with node node")
	b.ports = []*store.Port{wired("p1", holding("gone"))}
	refused(t, n.ConfigureTenantNetworks(t.Context(), b.task), store.NetworkError,
		"Could not add public network VIF gone to node node, possible network issue. ResourceNotFound: 404: Client Error for url: "+
			b.URL+"/v2.0/ports/gone, Port gone could not be found.")
	if err := n.UnconfigureTenantNetworks(t.Context(), b.task); err != nil {
		t.Errorf("a port that is gone can't be unbound: %v", err)
	}
	b.Refuse(func(string, string, neutrontest.Object) int { return 500 })
	refused(t, n.UnconfigureTenantNetworks(t.Context(), b.task), store.NetworkError,
		"Unable to clear binding profile for neutron port gone. Error: HttpException: 500")
}

func TestFlatBindsTenantsOnly(t *testing.T) {
	b := newBench(t, wired("p1", holding("vif")), wired("p2"))
	b.task.Node.NetworkInterface = "flat"
	b.tenantPort("vif")
	f := NewFlat(config(), b.client)
	for name, c := range map[string]struct{ bind, unbind func() error }{
		"provisioning": {func() error { return f.AddProvisioningNetwork(t.Context(), b.task) }, func() error { return f.RemoveProvisioningNetwork(t.Context(), b.task) }},
		"tenant":       {func() error { return f.ConfigureTenantNetworks(t.Context(), b.task) }, func() error { return f.UnconfigureTenantNetworks(t.Context(), b.task) }},
		"rescuing":     {func() error { return f.AddRescuingNetwork(t.Context(), b.task) }, func() error { return f.RemoveRescuingNetwork(t.Context(), b.task) }},
		"servicing":    {func() error { return f.AddServicingNetwork(t.Context(), b.task) }, func() error { return f.RemoveServicingNetwork(t.Context(), b.task) }},
	} {
		if err := c.bind(); err != nil || b.Server.Port("vif")["binding:host_id"] != "node" {
			t.Errorf("%s: %v, %v", name, err, b.Server.Port("vif"))
		}
		if err := c.unbind(); err != nil || b.Server.Port("vif")["binding:host_id"] != "" || len(b.Server.Ports()) != 1 {
			t.Errorf("%s: %v, %v", name, err, b.Server.Ports())
		}
	}
	for name, c := range map[string]struct{ add, remove func() error }{
		"cleaning":   {func() error { return f.AddCleaningNetwork(t.Context(), b.task) }, func() error { return f.RemoveCleaningNetwork(t.Context(), b.task) }},
		"inspection": {func() error { return f.AddInspectionNetwork(t.Context(), b.task) }, func() error { return f.RemoveInspectionNetwork(t.Context(), b.task) }},
	} {
		if err := c.add(); err != nil || len(b.Server.Ports()) != 3 {
			t.Errorf("%s: %v, %v", name, err, b.Server.Ports())
		}
		if err := c.remove(); err != nil || len(b.Server.Ports()) != 1 {
			t.Errorf("%s: %v, %v", name, err, b.Server.Ports())
		}
	}
}

func TestFlatFailures(t *testing.T) {
	b := newBench(t, wired("p1"))
	cfg := config()
	f := NewFlat(cfg, b.client)
	if err := f.ConfigureTenantNetworks(t.Context(), b.task); err != nil {
		t.Errorf("21.4 binds nothing where nothing is attached: %v", err)
	}
	cfg.FlatMustBind = true
	refused(t, NewFlat(cfg, b.client).ConfigureTenantNetworks(t.Context(), b.task), store.NetworkError,
		"Failed to bind any flat network ports for node node")
	b.ports = []*store.Port{wired("p1", holding("gone"))}
	refused(t, f.AddProvisioningNetwork(t.Context(), b.task), store.NetworkError,
		"Unable to set binding:host_id for neutron port gone. Error: ResourceNotFound: 404")
}

func TestValidation(t *testing.T) {
	b := newBench(t)
	without := func(change func(*Config)) Config {
		c := config()
		change(&c)
		return c
	}
	noCleaning := without(func(c *Config) { c.Cleaning.Network = "" })
	noProvisioning := without(func(c *Config) { c.Provisioning.Network = "" })
	later := without(func(c *Config) { c.Cleaning.Network, c.ChecksAsAdmin, c.ChecksPowerOff = "", true, true })
	for name, c := range map[string]struct {
		err  error
		kind store.Kind
		text string
	}{
		"flat":                           {err: NewFlat(noProvisioning, b.client).Validate(t.Context(), b.task)},
		"flat without cleaning":          {NewFlat(noCleaning, b.client).Validate(t.Context(), b.task), store.MissingParameterValue, "cleaning network"},
		"neutron":                        {err: b.separate(config()).Validate(t.Context(), b.task)},
		"neutron without provisioning":   {b.separate(noProvisioning).Validate(t.Context(), b.task), store.MissingParameterValue, "provisioning network"},
		"neutron for others than admins": {err: b.separate(later).Validate(t.Context(), b.task)},
		"rescue":                         {b.separate(without(func(c *Config) { c.Rescuing.Network = "" })).ValidateRescue(t.Context(), b.task), store.MissingParameterValue, "rescuing network"},
		"rescue on flat":                 {err: NewFlat(Config{}, b.client).ValidateRescue(t.Context(), b.task)},
		"inspection":                     {err: b.separate(config()).ValidateInspection(t.Context(), b.task)},
		"unmanaged inspection": {b.separate(Config{}).ValidateInspection(t.Context(), b.task), store.UnsupportedDriverExtension,
			"Driver redfish does not support inspection (disabled or not implemented)."},
		"unmanaged inspection, explained": {b.separate(without(func(c *Config) { c.Inspection.Network, c.ExplainsInspection, c.NamesOptions = "", true, true })).ValidateInspection(t.Context(), b.task), store.UnsupportedDriverExtension,
			"Insufficient information provided for managed inspection: UUID or name of inspection_network is not set in configuration or in node driver_info."},
	} {
		if c.kind == "" && c.err != nil {
			t.Errorf("%s: %v", name, c.err)
		} else if c.kind != "" {
			refused(t, c.err, c.kind, c.text)
		}
	}
	b.task.Admin = true
	refused(t, b.separate(later).Validate(t.Context(), b.task), store.MissingParameterValue, "cleaning network")
	b.task.Admin = false
	yes := true
	b.task.Node.DisablePowerOff = &yes
	refused(t, b.separate(later).Validate(t.Context(), b.task), store.InvalidParameterValue,
		"Nodes with disable_power_off cannot be used with the neutron network interface (disallowed in the configuration)")
}

// What a user may not see, the worker does not change on the user's behalf.
func TestAUserMustSeeThePort(t *testing.T) {
	b := newBench(t, wired("p1"))
	b.tenantPort("vif")
	b.Refuse(func(method, path string, _ neutrontest.Object) int {
		if strings.HasPrefix(path, "/ports/") && method == "GET" {
			return 404
		}
		return 0
	})
	if err := b.client.Update(t.Context(), b.task, "vif", Attributes{"name": "mine"}); !missing(err) || b.Server.Port("vif")["name"] != "" {
		t.Errorf("%v, %v", err, b.Server.Port("vif"))
	}
}
