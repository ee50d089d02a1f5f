package ilo

import (
	"cmp"
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// VirtualMedia is the boot interface ilo-virtual-media: like redfish-virtual-media, but for what switches the machine to the mode that
// the ramdisk wants.
type VirtualMedia struct {
	*redfish.VirtualMedia
	base
}

// NewVirtualMedia returns the boot interface ilo-virtual-media. media holds the options that are not HPE's.
func NewVirtualMedia(c *redfish.Client, cfg Config, media redfish.VirtualMediaConfig, isos *bootiso.Builder,
	publisher redfish.Publisher) *VirtualMedia {
	b := newBase(c, cfg)
	m := &machine{base: b, Standard: redfish.NewStandard(b.bmcs, media.DefaultBootMode)}
	return &VirtualMedia{redfish.NewMedia(m, named(media), isos, publisher), b}
}

// Validate checks how the node names its iLO, then its ramdisk, and then its image. An instance that is an ISO needs neither of the first two.
func (v *VirtualMedia) Validate(ctx context.Context, t *drivers.Task) error {
	if bootsOwnISO(t.Node) {
		return v.ValidateInstance(ctx, t)
	}
	if err := v.bmcs.Validate(t.Node); err != nil {
		return err
	}
	if err := v.ValidateRamdisk(t.Node); err != nil {
		return err
	}
	if writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t); err != nil || !writes {
		return err
	}
	return v.ValidateInstance(ctx, t)
}

// bootsOwnISO tells whether the instance is an ISO that its user has made.
func bootsOwnISO(n *store.Node) bool {
	return drivers.InstanceBoot(n) == drivers.BootRamdisk && cmp.Or(n.InstanceInfo.String("boot_iso"), n.InstanceInfo.String("ilo_boot_iso")) != ""
}

// PrepareInstance makes the machine boot its instance, from an iSCSI volume when it has one: that takes UEFI mode.
func (v *VirtualMedia) PrepareInstance(ctx context.Context, t *drivers.Task) error {
	volume, err := drivers.ISCSIBootVolume(ctx, t)
	if err != nil {
		return err
	}
	if volume == nil || t.Node.ProvisionState == store.Adopting {
		return v.VirtualMedia.PrepareInstance(ctx, t)
	}
	if err := v.CleanUpRamdisk(ctx, t); err != nil {
		return err
	}
	if err := v.syncBootMode(ctx, t); err != nil {
		return err
	}
	boots, err := v.bootsVolume(ctx, t)
	if err != nil {
		return err
	}
	if !boots {
		return store.Errorf(store.InstanceDeployFailure, "Virtual media can not boot volume in BIOS boot mode.")
	}
	return drivers.SetSecureBootIfWanted(ctx, t, true)
}

// CleanUpInstance takes away what the instance booted from.
func (v *VirtualMedia) CleanUpInstance(ctx context.Context, t *drivers.Task) error {
	if _, err := v.forgetsVolume(ctx, t); err != nil {
		return err
	}
	return v.VirtualMedia.CleanUpInstance(ctx, t)
}

// named gives the options what ironic calls iLO's ways of booting.
func named(media redfish.VirtualMediaConfig) redfish.VirtualMediaConfig {
	media.Vendor, media.Name, media.NeedsBootloader = "ilo", "iLO boot for %s", true
	return media
}

// Capabilities are ironic's: a config drive is not shown to the machine.
func (*VirtualMedia) Capabilities() []string {
	return []string{drivers.CanBootISCSI, drivers.CanBootRamdisk}
}

// Properties describes the ISO that a node may bring.
func (*VirtualMedia) Properties() map[string]string {
	return map[string]string{"deploy_iso": "UUID (from Glance) of the deployment ISO. Required.",
		drivers.KeyBootPersistency: drivers.DescribeBootPersistency}
}

// machine is redfish.Machine for HPE's.
type machine struct {
	base
	*redfish.Standard
}

// Ready makes the machine start a ramdisk of ours.
func (m *machine) Ready(ctx context.Context, t *drivers.Task) error { return m.admitRamdisk(ctx, t) }

// ReadyInstance sets boot mode and secure boot.
func (m *machine) ReadyInstance(ctx context.Context, t *drivers.Task) error {
	if err := m.syncBootMode(ctx, t); err != nil {
		return err
	}
	return drivers.SetSecureBootIfWanted(ctx, t, true)
}

// BootDisk sets the boot device first and the modes after it, as ironic does.
func (m *machine) BootDisk(ctx context.Context, t *drivers.Task) error {
	if err := drivers.SetBootDevice(ctx, t, store.BootDeviceDisk, true); err != nil {
		return err
	}
	return m.ReadyInstance(ctx, t)
}

var _ drivers.Boot = (*VirtualMedia)(nil)
