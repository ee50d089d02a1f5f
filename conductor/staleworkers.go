package conductor

import (
	"context"
	"fmt"
	"time"

	"github.com/ironmaster/ironmaster/messaging"
)

// forgetStaleWorkers deletes the rows of workers that have given no sign of life for [conductor]conductor_cleanup_timeout, as ironic
// does since 38.0. The timeout must be three times heartbeat_timeout at least.
func (c *Conductor) forgetStaleWorkers(ctx context.Context) error {
	if c.cfg.Release < messaging.Newest {
		return nil
	}
	timeout := c.live().StaleTimeout
	if least := 3 * c.cfg.HeartbeatTimeout; timeout < least {
		return fmt.Errorf("conductor_cleanup_timeout is %d s: it must be at least %d s, three times heartbeat_timeout",
			timeout/time.Second, least/time.Second)
	}
	gone, err := c.db.OfflineConductors(ctx, timeout)
	if err != nil {
		return err
	}
	for _, worker := range gone[:min(len(gone), c.live().StaleBatch)] {
		forgotten, err := c.db.ForgetConductor(ctx, worker)
		if err != nil {
			return err
		}
		if forgotten {
			c.log.Info().Str("conductor", worker.Hostname).Time("last_sign", worker.UpdatedAt).
				Msg("A worker that is gone for good was taken off the list")
		}
	}
	return nil
}
