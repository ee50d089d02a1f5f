package conductor

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// verify checks that the BMC answers and learns what it can about the node; "verifying" ends in manageable or enroll.
func (t *task) verify(ctx context.Context) {
	node := t.Node
	power, failure := t.readPowerForVerify(ctx)
	if err := t.runVerifySteps(ctx); lost(err) {
		return
	} else if err != nil {
		failure = err.Error()
	}
	if failure != "" {
		if t.cutShort(ctx, failure) {
			return
		}
		t.record(ctx, historyVerify, failure)
		t.failEvent(ctx, "")
		return
	}
	t.cacheHardware(ctx)
	// gofail: var verifyRead struct{}
	before := node.PowerState
	node.PowerState = power
	if err := t.processEvent(ctx, eventDone, eventOptions{}); err != nil {
		if !lost(err) {
			t.Log.Error().Err(err).Msg("Ending the verification failed")
		}
		return
	}
	if before != power {
		t.notifyPowerCorrected(ctx, before)
	}
}

func (t *task) readPowerForVerify(ctx context.Context) (state, failure string) {
	if err := t.Hardware.Power.Validate(ctx, t.Task); err != nil {
		return "", fmt.Sprintf("Failed to validate power driver interface for node %s. Error: %s", t.Node.UUID, err)
	}
	state, err := t.Hardware.Power.PowerState(ctx, t.Task)
	if err != nil {
		return "", fmt.Sprintf("Failed to get power state for node %s. Error: %s", t.Node.UUID, err)
	}
	return state, ""
}

func (t *task) runVerifySteps(ctx context.Context) error {
	steps := t.driverSteps(drivers.VerifyStep)
	overridePriorities(steps, t.c.cfg.VerifyStepPriorityOverride)
	steps = enabledSteps(steps)
	t.sortSteps(drivers.VerifyStep, steps)
	var failed error
	for _, step := range steps {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := t.runStep(ctx, drivers.VerifyStep, step, false); err != nil {
			failed = store.Errorf(store.NodeVerifyFailure, "Node %s failed verify step %s with unexpected error: %w",
				t.Node.UUID, step.String("step"), err)
			t.record(ctx, historyVerifying, "Failed to verify: "+err.Error())
			if err := t.saveOrLose(ctx); err != nil {
				return err
			}
		}
	}
	return failed
}

// cacheHardware records what the node's hardware tells of itself.
func (t *task) cacheHardware(ctx context.Context) {
	t.cacheBIOS(ctx)
	t.cacheVendor(ctx)
	t.cacheBootMode(ctx)
	t.cacheFirmware(ctx)
}

// cacheVendor records the manufacturer once; it does not change.
func (t *task) cacheVendor(ctx context.Context) {
	if t.Node.Properties.String("vendor") != "" {
		return
	}
	vendor, err := t.Hardware.Management.DetectVendor(ctx, t.Task)
	if err != nil {
		if store.KindOf(err) != store.UnsupportedDriverExtension {
			t.Log.Warn().Err(err).Msg("Detecting the vendor failed")
		}
		return
	}
	if vendor == "" || t.upgrade(ctx, "caching node vendor", 0) != nil {
		return
	}
	t.Node.Properties["vendor"] = vendor
	_ = t.saveOrLose(ctx)
}

// cacheBootMode records boot mode and secure boot as the BMC tells them.
func (t *task) cacheBootMode(ctx context.Context) {
	mode, err := t.Hardware.Management.BootMode(ctx, t.Task)
	if err != nil && store.KindOf(err) != store.UnsupportedDriverExtension {
		t.Log.Warn().Err(err).Msg("Reading the boot mode failed")
		return
	}
	var secure *bool
	on, err := t.Hardware.Management.SecureBoot(ctx, t.Task)
	if err == nil {
		secure = &on
	} else if store.KindOf(err) != store.UnsupportedDriverExtension {
		t.Log.Warn().Err(err).Msg("Reading secure boot failed")
		return
	}
	if mode == t.Node.BootMode && equalPtr(secure, t.Node.SecureBoot) {
		return
	}
	if t.upgrade(ctx, "caching boot_mode or secure_boot state", 0) != nil {
		return
	}
	t.Node.BootMode, t.Node.SecureBoot = mode, secure
	_ = t.saveOrLose(ctx)
}

func equalPtr[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
