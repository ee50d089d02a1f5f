package conductor

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// cleanRequest is what a cleaning is asked to do. One that is not manual is automated, and has steps when it goes by a runbook.
type cleanRequest struct {
	manual, runbook bool
	steps           []store.Dict
	// oddSteps is what was sent in the place of steps when isOdd; the cleaning fails once they are read.
	oddSteps       any
	isOdd          bool
	disableRamdisk bool
}

// store writes the request into the node, for whoever has to go on with the flow; the caller saves.
func (r cleanRequest) store(n *store.Node) {
	if !r.manual && !r.runbook {
		return
	}
	n.DriverInternalInfo["clean_steps"] = anyList(r.steps)
	if r.isOdd {
		n.DriverInternalInfo["clean_steps"] = r.oddSteps
	}
	n.DriverInternalInfo[keyDisableRamdisk] = r.disableRamdisk
	if r.runbook {
		n.DriverInternalInfo[keyDeclarative] = true
	}
}

// storedCleanRequest is what the node's cleaning was asked to do.
func (t *task) storedCleanRequest() cleanRequest {
	if !cleansByList(t.Node) {
		return cleanRequest{}
	}
	manual := manualTarget(t.Node) != ""
	sent, known := t.Node.DriverInternalInfo["clean_steps"]
	return cleanRequest{manual: manual, runbook: !manual, steps: t.flowSteps(drivers.CleanStep), oddSteps: sent, isOdd: known && checkSteps(sent) != nil,
		disableRamdisk: t.Node.DriverInternalInfo.Bool(keyDisableRamdisk, false)}
}

const (
	keyDisableRamdisk = "cleaning_disable_ramdisk"
	// keyDeclarative marks a cleaning whose steps somebody has listed: a user or, in newer releases, a runbook.
	keyDeclarative = "declarative_cleaning"
)

// cleansByList tells that the steps of the node's cleaning were listed before it began.
func cleansByList(n *store.Node) bool {
	return manualTarget(n) != "" || n.DriverInternalInfo.Bool(keyDeclarative, false)
}

// startClean begins a cleaning. The node is in "cleaning".
func (t *task) startClean(ctx context.Context, r cleanRequest) {
	if r.manual || !t.skipsAutomatedClean() {
		t.reportFlow(ctx, flowClean, flowStart, "")
	}
	t.clean(ctx, r)
}

// clean is the flow's first part, up to the first step that waits. All of it may run again.
func (t *task) clean(ctx context.Context, r cleanRequest) {
	if !r.manual && t.skipsAutomatedClean() {
		t.Node.CleanStep = store.Dict{}
		t.endClean(ctx, eventDone, "")
		return
	}
	if t.Node.Maintenance && !t.c.live().AllowProvisioningInMaintenance {
		t.cleanFailed(ctx, flowFailure{text: "Cleaning a node in maintenance mode is not allowed", keepRamdisk: true})
		return
	}
	if err := t.chooseForRamdisk(ctx); err != nil {
		if !lost(err) {
			t.cleanFailed(ctx, flowFailure{keepRamdisk: true,
				text: fmt.Sprintf("Failed to select a deploy interface for cleaning node %s: %s", t.Node.UUID, err)})
		}
		return
	}
	if err := t.validateForSteps(ctx, r.disableRamdisk); err != nil {
		t.cleanFailed(ctx, flowFailure{text: cleanValidation(t.Node, err)})
		return
	}
	t.wipeClean(ctx)
	r.store(t.Node)
	if r.manual && t.c.cfg.Release > messaging.V2025_2 {
		t.Node.DriverInternalInfo[keyDeclarative] = true
	}
	if t.saveOrLose(ctx) != nil {
		return
	}
	t.cacheBeforeCleaning(ctx)
	listed, ok := t.listCleanStepsEarly(ctx, &r)
	if !ok {
		return
	}
	outcome, err := t.prepareClean(ctx, r.disableRamdisk)
	if err != nil {
		if !lost(err) {
			t.cleanFailed(ctx, flowFailure{
				text: fmt.Sprintf("Failed to prepare node %s for cleaning: %s", t.Node.UUID, err)})
		}
		return
	}
	// gofail: var cleanPrepared struct{}
	if outcome == drivers.Waiting {
		t.wait(ctx, manualTarget(t.Node))
		return
	}
	if listed {
		t.flowBegan(ctx, drivers.CleanStep)
		t.runCleanSteps(ctx, 0, false)
		return
	}
	t.beginClean(ctx, r.disableRamdisk)
}

// listCleanStepsEarly lists the steps of a manual cleaning before the ramdisk boots, as newer releases do: one whose steps
// all go without needs none. Steps that only the agent may know are no fault yet. ok is false when the cleaning has ended.
func (t *task) listCleanStepsEarly(ctx context.Context, r *cleanRequest) (listed, ok bool) {
	if t.c.cfg.Release <= messaging.V2025_2 || len(r.steps) == 0 || r.disableRamdisk {
		return false, true
	}
	switch err := t.setCleanSteps(ctx, false); {
	case isInvalidParameter(store.KindOf(err)):
		return false, true
	case err != nil:
		if !lost(err) {
			t.cleanFailed(ctx, flowFailure{text: fmt.Sprintf("Cannot clean node %s: %s", t.Node.UUID, err)})
		}
		return false, false
	}
	offered := t.driverSteps(drivers.CleanStep)
	for _, step := range t.flowSteps(drivers.CleanStep) {
		if findStep(offered, step).Bool("requires_ramdisk", true) {
			return true, true
		}
	}
	if len(t.flowSteps(drivers.CleanStep)) == 0 {
		return true, true
	}
	r.disableRamdisk = true
	t.Node.DriverInternalInfo[keyDisableRamdisk] = true
	return true, t.saveOrLose(ctx) == nil
}

// skipsAutomatedClean reads the node's own wish, then the configured one.
func (t *task) skipsAutomatedClean() bool {
	if own := t.Node.AutomatedClean; own != nil {
		return !*own
	}
	return !t.c.live().AutomatedClean
}

func cleanValidation(n *store.Node, err error) string {
	return fmt.Sprintf("Validation of node %s for cleaning failed: %s", n.UUID, err)
}

// validateForSteps checks what a cleaning or a servicing needs of the node's settings before its steps.
func (t *task) validateForSteps(ctx context.Context, disableRamdisk bool) error {
	if err := t.Hardware.Power.Validate(ctx, t.Task); err != nil {
		return err
	}
	if disableRamdisk {
		return nil
	}
	return t.Hardware.Network.Validate(ctx, t.Task)
}

func (t *task) prepareClean(ctx context.Context, disableRamdisk bool) (drivers.Outcome, error) {
	if disableRamdisk {
		return drivers.Done, nil
	}
	return t.Hardware.Deploy.PrepareCleaning(ctx, t.Task)
}

// cacheBeforeCleaning records what the release reads of the hardware before it cleans: the BIOS settings, since 2023.2 the versions of
// the firmware, and since 2024.1 everything.
func (t *task) cacheBeforeCleaning(ctx context.Context) {
	release := t.c.cfg.Release
	if release >= messaging.V2024_1 {
		t.cacheHardware(ctx)
		return
	}
	t.cacheBIOS(ctx)
	if release >= messaging.V2023_2 {
		t.cacheFirmware(ctx)
	}
}

// refreshHardware records what the hardware tells of itself, which steps may change: before a servicing and after it, and after a
// cleaning. Ironic does so since 28.0.
func (t *task) refreshHardware(ctx context.Context) {
	if t.c.cfg.Release >= messaging.V28_0 {
		t.cacheHardware(ctx)
	}
}

// cacheBIOS records the firmware's settings; what the hardware can't tell is no reason to stop.
func (t *task) cacheBIOS(ctx context.Context) {
	err := t.Hardware.BIOS.CacheSettings(ctx, t.Task)
	if err != nil && store.KindOf(err) != store.UnsupportedDriverExtension {
		t.Log.Warn().Err(err).Msg("Reading the BIOS settings failed")
	}
}

// cacheFirmware records which firmware the node's parts have; what the hardware can't tell is no reason to stop.
func (t *task) cacheFirmware(ctx context.Context) {
	cache, ok := t.Hardware.Firmware.(drivers.FirmwareCache)
	if !ok {
		return
	}
	err := t.Hardware.Firmware.Validate(ctx, t.Task)
	if err == nil {
		err = cache.CacheComponents(ctx, t.Task)
	}
	if err != nil && store.KindOf(err) != store.UnsupportedDriverExtension {
		t.Log.Warn().Err(err).Msg("Reading the versions of the firmware failed")
	}
}

// beginClean lists the steps and runs them from the first.
func (t *task) beginClean(ctx context.Context, disableRamdisk bool) {
	if err := t.setCleanSteps(ctx, disableRamdisk); err != nil {
		if !lost(err) {
			t.cleanFailed(ctx, flowFailure{text: fmt.Sprintf("Cannot clean node %s: %s", t.Node.UUID, err)})
		}
		return
	}
	t.flowBegan(ctx, drivers.CleanStep)
	t.runCleanSteps(ctx, 0, false)
}

// runCleanSteps runs steps from an index until one waits, fails or none is left. again tells that the first of them may have
// begun before.
func (t *task) runCleanSteps(ctx context.Context, index int, again bool) {
	disableRamdisk := t.Node.DriverInternalInfo.Bool(keyDisableRamdisk, false)
	steps := t.flowSteps(drivers.CleanStep)
	for ; index < len(steps); index, again = index+1, false {
		step := steps[index]
		if err := t.beginStep(ctx, drivers.CleanStep, index, step, again); err != nil {
			if !lost(err) {
				t.cleanFailed(ctx, flowFailure{
					text: fmt.Sprintf("Unexpected error when processing next clean step. %s", withKind(err))})
			}
			return
		}
		outcome, err := t.runStep(ctx, drivers.CleanStep, step, again)
		// gofail: var cleanStepRan struct{}
		if !t.goesOn(ctx, t.cleaning(), outcome, err) {
			return
		}
	}
	t.finishClean(ctx, disableRamdisk)
}

// finishClean ends a cleaning whose steps are done, even when the worker stops meanwhile.
func (t *task) finishClean(ctx context.Context, disableRamdisk bool) {
	ctx, cancel := lingering(ctx)
	defer cancel()
	t.collectLogs(ctx, t.cleaning(), false)
	t.Node.CleanStep = store.Dict{}
	t.wipeClean(ctx)
	t.note(store.Dict{markEnding: disableRamdisk})
	if t.saveOrLose(ctx) != nil {
		return
	}
	t.leaveClean(ctx, disableRamdisk)
}

// leaveClean takes the ramdisk away from a node whose steps are done, and ends its cleaning.
func (t *task) leaveClean(ctx context.Context, disableRamdisk bool) {
	manual := manualTarget(t.Node) != ""
	if !disableRamdisk {
		if err := t.Hardware.Deploy.TearDownCleaning(ctx, t.Task); err != nil {
			if !lost(err) {
				t.cleanFailed(ctx, flowFailure{keepRamdisk: true, text: fmt.Sprintf(
					"Failed to tear down from cleaning for node %s, reason: %s", t.Node.UUID, err)})
			}
			return
		}
	}
	t.refreshHardware(ctx)
	t.flowEnded(ctx, drivers.CleanStep)
	event := eventDone
	if manual || t.Node.Retired != nil && *t.Node.Retired {
		event = eventManage
	}
	t.endClean(ctx, event, flowClean)
}

func (t *task) endClean(ctx context.Context, event, flow string) {
	t.restoreDeploy()
	if err := t.processEvent(ctx, event, eventOptions{flow: flow}); err != nil {
		t.Log.Error().Err(err).Msg("Ending the cleaning failed")
	}
}

// continueClean goes on after a step that waited, or ends the cleaning when an abort was asked for meanwhile.
func (t *task) continueClean(ctx context.Context) {
	index, again, ok := t.nextIndex(drivers.CleanStep)
	if ok && t.Node.DriverInternalInfo["clean_steps"] == nil {
		t.cleanFailed(ctx, flowFailure{text: fmt.Sprintf("Unexpected error when processing next clean step. AssertionError: "+
			"BUG: No clean steps for %s, step index is %d", t.Node.UUID, index)})
		return
	}
	if ok && t.Node.CleanStep.Bool("abort_after", false) {
		if err := t.processEvent(ctx, eventFail, eventOptions{target: manualTarget(t.Node)}); err != nil {
			t.Log.Error().Err(err).Msg("Aborting the cleaning failed")
			return
		}
		t.abortClean(ctx)
		return
	}
	if !ok {
		t.finishClean(ctx, t.Node.DriverInternalInfo.Bool(keyDisableRamdisk, false))
		return
	}
	t.runCleanSteps(ctx, index, again)
}
