package noop

import (
	"context"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Management is the management interface noop: the boot order is set up beforehand, network first and then disk.
type Management struct {
	permissive
	drivers.BareManagement
}

// NewManagement returns the management interface noop.
func NewManagement() *Management { return &Management{} }

// SupportedBootDevices are the two that the fixed order tries.
func (*Management) SupportedBootDevices(context.Context, *drivers.Task) ([]string, error) {
	return []string{store.BootDevicePXE, store.BootDeviceDisk}, nil
}

// BootDevice is what the machine tries first.
func (*Management) BootDevice(context.Context, *drivers.Task) (drivers.BootDevice, error) {
	persistent := true
	return drivers.BootDevice{Device: store.BootDevicePXE, Persistent: &persistent}, nil
}

// SetBootDevice accepts the devices of the fixed order and changes nothing.
func (m *Management) SetBootDevice(ctx context.Context, t *drivers.Task, device string, _ bool) error {
	supported, err := m.SupportedBootDevices(ctx, t)
	if err != nil {
		return err
	}
	if !slices.Contains(supported, device) {
		return store.Errorf(store.InvalidParameterValue, "Invalid boot device %s specified, supported are %s.",
			device, strings.Join(supported, ", "))
	}
	t.Log.Debug().Str("device", device).Msg("noop management: the boot order is taken to be set up already")
	return nil
}

var _ drivers.Management = (*Management)(nil)
