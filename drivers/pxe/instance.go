package pxe

import (
	"context"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// PrepareInstance makes the machine boot from its disk from now on, whatever kind of image was written there. For machines
// that try the network first all the same there may be a configuration that sends them to the disk.
func (b *Boot) PrepareInstance(ctx context.Context, t *drivers.Task) error {
	if err := drivers.SyncBootMode(ctx, t, b.cfg.DefaultBootMode); err != nil {
		return err
	}
	if err := drivers.SetSecureBootIfWanted(ctx, t, true); err != nil {
		return err
	}
	if err := b.leaveRamdisk(ctx, t); err != nil {
		return err
	}
	// A node that is taken over runs already.
	if t.Node.ProvisionState == store.Active {
		return nil
	}
	mode, err := drivers.BootMode(t.Node, b.cfg.DefaultBootMode)
	if err != nil {
		return err
	}
	// Lenovo's firmware puts back its copy of the boot entries when several changes are asked for at once
	// (https://bugs.launchpad.net/ironic/+bug/2053064).
	if t.Node.ProvisionState == store.Deploying && mode == store.BootModeUEFI &&
		strings.EqualFold(t.Node.Properties.String("vendor"), "lenovo") {
		return nil
	}
	return drivers.SetBootDevice(ctx, t, store.BootDeviceDisk, true)
}

func (b *Boot) leaveRamdisk(ctx context.Context, t *drivers.Task) error {
	if !b.cfg.Fallback {
		return b.remove(ctx, t)
	}
	if err := b.writeConfiguration(ctx, t, configuration{section: wholeDiskSection}); err != nil {
		return err
	}
	if err := b.tree.removeRamdisks(t.Node); err != nil {
		return fmt.Errorf("removing the ramdisk: %w", err)
	}
	return t.Worker.Journal(t).Put(ctx, journalRamdisk, promise{})
}

// CleanUpInstance takes away what PrepareInstance made for one instance.
func (b *Boot) CleanUpInstance(ctx context.Context, t *drivers.Task) error {
	if err := b.remove(ctx, t); err != nil {
		return err
	}
	return drivers.SetSecureBootIfWanted(ctx, t, false)
}
