package conductor

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// leaving is this worker's way out of the hash ring. The mutex keeps a sign of life that is under way from putting the
// worker back.
type leaving struct {
	mu    sync.Mutex
	begun atomic.Bool
}

// stopGrace is how long requests in execution have when a worker stops, if graceful_shutdown_timeout is not even shorter.
// What takes longer stays in the inbox and runs at the next start.
const stopGrace = 3 * time.Second

// stop ends the worker as it was asked to. Flows are left where their rows say they are; what is held is handed back, so
// that whoever comes next finds the nodes free.
func (c *Conductor) stop(stopServing func(), serving *sync.WaitGroup) {
	how, _ := c.ending.way()
	c.log.Info().Int("at_work", c.pool.Busy()).Stringer("how", how).Msg("The conductor is stopping")
	if how == Drain && c.atWork.Load() {
		c.drain(stopServing, serving)
	}
	grace := time.AfterFunc(min(c.live().GracefulShutdownTimeout, stopGrace), c.endWork)
	defer grace.Stop()
	stopServing()
	c.work.end()
	serving.Wait()
	c.endWork()
	c.pool.Close()
	c.background.Wait()
	c.letGo(how)
	// Last, because programs take their time.
	if err := c.stopContainers(context.Background()); err != nil {
		c.log.Error().Err(err).Msg("Stopping console containers failed")
	}
}

// letGo gives what the worker holds to whoever comes next.
func (c *Conductor) letGo(how Ending) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if _, err := c.db.ClearReservations(ctx, c.cfg.Host); err != nil {
		c.log.Error().Err(err).Msg("Releasing this host's reservations failed")
	}
	if how == StopRegistered {
		c.log.Info().Dur("within", c.cfg.HeartbeatTimeout).Msg("The conductor stays registered and is expected back")
		return
	}
	if err := c.retire(ctx); err != nil {
		c.log.Error().Err(err).Msg("Deregistering failed")
	}
}

// retire tells everybody that the worker is gone. Its last sign of life is put back in time: peers go on with its flows at
// once, and do not wait for heartbeat_timeout as they must with one that may still be at work.
func (c *Conductor) retire(ctx context.Context) error {
	return c.goOffline(func() error { return c.db.Retire(ctx, c.cfg.Host, c.cfg.HeartbeatTimeout) })
}

// unregister takes the worker out of the ring while it is still at work.
func (c *Conductor) unregister(ctx context.Context) error {
	return c.goOffline(func() error { return c.db.Unregister(ctx, c.cfg.Host) })
}

func (c *Conductor) goOffline(write func() error) error {
	c.leaving.mu.Lock()
	defer c.leaving.mu.Unlock()
	c.leaving.begun.Store(true)
	if err := write(); err != nil && store.KindOf(err) != store.ConductorNotFound {
		return err
	}
	return nil
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
