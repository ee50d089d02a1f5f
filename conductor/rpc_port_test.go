package conductor

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/store"
)

// portObject is a port as ironic-api sends it, with the fields that were changed.
func (w *worker) portObject(p *store.Port, changes ...string) map[string]any {
	o := w.codec.EncodePort(p)
	return map[string]any{"ironic_object.name": o.Name, "ironic_object.namespace": o.Namespace,
		"ironic_object.version": o.Version, "ironic_object.data": o.Data, "ironic_object.changes": changes}
}

func (w *worker) newPort(n *store.Node, change func(*store.Port)) *store.Port {
	id := uuid.NewString()
	p := &store.Port{UUID: id, NodeID: n.ID, Address: "52:54:00:" + id[0:2] + ":" + id[2:4] + ":" + id[4:6],
		PXEEnabled: pointer(true)}
	if change != nil {
		change(p)
	}
	return p
}

var newPortFields = []string{"uuid", "node_id", "address", "pxe_enabled", "physical_network", "portgroup_id"}

func TestPortsComeAndGo(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	p := w.newPort(n, nil)
	w.must(t, "create_port", map[string]any{"port_obj": w.portObject(p, newPortFields...)})
	got, err := w.db.Port(t.Context(), p.UUID)
	if err != nil || got.Address != p.Address || got.NodeID != n.ID {
		t.Fatalf("created %+v, %v", got, err)
	}
	twin := w.newPort(n, func(twin *store.Port) { twin.Address = p.Address })
	w.refused(t, store.MACAlreadyExists, "create_port", map[string]any{"port_obj": w.portObject(twin, newPortFields...)})
	stray := w.newPort(&store.Node{ID: 4711}, nil)
	w.refused(t, store.NodeNotFound, "create_port", map[string]any{"port_obj": w.portObject(stray, newPortFields...)})

	bound := w.port(t, n, store.Dict{"cleaning_vif_port_id": "vif-1"})
	equal(t, "refusal", w.refused(t, store.InvalidState, "destroy_port", map[string]any{"port": w.portObject(bound)}),
		"Cannot delete the port "+bound.UUID+" as it is bound to VIF vif-1 for cleaning use.")
	w.must(t, "destroy_port", map[string]any{"port": w.portObject(got)})
	if _, err := w.db.Port(t.Context(), p.UUID); store.KindOf(err) != store.PortNotFound {
		t.Errorf("still there: %v", err)
	}
	w.exec(t, "UPDATE nodes SET maintenance = 1 WHERE id = ?", n.ID)
	w.must(t, "destroy_port", map[string]any{"port": w.portObject(bound)})
	w.unlocked(t)
}

func TestUpdatePort(t *testing.T) {
	w := startWorker(t, nil)
	for _, c := range []struct {
		name    string
		node    func(*store.Node)
		patch   func(*store.Port)
		changes []string
		kind    store.Kind
		text    string // %p stands for the port
	}{
		{name: "an address", patch: func(p *store.Port) { p.Address = "52:54:00:ff:00:01" }, changes: []string{"address"}},
		{name: "the address of a node in use", node: func(n *store.Node) { n.ProvisionState = store.Active },
			patch: func(p *store.Port) { p.Address = "52:54:00:ff:00:02" }, changes: []string{"address"}, kind: store.InvalidState,
			text: "Cannot update hardware address for port %p as node %s is active or has instance UUID assigned"},
		{name: "the same in maintenance", node: func(n *store.Node) { n.ProvisionState, n.Maintenance = store.Active, true },
			patch: func(p *store.Port) { p.Address = "52:54:00:ff:00:03" }, changes: []string{"address"}},
		{name: "a network", patch: func(p *store.Port) { p.PhysicalNetwork = pointer("net1") }, changes: []string{"physical_network"}},
		{name: "the network of an available node", node: func(n *store.Node) { n.ProvisionState = store.Available },
			patch: func(p *store.Port) { p.PhysicalNetwork = pointer("net1") }, changes: []string{"physical_network"},
			kind: store.InvalidState, text: "Port %p can not have any connectivity attributes (local_link_connection, " +
				"physical_network, portgroup_id, pxe_enabled) updated unless node %s is in a enroll, inspecting, inspect wait, " +
				"manageable state or in maintenance mode. The current state is available."},
		{name: "extra of an active node", node: func(n *store.Node) { n.ProvisionState = store.Active },
			patch: func(p *store.Port) { p.Extra = store.Dict{"rack": "7"} }, changes: []string{"extra"}},
		{name: "another node", patch: func(p *store.Port) { p.NodeID++ }, changes: []string{"node_id"},
			kind: store.InvalidParameterValue, text: "can not be moved to another node"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := w.enroll(t, c.node)
			p := w.newPort(n, nil)
			if err := w.db.CreatePort(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			wanted := *p
			c.patch(&wanted)
			args := map[string]any{"port_obj": w.portObject(&wanted, c.changes...)}
			want := string(raw(t, w.codec.EncodePort(p).Data[c.changes[0]]))
			if c.kind != "" {
				text := w.refused(t, c.kind, "update_port", args)
				if !strings.Contains(text, strings.ReplaceAll(withNode(c.text, n.UUID), "%p", p.UUID)) {
					t.Errorf("refused with %q", text)
				}
			} else {
				w.must(t, "update_port", args)
				want = string(raw(t, w.codec.EncodePort(&wanted).Data[c.changes[0]]))
			}
			got, err := w.db.Port(t.Context(), p.UUID)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, c.changes[0], string(raw(t, w.codec.EncodePort(got).Data[c.changes[0]])), want)
		})
	}
	w.unlocked(t)
}

// Ports of one group share one physical network.
func TestPortsOfAGroupShareANetwork(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	w.exec(t, "INSERT INTO portgroups (id, uuid, node_id) VALUES (3, 'group-1', ?)", n.ID)
	in := func(network *string) *store.Port {
		return w.newPort(n, func(p *store.Port) { p.PortgroupID, p.PhysicalNetwork = pointer(int64(3)), network })
	}
	create := func(p *store.Port) map[string]any {
		return map[string]any{"port_obj": w.portObject(p, newPortFields...)}
	}
	w.must(t, "create_port", create(in(pointer("net1"))))
	w.must(t, "create_port", create(in(pointer("net1"))))
	for _, other := range []*string{pointer("net2"), nil} {
		text := w.refused(t, store.Conflict, "create_port", create(in(other)))
		if !strings.Contains(text, "cannot become a member of port group group-1 which has ports in physical network net1.") {
			t.Errorf("refused with %q", text)
		}
	}
	w.unlocked(t)
}
