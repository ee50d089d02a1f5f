package conductor

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// leaving is this worker's way out of the hash ring. The mutex keeps a sign of life that is under way from putting the
// worker back.
type leaving struct {
	mu    sync.Mutex
	begun atomic.Bool
}

// ringMargin is added to hash_ring_reset_interval: a request that was sent just before a ring was read again is on its way
// for a moment.
const ringMargin = time.Second

// readersPoll is how often a worker that stops looks whether machines still read from it.
const readersPoll = time.Second

// stop hands back what is held. Requests in execution are finished; background work gets GracefulShutdownTimeout.
//
// With peers, nothing that is asked or read meanwhile may be lost on the way to them. So the worker leaves the ring first,
// answers on until nobody has the old ring any more, and serves what it has promised to waiting machines until they have
// gone on. Its signs of life go on to the end: peers free the nodes of a worker that gives none.
func (c *Conductor) stop(stopServing func(), serving *sync.WaitGroup) {
	c.log.Info().Int("at_work", c.pool.Busy()).Msg("The conductor is stopping")
	grace := time.AfterFunc(c.cfg.GracefulShutdownTimeout, c.endWork)
	defer grace.Stop()
	peers := c.atWork.Load() && c.leaveRing()
	if peers {
		// An error only tells that the time for stopping is over.
		_ = drivers.Pause(c.workCtx, c.cfg.HashRingResetInterval+ringMargin)
	}
	stopServing()
	serving.Wait()
	c.pool.Close()
	if peers {
		c.awaitReaders(c.workCtx)
	}
	c.endWork()
	c.background.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if _, err := c.db.ClearReservations(ctx, c.cfg.Host); err != nil {
		c.log.Error().Err(err).Msg("Releasing this host's reservations failed")
	}
	if err := c.unregister(ctx); err != nil {
		c.log.Error().Err(err).Msg("Deregistering failed")
	}
}

// leaveRing takes the worker out of the hash ring when there are others of its group to take over; it tells whether there
// are. One that is alone stays until its work is done: nobody else would answer.
func (c *Conductor) leaveRing() bool {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	peers, err := c.peers(ctx)
	if err != nil {
		c.log.Error().Err(err).Msg("Looking for other conductors failed")
		return false
	}
	if peers == 0 {
		return false
	}
	if err := c.unregister(ctx); err != nil {
		c.log.Error().Err(err).Msg("Leaving the hash ring failed")
		return false
	}
	c.log.Info().Int("peers", peers).Msg("Left the hash ring; new requests go to the other conductors")
	return true
}

// peers is how many other workers of the group are alive.
func (c *Conductor) peers(ctx context.Context) (int, error) {
	members, err := c.db.OnlineConductors(ctx, c.cfg.HeartbeatTimeout)
	if err != nil {
		return 0, err
	}
	peers := 0
	for _, m := range members {
		if m.Group == c.cfg.Group && !strings.EqualFold(m.Hostname, c.cfg.Host) {
			peers++
		}
	}
	return peers, nil
}

func (c *Conductor) unregister(ctx context.Context) error {
	c.leaving.mu.Lock()
	defer c.leaving.mu.Unlock()
	c.leaving.begun.Store(true)
	if err := c.db.Unregister(ctx, c.cfg.Host); err != nil && store.KindOf(err) != store.ConductorNotFound {
		return err
	}
	return nil
}

// awaitReaders waits until no machine waits any more for what this worker serves: a boot ISO, or the image that is being
// written. Its peers move such a node on, but can't serve it at the same address.
func (c *Conductor) awaitReaders(ctx context.Context) {
	waiting, err := c.readers(ctx, nil)
	if err == nil && len(waiting) > 0 {
		c.log.Info().Int("nodes", len(waiting)).Msg("Serving waiting nodes before the end")
	}
	for err == nil && len(waiting) > 0 && drivers.Pause(ctx, readersPoll) == nil {
		waiting, err = c.readers(ctx, waiting)
	}
	if err != nil || len(waiting) > 0 {
		c.log.Warn().Err(err).Int("nodes", len(waiting)).Msg("Stopping although nodes wait for what is served here")
	}
}

// wait is where a node waits: a flow that went on is in another place.
type wait struct{ state, step string }

// readers tells where the nodes wait that this worker serves something. Those that were known before count only while
// they wait in the same place, and no others do then.
func (c *Conductor) readers(ctx context.Context, before map[string]wait) (map[string]wait, error) {
	served := c.images.Served()
	if before != nil {
		served = slices.DeleteFunc(served, func(node string) bool { _, known := before[node]; return !known })
	}
	if len(served) == 0 {
		return nil, nil
	}
	nodes, err := c.db.Nodes(ctx, sql.Filter{UUIDs: served, ProvisionStates: []string{store.DeployWait, store.CleanWait},
		Columns: []string{"uuid", "provision_state", "deploy_step", "clean_step"}})
	if err != nil {
		return nil, err
	}
	now := map[string]wait{}
	for _, n := range nodes {
		step := n.DeployStep
		if n.ProvisionState == store.CleanWait {
			step = n.CleanStep
		}
		at := wait{n.ProvisionState, stepID(step)}
		if was, known := before[n.UUID]; before == nil || known && was == at {
			now[n.UUID] = at
		}
	}
	return now, nil
}
