package fake

import "github.com/ironmaster/ironmaster/drivers"

// Vendor is the vendor interface fake (ironic's FakeVendorB).
type Vendor struct{ plain }

// NewVendor returns the vendor interface fake.
func NewVendor() *Vendor { return &Vendor{} }

// Properties are two that nothing reads.
func (*Vendor) Properties() map[string]string {
	return map[string]string{"B1": "B1 description. Required.", "B2": "B2 description. Required."}
}

var _ drivers.Interface = (*Vendor)(nil)
