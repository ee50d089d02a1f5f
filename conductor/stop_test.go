package conductor

import (
	"context"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// holdsDeployment begins a deployment whose only step ends when the gate is closed, or the work is cut short.
func (w *worker) holdsDeployment(t *testing.T, n *store.Node) (gate chan struct{}) {
	t.Helper()
	gate = make(chan struct{})
	reached := make(chan struct{}, 10)
	w.script.use(behaviour{steps: map[drivers.StepKind][]drivers.Step{drivers.DeployStep: {{Interface: drivers.TypeDeploy,
		Name: "deploy", Priority: 100, Run: func(ctx context.Context, _ *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
			reached <- struct{}{}
			select {
			case <-gate:
				return drivers.Done, nil
			case <-ctx.Done():
				return drivers.Done, ctx.Err()
			}
		}}}}})
	w.must(t, "do_node_deploy", map[string]any{"node_id": n.UUID})
	<-reached
	return gate
}

// A worker that is told to stop leaves its flow where it is; it goes on when it is back.
func TestAStoppingWorkerLeavesItsFlows(t *testing.T) {
	for _, how := range []Ending{Stop, StopRegistered} {
		t.Run(how.String(), func(t *testing.T) {
			r := newRig(t, nil)
			w := r.start(t)
			n := w.available(t, nil)
			gate := w.holdsDeployment(t, n)
			w.End(how)
			<-w.ended
			if got := w.row(t, n.UUID); got.ProvisionState != store.Deploying || got.Reservation != "" || got.LastError != "" {
				t.Errorf("the node is %q, held by %q: %s", got.ProvisionState, got.Reservation, got.LastError)
			}
			members, err := w.db.OnlineConductors(t.Context(), r.cfg.HeartbeatTimeout)
			gone, failed := w.db.OfflineConductors(t.Context(), r.cfg.HeartbeatTimeout)
			if err != nil || failed != nil || len(members) == 1 != (how == StopRegistered) || len(gone) == 1 != (how == Stop) {
				t.Errorf("members of the ring: %v, %v; those that are gone: %v, %v", members, err, gone, failed)
			}
			w.stop()
			close(gate)
			again := r.start(t)
			again.settled(t, n.UUID, store.Active)
		})
	}
}

// A peer goes on with the flows of a worker that said goodbye at once, and does not wait for heartbeat_timeout.
func TestPeersGoOnWithTheFlowsOfAStoppedWorker(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HeartbeatTimeout, c.CheckProvisionStateInterval = time.Hour, 10*time.Millisecond })
	other := r.peer(t, "worker-2")
	other.cfg.HashRingResetInterval = 0
	w := r.start(t)
	n := w.available(t, nil)
	gate := w.holdsDeployment(t, n)
	peer := other.start(t)
	w.stop()
	close(gate)
	peer.settled(t, n.UUID, store.Active)
}
