package noop

import "github.com/ironmaster/ironmaster/drivers"

// Vendor is the interface no-vendor: every use is refused.
type Vendor struct{ unsupported }

// NewVendor returns the interface no-vendor.
func NewVendor() *Vendor { return &Vendor{unsupported{drivers.TypeVendor}} }
