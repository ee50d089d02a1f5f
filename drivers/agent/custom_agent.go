package agent

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// CustomAgent is the deploy interface custom-agent: it boots the agent and lets it do what the user's steps say, in whatever
// way its hardware managers write an operating system.
type CustomAgent struct{ *Deploy }

// NewCustomAgent returns the deploy interface custom-agent. What it shares with direct is direct's.
func NewCustomAgent(direct *Deploy) *CustomAgent { return &CustomAgent{direct} }

var (
	_ drivers.Deploy = (*CustomAgent)(nil)
	_ drivers.Agent  = (*CustomAgent)(nil)
)

// Validate checks what any deployment through an agent needs.
func (c *CustomAgent) Validate(ctx context.Context, t *drivers.Task) error {
	return c.validateMachine(ctx, t)
}

// Steps are those of direct that have nothing to do with an image.
func (c *CustomAgent) Steps(kind drivers.StepKind) []drivers.Step {
	var steps []drivers.Step
	for _, s := range c.Deploy.Steps(kind) {
		switch s.Name {
		case "write_image":
			continue
		case "prepare_instance_boot":
			s.Run = c.prepareInstanceBoot
		}
		steps = append(steps, s)
	}
	return steps
}

// Prepare makes everything ready for the agent. What it will write only its hardware managers know.
func (c *CustomAgent) Prepare(ctx context.Context, t *drivers.Task) error {
	return c.PrepareWith(ctx, t, func(context.Context, *drivers.Task) error { return nil })
}

// prepareInstanceBoot is the step deploy.prepare_instance_boot: the boot interface alone knows how the machine boots what was
// written.
func (c *CustomAgent) prepareInstanceBoot(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	if err := t.Hardware.Boot.PrepareInstance(ctx, t); err != nil {
		t.Log.Error().Err(err).Msg("preparing the instance for booting")
		return drivers.Done, c.failed(ctx, t, store.Errorf(store.InstanceDeployFailure,
			"Failed to prepare instance for booting: %w", err))
	}
	return drivers.Done, nil
}
