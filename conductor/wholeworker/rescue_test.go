package wholeworker

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// TestRescue takes machines with an instance into a ramdisk that lets their user in, and back, and services them where ironic
// knows that.
func TestRescue(t *testing.T) {
	w := start(t, setup{database: "mariadb"})
	machines := w.openRoom(t, room.Config{Seed: 1, Count: 2}).Machines()
	img := makeImage(t, w.wares, 12, 1)
	deployed := func(t *testing.T, m *room.Machine) *life {
		l := &life{w: w, machine: m, image: img, own: map[string]any{"rescue_interface": "agent"}}
		var err error
		l.node, err = w.api.enrol(t.Context(), m.Info(), w.ramdisk, l.own)
		must(t, err)
		for _, step := range [][2]string{{"manage", "manageable"}, {"provide", "available"}} {
			must(t, w.api.reach(t.Context(), l.node, step[0], step[1]))
		}
		must(t, w.api.patch(t.Context(), l.node, set("/instance_info", map[string]any{"image_source": "file://" + img.raw,
			"image_checksum": img.sum})))
		must(t, w.api.reach(t.Context(), l.node, "active", "active"))
		return l
	}
	t.Run("machines", func(t *testing.T) {
		t.Run("and back", func(t *testing.T) {
			t.Parallel()
			l := deployed(t, machines[0])
			l.rescue(t, "open sesame")
			// A second rescue has a password of its own.
			l.rescue(t, "open barley")
			must(t, w.api.reach(t.Context(), l.node, "unrescue", "active"))
			l.checkDeployed(t)
			if servicesHere() {
				must(t, l.order(t.Context(), map[string]any{"target": "service", "service_steps": []any{
					map[string]any{"interface": "deploy", "step": "burnin_cpu"}}}))
				l.settled(t, "active")
				l.checkDeployed(t)
				if got := l.machine.Snapshot().Begun["burnin_cpu"]; got != 1 {
					t.Errorf("the machine was serviced %d times", got)
				}
			}
		})
		t.Run("and away", func(t *testing.T) {
			t.Parallel()
			l := deployed(t, machines[1])
			l.rescue(t, "open sesame")
			must(t, w.api.reach(t.Context(), l.node, "deleted", "available"))
			l.checkTornDown(t)
		})
	})
	w.checkNothingHeld(t)
	checkFarewell(t, w, machines)
	log, err := os.ReadFile(w.conductor.LogFile())
	must(t, err)
	for _, password := range []string{"sesame", "barley"} {
		if strings.Contains(string(log), password) {
			t.Errorf("the conductor's log holds a password with %s in it", password)
		}
	}
}

// order asks for a move of the node.
func (l *life) order(ctx context.Context, body map[string]any) error {
	return l.w.api.do(ctx, http.MethodPut, "/v1/nodes/"+l.node+"/states/provision", body, nil)
}

// settled waits until the node is at rest, and looks where.
func (l *life) settled(t *testing.T, state string) {
	t.Helper()
	n, err := l.w.api.settle(t.Context(), l.node)
	must(t, err)
	if n.ProvisionState != state || n.LastError != "" {
		t.Fatalf("the node is in %s, not in %s: %s", n.ProvisionState, state, n.LastError)
	}
}

// rescue boots the machine into its rescue ramdisk and looks whether the password opens that.
func (l *life) rescue(t *testing.T, password string) {
	t.Helper()
	must(t, l.order(t.Context(), map[string]any{"target": "rescue", "rescue_password": password}))
	l.settled(t, "rescue")
	got := l.machine.Snapshot()
	digest, err := shacrypt.Decode(got.RescuePassword)
	must(t, err)
	if got.Booted != room.BootAgent || !digest.Match(password) {
		t.Errorf("the machine runs %q (%s), and its ramdisk has another password than %q", got.Booted, got.BootError, password)
	}
}
