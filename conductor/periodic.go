package conductor

import (
	"context"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
)

// periodic is work that is done again and again, each time a spacing after the last one ended. A spacing of zero or less
// switches the work off. It is asked for anew each time, for options may be reloaded.
type periodic struct {
	name    string
	spacing func(*Live) time.Duration
	run     func(context.Context) error
	// timer is what ironic's meters call it; "" where ironic does not measure it.
	timer string
}

// periodics lists what this worker does by itself.
func (c *Conductor) periodics() []periodic {
	check := func(o *Live) time.Duration { return o.CheckProvisionStateInterval }
	// Zero switches this off as ironic's own check.
	orphans := func(o *Live) time.Duration { return min(o.CheckProvisionStateInterval, orphanSpacing) }
	firmware := func(*Live) time.Duration { return c.cfg.FirmwareStatusInterval }
	firmwareFailed := func(*Live) time.Duration { return c.cfg.FirmwareFailInterval }
	return []periodic{
		{"power sync", func(o *Live) time.Duration { return o.SyncPowerStateInterval }, c.syncPowerStates, "_sync_power_states"},
		{"power failure recovery", func(o *Live) time.Duration { return o.PowerFailureRecoveryInterval }, c.recoverPowerFailures, "_power_failure_recovery"},
		{"orphaned nodes", orphans, c.adoptOrphans, "_check_orphan_nodes"},
		{"flows that nobody runs", orphans, c.takeOverFlows, ""},
		{"announcements left behind", func(o *Live) time.Duration { return min(o.CheckProvisionStateInterval, owedSpacing) }, c.settleLeft, ""},
		{"reservations left behind", orphans, c.freeLeftBehind, ""},
		{"requests that were cut short", orphans, c.runCutCalls, ""},
		{"allocations that nobody sees to", func(o *Live) time.Duration { return min(o.CheckAllocationsInterval, orphanSpacing) },
			c.resumeAllocations, "_check_orphan_allocations"},
		{"instances that are not served yet", func(*Live) time.Duration { return serveAgainSpacing }, c.serveInstances, ""},
		{"node take over", func(o *Live) time.Duration { return o.SyncLocalStateInterval }, c.takeOverNodes, "_sync_local_state"},
		{"workers that are gone for good", func(*Live) time.Duration { return c.cfg.StaleInterval }, c.forgetStaleWorkers, "cleanup_stale_conductors"},
		{"histories of nodes", func(*Live) time.Duration { return c.cfg.HistoryCleanUpInterval }, c.cutHistories, "manage_node_history"},
		{"image cache", func(o *Live) time.Duration { return o.CacheCleanUpInterval }, c.cleanImages, "_clean_up_caches"},
		{"consoles that are open for too long", func(*Live) time.Duration { return c.cfg.ConsoleExpiryInterval }, c.closeExpiredConsoles, ""},
		{"sensor data", c.sensorInterval, c.sendSensorData, "_send_sensor_data"},
		{"deploy callback timeouts", check, c.failSilentDeploys, "_check_deploy_timeouts"},
		{"clean callback timeouts", check, c.failSilentCleans, "_check_cleanwait_timeouts"},
		{"boot retries", c.bootRetryInterval, c.retryBoots, ""},
		{"inspections by a service", func(*Live) time.Duration { return c.cfg.InspectionCheckInterval }, c.followInspections, ""},
		{"inspection timeouts", check, c.failSilentInspections, "_check_inspect_wait_timeouts"},
		{"service callback timeouts", check, c.failSilentServices, "_check_servicewait_timeouts"},
		{"rescue callback timeouts", func(o *Live) time.Duration { return o.CheckRescueStateInterval }, c.failSilentRescues, "_check_rescuewait_timeouts"},
		{"RAID at BMCs", func(*Live) time.Duration { return c.cfg.RAIDStatusInterval }, c.pollSteps(drivers.TypeRAID), ""},
		{"RAID that failed", func(*Live) time.Duration { return c.cfg.RAIDFailInterval }, c.discardSteps(drivers.TypeRAID), ""},
		{"BIOS settings at BMCs", firmware, c.pollSteps(drivers.TypeBIOS), ""},
		{"BIOS settings that failed", firmwareFailed, c.discardSteps(drivers.TypeBIOS), ""},
		{"firmware at BMCs", firmware, c.pollSteps(drivers.TypeManagement), ""},
		{"firmware that failed", firmwareFailed, c.discardSteps(drivers.TypeManagement), ""},
		{"firmware of components at BMCs", firmware, c.pollSteps(drivers.TypeFirmware), ""},
		{"firmware of components that failed", firmwareFailed, c.discardSteps(drivers.TypeFirmware), ""},
	}
}

// runPeriodics starts every periodic on a goroutine of its own; they end with ctx.
func (c *Conductor) runPeriodics(ctx context.Context) {
	for _, p := range c.periodics() {
		c.background.Go(func() { c.repeat(ctx, p) })
	}
}

func (c *Conductor) repeat(ctx context.Context, p periodic) {
	for c.awaitTurn(ctx, p) == nil {
		if err := c.mayAct(); err != nil {
			c.log.Warn().Err(err).Str("task", p.name).Msg("Periodic work is left out")
			continue
		}
		work, began := c.working(), c.uptime()
		if err := contain(c.log, p.name, func() error { return p.run(work) }); err == nil {
			c.meterTime(p.timer, c.uptime()-began)
		} else if work.Err() == nil {
			c.log.Error().Err(err).Str("task", p.name).Msg("Periodic work failed")
		}
	}
}

// awaitTurn waits for a spacing, which may change meanwhile, or until ctx ends.
func (c *Conductor) awaitTurn(ctx context.Context, p periodic) error {
	began := time.Now()
	for {
		reloaded := c.reloaded.hear()
		var due <-chan time.Time
		if spacing := p.spacing(c.live()); spacing > 0 {
			timer := time.NewTimer(time.Until(began.Add(spacing)))
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-due:
			return nil
		case <-reloaded:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// bell wakes everybody who waits for it.
type bell struct {
	mu   sync.Mutex
	next chan struct{}
}

// hear returns what is closed when the bell is next rung.
func (b *bell) hear() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *bell) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
