package agent

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// tearDownAgent is the step deploy.tear_down_agent: the agent flushes what it wrote and the node goes off.
func (d *Deploy) tearDownAgent(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	d.CollectLogs(ctx, t, "", false)
	var err error
	switch {
	case !canPowerOn(t):
		if err = d.sync(ctx, t); err == nil {
			err = t.Worker.SetPower(ctx, t, store.Reboot)
		}
	case t.Node.DriverInfo.Bool("deploy_forces_oob_reboot", false):
		if err = d.sync(ctx, t); err == nil {
			err = t.Worker.SetPower(ctx, t, store.PowerOff)
		}
	default:
		err = d.powerOff(ctx, t)
	}
	if err != nil {
		return drivers.Done, d.failed(ctx, t, rebootFailed(t, err))
	}
	return drivers.Done, nil
}

// resumeTearDown goes on with tearDownAgent. An agent that does not answer any more has obeyed already, and a machine that is
// off is where it is to be.
func (d *Deploy) resumeTearDown(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if state, err := t.Hardware.Power.PowerState(ctx, t); err == nil && state == store.PowerOff {
		return drivers.Done, nil
	}
	if _, err := d.client.listRetrying(ctx, t.Node); store.KindOf(err) == store.AgentConnectionFailed {
		target := store.PowerOff
		if !canPowerOn(t) {
			target = store.Reboot
		}
		if err := t.Worker.SetPower(ctx, t, target); err != nil {
			return drivers.Done, rebootFailed(t, err)
		}
		return drivers.Done, nil
	}
	return d.tearDownAgent(ctx, t, args)
}

func rebootFailed(t *drivers.Task, err error) error {
	return store.Errorf(store.InstanceDeployFailure,
		"Error rebooting node %s after deploy. %s: %w", t.Node.UUID, errorClass(err), err)
}

// canPowerOn is false for a power interface that can only reboot.
func canPowerOn(t *drivers.Task) bool {
	return slices.Contains(t.Hardware.Power.SupportedPowerStates(t), store.PowerOn)
}

// errorClass is the name that ironic shows for a failure.
func errorClass(err error) string {
	if kind := store.KindOf(err); kind != "" {
		return string(kind)
	}
	return "Exception"
}

func (d *Deploy) sync(ctx context.Context, t *drivers.Task) error {
	_, err := d.client.do(ctx, t.Node, request{method: "standby.sync", params: store.Dict{}, wait: true})
	return err
}

// powerOff asks the agent to switch the node off, and the BMC when the agent does not manage it in time. The agent's
// answer may well get lost on the way, so what counts is the power state.
func (d *Deploy) powerOff(ctx context.Context, t *drivers.Task) error {
	_, err := d.client.do(ctx, t.Node, request{method: "standby.power_off", params: store.Dict{}})
	if err != nil {
		t.Log.Warn().Err(err).Msg("asking the agent to switch the node off")
	}
	t.Worker.Report(t, drivers.Progress{Doing: "waiting for the node to switch itself off", Waiting: true})
	for attempt := range d.cfg.PowerOffRetries + 1 {
		if attempt > 0 {
			if err := drivers.Pause(ctx, d.cfg.PowerOffInterval); err != nil {
				return err
			}
		}
		if state, err := t.Hardware.Power.PowerState(ctx, t); err == nil && state == store.PowerOff {
			return nil
		}
	}
	t.Log.Warn().Msg("the agent did not switch the node off in time; forcing it")
	return t.Worker.SetPower(ctx, t, store.PowerOff)
}
