package wholeworker

import (
	"regexp"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// TestBadInput shows the worker what goes wrong in machine rooms. Each case wants the error where its user looks, nothing
// half-changed, and a node that goes on once the cause is mended.
func TestBadInput(t *testing.T) {
	w := start(t, setup{database: "sqlite", glance: true, extra: options{
		"conductor": {"deploy_callback_timeout": "20", "power_state_change_timeout": "5"},
		// A server that stays broken ends a deployment, once the time for outages is over.
		"ironmaster": {"image_outage_limit": "3"},
	}})
	img := makeImage(t, w.wares, 12, 1)
	web := startWebServer(t)
	t.Run("cases", func(t *testing.T) {
		t.Run("bmc", func(t *testing.T) {
			t.Parallel()
			badBMCs(t, w, img)
		})
		t.Run("image", func(t *testing.T) {
			t.Parallel()
			badImages(t, w, web, img)
		})
		t.Run("agent", func(t *testing.T) {
			t.Parallel()
			badAgents(t, w, img)
		})
	})
	w.checkNothingHeld(t)
}

// patient is a room of one machine that has faults until it is mended, and the machine's node.
type patient struct {
	w    *world
	room *room.Room
	cfg  room.Config
	node string
}

// admit opens the room and enrols the node, with values of its driver_info replaced.
func admit(t *testing.T, w *world, seed uint64, faults room.Faults, info map[string]any) *patient {
	t.Helper()
	ports, err := w.lab.ReservePorts(1)
	must(t, err)
	p := &patient{w: w, cfg: room.Config{Seed: seed, Count: 1, BasePort: ports[0], Faults: faults}}
	p.open(t)
	own := map[string]any{"name": "patient-" + regexp.MustCompile(`\W+`).ReplaceAllString(t.Name(), "-"), "automated_clean": false}
	if info != nil {
		own["driver_info"] = info
	}
	p.node, err = w.api.enrol(t.Context(), p.machine().Info(), w.ramdisk, own)
	must(t, err)
	return p
}

func (p *patient) open(t *testing.T) {
	t.Helper()
	p.room = p.w.openRoom(t, p.cfg)
}

func (p *patient) machine() *room.Machine { return p.room.Machines()[0] }

// mend opens the room again without faults. Its BMC has the same address and another certificate.
func (p *patient) mend(t *testing.T) {
	t.Helper()
	must(t, p.room.Close())
	p.cfg.Faults = room.Faults{}
	p.open(t)
}

// makeAvailable takes the node there without cleaning.
func makeAvailable(t *testing.T, w *world, uuid string) {
	t.Helper()
	must(t, w.api.reach(t.Context(), uuid, "manage", "manageable"))
	must(t, w.api.reach(t.Context(), uuid, "provide", "available"))
}

// deploys expects a deployment that works.
func deploys(t *testing.T, w *world, m *room.Machine, uuid string, instance map[string]any, img diskImage) {
	t.Helper()
	must(t, w.api.patch(t.Context(), uuid, set("/instance_info", instance)))
	must(t, w.api.reach(t.Context(), uuid, "active", "active"))
	sum, err := m.DiskSHA256(img.size)
	must(t, err)
	if sum != img.sum {
		t.Errorf("the disk differs from the image")
	}
}

// fails asks for a change of provision state, and expects it to end in a state with an error that a pattern matches.
func fails(t *testing.T, w *world, uuid, verb, state, pattern string) node {
	t.Helper()
	must(t, w.api.provision(t.Context(), uuid, verb))
	n, err := w.api.settle(t.Context(), uuid)
	must(t, err)
	if n.ProvisionState != state {
		t.Fatalf("%s ended in %q, not %q: %s", verb, n.ProvisionState, state, n.LastError)
	}
	if !matches(pattern, n.LastError) {
		t.Errorf("last_error is %q, which does not match %q", n.LastError, pattern)
	}
	if len(n.DeployStep) > 0 || len(n.CleanStep) > 0 {
		t.Errorf("steps are left: %v %v", n.DeployStep, n.CleanStep)
	}
	return n
}

func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }
