package conductor

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// servingImages serves something to the nodes listed.
type servingImages struct {
	noImages
	nodes []string
}

func (s *servingImages) Served() []string { return slices.Clone(s.nodes) }

// A worker that drains and has peers leaves the ring first and answers on, because ironic-api may not have noticed yet.
func TestADrainingWorkerAnswersWhileItLeaves(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HashRingResetInterval, c.GracefulShutdownTimeout = time.Hour, 0 })
	other := r.peer(t, "worker-2")
	other.cfg.HashRingResetInterval = 0
	w, peer := r.start(t), other.start(t)
	n := w.available(t, nil)
	w.End(Drain)
	waitUntil(t, "the worker has left the ring", func() bool {
		members, err := w.db.OnlineConductors(t.Context(), w.cfg.HeartbeatTimeout)
		return err == nil && len(members) == 1 && members[0].Hostname == "worker-2"
	})
	equal(t, "ready", w.Health().Ready, false)

	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
	w.settled(t, n.UUID, store.Active)
	w.exec(t, "UPDATE conductors SET updated_at = '2001-01-01 00:00:00'")
	if err := w.signOfLife(t.Context()); err != nil {
		t.Fatal(err)
	}
	row, err := w.db.Conductor(t.Context(), "worker-1")
	if err != nil || row.Online || row.UpdatedAt.Year() == 2001 {
		t.Errorf("after a sign of life the row is %+v, %v; it must be fresh, and stay offline", row, err)
	}
	select {
	case <-w.bus.unserved:
		t.Error("requests are not served any more")
	default:
	}

	equal(t, "drains", w.Health().Draining.Doing, "leaving the hash ring")
	w.stop() // SIGTERM
	<-w.bus.unserved
	peer.stop()
}

// A machine that boots or writes what a worker serves is waited for, until its flow has gone on.
func TestADrainingWorkerWaitsForItsReaders(t *testing.T) {
	images := &servingImages{}
	r := newRig(t, nil)
	r.images = images
	w := r.start(t)
	node := func(state, target string, deploy, clean string) *store.Node {
		n := w.enroll(t, func(n *store.Node) {
			n.ProvisionState, n.TargetProvisionState = state, target
			if deploy != "" {
				n.DeployStep = store.Dict{"interface": "deploy", "step": deploy}
			}
			if clean != "" {
				n.CleanStep = store.Dict{"interface": "deploy", "step": clean}
			}
		})
		images.nodes = append(images.nodes, n.UUID)
		return n
	}
	boots := node(store.CleanWait, store.Available, "", "")
	writes := node(store.DeployWait, store.Active, "write_image", "")
	node(store.Deploying, store.Active, "write_image", "")
	node(store.Active, "", "", "")
	images.nodes = append(images.nodes, "cafe0000-0000-4000-8000-000000000000") // deleted meanwhile
	before, err := w.readers(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values([]string{boots.UUID, writes.UUID}))
	equal(t, "readers", slices.Equal(slices.Sorted(maps.Keys(before)), want), true)

	node(store.DeployWait, store.Active, "deploy", "") // a peer's, for nothing new begins here any more
	w.exec(t, "UPDATE nodes SET clean_step = ? WHERE uuid = ?", `{"interface": "deploy", "step": "erase"}`, boots.UUID)
	after, err := w.readers(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "readers once the one has booted", slices.Equal(slices.Collect(maps.Keys(after)), []string{writes.UUID}), true)

	images.nodes = []string{writes.UUID}
	waited := make(chan struct{})
	go func() { w.awaitReaders(t.Context()); close(waited) }()
	w.exec(t, "UPDATE nodes SET provision_state = 'deploying' WHERE uuid = ?", writes.UUID)
	<-waited
}

func TestADrainTellsWhatIsLeft(t *testing.T) {
	w := startWorker(t, nil)
	n := w.available(t, nil)
	gate := w.holdsDeployment(t, n)
	w.End(Drain)
	<-w.bus.unserved
	waitUntil(t, "it says what it waits for", func() bool {
		v := w.Health().Draining
		return v != nil && v.Doing == "letting work end" && v.AtWork == 1
	})
	close(gate)
	<-w.ended
	equal(t, "state", w.row(t, n.UUID).ProvisionState, store.Active)
}

func TestADrainEnds(t *testing.T) {
	for name, hurry := range map[string]func(*worker){
		"after drain_shutdown_timeout": func(*worker) {},
		"when it is told to stop":      func(w *worker) { w.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			w := startWorker(t, func(c *Config) {
				if c.GracefulShutdownTimeout = 0; name == "after drain_shutdown_timeout" {
					c.DrainTimeout = time.Millisecond
				}
			})
			n := w.available(t, nil)
			w.holdsDeployment(t, n)
			w.End(Drain)
			hurry(w)
			<-w.ended
			if got := w.row(t, n.UUID); got.Reservation != "" {
				t.Errorf("the node is still held by %s", got.Reservation)
			}
		})
	}
}
