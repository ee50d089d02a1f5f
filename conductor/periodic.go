package conductor

import (
	"context"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
)

// periodic is work that is done again and again, each time a spacing after the last one ended.
type periodic struct {
	name    string
	spacing time.Duration
	run     func(context.Context) error
}

// periodics lists what this worker does by itself. A spacing of zero or less switches the work off.
func (c *Conductor) periodics() []periodic {
	// Zero switches this off as ironic's own check.
	orphans := min(c.cfg.CheckProvisionStateInterval, orphanSpacing)
	list := []periodic{
		{"power sync", c.cfg.SyncPowerStateInterval, c.syncPowerStates},
		{"power failure recovery", c.cfg.PowerFailureRecoveryInterval, c.recoverPowerFailures},
		{"orphaned nodes", orphans, c.adoptOrphans},
		{"flows that nobody runs", orphans, c.takeOverFlows},
		{"reservations left behind", orphans, c.freeLeftBehind},
		{"requests that were cut short", orphans, c.runCutCalls},
		{"node take over", c.cfg.SyncLocalStateInterval, c.takeOverNodes},
		{"image cache", c.cfg.CacheCleanUpInterval, c.cleanImages},
	}
	if c.cfg.DeployCallbackTimeout > 0 {
		list = append(list, periodic{"deploy callback timeouts", c.cfg.CheckProvisionStateInterval, c.failSilentDeploys})
	}
	if c.cfg.CleanCallbackTimeout > 0 {
		list = append(list, periodic{"clean callback timeouts", c.cfg.CheckProvisionStateInterval, c.failSilentCleans})
	}
	return list
}

// runPeriodics starts every periodic on a goroutine of its own; they end with ctx.
func (c *Conductor) runPeriodics(ctx context.Context) {
	for _, p := range c.periodics() {
		if p.spacing > 0 {
			c.background.Go(func() { c.repeat(ctx, p) })
		}
	}
}

func (c *Conductor) repeat(ctx context.Context, p periodic) {
	for drivers.Pause(ctx, p.spacing) == nil {
		if err := c.mayAct(); err != nil {
			c.log.Warn().Err(err).Str("task", p.name).Msg("Periodic work is left out")
			continue
		}
		work := c.working()
		if err := p.run(work); err != nil && work.Err() == nil {
			c.log.Error().Err(err).Str("task", p.name).Msg("Periodic work failed")
		}
	}
}
