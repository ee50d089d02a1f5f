package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Vendor is the vendor interface fake (ironic's FakeVendorB).
type Vendor struct {
	plain
	delay Delay
}

// NewVendor returns the vendor interface fake.
func NewVendor(c Config) *Vendor { return &Vendor{delay: c.VendorDelay} }

// Properties are two that nothing reads.
func (*Vendor) Properties() map[string]string {
	return map[string]string{"B1": "B1 description. Required.", "B2": "B2 description. Required."}
}

// NodeMethods compare the argument bar with a word of their own.
func (v *Vendor) NodeMethods() map[string]drivers.VendorMethod {
	compares := func(word string, sync, shared bool) drivers.VendorMethod {
		return drivers.VendorMethod{
			HTTPMethods: []string{"POST"}, Description: "Test if the value of bar is " + word, Args: []string{"bar"},
			Sync: sync, Shared: shared,
			Run: func(ctx context.Context, _ *drivers.Task, args store.Dict) (any, error) {
				return args["bar"] == word, v.delay.wait(ctx)
			},
		}
	}
	return map[string]drivers.VendorMethod{
		"second_method":             compares("kazoo", false, false),
		"third_method_sync":         compares("meow", true, false),
		"fourth_method_shared_lock": compares("woof", false, true),
	}
}

// DriverMethods are none.
func (*Vendor) DriverMethods() map[string]drivers.VendorMethod { return nil }

// ValidateMethod asks for the argument bar.
func (*Vendor) ValidateMethod(_ context.Context, _ *drivers.Task, method string, args store.Dict) error {
	switch bar := args["bar"]; bar {
	case nil, "", false:
		return store.Errorf(store.MissingParameterValue, "Parameter 'bar' not passed to method '%s'.", method)
	}
	return nil
}

var _ drivers.Vendor = (*Vendor)(nil)
