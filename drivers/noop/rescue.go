package noop

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Rescue is the interface no-rescue: every use is refused; there is never anything to clean up.
type Rescue struct{ unsupported }

// NewRescue returns the interface no-rescue.
func NewRescue() *Rescue { return &Rescue{unsupported{drivers.TypeRescue}} }

// Rescue is refused.
func (r *Rescue) Rescue(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	return drivers.Done, r.Validate(ctx, t)
}

// Unrescue is refused.
func (r *Rescue) Unrescue(ctx context.Context, t *drivers.Task) error { return r.Validate(ctx, t) }

// CleanUp has nothing to do.
func (*Rescue) CleanUp(context.Context, *drivers.Task) error { return nil }

var _ drivers.Rescue = (*Rescue)(nil)
