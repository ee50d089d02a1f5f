package conductor

import (
	"context"
	"fmt"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// isoMicro is Python's isoformat() of a naive datetime with microseconds, as driver_internal_info holds times.
const isoMicro = "2006-01-02T15:04:05.000000"

// SetPower is drivers.Worker: a power action inside of a flow.
func (c *Conductor) SetPower(ctx context.Context, dt *drivers.Task, target string) error {
	t := c.taskOf(dt)
	return t.setPower(ctx, target, 0)
}

// targetPower is the stored state that a requested one leads to.
func targetPower(requested string) string {
	switch requested {
	case store.PowerOn, store.Reboot, store.SoftReboot:
		return store.PowerOn
	}
	return store.PowerOff
}

// cutsPower tells that an agent running on the node will be gone after the action.
func cutsPower(requested string) bool { return requested != store.PowerOn }

// setPower brings the node to a power state, with columns, agent keys and notifications as ironic's node_power_action
// does. A timeout of 0 stands for the configured one.
func (t *task) setPower(ctx context.Context, requested string, timeout time.Duration) error {
	t.notifyPower(ctx, "start", requested)
	if targetPower(requested) == store.PowerOff && disabledPowerOff(t.Node) {
		err := store.Errorf(store.PowerStateFailure, "Failed to set node power state to %s: its disable_power_off flag is set.",
			requested)
		return t.powerFailed(ctx, requested, err.Error(), err)
	}
	skip, err := t.alreadyThere(ctx, requested)
	if err != nil {
		return err
	}
	if skip {
		if cutsPower(requested) {
			wipeOnPowerOff(t.Node)
			return t.save(ctx)
		}
		return nil
	}
	if cutsPower(requested) {
		t.c.postponed.drop(t.Node.UUID)
	}
	// gofail: var powerBeforeTarget struct{}
	node, target := t.Node, targetPower(requested)
	node.TargetPowerState = target
	if !store.FailedState(node.ProvisionState) {
		node.LastError = ""
	}
	node.DriverInternalInfo[keyPowerChanged] = t.c.now().UTC().Format(isoMicro)
	if cutsPower(requested) {
		wipeOnPowerOff(node)
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	// gofail: var powerTargetSaved struct{}
	if target == store.PowerOn {
		err = t.attachVolumes(ctx)
	}
	if err == nil {
		err = t.switchRelatives(ctx, requested, timeout)
	}
	if err == nil {
		err = t.drivePower(ctx, requested, timeout)
	}
	if err != nil {
		return t.powerFailed(ctx, requested, fmt.Sprintf("Failed to change power state to '%s' by '%s': %s",
			target, requested, err), err)
	}
	// gofail: var powerDriven struct{}
	node.PowerState, node.TargetPowerState = target, ""
	if err := t.save(ctx); err != nil {
		return err
	}
	// gofail: var powerSaved struct{}
	t.tellNova(ctx)
	t.notifyPower(ctx, "end", requested)
	t.Log.Info().Str("power_state", target).Str("by", requested).Msg("Node's power state was set")
	if target == store.PowerOff {
		return t.detachVolumes(ctx)
	}
	return nil
}

// attachVolumes lets an instance reach its volumes before its machine starts. Those of other nodes are their flows' business.
func (t *task) attachVolumes(ctx context.Context) error {
	if t.Node.ProvisionState != store.Active {
		return nil
	}
	return t.Hardware.Storage.AttachVolumes(ctx, t.Task)
}

// detachVolumes takes the volumes from an instance whose machine is off. Those that stay, because that fails or because the worker is
// killed before, are no failure: the next start finds them attached.
func (t *task) detachVolumes(ctx context.Context) error {
	if t.Node.ProvisionState != store.Active {
		return nil
	}
	err := t.Hardware.Storage.DetachVolumes(ctx, t.Task)
	if store.KindOf(err) != store.StorageError {
		return err
	}
	t.Log.Warn().Err(err).Msg("Detaching the node's volumes failed")
	return nil
}

func (t *task) drivePower(ctx context.Context, requested string, timeout time.Duration) error {
	if requested == store.Reboot {
		return t.Hardware.Power.Reboot(ctx, t.Task, timeout)
	}
	return t.Hardware.Power.SetPowerState(ctx, t.Task, requested, timeout)
}

// alreadyThere reads the power state where a request could be met without acting. Reboots always act.
func (t *task) alreadyThere(ctx context.Context, requested string) (bool, error) {
	if requested == store.Reboot || requested == store.SoftReboot {
		return false, nil
	}
	current, err := t.Hardware.Power.PowerState(ctx, t.Task)
	if err != nil {
		return false, t.powerFailed(ctx, requested,
			fmt.Sprintf("Failed to change power state to '%s': %s", requested, err), err)
	}
	if current != targetPower(requested) {
		return false, nil
	}
	t.Node.LastError, t.Node.PowerState, t.Node.TargetPowerState = "", current, ""
	if err := t.save(ctx); err != nil {
		return false, err
	}
	t.notifyPower(ctx, "end", requested)
	return true, nil
}

// powerFailed leaves the text in the row and announces the failure; it returns the cause.
func (t *task) powerFailed(ctx context.Context, requested, text string, cause error) error {
	if t.cutShort(ctx, text) {
		return cause
	}
	ctx, cancel := lingering(ctx)
	defer cancel()
	t.record(ctx, historyUnknown, text)
	t.Node.TargetPowerState = ""
	if err := t.save(ctx); err != nil {
		return fmt.Errorf("%w (and recording it failed: %w)", cause, err)
	}
	t.notifyPower(ctx, "error", requested)
	return cause
}
