package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Deploy is the deploy interface fake: one step that is over at once, after which the node is active.
type Deploy struct {
	plain
	delay Delay
}

// NewDeploy returns the deploy interface fake.
func NewDeploy(c Config) *Deploy { return &Deploy{delay: c.DeployDelay} }

// Steps offers deploy.deploy.
func (d *Deploy) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.DeployStep {
		return nil
	}
	return []drivers.Step{{Interface: drivers.TypeDeploy, Name: "deploy", Priority: 100, Run: d.deploy}}
}

func (d *Deploy) deploy(ctx context.Context, _ *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	return drivers.Done, d.delay.wait(ctx)
}

// Prepare waits for the configured time.
func (d *Deploy) Prepare(ctx context.Context, _ *drivers.Task) error { return d.delay.wait(ctx) }

// CleanUp waits for the configured time.
func (d *Deploy) CleanUp(ctx context.Context, _ *drivers.Task) error { return d.delay.wait(ctx) }

// TearDown waits for the configured time.
func (d *Deploy) TearDown(ctx context.Context, _ *drivers.Task) error { return d.delay.wait(ctx) }

// TakeOver waits for the configured time.
func (d *Deploy) TakeOver(ctx context.Context, _ *drivers.Task) error { return d.delay.wait(ctx) }

// PrepareCleaning has nothing to boot.
func (*Deploy) PrepareCleaning(context.Context, *drivers.Task) (drivers.Outcome, error) {
	return drivers.Done, nil
}

// TearDownCleaning has nothing to take away.
func (*Deploy) TearDownCleaning(context.Context, *drivers.Task) error { return nil }

// PrepareService has nothing to boot.
func (*Deploy) PrepareService(context.Context, *drivers.Task) (drivers.Outcome, error) {
	return drivers.Done, nil
}

// TearDownService has nothing to take away.
func (*Deploy) TearDownService(context.Context, *drivers.Task) error { return nil }

var _ drivers.Deploy = (*Deploy)(nil)
