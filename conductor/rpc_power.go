package conductor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

type powerArgs struct {
	NodeID   string `json:"node_id"`
	NewState string `json:"new_state"`
	// Timeout is in seconds; what is no number stands for the configured one.
	Timeout any `json:"timeout,omitempty"`
}

func (c *Conductor) changeNodePowerState(ctx context.Context, rq oslo.Context, a powerArgs) (any, error) {
	return nil, c.withNode(ctx, rq, a.NodeID, lockMode{purpose: "changing node power state"},
		func(ctx context.Context, t *task) error {
			if err := t.Hardware.Power.Validate(ctx, t.Task); err != nil {
				return err
			}
			if !slices.Contains(t.Hardware.Power.SupportedPowerStates(t.Task), a.NewState) {
				return store.Errorf(store.InvalidParameterValue, "The driver %s does not support the power state, %s",
					t.Node.Driver, a.NewState)
			}
			t.Node.TargetPowerState, t.Node.LastError = targetPower(a.NewState), ""
			if err := t.save(ctx); err != nil {
				return err
			}
			timeout := c.powerTimeout(a)
			before := t.Node.PowerState
			t.holdsCall = true
			t.after(func(ctx context.Context, t *task) {
				if err := t.setPower(ctx, a.NewState, timeout); err != nil {
					t.Log.Warn().Err(err).Msg("The power action failed")
				}
			}, func(ctx context.Context, err error) { t.undoPower(ctx, before, err) })
			return nil
		})
}

func (c *Conductor) powerTimeout(a powerArgs) time.Duration {
	if number, ok := a.Timeout.(json.Number); ok {
		if seconds, err := number.Float64(); err == nil && seconds > 0 {
			return drivers.Seconds(seconds)
		}
	}
	if a.NewState == store.SoftPowerOff || a.NewState == store.SoftReboot {
		return c.live().SoftPowerOffTimeout
	}
	return 0
}

func (t *task) undoPower(ctx context.Context, before string, err error) {
	if store.KindOf(err) != store.NoFreeConductorWorker {
		return
	}
	t.Node.PowerState, t.Node.TargetPowerState = before, ""
	t.noWorker(ctx, err)
}

type bootModeArgs struct {
	NodeID   string `json:"node_id"`
	NewState string `json:"new_state"`
}

func (c *Conductor) changeNodeBootMode(ctx context.Context, rq oslo.Context, a bootModeArgs) (any, error) {
	return nil, c.managingLater(ctx, rq, a.NodeID, "changing node boot mode", nil,
		func(ctx context.Context, t *task) { t.changeBootMode(ctx, a.NewState) })
}

type secureBootArgs struct {
	NodeID   string `json:"node_id"`
	NewState any    `json:"new_state"`
}

func (c *Conductor) changeNodeSecureBoot(ctx context.Context, rq oslo.Context, a secureBootArgs) (any, error) {
	return nil, c.managingLater(ctx, rq, a.NodeID, "changing node secure", nil,
		func(ctx context.Context, t *task) { t.changeSecureBoot(ctx, a.NewState) })
}

func (t *task) changeBootMode(ctx context.Context, mode string) {
	current, err := t.Hardware.Management.BootMode(ctx, t.Task)
	if err != nil {
		t.Log.Warn().Err(err).Msg("Reading the boot mode before changing it failed")
	} else if current == mode {
		return
	}
	if err := t.Hardware.Management.SetBootMode(ctx, t.Task, mode); err != nil {
		// The quote that is never closed is ironic's.
		t.Node.LastError = fmt.Sprintf("Failed to change boot mode to '%s: %s", mode, err)
	} else {
		t.Node.BootMode = mode
	}
	_ = t.saveOrLose(ctx)
}

func (t *task) changeSecureBoot(ctx context.Context, wanted any) {
	on := store.PythonTrue(wanted)
	current, err := t.Hardware.Management.SecureBoot(ctx, t.Task)
	if err != nil {
		t.Log.Warn().Err(err).Msg("Reading secure boot before changing it failed")
	} else if current == on {
		return
	}
	if err := t.Hardware.Management.SetSecureBoot(ctx, t.Task, on); err != nil {
		t.Node.LastError = fmt.Sprintf("Failed to change secure_boot state to '%s': %s", store.PythonText(wanted), err)
	} else {
		t.Node.SecureBoot = &on
	}
	_ = t.saveOrLose(ctx)
}
