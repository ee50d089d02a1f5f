package pxe

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Validate checks that the node has ports, and something to boot.
func (b *Boot) Validate(ctx context.Context, t *drivers.Task) error {
	ports, err := t.Worker.Ports(ctx, t)
	if err != nil {
		return fmt.Errorf("reading the node's ports: %w", err)
	}
	if len(ports) == 0 {
		return store.Errorf(store.MissingParameterValue, "Node %s does not have any port associated with it", t.Node.UUID)
	}
	for _, p := range ports {
		if err := checkAddress(t.Node, p); err != nil {
			return err
		}
	}
	if (b.ipxe || b.http) && (b.cfg.HTTPURL == "" || b.cfg.HTTPRoot == "") {
		what := "iPXE"
		if !b.ipxe {
			what = "HTTP"
		}
		return store.Errorf(store.MissingParameterValue, "%s boot is enabled but no HTTP URL or HTTP root was specified", what)
	}
	if err := b.checkKickstart(t.Node); err != nil {
		return err
	}
	if err := drivers.ValidateCapabilities(t.Node); err != nil {
		return err
	}
	if err := b.checkMode(t.Node); err != nil {
		return err
	}
	if t.Node.InstanceInfo.String("image_source") != "" && t.Node.InstanceInfo.String("boot_iso") != "" {
		return store.Errorf(store.InvalidParameterValue,
			"An 'image_source' and 'boot_iso' parameter may not be specified at the same time")
	}
	if t.Node.DriverInfo.String("pxe_template") != "" && !b.cfg.Templates.PerNode {
		return refusePerNode(b.ipxe)
	}
	if drivers.NeedsAgent(t) {
		if _, err := b.ramdiskImages(t.Node); err != nil {
			return err
		}
	}
	if drivers.InstanceBoot(t.Node) == drivers.BootLocal {
		return nil
	}
	if writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t); err != nil || !writes {
		return err
	}
	return b.sources.ValidateBoot(ctx, b.wish(t))
}

// checkKickstart checks that an installer can be told what to install.
func (b *Boot) checkKickstart(n *store.Node) error {
	if drivers.InstanceBoot(n) != drivers.BootKickstart {
		return nil
	}
	if b.cfg.HTTPURL == "" || b.cfg.HTTPRoot == "" {
		return store.Errorf(store.MissingParameterValue,
			"'kickstart' boot option is set on the node but no HTTP URL or HTTP root was specified")
	}
	if b.cfg.Kickstart.Template == "" {
		return store.Errorf(store.MissingParameterValue,
			"'kickstart' boot option is set on the node but no default kickstart template is specified")
	}
	return nil
}

// checkMode refuses what no machine does: a BIOS does not boot over HTTP. ironic lets such a node wait for its ramdisk in vain.
func (b *Boot) checkMode(n *store.Node) error {
	if !b.http {
		return nil
	}
	mode, err := drivers.BootMode(n, b.cfg.DefaultBootMode)
	if err == nil && mode != store.BootModeUEFI {
		err = store.Errorf(store.InvalidParameterValue, "Boot interface %s needs the boot mode uefi, and node %s has the boot mode %s",
			n.BootInterface, n.UUID, mode)
	}
	return err
}

// ramdiskImages are the kernel and ramdisk to boot.
type ramdiskImages struct {
	// mode is deploy or rescue, the first part of the files' names.
	mode            string
	kernel, ramdisk string
}

func (i ramdiskImages) kernelName() string  { return i.mode + "_kernel" }
func (i ramdiskImages) ramdiskName() string { return i.mode + "_ramdisk" }

// ValidateRescue checks that there is a ramdisk for a rescue.
func (b *Boot) ValidateRescue(_ context.Context, t *drivers.Task) error {
	_, err := b.imagesFor(t.Node, "rescue")
	return err
}

// ValidateInspection checks that there is a ramdisk for an inspection. A node that lacks something may be booted by somebody else.
func (b *Boot) ValidateInspection(ctx context.Context, t *drivers.Task) error {
	err := b.Validate(ctx, t)
	if store.KindOf(err) == store.MissingParameterValue {
		return store.Errorf(store.UnsupportedDriverExtension, "Insufficient information provided for managed inspection: %s", err)
	}
	return err
}

// ramdiskImages are those of the flow that the node is in.
func (b *Boot) ramdiskImages(n *store.Node) (ramdiskImages, error) {
	if drivers.RescueMode(n) {
		return b.imagesFor(n, "rescue")
	}
	return b.imagesFor(n, "deploy")
}

// imagesFor chooses a node's images as ironic does: both from driver_info, or both from the configuration.
func (b *Boot) imagesFor(n *store.Node, mode string) (ramdiskImages, error) {
	i := ramdiskImages{mode: mode}
	i.kernel, i.ramdisk = n.DriverInfo.String(i.kernelName()), n.DriverInfo.String(i.ramdiskName())
	if i.kernel == "" && i.ramdisk == "" {
		arch, all := b.cfg.ImagesByArch[n.Properties.String("cpu_arch")], b.cfg.Images
		i.kernel, i.ramdisk = cmp.Or(arch.DeployKernel, all.DeployKernel), cmp.Or(arch.DeployRamdisk, all.DeployRamdisk)
		if i.mode == "rescue" {
			i.kernel, i.ramdisk = cmp.Or(arch.RescueKernel, all.RescueKernel), cmp.Or(arch.RescueRamdisk, all.RescueRamdisk)
		}
	}
	var missing []string
	for name, value := range map[string]string{i.kernelName(): i.kernel, i.ramdiskName(): i.ramdisk} {
		if value == "" {
			missing = append(missing, "'"+name+"'")
		}
	}
	if len(missing) == 0 {
		return i, nil
	}
	if len(missing) == 2 {
		missing = []string{"'" + i.kernelName() + "'", "'" + i.ramdiskName() + "'"}
	}
	return i, store.Errorf(store.MissingParameterValue, "Cannot validate PXE bootloader. Some parameters were missing in node's "+
		"driver_info and configuration. Missing are: [%s]", strings.Join(missing, ", "))
}
