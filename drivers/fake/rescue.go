package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Rescue is the rescue interface fake.
type Rescue struct{ plain }

// NewRescue returns the rescue interface fake.
func NewRescue() *Rescue { return &Rescue{} }

// CleanUp has nothing to do.
func (*Rescue) CleanUp(context.Context, *drivers.Task) error { return nil }

var _ drivers.Rescue = (*Rescue)(nil)
