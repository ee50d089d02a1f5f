package fake

import "github.com/ironmaster/ironmaster/drivers"

// RAID is the raid interface fake: always valid, with nothing behind it.
type RAID struct{ plain }

// NewRAID returns the raid interface fake.
func NewRAID() *RAID { return &RAID{} }

var _ drivers.Interface = (*RAID)(nil)
