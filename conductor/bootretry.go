package conductor

import (
	"context"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// retriesBoot are the states in which a machine is on its way into a ramdisk.
var retriesBoot = []string{store.DeployWait, store.CleanWait, store.RescueWait}

// retryBoots boots machines anew that boot their ramdisk from the network and were not heard of for [pxe]boot_retry_timeout.
func (c *Conductor) retryBoots(ctx context.Context) error {
	nodes, err := c.owned(ctx, sql.Filter{Reserved: pointer(false), Maintenance: pointer(false), ProvisionStates: retriesBoot,
		ProvisionedBefore: c.cfg.BootRetryTimeout}, "driver_internal_info")
	if err != nil {
		return err
	}
	nodes = slices.DeleteFunc(nodes, func(n *store.Node) bool { return !c.bootOverdue(n) })
	c.eachLocked(ctx, nodes, c.live().PeriodicMaxWorkers, "retrying PXE boot", func(_ context.Context, t *task) error {
		boot, ok := t.Hardware.Boot.(drivers.BootRetrier)
		if !ok || t.Node.Maintenance || !slices.Contains(retriesBoot, t.Node.ProvisionState) || !c.bootOverdue(t.Node) {
			return nil
		}
		t.Log.Info().Dur("after", c.cfg.BootRetryTimeout).Msg("The ramdisk was not heard of; booting it again")
		t.after(func(ctx context.Context, t *task) {
			if err := boot.RetryBoot(ctx, t.Task); err != nil && !lost(err) {
				t.Log.Error().Err(err).Msg("Booting the ramdisk again failed")
			}
		}, nil)
		return nil
	})
	return nil
}

// bootOverdue tells that nothing was heard of a node's ramdisk since its machine was last switched, which was long ago.
func (c *Conductor) bootOverdue(n *store.Node) bool {
	info := n.DriverInternalInfo
	if info.String(keyAgentToken) != "" {
		return false
	}
	for _, key := range []string{keyAgentHeartbeat, keyPowerChanged} {
		at, err := time.Parse(isoMicro, info.String(key))
		if err == nil && c.now().UTC().Sub(at) < c.cfg.BootRetryTimeout {
			return false
		}
	}
	return true
}

// bootRetryInterval is zero, which switches retries off, without [pxe]boot_retry_timeout.
func (c *Conductor) bootRetryInterval(*Live) time.Duration {
	if c.cfg.BootRetryTimeout == 0 {
		return 0
	}
	return c.cfg.BootRetryInterval
}
