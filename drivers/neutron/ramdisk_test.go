package neutron

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
	"github.com/ironmaster/ironmaster/store"
)

func TestARamdiskIsConnectedAndDisconnected(t *testing.T) {
	type hook func(context.Context, *drivers.Task) error
	for _, c := range []struct {
		use         use
		add, remove func(*Separate) hook
	}{
		{cleaning, func(n *Separate) hook { return n.AddCleaningNetwork }, func(n *Separate) hook { return n.RemoveCleaningNetwork }},
		{provisioning, func(n *Separate) hook { return n.AddProvisioningNetwork }, func(n *Separate) hook { return n.RemoveProvisioningNetwork }},
		{rescuing, func(n *Separate) hook { return n.AddRescuingNetwork }, func(n *Separate) hook { return n.RemoveRescuingNetwork }},
		{inspection, func(n *Separate) hook { return n.AddInspectionNetwork }, func(n *Separate) hook { return n.RemoveInspectionNetwork }},
		{servicing, func(n *Separate) hook { return n.AddServicingNetwork }, func(n *Separate) hook { return n.RemoveServicingNetwork }},
	} {
		t.Run(string(c.use), func(t *testing.T) {
			b := newBench(t, wired("p1"), wired("p2", withoutPXE))
			n := b.separate(config())
			for range 2 { // The second time as after a restart: what was made before goes.
				if err := c.add(n)(t.Context(), b.task); err != nil {
					t.Fatal(err)
				}
			}
			all := b.Server.Ports()
			if len(all) != 1 {
				t.Fatalf("ports: %v", all)
			}
			p := all[0]
			for key, want := range map[string]string{"network_id": string(c.use) + "-net", "mac_address": "52:54:00:00:00:01",
				"binding:host_id": "node", "device_id": "node", "device_owner": "baremetal:none", "binding:vnic_type": "baremetal",
				"binding:profile": "map[local_link_information:[map[port_id:ethp1 switch_id:aa:bb]]]"} {
				if got := fmt.Sprint(p[key]); got != want {
					t.Errorf("%s is %s, want %s", key, got, want)
				}
			}
			if got := b.ports[0].InternalInfo.String(c.use.vifKey()); got != p["id"] || len(b.ports[1].InternalInfo) != 0 {
				t.Errorf("the rows hold %q, %v", got, b.ports[1].InternalInfo)
			}
			if vif := n.CurrentVIF(b.ports[0].InternalInfo); vif != p["id"] {
				t.Errorf("current: %q", vif)
			}
			for range 2 {
				if err := c.remove(n)(t.Context(), b.task); err != nil {
					t.Fatal(err)
				}
			}
			if left := b.Server.Ports(); len(left) != 0 || len(b.ports[0].InternalInfo) != 0 {
				t.Errorf("left: %v, %v", left, b.ports[0].InternalInfo)
			}
		})
	}
}

// Wherever a worker is killed, the next one leaves the ports that there have to be, and no others.
func TestNoPortIsLeftBehindByACrash(t *testing.T) {
	killed := 0
	for cut := 1; ; cut++ {
		b := newBench(t, wired("p1"), wired("p2"))
		n := b.separate(config())
		ctx, cancel := context.WithCancel(t.Context())
		asked := 0
		b.Refuse(func(string, string, neutrontest.Object) int {
			if asked++; asked == cut {
				cancel()
				return -1
			}
			return 0
		})
		first := n.AddCleaningNetwork(ctx, b.task)
		cancel()
		b.Refuse(nil)
		if first != nil {
			killed++
		}
		if err := n.AddCleaningNetwork(t.Context(), b.task); err != nil {
			t.Fatalf("cut off at request %d: %v", cut, err)
		}
		var macs []string
		for _, p := range b.Server.Ports() {
			macs = append(macs, p["mac_address"].(string))
		}
		if slices.Sort(macs); !slices.Equal(macs, []string{"52:54:00:00:00:01", "52:54:00:00:00:02"}) {
			t.Errorf("cut off at request %d: ports of %v", cut, macs)
		}
		if err := n.RemoveCleaningNetwork(t.Context(), b.task); err != nil || len(b.Server.Ports()) != 0 {
			t.Errorf("cut off at request %d: %v, left %v", cut, err, b.Server.Ports())
		}
		if first == nil {
			break
		}
	}
	if killed < 8 {
		t.Errorf("only %d places were tried", killed)
	}
}

func TestATenantsPortIsNoRemainder(t *testing.T) {
	b := newBench(t, wired("p1", holding("attached")))
	b.task.Node.InstanceUUID = "instance"
	for id, change := range map[string]neutrontest.Object{"attached": {"device_owner": ""}, "owned": {},
		"normal": {"device_owner": "", "binding:vnic_type": "normal"}} {
		b.tenantPort(id)
		p := b.Server.Port(id)
		p["network_id"], p["binding:vnic_type"] = "cleaning-net", "baremetal"
		for key, value := range change {
			p[key] = value
		}
		b.Add("ports", p)
	}
	if err := b.separate(config()).RemoveCleaningNetwork(t.Context(), b.task); err != nil {
		t.Fatal(err)
	}
	if left := b.Server.Ports(); len(left) != 3 {
		t.Errorf("left: %v", left)
	}
}

func TestWhatARamdisksPortHolds(t *testing.T) {
	for name, c := range map[string]struct {
		port   *store.Port
		config func(*Config)
		want   string
	}{
		"an instance":      {port: wired("p1"), want: `"device_id":"instance"`},
		"security groups":  {port: wired("p1"), config: func(c *Config) { c.Cleaning.SecurityGroups = []string{"sg"} }, want: `"security_groups":["sg"]`},
		"a client-id":      {port: wired("p1", func(p *store.Port) { p.Extra["client-id"] = "ff:00" }), want: `"extra_dhcp_opts":[{"opt_name":"61","opt_value":"ff:00"}]`},
		"InfiniBand":       {port: wired("p1", func(p *store.Port) { p.Extra["client-id"] = "ff:00"; p.LocalLinkConnection = nil }), want: `"local_link_information":[{}]`},
		"all ports":        {port: wired("p1", withoutPXE), config: func(c *Config) { c.AddAllPorts = true }, want: `"fixed_ips":[]`},
		"virtual media":    {port: wired("p1", withoutPXE), config: func(c *Config) { c.AllPortsUnlessPXE = true }, want: `"fixed_ips":[]`},
		"physical network": {port: wired("p1", on("physnet1")), config: func(c *Config) { c.TellsPhysicalNet = true }, want: `"physical_network":"physnet1"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.port)
			b.Add("security-groups", neutrontest.Object{"id": "sg"})
			b.task.Node.InstanceUUID = "instance"
			cfg := config()
			if c.config != nil {
				c.config(&cfg)
			}
			if err := b.separate(cfg).AddCleaningNetwork(t.Context(), b.task); err != nil {
				t.Fatal(err)
			}
			if asked := strings.Join(b.Changes(), "\n"); !strings.Contains(asked, c.want) {
				t.Errorf("asked\n%s\nwithout %s", asked, c.want)
			}
		})
	}
}

func TestStatefulDHCPv6ReservesAddresses(t *testing.T) {
	b := newBench(t, wired("p1"))
	b.Add("subnets", neutrontest.Object{"id": "six", "ipv6_address_mode": "dhcpv6-stateful"})
	cfg := config()
	cfg.StatefulAddresses = 3
	b.Refuse(func(method, path string, body neutrontest.Object) int {
		if method == "POST" {
			body["fixed_ips"] = []any{neutrontest.Object{"subnet_id": "six", "ip_address": "fd00::7"}}
		}
		return 0
	})
	if err := b.separate(cfg).AddCleaningNetwork(t.Context(), b.task); err != nil {
		t.Fatal(err)
	}
	want := `{"fixed_ips":[{"ip_address":"fd00::7","subnet_id":"six"},{"subnet_id":"six"},{"subnet_id":"six"}]}`
	if asked := b.Changes(); !strings.HasSuffix(asked[len(asked)-1], want) {
		t.Errorf("asked %s, want %s", asked[len(asked)-1], want)
	}
}

func TestFailuresToConnectARamdisk(t *testing.T) {
	code := func(want string, code int) func(string, string, neutrontest.Object) int {
		return func(method, path string, _ neutrontest.Object) int {
			if strings.HasPrefix(method+" "+path, want) {
				return code
			}
			return 0
		}
	}
	for name, c := range map[string]struct {
		ports  []*store.Port
		config func(*Config)
		refuse func(string, string, neutrontest.Object) int
		kind   store.Kind
		text   string
	}{
		"no network": {config: func(c *Config) { c.Cleaning.Network = "" }, kind: store.MissingParameterValue,
			text: "UUID or name of cleaning network is not set in configuration"},
		"no network, as later told": {config: func(c *Config) { c.Cleaning.Network, c.NamesOptions = "", true }, kind: store.MissingParameterValue,
			text: "UUID or name of cleaning_network is not set in configuration or in node driver_info."},
		"unknown network": {config: func(c *Config) { c.Cleaning.Network = "nowhere/at all" }, kind: store.InvalidParameterValue,
			text: "cleaning network with name or UUID nowhere/at all was not found"},
		"two networks": {config: func(c *Config) { c.Cleaning.Network = "twin" }, kind: store.InvalidParameterValue,
			text: "More than one cleaning network was found for name twin: twin-1, twin-2"},
		"networks refused": {refuse: code("GET /networks", 500), kind: store.NetworkError,
			text: "Could not retrieve network: HttpException: 500: Server Error for url: "},
		"listing refused": {refuse: code("GET /ports", 403), kind: store.NetworkError,
			text: "Failed to create neutron ports for node's node ports ['p1']."},
		"creating refused": {refuse: code("POST /ports", 409), kind: store.NetworkError,
			text: "Failed to create neutron ports for node's node ports ['p1']."},
		"binding refused": {refuse: code("PUT /ports", 403), kind: store.NetworkError,
			text: "Failed to create neutron ports for node's node ports ['p1']."},
		"no ports": {ports: []*store.Port{}, kind: store.NetworkError, text: "No available PXE-enabled ports on node node."},
		"no ports, as later told": {ports: []*store.Port{}, config: func(c *Config) { c.BlankTwice = true }, kind: store.NetworkError,
			text: "No available PXE-enabled  ports on node node."},
		"no link":                    {ports: []*store.Port{wired("p1", func(p *store.Port) { p.LocalLinkConnection = nil })}, kind: store.NetworkError, text: "['p1']"},
		"a Smart NIC without a host": {ports: []*store.Port{wired("p1", func(p *store.Port) { yes := true; p.IsSmartNIC = &yes })}, kind: store.NetworkError, text: "['p1']"},
		"no Smart NIC":               {ports: []*store.Port{wired("p1", func(p *store.Port) { p.LocalLinkConnection["hostname"] = "h" })}, kind: store.NetworkError, text: "['p1']"},
		"groups missing":             {config: func(c *Config) { c.Cleaning.SecurityGroups = []string{"sg", "gone"} }, kind: store.NetworkError, text: "Could not find these security groups (specified via ironic config) in neutron: ['gone']"},
		"groups refused": {config: func(c *Config) { c.Cleaning.SecurityGroups = []string{"sg"} }, refuse: code("GET /security-groups", 503), kind: store.NetworkError,
			text: "Could not retrieve security groups from neutron: HttpException: 503"},
		"binding fails": {config: func(c *Config) { c.ChecksBinding = true }, refuse: func(method, path string, body neutrontest.Object) int {
			if method == "PUT" {
				body["binding:vif_type"], body["status"] = "binding_failed", "DOWN"
				delete(body, "binding:host_id")
			}
			return 0
		}, kind: store.NetworkError, text: "Failed to create neutron ports"},
		"never active": {config: func(c *Config) { c.ChecksBinding = true }, refuse: func(method, path string, body neutrontest.Object) int {
			delete(body, "binding:host_id")
			return 0
		}, kind: store.NetworkError, text: "Port made-001 failed to reach status ACTIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, wired("p1"))
			if c.ports != nil {
				b.ports = c.ports
			}
			b.Add("security-groups", neutrontest.Object{"id": "sg"})
			for _, id := range []string{"twin-1", "twin-2"} {
				b.Add("networks", neutrontest.Object{"id": id, "name": "twin"})
			}
			cfg := config()
			if c.config != nil {
				c.config(&cfg)
			}
			b.Refuse(c.refuse)
			refused(t, b.separate(cfg).AddCleaningNetwork(t.Context(), b.task), c.kind, c.text)
			if left := b.Server.Ports(); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestOnePortThatCanBeConnectedIsEnough(t *testing.T) {
	b := newBench(t, wired("p1"), wired("p2", func(p *store.Port) { p.LocalLinkConnection = nil }))
	if err := b.separate(config()).AddProvisioningNetwork(t.Context(), b.task); err != nil || len(b.Server.Ports()) != 1 {
		t.Errorf("%v, ports %v", err, b.Server.Ports())
	}
	b.Refuse(func(method, _ string, _ neutrontest.Object) int {
		if method == "DELETE" {
			return 409
		}
		return 0
	})
	refused(t, b.separate(config()).RemoveProvisioningNetwork(t.Context(), b.task), store.NetworkError,
		"Could not remove VIF made-001 of node node, possibly a network issue: ConflictException: 409: Client Error for url: "+
			b.URL+"/v2.0/ports/made-001, not today")
}

func TestTheNodesOwnNetworkGoesBefore(t *testing.T) {
	b := newBench(t, wired("p1"))
	b.task.Node.DriverInfo = store.Dict{"cleaning_network": "tenant-net"}
	if err := b.separate(config()).AddCleaningNetwork(t.Context(), b.task); err != nil || b.Server.Ports()[0]["network_id"] != "tenant-net" {
		t.Errorf("%v, ports %v", err, b.Server.Ports())
	}
}
