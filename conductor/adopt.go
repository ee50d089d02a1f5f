package conductor

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
)

// adopt makes a node that already runs an instance one of ours, without touching its power. It is in "adopting".
func (t *task) adopt(ctx context.Context) {
	_, err := t.inferImageKind(ctx)
	if err == nil {
		err = t.validateAdoption(ctx)
	}
	if err == nil {
		err = t.takeOver(ctx)
	}
	// gofail: var adoptTakenOver struct{}
	if err == nil {
		err = t.processEvent(ctx, eventDone, eventOptions{})
	}
	if err == nil || lost(err) || t.cutShort(ctx, err.Error()) {
		return
	}
	t.restoreDeploy()
	// The power state is not to be trusted: nothing of the adoption was proved.
	t.Node.PowerState = ""
	t.record(ctx, historyAdoption, fmt.Sprintf("Error while attempting to adopt node %s: %s.", t.Node.UUID, err))
	t.failEvent(ctx, "")
}

// validateAdoption checks that an instance which boots from this worker can be made ready, and settles who looks after the node.
func (t *task) validateAdoption(ctx context.Context) error {
	if drivers.InstanceBoot(t.Node) != drivers.BootLocal {
		if err := t.Hardware.Boot.Validate(ctx, t.Task); err != nil {
			return err
		}
	}
	return t.chooseDeploy(ctx)
}

// takeOver prepares this worker for a node that another one looked after.
func (t *task) takeOver(ctx context.Context) error {
	if err := t.Hardware.Deploy.Prepare(ctx, t.Task); err != nil {
		return err
	}
	if err := t.Hardware.Deploy.TakeOver(ctx, t.Task); err != nil {
		return err
	}
	t.restoreConsole(ctx, consoleAtTakeOver, historyTakeover)
	t.Node.ConductorAffinity = &t.c.conductorID
	return t.save(ctx)
}
