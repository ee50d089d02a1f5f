package conductor

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store/sql"
)

// ringMargin is added to hash_ring_reset_interval: a request that was sent just before a ring was read again is on its way
// for a moment.
const ringMargin = time.Second

// readersPoll is how often a worker that drains looks whether machines still read from it.
const readersPoll = time.Second

// drain lets what runs come to its end, until it was told to stop or DrainTimeout is over.
//
// With peers, nothing that is asked or read meanwhile may be lost on the way to them. So the worker leaves the ring first,
// answers on until nobody has the old ring any more, and serves what it has promised to waiting machines until they have
// gone on. Its signs of life go on to the end: peers free the nodes of a worker that gives none.
func (c *Conductor) drain(stopServing func(), serving *sync.WaitGroup) {
	ctx, cancel := context.WithCancel(c.ending.patience)
	defer cancel()
	if limit := c.live().DrainTimeout; limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
		c.ending.show(func(v *DrainView) { v.Until = c.now().Add(limit) })
	}
	c.ending.show(func(v *DrainView) { v.Doing = "leaving the hash ring" })
	peers := c.leaveRing()
	if peers {
		// An error only tells that the time for draining is over.
		_ = drivers.Pause(ctx, c.cfg.HashRingResetInterval+ringMargin)
	}
	c.ending.show(func(v *DrainView) { v.Doing = "letting work end" })
	stopServing()
	served := make(chan struct{})
	go func() {
		serving.Wait() // as stop does in any case
		close(served)
	}()
	select {
	case <-served:
	case <-ctx.Done():
	}
	if left := c.pool.Drain(ctx); left > 0 {
		c.log.Warn().Int("at_work", left).Msg("Stopping although work has not come to its end; it will be resumed")
	}
	if peers {
		c.awaitReaders(ctx)
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

// awaitReaders waits until no machine waits any more for what this worker serves: a boot ISO, or the image that is being
// written. Its peers move such a node on, but can't serve it at the same address.
func (c *Conductor) awaitReaders(ctx context.Context) {
	waiting, err := c.readers(ctx, nil)
	c.ending.show(func(v *DrainView) { v.Doing, v.Readers = "serving nodes that wait", len(waiting) })
	if err == nil && len(waiting) > 0 {
		c.log.Info().Int("nodes", len(waiting)).Msg("Serving waiting nodes before the end")
	}
	for err == nil && len(waiting) > 0 && drivers.Pause(ctx, readersPoll) == nil {
		waiting, err = c.readers(ctx, waiting)
		c.ending.show(func(v *DrainView) { v.Readers = len(waiting) })
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
	nodes, err := c.db.Nodes(ctx, sql.Filter{UUIDs: served, IncludeChildren: true, ProvisionStates: awaiting,
		Columns: []string{"uuid", "provision_state", "deploy_step", "clean_step", "service_step"}})
	if err != nil {
		return nil, err
	}
	now := map[string]wait{}
	for _, n := range nodes {
		at := wait{n.ProvisionState, stepID(runningStep(n))}
		if was, known := before[n.UUID]; before == nil || known && was == at {
			now[n.UUID] = at
		}
	}
	return now, nil
}
