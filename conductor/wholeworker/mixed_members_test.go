package wholeworker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// TestMixedMembers lets a conductor of one kind come, leave in order and die while the other one works, with deployments
// under way. What one has begun, the other brings to its end.
func TestMixedMembers(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	p, i := c.host(t, "python-1", "", nil), c.host(t, "iron-1", "", nil)
	s := &stage{cluster: c, quick: c.openRoom(t, room.Config{Seed: 1, Count: 14}).Machines(),
		slow: c.openRoom(t, room.Config{Seed: 2, Count: 2, BootDelay: 4 * time.Second}).Machines()}
	i.run(t, ironmaster)
	for _, scene := range []struct {
		name string
		play func(*testing.T)
	}{
		{"python joins", func(t *testing.T) { s.joins(t, i, p, python) }},
		{"ironmaster leaves", func(t *testing.T) { s.leaves(t, i, p) }},
		{"ironmaster joins", func(t *testing.T) { s.joins(t, p, i, ironmaster) }},
		{"python leaves", func(t *testing.T) { s.leaves(t, p, i) }},
		{"python dies", func(t *testing.T) { p.run(t, python); s.dies(t, p, i) }},
		{"ironmaster dies", func(t *testing.T) { p.run(t, python); s.dies(t, i, p) }},
	} {
		// Each begins with what the one before has left.
		if !t.Run(scene.name, scene.play) {
			return
		}
	}
}

// stage hands out machines.
type stage struct {
	*cluster
	quick, slow []*room.Machine
}

// deployment is one that stops at a gate in its image: before the conductor has fetched it, which holds the node
// meanwhile, or while the agent writes it, for which the node waits unheld.
type deployment struct {
	*cluster
	machine *room.Machine
	node    string
	gate    *gate
}

// order begins a deployment. served tells that the conductor fetches the image.
func (c *cluster) order(t *testing.T, machine *room.Machine, node string, served bool) *deployment {
	t.Helper()
	d := &deployment{cluster: c, machine: machine, node: node, gate: newGate()}
	_, err := c.api.enrol(t.Context(), machine.Info(), c.ramdisk, map[string]any{"uuid": node,
		"name": nil, "automated_clean": false})
	must(t, err)
	makeAvailable(t, c.world, node)
	instance := map[string]any{"image_source": c.web.put(node, serveGated(c.img.raw, d.gate)),
		"image_disk_format": "raw", "image_checksum": c.img.sum}
	if served {
		instance["image_download_source"] = "local"
	}
	must(t, c.api.patch(t.Context(), node, set("/instance_info", instance)))
	must(t, c.api.provision(t.Context(), node, "active"))
	return d
}

// awaitReached waits until the deployment stands at its gate, held by a conductor or, if that is nil, by none.
func (d *deployment) awaitReached(t *testing.T, holder *worker) {
	t.Helper()
	d.gate.awaitReached(t)
	state, host := "wait call-back", ""
	if holder != nil {
		state, host = "deploying", holder.host
	}
	_, err := d.api.await(t.Context(), d.node, fmt.Sprintf("%q, held by %q", state, host), func(n node) bool {
		return n.ProvisionState == state && n.Reservation == host
	})
	must(t, err)
}

// checkActive waits until the deployment has succeeded and a conductor looks after the node.
func (d *deployment) checkActive(t *testing.T, keeper *worker) {
	t.Helper()
	n, err := d.api.settle(t.Context(), d.node)
	must(t, err)
	if n.ProvisionState != "active" || n.LastError != "" {
		t.Errorf("the node of %s is in %q: %s", d.machine.Info().Name, n.ProvisionState, n.LastError)
		return
	}
	if got := d.machine.Snapshot(); got.Writes != 1 || got.Media != "" {
		t.Errorf("%s is %+v; an image should have been written once and nothing be inserted", d.machine.Info().Name, got)
	}
	if err := checkDisk(d.machine, d.img); err != nil {
		t.Error(err)
	}
	eventually(t, "the active node is looked after by "+keeper.host, func() error {
		affinity, _, err := d.keeper(t.Context(), d.node)
		if err == nil && affinity != keeper.host {
			err = fmt.Errorf("it is by %q", affinity)
		}
		return err
	})
}

// machine hands out the next one that starts at once.
func (s *stage) machine() *room.Machine {
	next := s.quick[0]
	s.quick = s.quick[1:]
	return next
}

// joins has a conductor begin deployments by itself, and another one come to which their nodes then belong.
func (s *stage) joins(t *testing.T, first, second *worker, k kind) {
	move := func() string { return second.uuidAmong(t, first) }
	held, writing := s.order(t, s.machine(), move(), true), s.order(t, s.machine(), move(), false)
	held.awaitReached(t, first)
	writing.awaitReached(t, nil)
	starting := s.order(t, s.slow[0], move(), false)
	s.slow = s.slow[1:]
	close(starting.gate.open)
	second.run(t, k)
	s.members(t, first, second)
	for _, d := range []*deployment{held, writing, starting} {
		eventually(t, "ironic-api asks "+second.host+" for "+d.node, func() error {
			if got := s.conductorOf(t, d.node); got != second.host {
				return errors.New("it asks " + got)
			}
			return nil
		})
	}
	held.checkRefused(t, first)
	close(writing.gate.open)
	writing.checkActive(t, second)
	starting.checkActive(t, second)
	held.checkRefused(t, first)
	close(held.gate.open)
	held.checkActive(t, second)
}

// checkRefused asks for changes of a node that somebody else than its owner holds.
func (d *deployment) checkRefused(t *testing.T, holder *worker) {
	t.Helper()
	before, err := d.row(t.Context(), d.node)
	must(t, err)
	for path, body := range map[string]any{
		"/states/power":           map[string]any{"target": "rebooting"},
		"/management/boot_device": map[string]any{"boot_device": "pxe"},
	} {
		err := d.api.once(t.Context(), http.MethodPut, "/v1/nodes/"+d.node+path, body, nil)
		if statusOf(err) != http.StatusConflict || !strings.Contains(err.Error(), "is locked by host "+holder.host) {
			t.Errorf("PUT %s: %v, want a conflict with %s", path, err, holder.host)
		}
	}
	after, err := d.row(t.Context(), d.node)
	must(t, err)
	for column, was := range before {
		if after[column] != was {
			t.Errorf("%s of the refused node was %q and is %q", column, was, after[column])
		}
	}
}

// leaves ends a conductor in order while agents write images for nodes of its, and users ask for something all the time.
func (s *stage) leaves(t *testing.T, leaving, staying *worker) {
	writing := s.order(t, s.machine(), leaving.uuidAmong(t, staying), false)
	writing.awaitReached(t, nil)
	asked := s.keepAsking(t, leaving, staying)
	leaving.stop(t)
	s.members(t, staying)
	asked()
	close(writing.gate.open)
	writing.checkActive(t, staying)
}

// keepAsking sends requests for a conductor's nodes until it is told to end, and fails the test when one of them is not
// answered as it should be. A busy conductor may say so.
func (s *stage) keepAsking(t *testing.T, owner, other *worker) (end func()) {
	t.Helper()
	const askers = 4
	ctx, cancel := context.WithCancel(t.Context())
	done, begun := make(chan error, askers), make(chan struct{}, askers)
	for range askers {
		node := owner.uuidAmong(t, other)
		must(t, s.api.do(t.Context(), http.MethodPost, "/v1/nodes", map[string]any{"uuid": node, "driver": "fake-hardware",
			"network_interface": "noop"}, nil))
		go func() {
			for n := 0; ; n++ {
				err := s.api.do(ctx, http.MethodPut, "/v1/nodes/"+node+"/management/boot_device",
					map[string]any{"boot_device": "pxe"}, nil)
				if err != nil || ctx.Err() != nil {
					if ctx.Err() != nil {
						err = nil
					}
					done <- err
					return
				}
				if n == 0 {
					begun <- struct{}{}
				}
			}
		}()
	}
	for range askers {
		select {
		case <-begun:
		case err := <-done:
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		cancel()
		var failures []error
		for range askers {
			failures = append(failures, <-done)
		}
		must(t, errors.Join(failures...))
	}
}

// dies ends a conductor without warning. After heartbeat_timeout, and not before, the other one frees what it held; what
// only waited goes on.
func (s *stage) dies(t *testing.T, dying, staying *worker) {
	node := func() string { return dying.uuidAmong(t, staying) }
	held, writing := s.order(t, s.machine(), node(), true), s.order(t, s.machine(), node(), false)
	held.awaitReached(t, dying)
	writing.awaitReached(t, nil)
	must(t, dying.service.Kill())
	close(held.gate.open)
	close(writing.gate.open)
	n, err := s.api.settle(t.Context(), held.node)
	must(t, err)
	const want = "Operation was aborted due to conductor take over"
	if n.ProvisionState != "deploy failed" || n.LastError != want {
		t.Errorf("what %s held is in %q: %s; want deploy failed: %s", dying.host, n.ProvisionState, n.LastError, want)
	}
	_, wrote, err := s.keeper(t.Context(), held.node)
	if err != nil || !slices.Equal(wrote, []string{staying.host}) {
		t.Errorf("the failed node's history is by %q (%v), want %s", wrote, err, staying.host)
	}
	var silence int
	must(t, s.db.QueryRowContext(t.Context(), "SELECT MIN(TIMESTAMPDIFF(SECOND, c.updated_at, h.created_at)) FROM node_history h, "+
		"nodes n, conductors c WHERE n.uuid = ? AND h.node_id = n.id AND c.hostname = ?", held.node, dying.host).Scan(&silence))
	if silence < deadAfter {
		t.Errorf("%s took the node %d s after the last sign of life, and heartbeat_timeout is %d s", staying.host, silence, deadAfter)
	}
	writing.checkActive(t, staying)
	must(t, s.api.reach(t.Context(), held.node, "active", "active"))
	held.checkActive(t, staying)
}
