package fake

import "github.com/ironmaster/ironmaster/drivers"

// Storage is the storage interface fake: the root disk is in the machine.
type Storage struct{ plain }

// NewStorage returns the storage interface fake.
func NewStorage() *Storage { return &Storage{} }

// ShouldWriteImage is always true.
func (*Storage) ShouldWriteImage(*drivers.Task) bool { return true }

var _ drivers.Storage = (*Storage)(nil)
