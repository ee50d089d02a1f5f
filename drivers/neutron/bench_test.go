package neutron

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// bench is a node, its rows and a Neutron with a network for each ramdisk and one for tenants.
type bench struct {
	drivers.Worker
	*neutrontest.Server
	client *Client
	task   *drivers.Task
	ports  []*store.Port
	groups []*store.Portgroup
}

func newBench(t testing.TB, ports ...*store.Port) *bench {
	t.Helper()
	b := &bench{Server: neutrontest.New(t), ports: ports}
	for _, u := range []use{cleaning, provisioning, rescuing, inspection, servicing, "tenant"} {
		b.Add("networks", neutrontest.Object{"id": string(u) + "-net", "name": string(u), "mtu": 1450})
	}
	var err error
	b.client, err = NewClient(ClientConfig{ServiceConfig: keystone.ServiceConfig{
		Config: keystone.Config{Group: "neutron", AuthType: keystone.AuthNone}, ServiceType: "network", EndpointOverride: b.URL,
	}, RequestTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.Close)
	b.task = &drivers.Task{Worker: b, Hardware: &drivers.Hardware{Boot: &redfish.VirtualMedia{}}, Log: zerolog.Nop(), Node: &store.Node{UUID: "node", Driver: "redfish", NetworkInterface: "neutron",
		ProvisionState: store.Available}}
	return b
}

func (b *bench) Ports(context.Context, *drivers.Task) ([]*store.Port, error) {
	var rows []*store.Port
	for _, p := range b.ports {
		row := *p
		row.InternalInfo, row.Extra = p.InternalInfo.Clone(), p.Extra.Clone()
		rows = append(rows, &row)
	}
	return rows, nil
}

func (b *bench) Portgroups(context.Context, *drivers.Task) ([]*store.Portgroup, error) {
	var rows []*store.Portgroup
	for _, g := range b.groups {
		row := *g
		row.InternalInfo, row.Extra = g.InternalInfo.Clone(), g.Extra.Clone()
		rows = append(rows, &row)
	}
	return rows, nil
}

func (b *bench) SavePort(ctx context.Context, _ *drivers.Task, p *store.Port) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for i := range b.ports {
		if b.ports[i].UUID == p.UUID {
			b.ports[i] = p
		}
	}
	return nil
}

func (b *bench) SavePortgroup(ctx context.Context, _ *drivers.Task, g *store.Portgroup) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for i := range b.groups {
		if b.groups[i].UUID == g.UUID {
			b.groups[i] = g
		}
	}
	return nil
}

func (b *bench) CreatePortgroup(ctx context.Context, _ *drivers.Task, g *store.Portgroup) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for _, other := range b.groups {
		if other.Name != nil && *other.Name == *g.Name {
			return store.Errorf(store.PortgroupDuplicateName, "taken")
		}
	}
	mode := "active-backup"
	g.ID, g.UUID, g.Mode, g.InternalInfo = int64(900+len(b.groups)), "made", &mode, nil
	b.groups = append(b.groups, g)
	return nil
}

func (b *bench) DestroyPortgroup(ctx context.Context, _ *drivers.Task, g *store.Portgroup) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	b.groups = slices.DeleteFunc(b.groups, func(other *store.Portgroup) bool { return other.UUID == g.UUID })
	return nil
}

// config has a network for everything.
func config() Config {
	network := func(u use) Ramdisk { return Ramdisk{Network: string(u)} }
	return Config{Networks: Networks{Cleaning: network(cleaning), Provisioning: network(provisioning), Rescuing: network(rescuing),
		Inspection: network(inspection), Servicing: network(servicing), FailOnBindingFailure: true, StatusAttempts: 2},
		SetClientID: func(context.Context, *drivers.Task, string, string) error { return nil }}
}

func (b *bench) separate(cfg Config) *Separate { return NewSeparate(cfg, b.client) }

// wired is a port that says where it is plugged in.
func wired(name string, change ...func(*store.Port)) *store.Port {
	p := &store.Port{UUID: name, Address: "52:54:00:00:00:0" + name[len(name)-1:],
		LocalLinkConnection: store.Dict{"switch_id": "aa:bb", "port_id": "eth" + name}, InternalInfo: store.Dict{}, Extra: store.Dict{}}
	for _, c := range change {
		c(p)
	}
	return p
}

func withoutPXE(p *store.Port) { off := false; p.PXEEnabled = &off }

func on(network string) func(*store.Port) {
	return func(p *store.Port) { p.PhysicalNetwork = &network }
}

func in(group int64) func(*store.Port) { return func(p *store.Port) { p.PortgroupID = &group } }

func holding(vif string) func(*store.Port) {
	return func(p *store.Port) { p.InternalInfo[tenantKey] = vif }
}

// tenantPort is a Neutron port that a tenant has made.
func (b *bench) tenantPort(id string) {
	b.Add("ports", neutrontest.Object{"id": id, "network_id": "tenant-net", "name": "", "mac_address": "fa:16:3e:aa:aa:aa",
		"binding:host_id": "", "binding:profile": neutrontest.Object{}, "device_owner": "compute:nova", "device_id": "instance",
		"status": "DOWN", "fixed_ips": []any{neutrontest.Object{"subnet_id": "subnet", "ip_address": "10.0.0.9"}}})
}

func refused(t *testing.T, err error, kind store.Kind, text string) {
	t.Helper()
	if store.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("got %s %v, want %s %s", store.KindOf(err), err, kind, text)
	}
}
