package wholeworker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// TestMixed runs Debian's Python conductors and this one on one database and one broker: two of each, in two conductor
// groups.
func TestMixed(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	m := mixed{cluster: c, p: c.host(t, "python-1", "", nil), i: c.host(t, "iron-1", "", nil),
		p2: c.host(t, "python-2", "rack-2", nil),
		// Nodes of a hardware type that one of them does not have belong to the other, whatever their UUID.
		i2: c.host(t, "iron-2", "rack-2", options{"DEFAULT": {"enabled_hardware_types": "fake-hardware"}})}
	m.p.run(t, python)
	m.p2.run(t, python)
	m.i.run(t, ironmaster)
	m.i2.run(t, ironmaster)
	t.Run("one ring", m.oneRing)
	t.Run("nodes follow the ring", m.nodesFollow)
	m.p2.stop(t)
	m.i2.stop(t)
	t.Run("each serves its own", m.sideBySide)
	t.Run("periodic work", m.periodicWork)
}

// mixed is a cluster with conductors of both kinds: p and p2 are Python's, i and i2 are ours.
type mixed struct {
	*cluster
	p, i, p2, i2 *worker
}

// ringNodes is how many nodes are spread over the conductors.
const ringNodes = 200

// oneRing compares for many nodes which conductor ironic-api asks, which one the ring of this program names, and which one
// looks after the node of its own accord: for active nodes the one that takes them over, for those whose agent is silent
// the one that gives them up.
func (m mixed) oneRing(t *testing.T) {
	type place struct{ driver, group string }
	members := map[place][]*worker{
		{"fake-hardware", ""}: {m.p, m.i}, {"fake-hardware", "rack-2"}: {m.p2, m.i2},
		{"redfish", ""}: {m.p, m.i}, {"redfish", "rack-2"}: {m.p2},
	}
	var nodes []map[string]any
	for n := range ringNodes {
		at := place{"fake-hardware", ""}
		if n%2 == 1 {
			at.group = "rack-2"
		}
		fields := map[string]any{"name": fmt.Sprintf("ring-%d", n), "network_interface": "noop"}
		if n%8 > 5 {
			at.driver = "redfish"
			// Nobody listens there, and a refused connection is quick.
			fields["driver_info"] = map[string]any{"redfish_address": "http://127.0.0.1:1", "redfish_system_id": "/redfish/v1/Systems/1"}
		}
		fields["driver"], fields["conductor_group"] = at.driver, at.group
		fields["uuid"] = uuidOf(t, func(func(...string) string) bool { return true })
		nodes = append(nodes, fields)
	}
	must(t, each(t.Context(), hands, nodes, func(ctx context.Context, _ int, fields map[string]any) error {
		return m.api.do(ctx, http.MethodPost, "/v1/nodes", fields, nil)
	}))
	m.exec(t, "UPDATE nodes SET provision_state = 'active', power_state = 'power off' WHERE driver = 'fake-hardware'")
	m.exec(t, "UPDATE nodes SET provision_state = 'wait call-back', target_provision_state = 'active', "+
		"provision_updated_at = ? WHERE driver = 'redfish'", longAgo)
	counts := map[string]int{}
	for _, fields := range nodes {
		node, driver := fields["uuid"].(string), fields["driver"].(string)
		want := ownerOf(t, node, members[place{driver, fields["conductor_group"].(string)}]).host
		counts[want+" "+driver]++
		if got := m.conductorOf(t, node); got != want {
			t.Errorf("ironic-api asks %s for %s, by our ring it is %s", got, node, want)
		}
		eventually(t, "somebody looks after "+node, func() error {
			affinity, wrote, err := m.keeper(t.Context(), node)
			switch {
			case err != nil:
				return err
			case driver == "fake-hardware" && affinity != want, driver == "redfish" && !slices.Equal(wrote, []string{want}):
				return fmt.Errorf("it belongs to %s; the row names %q, the history %q", want, affinity, wrote)
			}
			return nil
		})
	}
	t.Logf("nodes by conductor: %v", counts)
}

// longAgo is before any timeout.
const longAgo = "2001-01-01 00:00:00"

// nodesFollow takes the conductors of a group away in turn, in order: the other kind takes the active nodes over.
func (m mixed) nodesFollow(t *testing.T) {
	belongTo := func(w *worker) {
		t.Helper()
		eventually(t, "the nodes of rack-2 belong to "+w.host, func() error {
			var others int
			err := m.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM nodes WHERE conductor_group = 'rack-2' AND "+
				"driver = 'fake-hardware' AND conductor_affinity <> ?", w.id(t)).Scan(&others)
			if err == nil && others > 0 {
				err = fmt.Errorf("%d do not", others)
			}
			return err
		})
	}
	m.i2.stop(t)
	belongTo(m.p2)
	m.i2.run(t, ironmaster)
	m.p2.stop(t)
	belongTo(m.i2)
	m.p2.run(t, python)
	nodes, err := m.api.all(t.Context())
	must(t, err)
	for _, n := range nodes {
		if n.ProvisionState != "active" && n.ProvisionState != "deploy failed" || n.ProvisionState == "active" && n.LastError != "" {
			t.Errorf("node %s is in %q: %s", n.Name, n.ProvisionState, n.LastError)
		}
	}
	m.exec(t, "DELETE FROM node_history")
	m.exec(t, "DELETE FROM nodes WHERE name LIKE 'ring-%'")
}

// sideBySide takes machines of both through cleaning, deployment and tear-down at once.
func (m mixed) sideBySide(t *testing.T) {
	machines := m.openRoom(t, room.Config{Seed: 1, Count: 8}).Machines()
	owners := []*worker{m.p, m.i}
	instances := []map[string]any{
		{"image_source": m.web.put("side.raw", serveFile(m.img.raw)), "image_disk_format": "raw", "image_checksum": m.img.sum},
		{"image_source": m.web.put("side.qcow2", serveFile(m.img.qcow2)), "image_checksum": m.img.qcow2Sum, "image_download_source": "local"},
	}
	nodes := make([]string, len(machines))
	must(t, each(t.Context(), len(machines), machines, func(ctx context.Context, n int, machine *room.Machine) error {
		owner, other := owners[n%2], owners[1-n%2]
		node := owner.uuidAmong(t, other)
		nodes[n] = node
		if _, err := m.api.enrol(ctx, machine.Info(), m.ramdisk, map[string]any{"uuid": node}); err != nil {
			return err
		}
		if err := m.api.reach(ctx, node, "manage", "manageable"); err != nil {
			return err
		}
		if err := m.api.reach(ctx, node, "provide", "available"); err != nil {
			return err
		}
		if err := m.api.patch(ctx, node, set("/instance_info", instances[n/2%2])); err != nil {
			return err
		}
		if err := m.api.reach(ctx, node, "active", "active"); err != nil {
			return err
		}
		if affinity, _, err := m.keeper(ctx, node); err != nil || affinity != owner.host {
			return errors.Join(err, fmt.Errorf("node %s was deployed by %q and belongs to %s", node, affinity, owner.host))
		}
		if err := checkDisk(machine, m.img); err != nil {
			return err
		}
		return m.api.reach(ctx, node, "deleted", "available")
	}))
	for n, node := range nodes {
		if stranger := owners[1-n%2]; strings.Contains(stranger.log(t), node) {
			t.Errorf("the log of %s tells of node %s, which belongs to %s", stranger.host, node, owners[n%2].host)
		}
	}
	m.forget(t)
}

// forget removes all nodes, and fails the test when one is held.
func (c *cluster) forget(t *testing.T) {
	t.Helper()
	nodes, err := c.api.all(t.Context())
	must(t, err)
	must(t, each(t.Context(), hands, nodes, func(ctx context.Context, _ int, n node) error {
		if err := c.api.patch(ctx, n.UUID, set("/maintenance", true)); err != nil {
			return err
		}
		return c.api.do(ctx, http.MethodDelete, "/v1/nodes/"+n.UUID, nil, nil)
	}))
}

func checkDisk(m *room.Machine, img diskImage) error {
	sum, err := m.DiskSHA256(img.size)
	if err == nil && sum != img.sum {
		err = fmt.Errorf("the disk of %s differs from the image", m.Info().Name)
	}
	return err
}
