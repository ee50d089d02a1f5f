package conductor

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// serviceRequest is what do_node_service asks for.
type serviceRequest struct {
	steps []store.Dict
	// disableRamdisk is nil when nobody said.
	disableRamdisk *bool
}

const keyServiceWithoutRamdisk = "service_disable_ramdisk"

func (r serviceRequest) withoutRamdisk() bool { return r.disableRamdisk != nil && *r.disableRamdisk }

// store writes the request into the node, for whoever has to go on with the flow; the caller saves.
func (r serviceRequest) store(n *store.Node) {
	n.DriverInternalInfo["service_steps"] = anyList(r.steps)
	n.DriverInternalInfo[keyServiceWithoutRamdisk] = nil
	if r.disableRamdisk != nil {
		n.DriverInternalInfo[keyServiceWithoutRamdisk] = *r.disableRamdisk
	}
}

// storedServiceRequest is what the node's servicing was asked to do.
func (t *task) storedServiceRequest() serviceRequest {
	r := serviceRequest{steps: t.flowSteps(drivers.ServiceStep)}
	if without, said := t.Node.DriverInternalInfo[keyServiceWithoutRamdisk].(bool); said {
		r.disableRamdisk = &without
	}
	return r
}

// service is the flow's first part, up to the first step that waits. The node is in "servicing". All of it may run again.
func (t *task) service(ctx context.Context, r serviceRequest) {
	if err := t.chooseForRamdisk(ctx); err != nil {
		if !lost(err) {
			t.serviceFailed(ctx, flowFailure{keepRamdisk: true,
				text: fmt.Sprintf("Failed to select a deploy interface for servicing node %s: %s", t.Node.UUID, err)})
		}
		return
	}
	if err := t.validateForSteps(ctx, r.withoutRamdisk()); err != nil {
		t.serviceFailed(ctx, flowFailure{text: fmt.Sprintf("Validation of node %s for service failed: %s", t.Node.UUID, err)})
		return
	}
	t.wipeService()
	r.store(t.Node)
	if t.saveOrLose(ctx) != nil {
		return
	}
	t.refreshHardware(ctx)
	if t.c.cfg.Release > messaging.V2025_2 {
		t.serviceListedFirst(ctx, r)
		return
	}
	if !r.withoutRamdisk() && !t.prepareService(ctx) {
		return
	}
	if err := t.setServiceSteps(ctx, r.withoutRamdisk()); err != nil {
		t.cannotService(ctx, err)
		return
	}
	t.runServiceSteps(ctx, 0, false)
}

// serviceListedFirst lists the steps before the ramdisk boots, as newer releases do: it boots when a step says that it needs it,
// or is known to nobody but perhaps the agent.
func (t *task) serviceListedFirst(ctx context.Context, r serviceRequest) {
	needed := false
	switch err := t.setServiceSteps(ctx, r.withoutRamdisk()); {
	case isInvalidParameter(store.KindOf(err)) && !r.withoutRamdisk():
		needed = true
	case err != nil:
		t.cannotService(ctx, err)
		return
	}
	t.flowBegan(ctx, drivers.ServiceStep)
	for _, step := range t.flowSteps(drivers.ServiceStep) {
		needed = needed || step.Bool("requires_ramdisk", false)
	}
	if !needed || r.withoutRamdisk() {
		t.Node.DriverInternalInfo[keyServiceWithoutRamdisk] = true
		if t.saveOrLose(ctx) != nil {
			return
		}
	} else if !t.prepareService(ctx) {
		return
	}
	t.runServiceSteps(ctx, 0, false)
}

// prepareService boots the ramdisk; it tells whether the flow goes on at once.
func (t *task) prepareService(ctx context.Context) bool {
	outcome, err := t.Hardware.Deploy.PrepareService(ctx, t.Task)
	// gofail: var servicePrepared struct{}
	switch {
	case lost(err):
	case err != nil:
		t.serviceFailed(ctx, flowFailure{text: fmt.Sprintf("Failed to prepare node %s for service: %s", t.Node.UUID, err)})
	case outcome == drivers.Waiting:
		t.wait(ctx, "")
	default:
		return true
	}
	return false
}

func (t *task) cannotService(ctx context.Context, err error) {
	if !lost(err) {
		t.serviceFailed(ctx, flowFailure{text: fmt.Sprintf("Cannot service node %s: %s", t.Node.UUID, err)})
	}
}

// setServiceSteps holds the steps that the user asked for against what the node offers, and saves the list.
func (t *task) setServiceSteps(ctx context.Context, withoutRamdisk bool) error {
	steps, err := checkUserSteps(t.flowSteps(drivers.ServiceStep), t.driverSteps(drivers.ServiceStep), stepRules{
		kind: drivers.ServiceStep, withoutRamdisk: withoutRamdisk, wording: t.wording, release: t.c.cfg.Release})
	if err != nil {
		return err
	}
	t.Node.ServiceStep = store.Dict{}
	t.Node.DriverInternalInfo["service_steps"] = anyList(t.c.allowed(drivers.ServiceStep, steps))
	t.Node.DriverInternalInfo["service_step_index"] = nil
	return t.save(ctx)
}

// runServiceSteps runs steps from an index until one waits, fails or none is left. again tells that the first of them may have
// begun before.
func (t *task) runServiceSteps(ctx context.Context, index int, again bool) {
	steps := t.flowSteps(drivers.ServiceStep)
	for ; index < len(steps); index, again = index+1, false {
		step := steps[index]
		if err := t.beginStep(ctx, drivers.ServiceStep, index, step, again); err != nil {
			t.unexpectedInService(ctx, err)
			return
		}
		outcome, err := t.runStep(ctx, drivers.ServiceStep, step, again)
		// gofail: var serviceStepRan struct{}
		if !t.goesOn(ctx, t.servicing(), outcome, err) {
			return
		}
	}
	t.finishService(ctx)
}

func (t *task) unexpectedInService(ctx context.Context, err error) {
	if !lost(err) {
		t.serviceFailed(ctx, flowFailure{
			text: fmt.Sprintf("Unexpected error when processing next service step. %s", withKind(err))})
	}
}

// finishService ends a servicing whose steps are done, even when the worker stops meanwhile.
func (t *task) finishService(ctx context.Context) {
	ctx, cancel := lingering(ctx)
	defer cancel()
	withoutRamdisk := t.Node.DriverInternalInfo.Bool(keyServiceWithoutRamdisk, false)
	t.collectLogs(ctx, t.servicing(), false)
	t.Node.ServiceStep = store.Dict{}
	t.wipeService()
	t.note(store.Dict{markEnding: withoutRamdisk})
	if t.saveOrLose(ctx) != nil {
		return
	}
	t.leaveService(ctx, withoutRamdisk)
}

// leaveService boots the instance of a node whose steps are done, and ends its servicing. It may run again.
func (t *task) leaveService(ctx context.Context, withoutRamdisk bool) {
	t.flowEnded(ctx, drivers.ServiceStep)
	if !withoutRamdisk {
		if err := t.Hardware.Deploy.TearDownService(ctx, t.Task); err != nil {
			if !lost(err) {
				t.serviceFailed(ctx, flowFailure{keepRamdisk: true, text: fmt.Sprintf(
					"Failed to tear down from service for node %s, reason: %s", t.Node.UUID, err)})
			}
			return
		}
	}
	// gofail: var serviceTornDown struct{}
	t.refreshHardware(ctx)
	t.restoreAfterRamdisk()
	if err := t.processEvent(ctx, eventDone, eventOptions{flow: flowService}); err != nil {
		t.unexpectedInService(ctx, err)
	}
}

// continueService goes on after a step that waited, or gives the servicing up when that was asked for meanwhile.
func (t *task) continueService(ctx context.Context) {
	index, again, ok := t.nextIndex(drivers.ServiceStep)
	// Up to 29.0 a step that nothing follows is not given up any more.
	if t.Node.ServiceStep.Bool("abort_after", false) && (ok || t.c.cfg.Release > messaging.V2025_2) {
		err := t.processEvent(ctx, eventFail, eventOptions{lastError: abortedText("service", t.Node.ServiceStep)})
		if err != nil {
			t.unexpectedInService(ctx, err)
			return
		}
		t.abortService(ctx)
		return
	}
	if !ok {
		t.finishService(ctx)
		return
	}
	t.runServiceSteps(ctx, index, again)
}

// beatServiceWait starts the first step when the ramdisk has just booted, else it looks how the running step stands.
func (t *task) beatServiceWait(ctx context.Context, agent drivers.Agent) {
	failed := func(what string, err error) {
		if t.failsFlow(ctx, err, store.Servicing, store.ServiceWait) {
			t.serviceFailed(ctx, flowFailure{text: fmt.Sprintf("%s: %s", what, err)})
		}
	}
	if err := t.touch(ctx); err != nil {
		failed("Failed checking if service is done", err)
		return
	}
	if len(t.Node.ServiceStep) > 0 {
		if !t.Node.DriverInternalInfo.Bool("servicing_polling", false) {
			failed("Node failed to check service progress", t.processNextStep(ctx, agent, drivers.ServiceStep))
		}
		return
	}
	const what = "Node failed to start the first service step"
	if err := t.processEvent(ctx, eventResume, eventOptions{}); err != nil {
		failed(what, err)
		return
	}
	if err := t.firstServiceStep(ctx, agent); err != nil {
		failed(what, err)
	}
}

// firstServiceStep lists the steps of a servicing whose agent has booted, and runs them from the first.
func (t *task) firstServiceStep(ctx context.Context, agent drivers.Agent) error {
	if err := agent.RefreshSteps(ctx, t.Task, drivers.ServiceStep); err != nil {
		return err
	}
	if err := t.setServiceSteps(ctx, false); err != nil {
		return err
	}
	// gofail: var serviceListed struct{}
	t.continueService(ctx)
	return nil
}

// goOnServicing goes on with a servicing that was cut short while the node was held.
func (t *task) goOnServicing(ctx context.Context) {
	t.rememberProgress(drivers.ServiceStep)
	m := mark(t.Node)
	if _, ending := m[markEnding]; ending {
		t.leaveService(ctx, m.Bool(markEnding, false))
		return
	}
	if t.polledOut(drivers.ServiceStep) {
		t.continueService(ctx)
		return
	}
	if index, began := t.cursor(drivers.ServiceStep); began {
		t.runServiceSteps(ctx, index, !t.toBeginAgain())
		return
	}
	if agent, ok := t.Hardware.Deploy.(drivers.Agent); ok && t.Node.DriverInternalInfo.String(keyAgentURL) != "" {
		// The agent had booted when the flow was cut short.
		if err := t.firstServiceStep(ctx, agent); err == nil || lost(err) || t.cutShort(ctx, err.Error()) {
			return
		}
	}
	t.service(ctx, t.storedServiceRequest())
}
