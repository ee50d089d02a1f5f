package noop

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Rescue is the interface no-rescue: every use is refused; there is never anything to clean up.
type Rescue struct{ unsupported }

// NewRescue returns the interface no-rescue.
func NewRescue() *Rescue { return &Rescue{unsupported{drivers.TypeRescue}} }

// CleanUp has nothing to do.
func (*Rescue) CleanUp(context.Context, *drivers.Task) error { return nil }

var _ drivers.Rescue = (*Rescue)(nil)
