package noop

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Deploy is the deploy interface noop: nothing is done to the machine, and nothing fails.
type Deploy struct{}

// NewDeploy returns the deploy interface noop.
func NewDeploy() *Deploy { return &Deploy{} }

// Properties are none.
func (*Deploy) Properties() map[string]string { return map[string]string{} }

// Validate accepts every node.
func (*Deploy) Validate(context.Context, *drivers.Task) error { return nil }

// Steps offers deploy.deploy, which is over at once.
func (*Deploy) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.DeployStep {
		return nil
	}
	return []drivers.Step{{Interface: drivers.TypeDeploy, Name: "deploy", Priority: 100,
		Run: func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) { return drivers.Done, nil }}}
}

// Prepare does nothing.
func (*Deploy) Prepare(context.Context, *drivers.Task) error { return nil }

// CleanUp does nothing.
func (*Deploy) CleanUp(context.Context, *drivers.Task) error { return nil }

// TearDown does nothing.
func (*Deploy) TearDown(context.Context, *drivers.Task) error { return nil }

// TakeOver does nothing.
func (*Deploy) TakeOver(context.Context, *drivers.Task) error { return nil }

// PrepareCleaning has nothing to boot.
func (*Deploy) PrepareCleaning(context.Context, *drivers.Task) (drivers.Outcome, error) {
	return drivers.Done, nil
}

// TearDownCleaning does nothing.
func (*Deploy) TearDownCleaning(context.Context, *drivers.Task) error { return nil }

// PrepareService has nothing to boot.
func (*Deploy) PrepareService(context.Context, *drivers.Task) (drivers.Outcome, error) {
	return drivers.Done, nil
}

// TearDownService does nothing.
func (*Deploy) TearDownService(context.Context, *drivers.Task) error { return nil }

var _ drivers.Deploy = (*Deploy)(nil)
