package neutron

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
	"github.com/ironmaster/ironmaster/store"
)

func group(id int64, name string, change ...func(*store.Portgroup)) *store.Portgroup {
	g := &store.Portgroup{ID: id, UUID: name, InternalInfo: store.Dict{}, Extra: store.Dict{}}
	for _, c := range change {
		c(g)
	}
	return g
}

func TestAVirtualInterfaceGetsTheBestFreePort(t *testing.T) {
	held := func(g *store.Portgroup) { g.InternalInfo[tenantKey] = "other" }
	for name, c := range map[string]struct {
		ports  []*store.Port
		groups []*store.Portgroup
		vif    drivers.VIF
		want   string
		kind   store.Kind
		text   string
	}{
		"the first":                 {ports: []*store.Port{wired("p1"), wired("p2")}, want: "p1"},
		"one that is PXE-enabled":   {ports: []*store.Port{wired("p1", withoutPXE), wired("p2")}, want: "p2"},
		"one of its network":        {ports: []*store.Port{wired("p1"), wired("p2", on("physnet1"), withoutPXE)}, want: "p2"},
		"not of another network":    {ports: []*store.Port{wired("p1", on("physnet9")), wired("p2", withoutPXE)}, want: "p2"},
		"a port group":              {ports: []*store.Port{wired("p1"), wired("p2", in(7))}, groups: []*store.Portgroup{group(7, "g7")}, want: "g7"},
		"not an empty group":        {ports: []*store.Port{wired("p1", withoutPXE)}, groups: []*store.Portgroup{group(7, "g7")}, want: "p1"},
		"not a group in use":        {ports: []*store.Port{wired("p1", withoutPXE), wired("p2", in(7))}, groups: []*store.Portgroup{group(7, "g7", held)}, want: "p1"},
		"the rest of a split group": {ports: []*store.Port{wired("p1", in(7), holding("other")), wired("p2", in(7))}, groups: []*store.Portgroup{group(7, "g7")}, want: "p2"},
		"a port by name":            {ports: []*store.Port{wired("p1"), wired("p2", withoutPXE)}, vif: drivers.VIF{Port: "p2"}, want: "p2"},
		"a group by name":           {ports: []*store.Port{wired("p1"), wired("p2", in(7)), wired("p3", in(8))}, groups: []*store.Portgroup{group(7, "g7"), group(8, "g8")}, vif: drivers.VIF{Portgroup: "g8"}, want: "g8"},
		"none free": {ports: []*store.Port{wired("p1", holding("other"))}, kind: store.NoFreePhysicalPorts,
			text: "Unable to attach VIF vif, not enough free physical ports."},
		"none wired": {ports: []*store.Port{wired("p1", func(p *store.Port) { p.LocalLinkConnection = nil })}, kind: store.NoFreePhysicalPorts},
		"a port in a group, by name": {ports: []*store.Port{wired("p1", in(7))}, groups: []*store.Portgroup{group(7, "g7")},
			vif: drivers.VIF{Port: "p1"}, kind: store.NoFreePhysicalPorts},
		"attached already": {ports: []*store.Port{wired("p1"), wired("p2", holding("vif"))}, kind: store.VifAlreadyAttached,
			text: "Unable to attach VIF because VIF vif is already attached to Ironic Port p2"},
		"attached to a group": {ports: []*store.Port{wired("p1")}, groups: []*store.Portgroup{group(7, "g7",
			func(g *store.Portgroup) { g.InternalInfo[tenantKey] = "vif" })}, kind: store.VifAlreadyAttached,
			text: "Unable to attach VIF because VIF vif is already attached to Ironic Portgroup g7"},
		"a group of two networks": {ports: []*store.Port{wired("p1", in(7), on("physnet1")), wired("p2", in(7))}, groups: []*store.Portgroup{group(7, "g7")},
			kind: store.PortgroupPhysnetInconsistent, text: "Port group g7 has member ports with inconsistent physical networks (None, physnet1). " +
				"All ports in a port group must have the same physical network."},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.ports...)
			b.groups = c.groups
			b.tenantPort("vif")
			b.Add("networks", neutrontest.Object{"id": "tenant-net", "provider:physical_network": "physnet1"})
			c.vif.ID = "vif"
			err := b.separate(config()).VIFAttach(t.Context(), b.task, c.vif)
			if c.kind != "" {
				refused(t, err, c.kind, c.text)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, x := range (wiring{b.ports, b.groups}).all() {
				if x.vif() == "vif" {
					got += x.uuid()
				}
			}
			if got != c.want {
				t.Errorf("attached to %q, want %s", got, c.want)
			}
		})
	}
}

func TestAttachingTellsNeutronTheAddress(t *testing.T) {
	b := newBench(t, wired("p1"))
	b.tenantPort("vif")
	n := b.separate(config())
	if err := n.VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}); err != nil {
		t.Fatal(err)
	}
	if p := b.Server.Port("vif"); p["mac_address"] != "52:54:00:00:00:01" || p["binding:host_id"] != "" {
		t.Errorf("port %v", p)
	}
	if ids, err := n.VIFList(t.Context(), b.task); err != nil || !slices.Equal(ids, []string{"vif"}) {
		t.Errorf("list %q, %v", ids, err)
	}
	if err := n.VIFDetach(t.Context(), b.task, "vif"); err != nil || len(b.ports[0].InternalInfo) != 0 {
		t.Errorf("detached: %v, %v", err, b.ports[0].InternalInfo)
	}
	if p := b.Server.Port("vif"); p["mac_address"] != "52:54:00:00:00:01" {
		t.Errorf("a node that is available unbinds nothing on 21.4: %v", p)
	}
	refused(t, n.VIFDetach(t.Context(), b.task, "vif"), store.VifNotAttached,
		"Unable to detach VIF vif from node node because it is not attached to it.")
}

func TestOnAnActiveNodeAVirtualInterfaceIsPluggedAtOnce(t *testing.T) {
	b := newBench(t, wired("p1"))
	b.task.Node.ProvisionState = store.Active
	b.tenantPort("vif")
	n := b.separate(config())
	if err := n.VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}); err != nil {
		t.Fatal(err)
	}
	if p := b.Server.Port("vif"); p["binding:host_id"] != "node" || p["binding:vnic_type"] != "baremetal" {
		t.Errorf("plugged: %v", p)
	}
	b.ports[0].Extra["vif_port_id"] = "vif"
	if err := n.VIFDetach(t.Context(), b.task, "vif"); err != nil || len(b.ports[0].Extra) != 0 {
		t.Errorf("detached: %v, extra %v", err, b.ports[0].Extra)
	}
	if p := b.Server.Port("vif"); p["binding:host_id"] != "" || !strings.HasPrefix(p["mac_address"].(string), "fa:16") {
		t.Errorf("unplugged: %v", p)
	}
}

func TestAPortThatIsBoundElsewhereIsNotTaken(t *testing.T) {
	b := newBench(t, wired("p1"))
	b.tenantPort("vif")
	p := b.Server.Port("vif")
	p["binding:host_id"] = "elsewhere"
	b.Add("ports", p)
	refused(t, b.separate(config()).VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}), store.NetworkError, "Unable to attach VIF vif")
	if now := b.Server.Port("vif"); now["binding:host_id"] != "elsewhere" || len(b.ports[0].InternalInfo) != 0 {
		t.Errorf("port %v, row %v", now, b.ports[0].InternalInfo)
	}
}

func TestNewerReleasesBindEarly(t *testing.T) {
	b := newBench(t, wired("p1", func(p *store.Port) { p.Address = "fa:16:3e:aa:aa:aa" }))
	b.tenantPort("vif")
	p := b.Server.Port("vif")
	p["binding:host_id"] = "elsewhere" // by a user who named the host, and the machine's own address
	b.Add("ports", p)
	cfg := config()
	cfg.BindsEarly, cfg.UnbindsAvailable = true, true
	n := b.separate(cfg)
	if err := n.VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}); err != nil {
		t.Fatal(err)
	}
	if p := b.Server.Port("vif"); p["binding:host_id"] != "node" {
		t.Errorf("bound: %v", p)
	}
	if err := n.VIFDetach(t.Context(), b.task, "vif"); err != nil || b.Server.Port("vif")["binding:host_id"] != "" {
		t.Errorf("%v, unbound: %v", err, b.Server.Port("vif"))
	}
}

func TestFailuresToAttach(t *testing.T) {
	for name, c := range map[string]struct {
		ports  []*store.Port
		change func(*bench)
		kind   store.Kind
		text   string
	}{
		"unknown": {ports: []*store.Port{wired("p1")}, change: func(b *bench) {
			b.Add("ports", neutrontest.Object{"id": "vif", "network_id": "x"})
			b.Refuse(func(string, string, neutrontest.Object) int { return 404 })
		},
			kind: store.NetworkError, text: "Unable to attach VIF vif because Ironic can not update Neutron port vif MAC address to match " +
				"physical MAC address 52:54:00:00:00:01"},
		"unknown, and networks matter": {ports: []*store.Port{wired("p1", on("physnet1"))}, change: func(b *bench) { b.Refuse(func(string, string, neutrontest.Object) int { return 404 }) },
			kind: store.InvalidParameterValue, text: "Neutron port vif was not found"},
		"Neutron is ill": {ports: []*store.Port{wired("p1", on("physnet1"))}, change: func(b *bench) { b.Refuse(func(string, string, neutrontest.Object) int { return 500 }) },
			kind: store.NetworkError, text: "Could not retrieve neutron port: HttpException: 500: Server Error for url: "},
		"two segments": {ports: []*store.Port{wired("p1", on("a")), wired("p2", on("b"))}, change: func(b *bench) {
			b.Add("networks", neutrontest.Object{"id": "tenant-net", "segments": []any{neutrontest.Object{"provider:physical_network": "a"},
				neutrontest.Object{"provider:physical_network": "b"}}})
		}, kind: store.VifInvalidForAttach, text: "Unable to attach VIF vif to node node. Reason: Node has ports which map to multiple segments"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.ports...)
			b.tenantPort("vif")
			c.change(b)
			refused(t, b.separate(config()).VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}), c.kind, c.text)
			if len(b.ports[0].InternalInfo) != 0 {
				t.Errorf("the row holds %v", b.ports[0].InternalInfo)
			}
		})
	}
}

func TestASubnetsSegmentDecides(t *testing.T) {
	b := newBench(t, wired("p1", on("a")), wired("p2", on("b")))
	b.tenantPort("vif")
	b.Add("networks", neutrontest.Object{"id": "tenant-net", "segments": []any{neutrontest.Object{"provider:physical_network": "a"},
		neutrontest.Object{"provider:physical_network": "b"}}})
	b.Add("subnets", neutrontest.Object{"id": "subnet", "segment_id": "seg"})
	b.Add("segments", neutrontest.Object{"id": "seg", "physical_network": "b"})
	cfg := config()
	cfg.SubnetSegments = true
	if err := b.separate(cfg).VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}); err != nil {
		t.Fatal(err)
	}
	if got := b.ports[1].InternalInfo.String(tenantKey); got != "vif" {
		t.Errorf("p2 holds %q", got)
	}
}

// An attachment that was cut off anywhere is made again as a whole.
func TestAttachingGoesOnAfterACrash(t *testing.T) {
	for cut := 1; ; cut++ {
		b := newBench(t, wired("p1"))
		b.task.Node.ProvisionState = store.Active
		b.tenantPort("vif")
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
		first := n.VIFAttach(ctx, b.task, drivers.VIF{ID: "vif"})
		cancel()
		b.Refuse(nil)
		if first == nil {
			if cut < 4 {
				t.Errorf("only %d places were tried", cut-1)
			}
			break
		}
		if err := n.VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}); err != nil {
			t.Errorf("cut off at request %d: %v", cut, err)
		}
		if p := b.Server.Port("vif"); p["binding:host_id"] != "node" || b.ports[0].InternalInfo.String(tenantKey) != "vif" {
			t.Errorf("cut off at request %d: %v, %v", cut, p, b.ports[0].InternalInfo)
		}
	}
}
