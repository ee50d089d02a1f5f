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
	// logs tells that the release has log_passthrough.
	logs bool
}

// NewVendor returns the vendor interface fake.
func NewVendor(c Config) *Vendor { return &Vendor{delay: c.VendorDelay, logs: c.LogPassthrough} }

// Properties are two that nothing reads.
func (*Vendor) Properties() map[string]string {
	return map[string]string{"B1": "B1 description. Required.", "B2": "B2 description. Required."}
}

// NodeMethods compare the argument bar with a word of their own.
func (v *Vendor) NodeMethods() map[string]drivers.VendorMethod {
	compares := func(name, word string, sync, shared bool) drivers.VendorMethod {
		return drivers.VendorMethod{
			HTTPMethods: []string{"POST"}, Description: "Test if the value of bar is " + word, Args: []string{"bar"}, Function: "FakeVendorB." + name,
			Sync: sync, Shared: shared,
			Run: func(ctx context.Context, _ *drivers.Task, args store.Dict) (any, error) {
				return args["bar"] == word, v.delay.wait(ctx)
			},
		}
	}
	methods := map[string]drivers.VendorMethod{
		"second_method":             compares("second_method", "kazoo", false, false),
		"third_method_sync":         compares("third_method_sync", "meow", true, false),
		"fourth_method_shared_lock": compares("fourth_method_shared_lock", "woof", false, true),
	}
	if v.logs {
		methods["log_passthrough"] = drivers.VendorMethod{HTTPMethods: []string{"POST"}, Description: "Test pass-through to wait.",
			Run: func(ctx context.Context, t *drivers.Task, _ store.Dict) (any, error) {
				t.Log.Debug().Msg("The method log_passthrough was called")
				return nil, v.delay.wait(ctx)
			}}
	}
	return methods
}

// Steps are, since 29.0, one that does nothing and one that waits for ever.
func (v *Vendor) Steps(kind drivers.StepKind) []drivers.Step {
	if !v.logs {
		return nil
	}
	logs := drivers.Step{Interface: drivers.TypeVendor, Name: "log_passthrough",
		Run: func(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
			t.Log.Debug().Msg("The step log_passthrough was called")
			return drivers.Done, v.delay.wait(ctx)
		}}
	switch kind {
	case drivers.CleanStep:
		logs.Priority, logs.RequiresRamdisk = 1, true
		return []drivers.Step{logs}
	case drivers.ServiceStep:
		return []drivers.Step{logs, {Interface: drivers.TypeVendor, Name: "trigger_servicewait", RequiresRamdisk: true,
			Run: func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) { return drivers.Waiting, nil }}}
	}
	return nil
}

// DriverMethods are none.
func (*Vendor) DriverMethods() map[string]drivers.VendorMethod { return nil }

// ValidateMethod asks for the argument bar.
func (*Vendor) ValidateMethod(_ context.Context, _ *drivers.Task, method string, args store.Dict) error {
	switch {
	case method == "log_passthrough":
	case !store.PythonTrue(args["bar"]):
		return store.Errorf(store.MissingParameterValue, "Parameter 'bar' not passed to method '%s'.", method)
	}
	return nil
}

var _ drivers.Vendor = (*Vendor)(nil)
