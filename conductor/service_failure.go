package conductor

import (
	"context"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// serviceFailure says how a failed servicing is left.
type serviceFailure struct {
	// text is what the user sees.
	text string
	// keepRamdisk leaves the ramdisk's boot as it is, because tearing it down failed already.
	keepRamdisk bool
	// stateIsSet tells that the node has left "servicing" already.
	stateIsSet bool
}

// serviceFailed ends a servicing in "service failed", with maintenance when a step was running.
func (t *task) serviceFailed(ctx context.Context, f serviceFailure) {
	if t.cutShort(ctx, f.text) {
		return
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	t.Log.Error().Str("error", f.text).Msg("Servicing failed")
	node := t.Node
	stepRan := len(node.ServiceStep) > 0
	if stepRan {
		node.Fault, node.Maintenance = store.FaultService, true
	}
	if !f.keepRamdisk {
		if err := t.Hardware.Deploy.TearDownService(ctx, t.Task); err != nil {
			if lost(err) {
				return
			}
			t.Log.Error().Err(err).Msg("Tearing down a failed servicing failed")
			f.text += ". Also failed to tear down servicing."
		}
	}
	switch node.ProvisionState {
	case store.Servicing, store.ServiceWait, store.ServiceFail:
		node.ServiceStep = store.Dict{}
		wipePlace(node, drivers.ServiceStep)
		removeStepFlags(node)
		wipeAgent(node)
	}
	delete(node.DriverInternalInfo, keyGivenUp)
	t.restoreAfterRamdisk()
	t.record(ctx, historyServicing, f.text)
	if stepRan && (node.MaintenanceReason == nil || *node.MaintenanceReason == "") {
		node.MaintenanceReason = &f.text
	}
	if t.saveOrLose(ctx) != nil {
		return
	}
	if !f.stateIsSet && node.ProvisionState != store.ServiceFail {
		t.failEvent(ctx, "")
	}
	t.reportFlow(ctx, flowService, flowError, f.text)
	if t.c.live().PowerOffInServiceFail && node.ProvisionState == store.ServiceFail {
		// Ironic does so before it moves the node, and the power action then wipes the reason from last_error.
		t.powerOffFailed(ctx, f.text)
	}
}

const serviceTimedOut = "Timeout reached while servicing the node. "

// serviceTimeout is what the user reads of a servicing whose agent was not heard of in time.
func serviceTimeout(n *store.Node) string {
	return fmt.Sprintf(serviceTimedOut+"Please check if the ramdisk responsible for the servicing is running on the node. "+
		"Failed on step %s.", store.PythonRepr(n.ServiceStep))
}

// keyGivenUp tells, in driver_internal_info, that a servicing was given up and that nobody has left the node in order yet: its state
// is that of a node at rest.
const keyGivenUp = "ironmaster_given_up"

// leftService tells that a servicing has come to nothing, and that nobody has left the node in order. A node that has failed by an
// abort of 29.0 keeps its step for good, so that is not enough to tell.
func leftService(n *store.Node) bool {
	switch n.ProvisionState {
	case store.ServiceFail:
		return len(n.ServiceStep) > 0 &&
			(strings.HasPrefix(n.LastError, abortedBegins) || strings.HasPrefix(n.LastError, serviceTimedOut))
	case store.Active:
		return n.DriverInternalInfo.Bool(keyGivenUp, false)
	}
	return false
}
