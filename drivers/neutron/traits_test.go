package neutron

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/neutron/traitnet"
	"github.com/ironmaster/ironmaster/store"
)

const testRules = `
CUSTOM_GREEN: {actions: [{action: attach_port, filter: port.vendor == 'green'}]}
CUSTOM_TWO: {actions: [{action: attach_port, filter: port.is_port, min_count: 2, max_count: 2}]}
CUSTOM_BOND: {actions: [{action: group_and_attach_ports, filter: port.is_port, min_count: 2}]}
CUSTOM_GROUP: {actions: [{action: attach_portgroup, filter: port.is_portgroup}]}
CUSTOM_NAMED: {actions: [{action: attach_port, filter: network.name == 'storage' && network.tags == 'fast'}]}
`

// byTraits has rules, and a node whose instance asks for some traits.
func (b *bench) byTraits(t *testing.T, rules string, asked ...any) Config {
	t.Helper()
	for i, p := range b.ports {
		p.ID = int64(i + 1)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := traitnet.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	b.task.Node.InstanceInfo = store.Dict{"traits": asked}
	b.tenantPort("vif")
	cfg := config()
	// Neutron changes no address of a port that is bound, so that two ports for one virtual interface need a node that binds later.
	cfg.UnbindsAvailable = true
	cfg.Traits = &TraitRules{Source: source, Default: true, MustMatch: true}
	return cfg
}

// attached are the ports and port groups that hold the virtual interface.
func (b *bench) attached() string {
	var all []string
	for _, c := range (wiring{b.ports, b.groups}).all() {
		if c.vif() == "vif" {
			all = append(all, c.uuid())
		}
	}
	return strings.Join(all, " ")
}

func madeBy(vendor string) func(*store.Port) { return func(p *store.Port) { p.Vendor = &vendor } }

func TestTraitsChooseThePort(t *testing.T) {
	name := "storage"
	for title, c := range map[string]struct {
		asked  []any
		ports  []*store.Port
		groups []*store.Portgroup
		vif    drivers.VIF
		want   string
	}{
		"the newest, by default":    {ports: []*store.Port{wired("p1"), wired("p2", withoutPXE)}, want: "p2"},
		"a trait without rules":     {asked: []any{"CUSTOM_OTHER"}, ports: []*store.Port{wired("p1")}, want: "p1"},
		"the vendor's":              {asked: []any{"CUSTOM_GREEN"}, ports: []*store.Port{wired("p1", madeBy("green")), wired("p2", madeBy("blue"))}, want: "p1"},
		"one that is free":          {ports: []*store.Port{wired("p1"), wired("p2", holding("other"))}, want: "p1"},
		"two":                       {asked: []any{"CUSTOM_TWO"}, ports: []*store.Port{wired("p1"), wired("p2"), wired("p3")}, want: "p2 p3"},
		"a port group":              {asked: []any{"CUSTOM_GROUP"}, ports: []*store.Port{wired("p1")}, groups: []*store.Portgroup{group(7, "g7")}, want: "g7"},
		"for the name and the tags": {asked: []any{"CUSTOM_NAMED"}, ports: []*store.Port{wired("p1")}, vif: drivers.VIF{Name: &name, Tags: []string{"fast"}}, want: "p1"},
		"the same again":            {asked: []any{"CUSTOM_TWO"}, ports: []*store.Port{wired("p1"), wired("p2", holding("vif")), wired("p3")}, want: "p2 p3"},
	} {
		t.Run(title, func(t *testing.T) {
			b := newBench(t, c.ports...)
			b.groups = c.groups
			cfg := b.byTraits(t, testRules, c.asked...)
			c.vif.ID = "vif"
			if err := b.separate(cfg).VIFAttach(t.Context(), b.task, c.vif); err != nil {
				t.Fatal(err)
			}
			if got := b.attached(); got != c.want {
				t.Errorf("attached to %q, want %q", got, c.want)
			}
		})
	}
}

func TestRulesOfTheFileForNodesWithoutTraits(t *testing.T) {
	b := newBench(t, wired("p1"), wired("p2", madeBy("blue")))
	cfg := b.byTraits(t, "CUSTOM_DEFAULT_TBN_TRAIT: {actions: [{action: attach_port, filter: port.address =~ '52' && port.is_port, min_count: 1}]}")
	if err := b.separate(cfg).VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}); err != nil || b.attached() != "p1 p2" {
		t.Errorf("%v, attached to %q", err, b.attached())
	}
}

func TestNoRuleFindsAPort(t *testing.T) {
	for title, c := range map[string]struct {
		asked     []any
		ports     []*store.Port
		undefined bool
		kind      store.Kind
		text      string
	}{
		"none is free":   {ports: []*store.Port{wired("p1", holding("other"))}, kind: store.TBNNoPortMatchesFound, text: "An unknown exception occurred."},
		"none of them":   {asked: []any{"CUSTOM_TWO"}, ports: []*store.Port{wired("p1")}, kind: store.TBNNoPortMatchesFound, text: "An unknown exception occurred."},
		"nobody's trait": {undefined: true, ports: []*store.Port{wired("p1")}, kind: store.TBNNoTraitsApplicableToNode, text: "No Trait Based Networking traits were found which could apply to the node node."},
	} {
		t.Run(title, func(t *testing.T) {
			b := newBench(t, c.ports...)
			cfg := b.byTraits(t, testRules, c.asked...)
			cfg.Traits.Default = !c.undefined
			refused(t, b.separate(cfg).VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}), c.kind, c.text)
			cfg.Traits.MustMatch = false
			if err := b.separate(cfg).VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}); err != nil || b.attached() != "" {
				t.Errorf("%v, attached to %q", err, b.attached())
			}
		})
	}
	b := newBench(t, wired("p1"))
	cfg := b.byTraits(t, testRules, "CUSTOM_GREEN")
	refused(t, b.separate(cfg).VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}), store.TBNAttributeRetrievalException,
		"Could not retrieve attribute vendor from passed object")
}

func TestABondLastsAsLongAsItsVirtualInterface(t *testing.T) {
	never := func(p *store.Port) { p.DynamicPortgroup = new(bool) }
	b := newBench(t, wired("p1", on("net")), wired("p2", on("net")), wired("p3", on("net"), never))
	b.task.Node.ProvisionState = store.Active
	n := b.separate(b.byTraits(t, testRules, "CUSTOM_BOND"))
	if err := n.VIFAttach(t.Context(), b.task, drivers.VIF{ID: "vif"}); err != nil {
		t.Fatal(err)
	}
	g := b.groups[0]
	if b.attached() != "made" || *g.PhysicalNetwork != "net" || !*g.DynamicPortgroup || !strings.HasPrefix(*g.Name, "tbn_dyn_portgroup_") {
		t.Errorf("attached to %q: %+v", b.attached(), g)
	}
	if *b.ports[0].PortgroupID != g.ID || *b.ports[1].PortgroupID != g.ID || b.ports[2].PortgroupID != nil {
		t.Error("ports are not in the group, or one that may not is")
	}
	profile, _ := b.Server.Port("vif")["binding:profile"].(map[string]any)
	if links, _ := profile["local_link_information"].([]any); len(links) != 2 {
		t.Errorf("the switch is told %v", profile)
	}
	if err := n.VIFDetach(t.Context(), b.task, "vif"); err != nil {
		t.Fatal(err)
	}
	left := slices.ContainsFunc(b.ports, func(p *store.Port) bool { return p.PortgroupID != nil })
	if len(b.groups) != 0 || left || b.Server.Port("vif")["binding:host_id"] != "" {
		t.Errorf("left: %v, %v, %v", b.groups, left, b.Server.Port("vif"))
	}
}

// cutting ends the context at one of the writes of rows.
type cutting struct {
	*bench
	at     int
	cancel context.CancelFunc
}

func (c *cutting) cut() {
	if c.at--; c.at == 0 {
		c.cancel()
	}
}

func (c *cutting) SavePort(ctx context.Context, t *drivers.Task, p *store.Port) error {
	c.cut()
	return c.bench.SavePort(ctx, t, p)
}

func (c *cutting) SavePortgroup(ctx context.Context, t *drivers.Task, g *store.Portgroup) error {
	c.cut()
	return c.bench.SavePortgroup(ctx, t, g)
}

func (c *cutting) CreatePortgroup(ctx context.Context, t *drivers.Task, g *store.Portgroup) error {
	c.cut()
	return c.bench.CreatePortgroup(ctx, t, g)
}

func (c *cutting) DestroyPortgroup(ctx context.Context, t *drivers.Task, g *store.Portgroup) error {
	c.cut()
	return c.bench.DestroyPortgroup(ctx, t, g)
}

// What was cut off between two rows is made again as a whole, and detached as a whole.
func TestABondGoesOnAfterACrash(t *testing.T) {
	for _, act := range []string{"attach", "detach"} {
		for at := 1; ; at++ {
			b := newBench(t, wired("p1", on("net")), wired("p2", on("net")))
			n := b.separate(b.byTraits(t, testRules, "CUSTOM_BOND"))
			attach := func(ctx context.Context) error { return n.VIFAttach(ctx, b.task, drivers.VIF{ID: "vif"}) }
			detach := func(ctx context.Context) error { return n.VIFDetach(ctx, b.task, "vif") }
			do := attach
			if act == "detach" {
				if do = detach; attach(t.Context()) != nil {
					t.Fatal("not attached")
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			b.task.Worker = &cutting{b, at, cancel}
			first := do(ctx)
			cancel()
			b.task.Worker = b
			if first == nil {
				if at < 4 {
					t.Errorf("%s: only %d places were tried", act, at-1)
				}
				break
			}
			if err := do(t.Context()); err != nil {
				t.Errorf("%s cut off at write %d: %v", act, at, err)
			}
			if act == "attach" && (len(b.groups) != 1 || b.attached() != "made" || b.ports[0].PortgroupID == nil || b.ports[1].PortgroupID == nil) {
				t.Errorf("cut off at write %d: %d groups, attached to %q", at, len(b.groups), b.attached())
			}
			if act == "detach" && (len(b.groups) != 0 || b.ports[0].PortgroupID != nil || b.ports[1].PortgroupID != nil) {
				t.Errorf("cut off at write %d: %d groups", at, len(b.groups))
			}
		}
	}
}
