package conductor

import (
	"context"
	"errors"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// inspectHardware finds out what a node is made of.
func (c *Conductor) inspectHardware(ctx context.Context, rq oslo.Context, a nodeArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "hardware inspection"},
		func(ctx context.Context, t *task) error {
			if err := t.Hardware.Power.Validate(ctx, t.Task); err != nil {
				return err
			}
			if err := t.Hardware.Inspect.Validate(ctx, t.Task); err != nil {
				return err
			}
			return asInvalidRequest(t.processEvent(ctx, eventInspect, eventOptions{
				background: func(ctx context.Context, t *task) {
					t.reportFlow(ctx, flowInspect, flowStart, "")
					t.inspect(ctx)
				},
			}), eventInspect, t.Node)
		})
}

// inspect begins an inspection, or begins it anew after it was cut short: all that an inspection reads it may read again. The
// node is in "inspecting".
func (t *task) inspect(ctx context.Context) {
	t.note(store.Dict{markFound: nil, markRuled: nil, markLeft: nil})
	// An agent that runs already is not used: inspection boots its own.
	wipeAgent(t.Node)
	outcome, err := t.Hardware.Inspect.InspectHardware(ctx, t.Task)
	// gofail: var inspectDone struct{}
	if err != nil {
		t.inspectionFailed(ctx, err)
		return
	}
	event, o := eventDone, eventOptions{flow: flowInspect}
	if outcome == drivers.Waiting {
		if err := t.delegate(ctx); err != nil {
			t.inspectionFailed(ctx, err)
			return
		}
		event, o = eventWait, eventOptions{}
		t.c.Report(t.Task, drivers.Progress{Doing: "waiting for the ramdisk to tell what it found", Waiting: true})
	}
	if err := t.processEvent(ctx, event, o); err != nil && !lost(err) {
		t.inspectionFailed(ctx, err)
	}
}

// inspectionFailed ends an inspection in "inspect failed".
func (t *task) inspectionFailed(ctx context.Context, err error) {
	if lost(err) || t.cutShort(ctx, err.Error()) {
		return
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	text, raised := err.Error(), err.Error()
	if store.KindOf(err) == "" {
		text = "Unexpected exception: " + text
		raised = "Failed to inspect hardware. Reason: " + text
	}
	t.endInspection(ctx, text, "inspect_hardware", raised)
}

// endInspection moves a node to "inspect failed". function is ironic's that failed, and raised what it raised.
func (t *task) endInspection(ctx context.Context, text, function, raised string) {
	t.Log.Error().Str("error", text).Msg("Inspection failed")
	t.leaveInspection(ctx, text)
	t.restoreError(function, raised)
	t.failEvent(ctx, "")
	t.reportFlow(ctx, flowInspect, flowError, text)
}

// inspectionFailedQuietly moves a node to "inspect failed" without an entry in its history, as ironic's inspect interfaces do.
func (t *task) inspectionFailedQuietly(ctx context.Context, text string) {
	t.Node.LastError = text
	t.failEvent(ctx, "")
	t.reportFlow(ctx, flowInspect, flowError, text)
}

// leaveInspection records why an inspection came to nothing. Since 34.0 ironic also takes away what it had prepared.
func (t *task) leaveInspection(ctx context.Context, text string) {
	t.record(ctx, historyInspection, text)
	if t.c.cfg.Release < messaging.V34_0 {
		return
	}
	err := t.Hardware.Inspect.AbortInspection(ctx, t.Task)
	if store.KindOf(err) == store.UnsupportedDriverExtension {
		err = t.Hardware.Boot.CleanUpRamdisk(ctx, t.Task)
	}
	if err = errors.Join(err, drivers.Rewire(ctx, t.Task, t.Hardware.Network.RemoveInspectionNetwork)); err != nil {
		t.Log.Error().Err(err).Msg("Cleaning up after a failed inspection failed")
	}
	wipeAgent(t.Node)
	_ = t.saveOrLose(ctx)
}

// restoreError gives a node an error again that lost it when its machine was switched off, in the words of ironic, whose thread does so
// for a function that raised something.
func (t *task) restoreError(function, raised string) {
	if t.Node.LastError == "" {
		t.Node.LastError = fmt.Sprintf("Async execution of %s failed with error: %s", function, raised)
	}
}

// abortInspection ends an inspection that waits for its ramdisk, while the user who asks for it waits.
func (t *task) abortInspection(ctx context.Context) error {
	err := t.Hardware.Inspect.AbortInspection(ctx, t.Task)
	var left *drivers.RamdiskLeft
	switch {
	case errors.As(err, &left):
		// The inspection is over all the same.
		t.Node.LastError = left.Error()
		t.failEvent(ctx, "")
	case err != nil:
		if store.KindOf(err) == store.UnsupportedDriverExtension {
			return err
		}
		t.record(ctx, historyInspection, fmt.Sprintf("Failed to abort inspection: %s", err))
		if saveErr := t.save(ctx); saveErr != nil {
			return saveErr
		}
		return err
	}
	const text = "Inspection was aborted by request."
	t.record(ctx, historyInspection, text)
	wipeAgent(t.Node)
	if t.Node.ProvisionState == store.InspectFail {
		err = t.save(ctx)
	} else {
		err = t.processEvent(ctx, eventAbort, eventOptions{})
	}
	if err == nil {
		t.reportFlow(ctx, flowInspect, flowError, text)
	}
	return err
}

// failSilentInspections fails inspections whose ramdisk has not told anything for inspect_wait_timeout.
func (c *Conductor) failSilentInspections(ctx context.Context) error {
	limit := c.live().InspectWaitTimeout
	if limit <= 0 {
		return nil
	}
	f := failing{
		filter: sql.Filter{Reserved: pointer(false), Maintenance: pointer(false),
			ProvisionStates: []string{store.InspectWait}, InspectionStartedBefore: c.waitLimit(limit)},
		states: []string{store.InspectWait}, flow: flowInspect, text: "timeout reached while inspecting the node",
	}
	if c.cfg.Release >= messaging.V34_0 {
		f.most = c.live().PeriodicMaxWorkers
		f.work = func(ctx context.Context, t *task) {
			t.leaveInspection(ctx, "Timeout reached while inspecting the node. Please check if the ramdisk responsible for the "+
				"inspection is running on the node.")
		}
	}
	return c.failNodes(ctx, f)
}
