package wholeworker

import (
	"database/sql"
	"errors"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// TestRestart ends the worker in the middle of deployments, in order and without warning, and starts it again.
func TestRestart(t *testing.T) {
	var glance *gated
	w := start(t, setup{database: "mariadb", glance: true, own: func(w *world) options {
		glance = newGated(t, w.lab.GlanceURL)
		server := httptest.NewServer(glance)
		t.Cleanup(server.Close)
		return options{"glance": {"endpoint_override": server.URL}, "conductor": {"graceful_shutdown_timeout": "6"}}
	}})
	img := makeImage(t, w.wares, 12, 1)
	r := restart{w: w, web: startWebServer(t), img: img, db: w.openMariaDB(t)}
	cases := []struct {
		name string
		run  func(restart, *testing.T)
		// slow wants a machine that takes a moment from power on until it reads its boot ISO.
		slow bool
	}{
		{"in order while an agent writes", func(r restart, t *testing.T) {
			r.whileAgentWrites(t, func() { r.stop(t) })
		}, false},
		{"without warning while an agent writes", func(r restart, t *testing.T) {
			r.whileAgentWrites(t, func() { must(t, r.w.conductor.Kill()) })
		}, false},
		{"without warning while a machine starts", restart.whileMachineStarts, true},
		{"in order with a step that comes to its end", restart.finishes, true},
		{"in order with a step that does not end", restart.handsBack, false},
		{"without warning in a step", restart.losesStep, false},
		{"without warning before a request was answered", func(r restart, t *testing.T) { r.inbox(t, glance) }, false},
	}
	quick := w.openRoom(t, room.Config{Seed: 1, Count: len(cases)}).Machines()
	slow := w.openRoom(t, room.Config{Seed: 2, Count: len(cases), BootDelay: 4 * time.Second}).Machines()
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if r.machine = quick[i]; c.slow {
				r.machine = slow[i]
			}
			var err error
			r.node, err = w.api.enrol(t.Context(), r.machine.Info(), w.ramdisk, map[string]any{"automated_clean": false})
			must(t, err)
			makeAvailable(t, w, r.node)
			c.run(r, t)
			w.checkNothingHeld(t)
			if got := r.machine.Snapshot(); got.Writes != 1 {
				t.Errorf("the image was written %d times", got.Writes)
			}
		})
	}
}

// restart is a deployment during which the worker ends.
type restart struct {
	w       *world
	web     *webServer
	img     diskImage
	db      *sql.DB
	machine *room.Machine
	node    string
}

func (w *world) openMariaDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := w.lab.Database.OpenMariaDB()
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// order deploys an image that comes through a gate.
func (r restart) order(t *testing.T, g *gate, more map[string]any) {
	t.Helper()
	instance := map[string]any{"image_source": r.web.put(r.machine.Info().Name, serveGated(r.img.raw, g)),
		"image_disk_format": "raw", "image_checksum": r.img.sum}
	for key, value := range more {
		instance[key] = value
	}
	must(t, r.w.api.patch(t.Context(), r.node, set("/instance_info", instance)))
	must(t, r.w.api.provision(t.Context(), r.node, "active"))
	g.awaitReached(t)
}

// stop ends the worker in order and looks whether it said goodbye.
func (r restart) stop(t *testing.T) {
	t.Helper()
	must(t, r.w.conductor.Stop())
	r.checkDeregistered(t)
}

func (r restart) checkDeregistered(t *testing.T) {
	t.Helper()
	for query, want := range map[string]int{
		"SELECT COUNT(*) FROM conductors WHERE online AND hostname = ?":                                                      0,
		"SELECT COUNT(*) FROM conductors WHERE hostname = ?":                                                                 1,
		"SELECT COUNT(*) FROM conductor_hardware_interfaces i JOIN conductors c ON c.id = i.conductor_id WHERE hostname = ?": 0,
		"SELECT COUNT(*) FROM nodes WHERE reservation = ?":                                                                   0,
	} {
		var got int
		must(t, r.db.QueryRowContext(t.Context(), query, hostname).Scan(&got))
		if got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

func (r restart) start(t *testing.T) {
	t.Helper()
	must(t, r.w.conductor.Start(t.Context()))
}

func (r restart) checkActive(t *testing.T) {
	t.Helper()
	n, err := r.w.api.settle(t.Context(), r.node)
	must(t, err)
	if n.ProvisionState != "active" || n.LastError != "" {
		t.Fatalf("the node is in %q: %s", n.ProvisionState, n.LastError)
	}
	sum, err := r.machine.DiskSHA256(r.img.size)
	must(t, err)
	if sum != r.img.sum {
		t.Error("the disk differs from the image")
	}
}

// whileAgentWrites ends a worker that has nothing to do but wait.
func (r restart) whileAgentWrites(t *testing.T, end func()) {
	g := newGate()
	r.order(t, g, nil)
	_, err := r.w.api.await(t.Context(), r.node, "wait call-back without a holder", func(n node) bool {
		return n.ProvisionState == "wait call-back" && n.Reservation == ""
	})
	must(t, err)
	end()
	close(g.open)
	r.start(t)
	r.checkActive(t)
}

// whileMachineStarts ends the worker before the machine has read its boot ISO, which the worker serves.
func (r restart) whileMachineStarts(t *testing.T) {
	must(t, r.w.api.patch(t.Context(), r.node, set("/instance_info", map[string]any{
		"image_source": "file://" + r.img.raw, "image_checksum": r.img.sum})))
	must(t, r.w.api.provision(t.Context(), r.node, "active"))
	_, err := r.w.api.await(t.Context(), r.node, "wait call-back", func(n node) bool {
		return n.ProvisionState == "wait call-back" && n.Reservation == ""
	})
	must(t, err)
	if got := r.machine.Snapshot().Booted; got != room.BootNothing {
		t.Fatalf("the machine runs %q already", got)
	}
	must(t, r.w.conductor.Kill())
	r.start(t)
	r.checkActive(t)
}

// ending ends the worker in order and returns how, once it has heard of it.
func (r restart) ending(t *testing.T) <-chan error {
	t.Helper()
	const text = "The conductor is stopping"
	count := func() int {
		log, err := os.ReadFile(r.w.conductor.LogFile())
		must(t, err)
		return strings.Count(string(log), text)
	}
	before, ended := count(), make(chan error, 1)
	go func() { ended <- r.w.conductor.Stop() }()
	eventually(t, "the worker is stopping", func() error {
		if count() == before {
			return errors.New("it has not said so")
		}
		return nil
	})
	return ended
}

// finishes has the worker fetch the image itself, and lets the fetching end while it stops.
func (r restart) finishes(t *testing.T) {
	g := newGate()
	r.order(t, g, local(nil))
	ended := r.ending(t)
	close(g.open)
	must(t, <-ended)
	r.checkDeregistered(t)
	r.start(t)
	r.checkActive(t)
}

// handsBack lets the fetching take longer than the worker may go on: the deployment goes on after the restart.
func (r restart) handsBack(t *testing.T) {
	g := newGate()
	r.order(t, g, local(nil))
	must(t, <-r.ending(t))
	r.checkDeregistered(t)
	close(g.open)
	r.start(t)
	r.checkActive(t)
}

// losesStep kills the worker in a step that only it could have ended: the deployment goes on after the restart.
func (r restart) losesStep(t *testing.T) {
	g := newGate()
	r.order(t, g, local(nil))
	must(t, r.w.conductor.Kill())
	close(g.open)
	r.start(t)
	r.checkActive(t)
}

// inbox kills the worker while it looks at a request, which its caller waits for. It is carried out after the restart,
// once, and the caller is answered.
func (r restart) inbox(t *testing.T, glance *gated) {
	image := r.w.upload(t, r.img.qcow2, "qcow2")
	must(t, r.w.api.patch(t.Context(), r.node, set("/instance_info", map[string]any{"image_source": image})))
	g := newGate()
	glance.set(g)
	answer := make(chan error, 1)
	go func() {
		answer <- r.w.api.once(t.Context(), "PUT", "/v1/nodes/"+r.node+"/states/provision", map[string]any{"target": "active"}, nil)
	}()
	g.awaitReached(t)
	must(t, r.w.conductor.Kill())
	glance.set(nil)
	close(g.open)
	r.start(t)
	if err := <-answer; err != nil {
		t.Errorf("the caller was answered with %v", err)
	}
	r.checkActive(t)
	begun := 0
	for _, e := range r.w.events.of(r.node) {
		if e.flow == "deploy" && e.kind == "baremetal.node.deploy_progress.start" {
			begun++
		}
	}
	if begun != 1 {
		t.Errorf("the deployment began %d times", begun)
	}
}
