package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Storage is the storage interface fake: the root disk is in the machine.
type Storage struct{ plain }

// NewStorage returns the storage interface fake.
func NewStorage() *Storage { return &Storage{} }

// ShouldWriteImage is always true.
func (*Storage) ShouldWriteImage(context.Context, *drivers.Task) (bool, error) { return true, nil }

// AttachVolumes does nothing.
func (*Storage) AttachVolumes(context.Context, *drivers.Task) error { return nil }

// DetachVolumes does nothing.
func (*Storage) DetachVolumes(context.Context, *drivers.Task) error { return nil }

var _ drivers.Storage = (*Storage)(nil)
