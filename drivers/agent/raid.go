package agent

import (
	"context"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/raid"
	"github.com/ironmaster/ironmaster/store"
)

// RAID is the raid interface agent: the agent makes the arrays, in software or with the hardware managers that it has. Its steps
// are those that the agent lists.
type RAID struct {
	schema *raid.Schema
	now    func() time.Time
}

// NewRAID returns the raid interface agent.
func NewRAID() *RAID { return &RAID{schema: raid.NewSchema(), now: time.Now} }

// Properties are none.
func (*RAID) Properties() map[string]string { return map[string]string{} }

// Validate checks the configuration that the node is to get.
func (r *RAID) Validate(_ context.Context, t *drivers.Task) error {
	return raid.ValidateTarget(t.Node, r.schema.Validate)
}

// ValidateRAIDConfig holds a configuration against the schema.
func (r *RAID) ValidateRAIDConfig(_ context.Context, _ *drivers.Task, config store.Dict) error {
	return r.schema.Validate(config)
}

// LogicalDiskProperties describes what a logical disk may be given.
func (r *RAID) LogicalDiskProperties() map[string]string { return r.schema.LogicalDiskProperties() }

// Steps are what this interface does around the agent's steps.
func (r *RAID) Steps(kind drivers.StepKind) []drivers.Step {
	made := &drivers.Finish{Name: "_create_configuration_final", Run: r.made(kind)}
	switch kind {
	case drivers.CleanStep:
		return []drivers.Step{
			inBand("create_configuration", kind, checkTarget, made),
			inBand("delete_configuration", kind, func(*drivers.Task, store.Dict) error { return nil },
				&drivers.Finish{Name: "_delete_configuration_final", Run: deleted}),
		}
	case drivers.DeployStep, drivers.ServiceStep:
		return []drivers.Step{inBand("apply_configuration", kind, func(_ *drivers.Task, args store.Dict) error {
			return r.schema.Validate(args.Dict("raid_config"))
		}, made)}
	}
	return nil
}

// inBand is a step of the agent's with a check before it and a note after it.
func inBand(name string, kind drivers.StepKind, check func(*drivers.Task, store.Dict) error, finish *drivers.Finish) drivers.Step {
	send := func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		if err := check(t, args); err != nil {
			return drivers.Done, err
		}
		agent, current, err := agentOf(t, kind)
		if err != nil {
			return drivers.Done, err
		}
		return agent.ExecuteStep(ctx, t, kind, current)
	}
	return drivers.Step{Interface: drivers.TypeRAID, Name: name, InBand: true, RequiresRamdisk: true, Finish: finish, Run: send,
		Resume: func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
			if err := check(t, args); err != nil {
				return drivers.Done, err
			}
			agent, current, err := agentOf(t, kind)
			if err != nil {
				return drivers.Done, err
			}
			outcome, err := agent.ResumeStep(ctx, t, kind, current)
			if err != nil || outcome != drivers.Done {
				return outcome, err
			}
			status, err := agent.StepStatus(ctx, t, kind)
			if err != nil {
				return drivers.Done, err
			}
			return drivers.Done, finish.Run(ctx, t, status.Result)
		}}
}

// agentOf is who speaks to the node's agent, and the step that the node's row names.
func agentOf(t *drivers.Task, kind drivers.StepKind) (drivers.Agent, store.Dict, error) {
	current := currentStep(t.Node, kind)
	agent, ok := t.Hardware.Deploy.(drivers.Agent)
	if !ok {
		return nil, nil, store.Errorf(store.InvalidParameterValue, "The deploy interface of node %s has no agent, which the raid "+
			"interface agent needs", t.Node.UUID)
	}
	return agent, current, nil
}

// checkTarget puts the part of the target configuration that the step is to make into the document that the agent is sent.
func checkTarget(t *drivers.Task, args store.Dict) error {
	target, err := raid.Filter(t.Node, args.Bool("create_root_volume", true), args.Bool("create_nonroot_volumes", true))
	if err != nil {
		return err
	}
	internalInfo(t.Node)["target_raid_config"] = map[string]any(target)
	return nil
}

// made records the arrays that the agent says it has made.
func (r *RAID) made(kind drivers.StepKind) func(context.Context, *drivers.Task, store.Dict) error {
	return func(ctx context.Context, t *drivers.Task, result store.Dict) error {
		config := result.Dict(string(kind) + "_result")
		if len(config) == 0 {
			return store.Errorf(store.IronicException, "Agent ramdisk didn't return a proper command result while building RAID on "+
				"%s. It returned '%s' after command execution.", t.Node.UUID, store.PythonRepr(result))
		}
		if err := raid.Record(t.Node, config, r.now()); err != nil {
			return err
		}
		return t.Worker.Save(ctx, t)
	}
}

// deleted records that there are no arrays any more.
func deleted(ctx context.Context, t *drivers.Task, _ store.Dict) error {
	properties := t.Node.Properties.Clone()
	delete(properties, "root_device")
	t.Node.Properties, t.Node.RAIDConfig = properties, store.Dict{}
	return t.Worker.Save(ctx, t)
}

var _ drivers.RAID = (*RAID)(nil)
