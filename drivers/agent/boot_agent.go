package agent

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// bootAgent is the step deploy.deploy: it reboots the node into the agent and leaves the rest to its heartbeats.
func (d *Deploy) bootAgent(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	running, err := d.fastTrack(ctx, t)
	if err != nil {
		return drivers.Done, err
	}
	if running {
		return drivers.Done, d.RefreshSteps(ctx, t, drivers.DeployStep)
	}
	if writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t); err != nil || !writes {
		return drivers.Done, err
	}
	// A step before this one may have rebooted into the agent already.
	if !t.Node.DriverInternalInfo.Bool("deployment_reboot", false) {
		if err := t.Worker.SetPower(ctx, t, store.Reboot); err != nil {
			return drivers.Done, err
		}
	}
	delete(t.Node.DriverInternalInfo, "deployment_reboot")
	if err := t.Worker.Save(ctx, t); err != nil {
		return drivers.Done, err
	}
	t.Worker.Report(t, drivers.Progress{Doing: "waiting for the agent to boot", Waiting: true})
	return drivers.Waiting, nil
}

// resumeBoot goes on with bootAgent. An agent that was heard of has booted. A machine whose agent was not boots anew, whatever
// its BMC says of it: a request to switch it on may be under way still, and what it looked for then nobody served.
func (d *Deploy) resumeBoot(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	running, err := d.fastTrack(ctx, t)
	if err != nil || running {
		return d.bootAgent(ctx, t, args)
	}
	if writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t); err != nil || !writes {
		return drivers.Done, err
	}
	if t.Node.DriverInternalInfo.String("agent_url") != "" && d.RefreshSteps(ctx, t, drivers.DeployStep) == nil {
		return drivers.Done, nil
	}
	if err := d.RebootAgent(ctx, t); err != nil {
		return drivers.Done, err
	}
	delete(t.Node.DriverInternalInfo, "deployment_reboot")
	if err := t.Worker.Save(ctx, t); err != nil {
		return drivers.Done, err
	}
	t.Worker.Report(t, drivers.Progress{Doing: "waiting for the agent to boot", Waiting: true})
	return drivers.Waiting, nil
}
