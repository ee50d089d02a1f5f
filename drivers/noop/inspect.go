package noop

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Inspect is the interface no-inspect: every use is refused.
type Inspect struct {
	unsupported
	drivers.BareInspect
}

// NewInspect returns the interface no-inspect.
func NewInspect() *Inspect { return &Inspect{unsupported: unsupported{drivers.TypeInspect}} }

// InspectHardware refuses.
func (*Inspect) InspectHardware(_ context.Context, t *drivers.Task) (drivers.Outcome, error) {
	return drivers.Done, drivers.Unsupported(t, string(drivers.TypeInspect))
}

var _ drivers.Inspect = (*Inspect)(nil)
