package noop

import "github.com/ironmaster/ironmaster/drivers"

// RAID is the interface no-raid: every use is refused.
type RAID struct{ unsupported }

// NewRAID returns the interface no-raid.
func NewRAID() *RAID { return &RAID{unsupported{drivers.TypeRAID}} }
