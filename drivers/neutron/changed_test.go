package neutron

import (
	"context"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

func TestANewAddressReachesNeutron(t *testing.T) {
	b := newBench(t, wired("p1", holding("vif")))
	b.tenantPort("vif")
	n := b.separate(config())
	old := b.ports[0]
	changed := *old
	changed.Address = "52:54:00:00:00:99"
	if err := n.PortChanged(t.Context(), b.task, &changed, old); err != nil {
		t.Fatal(err)
	}
	if p := b.Server.Port("vif"); p["mac_address"] != changed.Address {
		t.Errorf("port %v", p)
	}
	g := group(7, "g7", func(g *store.Portgroup) { g.InternalInfo[tenantKey] = "vif" })
	moved := *g
	moved.Address = "52:54:00:00:00:77"
	if err := n.PortgroupChanged(t.Context(), b.task, &moved, g); err != nil || b.Server.Port("vif")["mac_address"] != moved.Address {
		t.Errorf("%v, port %v", err, b.Server.Port("vif"))
	}
	bound := b.Server.Port("vif")
	bound["binding:host_id"] = "node"
	b.Add("ports", bound)
	refused(t, n.PortChanged(t.Context(), b.task, &changed, old), store.FailedToUpdateMacOnPort, "Update MAC address on port: vif failed.")
	unattached, other := wired("p2"), wired("p2")
	other.Address = "52:54:00:00:00:98"
	if err := n.PortChanged(t.Context(), b.task, other, unattached); err != nil {
		t.Errorf("a port that nothing is attached to: %v", err)
	}
}

func TestANewClientIDReachesDHCP(t *testing.T) {
	b := newBench(t)
	cfg := config()
	var told []string
	cfg.SetClientID = func(_ context.Context, _ *drivers.Task, vif, id string) error {
		told = append(told, vif+" "+id)
		return nil
	}
	n := b.separate(cfg)
	old, with := wired("p1", holding("vif")), wired("p1", holding("vif"))
	with.Extra = store.Dict{"client-id": "ff:00"}
	unattached := wired("p1")
	unattached.Extra = store.Dict{"client-id": "ff:01"}
	for _, c := range [][2]*store.Port{{with, old}, {with, with}, {old, with}, {unattached, old}} {
		if err := n.PortChanged(t.Context(), b.task, c[0], c[1]); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(told, []string{"vif ff:00", "vif "}) {
		t.Errorf("told %q", told)
	}
}

func TestPortsThatStandForThemselvesKeepOutOfBonds(t *testing.T) {
	no := false
	b := newBench(t)
	b.groups = []*store.Portgroup{group(7, "strict", func(g *store.Portgroup) { g.StandalonePortsSupported = &no }), group(8, "loose")}
	n := b.separate(config())
	for name, c := range map[string]struct {
		port, old *store.Port
		text      string
	}{
		"moved in":          {wired("p1", in(7)), wired("p1"), "Port group strict doesn't support standalone ports. This port p1 cannot be  a member of that port group because of: 'pxe_enabled' was set to True"},
		"moved in, in use":  {wired("p1", in(7), withoutPXE, holding("vif")), wired("p1", withoutPXE), "because of: VIF vif is attached to the port"},
		"enabled":           {wired("p1", in(7)), wired("p1", in(7), withoutPXE), "'pxe_enabled' was set to True"},
		"moved in, quietly": {wired("p1", in(7), withoutPXE), wired("p1"), ""},
		"moved elsewhere":   {wired("p1", in(8)), wired("p1", in(7)), ""},
		"something else":    {wired("p1", in(7)), wired("p1", in(7)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := n.PortChanged(t.Context(), b.task, c.port, c.old)
			if c.text == "" && err != nil {
				t.Error(err)
			} else if c.text != "" {
				refused(t, err, store.Conflict, c.text)
			}
		})
	}
	b.ports = []*store.Port{wired("p1", in(8), holding("vif"))}
	strict := *b.groups[1]
	strict.StandalonePortsSupported = &no
	refused(t, n.PortgroupChanged(t.Context(), b.task, &strict, b.groups[1]), store.Conflict, "standalone_ports_supported can not be set to "+
		"False, because the port group loose contains port with 'pxe_enabled' is set to True, VIF vif is attached to this port")
	b.ports = []*store.Port{wired("p1", in(8), withoutPXE)}
	if err := n.PortgroupChanged(t.Context(), b.task, &strict, b.groups[1]); err != nil {
		t.Error(err)
	}
}
