package ilo

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/pxe"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// NetworkBoot is the boot interface ilo-pxe or ilo-ipxe: like pxe and ipxe, but for what switches the machine to the mode that ramdisk
// and instance want.
type NetworkBoot struct {
	*pxe.Boot
	base
}

// NewNetworkBoot returns ilo-pxe around the interface pxe, and ilo-ipxe around ipxe.
func NewNetworkBoot(c *redfish.Client, cfg Config, boot *pxe.Boot) *NetworkBoot {
	return &NetworkBoot{Boot: boot, base: newBase(c, cfg)}
}

// ramdiskStates are those in which ironic prepares the machine too. An agent that boots anew in the midst of a flow finds it prepared.
var ramdiskStates = []string{store.Deploying, store.Rescuing, store.Cleaning}

// PrepareRamdisk switches the machine off and prepares it, and then what it boots from.
func (n *NetworkBoot) PrepareRamdisk(ctx context.Context, t *drivers.Task, params map[string]string) error {
	if slices.Contains(ramdiskStates, t.Node.ProvisionState) {
		if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
			return err
		}
		if err := n.admitRamdisk(ctx, t); err != nil {
			return err
		}
	}
	return n.Boot.PrepareRamdisk(ctx, t, params)
}

// PrepareInstance sets the boot mode of the instance first. In UEFI mode the firmware itself reaches an iSCSI volume.
func (n *NetworkBoot) PrepareInstance(ctx context.Context, t *drivers.Task) error {
	if err := n.syncBootMode(ctx, t); err != nil {
		return err
	}
	boots, err := n.bootsVolume(ctx, t)
	if err != nil {
		return err
	}
	if boots {
		return drivers.SetSecureBootIfWanted(ctx, t, true)
	}
	return n.Boot.PrepareInstance(ctx, t)
}

// CleanUpInstance switches the machine off first.
func (n *NetworkBoot) CleanUpInstance(ctx context.Context, t *drivers.Task) error {
	if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
		return err
	}
	forgot, err := n.forgetsVolume(ctx, t)
	if err != nil {
		return err
	}
	if forgot {
		return drivers.SetSecureBootIfWanted(ctx, t, false)
	}
	return n.Boot.CleanUpInstance(ctx, t)
}

var _ drivers.Boot = (*NetworkBoot)(nil)
