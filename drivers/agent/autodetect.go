package agent

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Choice is a deploy interface that autodetect may choose, by its name.
type Choice struct {
	Name   string
	Deploy drivers.Deploy
}

// supporter is a deploy interface that knows whether an instance is one for it. The others take every instance.
type supporter interface {
	SupportsDeploy(ctx context.Context, t *drivers.Task) bool
}

// Autodetect is the deploy interface autodetect: when a deployment begins another interface takes its place, until the node has been
// cleaned.
type Autodetect struct {
	*Deploy
	choices []Choice
}

// NewAutodetect returns the deploy interface autodetect. Of the choices, which are not empty, the first one that supports an instance
// is taken, or else the last.
func NewAutodetect(direct *Deploy, choices []Choice) *Autodetect { return &Autodetect{direct, choices} }

var (
	_ drivers.Deploy  = (*Autodetect)(nil)
	_ drivers.Agent   = (*Autodetect)(nil)
	_ drivers.Chooser = (*Autodetect)(nil)
)

// choose returns the interface for a node's instance.
func (a *Autodetect) choose(ctx context.Context, t *drivers.Task) Choice {
	for _, c := range a.choices {
		if s, ok := c.Deploy.(supporter); !ok || s.SupportsDeploy(ctx, t) {
			return c
		}
	}
	last := a.choices[len(a.choices)-1]
	t.Log.Warn().Str("deploy_interface", last.Name).Msg("No deploy interface supports the instance; the last one is taken")
	return last
}

// Choose names the interface that is to deploy the node's instance.
func (a *Autodetect) Choose(ctx context.Context, t *drivers.Task) string {
	return a.choose(ctx, t).Name
}

// Properties are none.
func (*Autodetect) Properties() map[string]string { return map[string]string{} }

// Validate is that of the interface that would be chosen.
func (a *Autodetect) Validate(ctx context.Context, t *drivers.Task) error {
	return a.choose(ctx, t).Deploy.Validate(ctx, t)
}

// Steps is one that never runs.
func (a *Autodetect) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.DeployStep {
		return nil
	}
	return []drivers.Step{{Interface: drivers.TypeDeploy, Name: "deploy", Priority: 100,
		Run: func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
			return drivers.Done, notChosen()
		}}}
}

func notChosen() error {
	return store.Errorf(store.InstanceDeployFailure, "Autodetect deploy interface did not switch to a concrete interface during "+
		"switch_interface(). This indicates a bug or misconfiguration.")
}

// CachedSteps are none: as in ironic a node whose interface nobody chose yet has no agent.
func (*Autodetect) CachedSteps(*drivers.Task, drivers.StepKind, drivers.InterfaceType) ([]drivers.Step, bool) {
	return nil, true
}

// Prepare comes to an end here: another interface should be in its place.
func (*Autodetect) Prepare(context.Context, *drivers.Task) error { return notChosen() }

// What follows does nothing: nothing was done that could be undone.

// CleanUp does nothing.
func (*Autodetect) CleanUp(context.Context, *drivers.Task) error { return nil }

// TearDown does nothing.
func (*Autodetect) TearDown(context.Context, *drivers.Task) error { return nil }

// TakeOver does nothing.
func (*Autodetect) TakeOver(context.Context, *drivers.Task) error { return nil }

// PrepareCleaning boots no agent.
func (*Autodetect) PrepareCleaning(context.Context, *drivers.Task) (drivers.Outcome, error) {
	return drivers.Done, nil
}

// TearDownCleaning does nothing.
func (*Autodetect) TearDownCleaning(context.Context, *drivers.Task) error { return nil }
