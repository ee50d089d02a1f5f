package noop

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Storage is the storage interface noop: the root disk is in the machine.
type Storage struct{ permissive }

// NewStorage returns the storage interface noop.
func NewStorage() *Storage { return &Storage{} }

// ShouldWriteImage is always true: nothing else could bring the image onto the disk.
func (*Storage) ShouldWriteImage(context.Context, *drivers.Task) (bool, error) { return true, nil }

// AttachVolumes does nothing.
func (*Storage) AttachVolumes(context.Context, *drivers.Task) error { return nil }

// DetachVolumes does nothing.
func (*Storage) DetachVolumes(context.Context, *drivers.Task) error { return nil }

var _ drivers.Storage = (*Storage)(nil)
