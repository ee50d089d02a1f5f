package drivers

import (
	"context"

	"github.com/ironmaster/ironmaster/store"
)

// SetBootDevice sets what a node boots from, unless it is being adopted, which must not change how it runs.
// driver_info.force_persistent_boot_device overrides persistent: Always and Never speak for themselves; a boolean, as
// it was before, counts only when it is true.
func SetBootDevice(ctx context.Context, t *Task, device string, persistent bool) error {
	if err := t.Hardware.Management.Validate(ctx, t); err != nil {
		return err
	}
	if t.Node.ProvisionState == store.Adopting {
		return nil
	}
	switch force := t.Node.DriverInfo.String("force_persistent_boot_device"); force {
	case "Always":
		persistent = true
	case "Never":
		persistent = false
	case "", "Default":
	default:
		persistent = persistent || t.Node.DriverInfo.Bool("force_persistent_boot_device", false)
	}
	return t.Hardware.Management.SetBootDevice(ctx, t, device, persistent)
}
