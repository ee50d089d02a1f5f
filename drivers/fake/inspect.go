package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Inspect is the inspect interface fake: it finds nothing out, and is done at once.
type Inspect struct {
	plain
	drivers.BareInspect
	delay Delay
}

// NewInspect returns the inspect interface fake.
func NewInspect(c Config) *Inspect { return &Inspect{delay: c.InspectDelay} }

// InspectHardware takes its time.
func (i *Inspect) InspectHardware(ctx context.Context, _ *drivers.Task) (drivers.Outcome, error) {
	return drivers.Done, i.delay.wait(ctx)
}

var _ drivers.Inspect = (*Inspect)(nil)
