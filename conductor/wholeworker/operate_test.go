package wholeworker

import (
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// TestOperate restarts, drains and asks conductors as operators do, in the middle of deployments. None of these fails, and
// every image is written once.
func TestOperate(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	one, two := c.host(t, "iron-1", "", nil), c.host(t, "iron-2", "", nil)
	s := &stage{cluster: c, quick: c.openRoom(t, room.Config{Seed: 1, Count: 8}).Machines()}
	one.run(t, ironmaster)
	two.run(t, ironmaster)
	for _, scene := range []struct {
		name string
		play func(*testing.T)
	}{
		{"explains", func(t *testing.T) { s.explains(t, one, two) }},
		{"stops, and a peer goes on", func(t *testing.T) { s.stops(t, one, two) }},
		{"restarts beside a peer", func(t *testing.T) { s.restarts(t, one, two) }},
		{"keeps its place", func(t *testing.T) { s.keepsItsPlace(t, one, two) }},
		{"drains", func(t *testing.T) { s.drains(t, one, two) }},
	} {
		// Each begins with what the one before has left.
		if !t.Run(scene.name, scene.play) {
			return
		}
	}
}

// held begins a deployment of a worker, which then fetches the image.
func (s *stage) held(t *testing.T, w, other *worker) *deployment {
	t.Helper()
	d := s.begun(t, w, other, true)
	d.awaitReached(t, w)
	return d
}

func (s *stage) begun(t *testing.T, w, other *worker, served bool) *deployment {
	t.Helper()
	d := s.order(t, s.machine(), w.uuidAmong(t, other), served)
	t.Cleanup(func() {
		select {
		case <-d.gate.open:
		default:
			// The test has failed, and whoever stands at the gate keeps its end.
			close(d.gate.open)
		}
	})
	return d
}

// underWay begins two deployments of a worker: in one it fetches the image, in the other an agent writes it.
func (s *stage) underWay(t *testing.T, w, other *worker) (held, writing *deployment) {
	t.Helper()
	held, writing = s.held(t, w, other), s.begun(t, w, other, false)
	writing.awaitReached(t, nil)
	return held, writing
}

func (s *stage) stops(t *testing.T, w, peer *worker) {
	held, writing := s.underWay(t, w, peer)
	must(t, w.service.Stop())
	close(held.gate.open)
	close(writing.gate.open)
	held.checkActive(t, peer)
	writing.checkActive(t, peer)
	w.run(t, ironmaster)
	s.back(t, held, w)
}

// back waits until ironic-api asks a conductor for its nodes again.
func (s *stage) back(t *testing.T, d *deployment, w *worker) {
	t.Helper()
	eventually(t, "ironic-api asks "+w.host, func() error {
		if got := s.conductorOf(t, d.node); got != w.host {
			return errors.New("it asks " + got)
		}
		return nil
	})
}

func (s *stage) restarts(t *testing.T, w, peer *worker) {
	held, writing := s.underWay(t, w, peer)
	must(t, w.service.Stop())
	w.run(t, ironmaster)
	close(held.gate.open)
	close(writing.gate.open)
	held.checkActive(t, w)
	writing.checkActive(t, w)
	s.back(t, held, w)
}

// keepsItsPlace ends a conductor that stays registered. What is asked of it meanwhile it answers when it is back, and its
// peer touches nothing.
func (s *stage) keepsItsPlace(t *testing.T, w, peer *worker) {
	held := s.held(t, w, peer)
	idle := w.uuidAmong(t, peer)
	must(t, s.api.do(t.Context(), http.MethodPost, "/v1/nodes", map[string]any{"uuid": idle, "driver": "fake-hardware",
		"network_interface": "noop"}, nil))
	must(t, syscall.Kill(w.service.PID(), syscall.SIGUSR1))
	must(t, w.service.Wait())
	s.members(t, w, peer)
	answer := make(chan error, 1)
	go func() {
		answer <- s.api.once(t.Context(), http.MethodPut, "/v1/nodes/"+idle+"/management/boot_device",
			map[string]any{"boot_device": "pxe"}, nil)
	}()
	w.run(t, ironmaster)
	must(t, <-answer)
	close(held.gate.open)
	held.checkActive(t, w)
	if log := peer.log(t)[peer.logged:]; strings.Contains(log, held.node) {
		t.Error("the peer touched the node")
	}
}

// drains takes a conductor away with the command for it. What it has begun it brings to its end.
func (s *stage) drains(t *testing.T, w, peer *worker) {
	held := s.held(t, w, peer)
	drained := make(chan error, 1)
	var said []byte
	go func() {
		var err error
		said, err = exec.CommandContext(t.Context(), program, "drain", "--config-file", w.conf).CombinedOutput()
		drained <- err
	}()
	s.members(t, peer)
	close(held.gate.open)
	held.checkActive(t, peer)
	if err := <-drained; err != nil {
		t.Errorf("draining: %v: %s", err, said)
	}
	must(t, w.service.Wait())
	for _, want := range []string{w.host + " is draining: leaving the hash ring, 1 flow or request at work", w.host + " has ended"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("the drain did not say %q: %s", want, said)
		}
	}
	w.checkLog(t, w.log(t)[w.logged:])
}

// explains asks about a node in the middle of its deployment and at the end.
func (s *stage) explains(t *testing.T, w, peer *worker) {
	d := s.held(t, w, peer)
	d.checkExplained(t, w, "provision state  deploying, on its way to active", "locked by        iron-1, for node deployment",
		"request    do_node_deploy: taken req-", "state      available -> deploying", "bmc        POST /redfish/v1/SessionService/Sessions: HTTP 201",
		"image      fetch begun", "It waits for its image; likely because the conductor is ")
	d.checkExplained(t, peer, "It waits for conductor iron-1, which holds its lock; likely because that conductor is alive",
		"Try: run `ironmaster explain` on iron-1.")
	close(d.gate.open)
	d.checkActive(t, w)
	d.checkExplained(t, w, "step       deploy step 2 of 6: deploy.write_image", "image      fetch ended: 12.0 MiB, raw, ", "lookup     the agent asked who it is",
		"heartbeat  taken", "agent      command execute_deploy_step: RUNNING", "progress   writing the image: 12.0 MiB of 12.0 MiB",
		"state      deploying -> active", `It waits for nothing: it is "active"`)
}

// checkExplained runs `ironmaster explain` on a worker's host, and looks for secrets in what it prints.
func (d *deployment) checkExplained(t *testing.T, w *worker, want ...string) {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), program, "explain", d.node, "--all", "--config-file", w.conf).CombinedOutput()
	must(t, err)
	for _, text := range want {
		if !strings.Contains(string(said), text) {
			t.Errorf("%q is missing in\n%s", text, said)
		}
	}
	row, err := d.row(t.Context(), d.node)
	must(t, err)
	for column, keys := range map[string][]string{"driver_info": {"redfish_password"}, "driver_internal_info": {"agent_secret_token"},
		"instance_info": {"image_url", "image_source"}} {
		var values map[string]any
		must(t, json.Unmarshal([]byte(row[column]), &values))
		for _, key := range keys {
			if secret, _ := values[key].(string); secret != "" && strings.Contains(string(said), secret) {
				t.Errorf("%s is told in\n%s", key, said)
			}
		}
	}
}
