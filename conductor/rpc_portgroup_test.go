package conductor

import (
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store"
)

// patched is a record as ironic-api sends it, with the fields that were changed.
func patched(o *objects.Object, changes ...string) map[string]any {
	return map[string]any{"ironic_object.name": o.Name, "ironic_object.namespace": o.Namespace, "ironic_object.version": o.Version,
		"ironic_object.data": o.Data, "ironic_object.changes": changes}
}

// portgroup creates a port group of a node.
func (w *worker) portgroup(t *testing.T, n *store.Node, change func(*store.Portgroup)) *store.Portgroup {
	t.Helper()
	g := &store.Portgroup{NodeID: n.ID, Mode: pointer("active-backup")}
	if change != nil {
		change(g)
	}
	if err := w.db.CreatePortgroup(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	return g
}

// member creates a port in a port group.
func (w *worker) member(t *testing.T, n *store.Node, g *store.Portgroup, network *string) *store.Port {
	t.Helper()
	p := w.newPort(n, func(p *store.Port) { p.PortgroupID, p.PhysicalNetwork = &g.ID, network })
	if err := w.db.CreatePort(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUpdatePortgroup(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	w.portgroup(t, n, func(g *store.Portgroup) { g.Name, g.Address = pointer("taken"), "52:54:00:00:00:0a" })
	busy := w.enroll(t, func(n *store.Node) { n.ProvisionState = store.Active })
	for _, c := range []struct {
		name    string
		patch   func(*store.Portgroup)
		changes []string
		full    bool
		kind    store.Kind
		text    string // %g stands for the port group, %s for the node
	}{
		{name: "its mode", patch: func(g *store.Portgroup) { g.Mode = pointer("802.3ad") }, changes: []string{"mode"}},
		{name: "no address", patch: func(g *store.Portgroup) { g.Address = "" }, changes: []string{"address"}},
		{name: "a taken name", patch: func(g *store.Portgroup) { g.Name = pointer("taken") }, changes: []string{"name"},
			kind: store.PortgroupDuplicateName, text: "A portgroup with name taken already exists."},
		{name: "a taken address", patch: func(g *store.Portgroup) { g.Address = "52:54:00:00:00:0a" }, changes: []string{"address"},
			kind: store.PortgroupMACAlreadyExists, text: "A portgroup with MAC address 52:54:00:00:00:0a already exists."},
		{name: "another node", patch: func(g *store.Portgroup) { g.NodeID = n.ID }, changes: []string{"node_id"}},
		{name: "another node, with ports", patch: func(g *store.Portgroup) { g.NodeID = n.ID }, changes: []string{"node_id"}, full: true,
			kind: store.PortgroupNotEmpty, text: "Portgroup %g can not be associated with node %s because there are ports " +
				"associated with this portgroup."},
		{name: "a node in use", patch: func(g *store.Portgroup) { g.NodeID = busy.ID }, changes: []string{"node_id"},
			kind: store.InvalidState, text: "Portgroup %g can not be associated to node %s unless the node is in a enroll, " +
				"inspecting, inspect wait, manageable state or in maintenance mode."},
		{name: "its UUID", patch: func(*store.Portgroup) {}, changes: []string{"uuid"}, kind: store.InvalidParameterValue,
			text: "Cannot overwrite UUID for an existing portgroup."},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := w.enroll(t, nil)
			g := w.portgroup(t, home, nil)
			if c.full {
				w.member(t, home, g, nil)
			}
			wanted := *g
			c.patch(&wanted)
			args := map[string]any{"portgroup_obj": patched(w.codec.EncodePortgroup(&wanted), c.changes...)}
			if c.kind == "" {
				w.must(t, "update_portgroup", args)
			} else {
				target := n
				if wanted.NodeID == busy.ID {
					target = busy
				}
				equal(t, "refusal", w.refused(t, c.kind, "update_portgroup", args), strings.NewReplacer("%g", g.UUID, "%s", target.UUID).Replace(c.text))
				wanted = *g
			}
			got, err := w.db.Portgroup(t.Context(), g.UUID)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, c.changes[0], string(raw(t, w.codec.EncodePortgroup(got).Data[c.changes[0]])),
				string(raw(t, w.codec.EncodePortgroup(&wanted).Data[c.changes[0]])))
		})
	}
	w.unlocked(t)
}

func TestPortgroupsThatAreNotThere(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	gone := &store.Portgroup{ID: 47, UUID: "8b81a40c-3cce-569c-9fe6-e4af3c79731f", NodeID: n.ID}
	equal(t, "update", w.refused(t, store.PortgroupNotFound, "update_portgroup", map[string]any{
		"portgroup_obj": patched(w.codec.EncodePortgroup(gone), "mode")}), "Portgroup "+gone.UUID+" could not be found.")
	equal(t, "deletion", w.refused(t, store.PortgroupNotFound, "destroy_portgroup", map[string]any{
		"portgroup": patched(w.codec.EncodePortgroup(gone))}), "Portgroup "+gone.UUID+" could not be found.")
	gone.NodeID = 4711
	w.refused(t, store.NodeNotFound, "destroy_portgroup", map[string]any{"portgroup": patched(w.codec.EncodePortgroup(gone))})
	equal(t, "method", w.call(t, "update_portgroup_physical_network", map[string]any{
		"portgroup": patched(w.codec.EncodePortgroup(gone)), "new_physical_network": "x"}).Failure.Class, "NoSuchMethod")
	w.unlocked(t)
}

func TestDestroyPortgroup(t *testing.T) {
	for release, named := range map[messaging.Release]func(*store.Portgroup) string{
		messaging.V2023_1: func(g *store.Portgroup) string { return g.UUID },
		messaging.V2025_1: func(g *store.Portgroup) string { return rowID(g.ID) },
	} {
		t.Run(release.String(), func(t *testing.T) {
			w := startWorker(t, func(c *Config) { c.Release = release })
			n := w.enroll(t, nil)
			g := w.portgroup(t, n, nil)
			p := w.member(t, n, g, nil)
			args := map[string]any{"portgroup": patched(w.codec.EncodePortgroup(g))}
			equal(t, "refusal", w.refused(t, store.PortgroupNotEmpty, "destroy_portgroup", args),
				"Cannot complete the requested action because portgroup "+named(g)+" contains ports.")
			w.exec(t, "UPDATE nodes SET reservation = 'somebody' WHERE id = ?", n.ID)
			w.refused(t, store.NodeLocked, "destroy_portgroup", args)
			w.exec(t, "UPDATE nodes SET reservation = NULL WHERE id = ?", n.ID)
			w.must(t, "destroy_port", map[string]any{"port": w.portObject(p)})
			w.must(t, "destroy_portgroup", args)
			if _, err := w.db.Portgroup(t.Context(), g.UUID); store.KindOf(err) != store.PortgroupNotFound {
				t.Errorf("still there: %v", err)
			}
			w.unlocked(t)
		})
	}
}

// Ports that differ already are nobody's doing but a database's; nothing joins them.
func TestPortgroupOfSeveralNetworks(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	g := w.portgroup(t, n, nil)
	w.member(t, n, g, pointer("net2"))
	w.member(t, n, g, nil)
	w.member(t, n, g, pointer("net1"))
	third := w.newPort(n, func(p *store.Port) { p.PortgroupID = &g.ID })
	equal(t, "refusal", w.refused(t, store.PortgroupPhysnetInconsistent, "create_port",
		map[string]any{"port_obj": w.portObject(third, newPortFields...)}), "Port group "+g.UUID+" has member ports with inconsistent "+
		"physical networks (None, net1, net2). All ports in a port group must have the same physical network.")
	w.unlocked(t)
}
