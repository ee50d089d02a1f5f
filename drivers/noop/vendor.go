package noop

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Vendor is the interface no-vendor: it has no methods.
type Vendor struct{ unsupported }

// NewVendor returns the interface no-vendor.
func NewVendor() *Vendor { return &Vendor{unsupported{drivers.TypeVendor}} }

// NodeMethods are none.
func (*Vendor) NodeMethods() map[string]drivers.VendorMethod { return nil }

// DriverMethods are none.
func (*Vendor) DriverMethods() map[string]drivers.VendorMethod { return nil }

// ValidateMethod refuses.
func (v *Vendor) ValidateMethod(ctx context.Context, t *drivers.Task, _ string, _ store.Dict) error {
	return v.Validate(ctx, t)
}

var _ drivers.Vendor = (*Vendor)(nil)
