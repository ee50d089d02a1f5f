package drivers

import (
	"context"

	"github.com/ironmaster/ironmaster/store"
)

// Unsupported is the failure of asking a node's driver for something that it cannot do. extension is the interface type or
// the operation by ironic's name.
func Unsupported(t *Task, extension string) error {
	return UnsupportedBy(t.Node.Driver, extension)
}

// UnsupportedBy is Unsupported of a hardware type, where no node is asked for.
func UnsupportedBy(hardware, extension string) error {
	return store.Errorf(store.UnsupportedDriverExtension,
		"Driver %s does not support %s (disabled or not implemented).", hardware, extension)
}

// BareInspect refuses what ironic leaves optional for an inspect interface: one that is done when it returns has no ramdisk to
// wait for.
type BareInspect struct{}

// ContinueInspection refuses.
func (BareInspect) ContinueInspection(_ context.Context, t *Task, _, _ store.Dict) error {
	return Unsupported(t, "continue_inspection")
}

// AbortInspection refuses.
func (BareInspect) AbortInspection(_ context.Context, t *Task) error { return Unsupported(t, "abort") }

// BareManagement refuses every operation that ironic leaves optional for a management interface. Implementations embed it
// and override what their hardware can do.
type BareManagement struct{}

// BootMode refuses.
func (BareManagement) BootMode(_ context.Context, t *Task) (string, error) {
	return "", Unsupported(t, "get_boot_mode")
}

// SetBootMode refuses.
func (BareManagement) SetBootMode(_ context.Context, t *Task, _ string) error {
	return Unsupported(t, "set_boot_mode")
}

// SecureBoot refuses.
func (BareManagement) SecureBoot(_ context.Context, t *Task) (bool, error) {
	return false, Unsupported(t, "get_secure_boot_state")
}

// SetSecureBoot refuses.
func (BareManagement) SetSecureBoot(_ context.Context, t *Task, _ bool) error {
	return Unsupported(t, "set_secure_boot_state")
}

// InjectNMI refuses.
func (BareManagement) InjectNMI(_ context.Context, t *Task) error {
	return Unsupported(t, "inject_nmi")
}

// SupportedIndicators refuses.
func (BareManagement) SupportedIndicators(_ context.Context, t *Task, _ string) (map[string]map[string]Indicator, error) {
	return nil, Unsupported(t, "get_supported_indicators")
}

// IndicatorState refuses.
func (BareManagement) IndicatorState(_ context.Context, t *Task, _, _ string) (string, error) {
	return "", Unsupported(t, "get_indicator_state")
}

// SetIndicatorState refuses.
func (BareManagement) SetIndicatorState(_ context.Context, t *Task, _, _, _ string) error {
	return Unsupported(t, "set_indicator_state")
}

// DetectVendor refuses.
func (BareManagement) DetectVendor(_ context.Context, t *Task) (string, error) {
	return "", Unsupported(t, "detect_vendor")
}
