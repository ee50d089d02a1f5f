package redfish

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
)

// CheckISO refuses an ISO that is not there, for a user who waits.
func (v *VirtualMedia) CheckISO(ctx context.Context, t *drivers.Task, href string) error {
	return v.cfg.Sources.Exists(ctx, href, image.RequesterOf(t))
}

// BootISO shows the machine an ISO that somebody has made, and has it boot from there once. The caller reboots it.
func (v *VirtualMedia) BootISO(ctx context.Context, t *drivers.Task, href string) error {
	url, err := v.provide(ctx, t, bootMedia{iso: href}, isoPromise{})
	if err != nil {
		return err
	}
	return v.machine.Load(ctx, t, url, false)
}
