package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Rescue is the rescue interface fake: a node is in its ramdisk at once. The password stays in the row, as with ironic's.
type Rescue struct {
	plain
	delay Delay
}

// NewRescue returns the rescue interface fake.
func NewRescue(cfg Config) *Rescue { return &Rescue{delay: cfg.RescueDelay} }

// Rescue waits for the configured time.
func (r *Rescue) Rescue(ctx context.Context, _ *drivers.Task) (drivers.Outcome, error) {
	return drivers.Done, r.delay.wait(ctx)
}

// Unrescue waits for the configured time.
func (r *Rescue) Unrescue(ctx context.Context, _ *drivers.Task) error { return r.delay.wait(ctx) }

// CleanUp has nothing to do.
func (*Rescue) CleanUp(context.Context, *drivers.Task) error { return nil }

var _ drivers.Rescue = (*Rescue)(nil)
