package agent

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/partition"
	"github.com/ironmaster/ironmaster/store"
)

// keyRootUUID holds the UUID of the root file system, or a whole disk's identifier, in driver_internal_info.
const keyRootUUID = "root_uuid_or_disk_id"

// prepareInstanceBoot is the step deploy.prepare_instance_boot: what was written is made bootable, and the node is made to
// boot it.
func (d *Deploy) prepareInstanceBoot(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t)
	if err != nil {
		return drivers.Done, err
	}
	if !writes {
		return drivers.Done, t.Hardware.Boot.PrepareInstance(ctx, t)
	}
	answer, err := d.client.do(ctx, t.Node, request{method: "standby.get_partition_uuids", params: store.Dict{}, wait: true})
	if err != nil {
		return drivers.Done, err
	}
	return drivers.Done, d.PrepareInstanceBoot(ctx, t, answer.result())
}

// PrepareInstanceBoot has the node boot what was written onto its disk. ids are the UUIDs of partitions, under the names that
// agents give them: root uuid, efi system partition uuid, PReP Boot partition uuid. Those that there are not are left out.
func (d *Deploy) PrepareInstanceBoot(ctx context.Context, t *drivers.Task, ids store.Dict) error {
	root := ids.String("root uuid")
	if root != "" {
		internalInfo(t.Node)[keyRootUUID] = root
		if err := d.rememberLayout(t.Node); err != nil {
			return err
		}
		if err := t.Worker.Save(ctx, t); err != nil {
			return err
		}
	} else if !wholeDisk(t.Node) {
		t.Log.Error().Msg("the agent told no root UUID; the deployment will likely fail")
	}
	if !d.cfg.ManageBoot {
		return drivers.SetBootDevice(ctx, t, store.BootDeviceDisk, true)
	}
	if err := d.configureLocalBoot(ctx, t, root, ids); err != nil {
		return d.failed(ctx, t, err)
	}
	if err := t.Hardware.Boot.PrepareInstance(ctx, t); err != nil {
		t.Log.Error().Err(err).Msg("preparing the instance for booting")
		return d.failed(ctx, t, store.Errorf(store.InstanceDeployFailure,
			"Failed to prepare instance for booting: %w", err))
	}
	// The image has been taken. What stays published until tear-down would only be in somebody's way.
	return d.serve.Withdraw(ctx, t)
}

// rememberLayout writes down the layout of a partition image that is on the disk.
func (d *Deploy) rememberLayout(n *store.Node) error {
	if wholeDisk(n) {
		return nil
	}
	request, err := partition.ParseRequest(n.InstanceInfo)
	if err != nil {
		return err
	}
	request.Remember(internalInfo(n))
	return nil
}

// failed keeps the ramdisk's logs before the step ends in err: afterwards the node is switched off.
func (d *Deploy) failed(ctx context.Context, t *drivers.Task, err error) error {
	d.CollectLogs(ctx, t, "", true)
	return err
}

// configureLocalBoot has the agent install a bootloader where one is needed, and sets the disk as boot device.
func (d *Deploy) configureLocalBoot(ctx context.Context, t *drivers.Task, root string, ids store.Dict) error {
	mode, err := drivers.BootMode(t.Node, d.cfg.BootMode)
	if err != nil {
		return err
	}
	b := bootloader{root: root, mode: mode, ids: ids, whole: wholeDisk(t.Node), softwareRAID: onSoftwareRAID(t.Node)}
	if b.softwareRAID {
		b.root = d.rootOnRAID(ctx, t)
	}
	if b.needed() {
		if err := d.installBootloader(ctx, t, b); err != nil {
			return err
		}
	}
	return setDiskDevice(ctx, t, mode)
}

// setDiskDevice makes a machine boot from its disk from now on.
func setDiskDevice(ctx context.Context, t *drivers.Task, mode string) error {
	// Lenovo's firmware puts back its copy of the boot entries when several changes are asked for at once
	// (https://bugs.launchpad.net/ironic/+bug/2053064).
	if mode == store.BootModeUEFI && strings.EqualFold(t.Node.Properties.String("vendor"), "lenovo") {
		return nil
	}
	if err := drivers.SetBootDevice(ctx, t, store.BootDeviceDisk, true); err != nil {
		return store.Errorf(store.InstanceDeployFailure,
			"Failed to change the boot device to disk when deploying node %s: %w", t.Node.UUID, err)
	}
	return nil
}

// bootloader is what has to boot. A whole-disk image brings its own loader, of which a UEFI firmware must be told, and which
// must be on each disk of a software RAID.
type bootloader struct {
	root, mode          string
	ids                 store.Dict
	whole, softwareRAID bool
}

func (b bootloader) needed() bool {
	if b.softwareRAID {
		return true
	}
	if b.whole {
		return b.mode == store.BootModeUEFI
	}
	return b.root != ""
}

func onSoftwareRAID(n *store.Node) bool {
	for _, disk := range n.TargetRAIDConfig.List("logical_disks") {
		if (store.Dict{"disk": disk}).Dict("disk").String("controller") == "software" {
			return true
		}
	}
	return false
}

// rootOnRAID is the UUID of the root file system in an image that was written onto a software RAID: an agent finds the
// array's identifier at best, so the image's owner says it, and what the agent found counts only when nobody did.
func (d *Deploy) rootOnRAID(ctx context.Context, t *drivers.Task) string {
	if root := t.Node.InstanceInfo.String("image_rootfs_uuid"); root != "" {
		return root
	}
	if source := t.Node.InstanceInfo.String("image_source"); image.IsGlance(source) {
		meta, err := d.images.Show(ctx, image.Ref{Href: source, Requester: image.RequesterOf(t)})
		if root := meta.Properties.String("rootfs_uuid"); err == nil && root != "" {
			return root
		}
		t.Log.Warn().Err(err).Msg("the Glance image has no property rootfs_uuid that could be read")
	}
	return t.Node.DriverInternalInfo.String(keyRootUUID)
}

// installBootloader runs image.install_bootloader. An agent that is too old to know target_boot_mode is asked without, unless
// it would then make a software RAID boot by BIOS that is to boot by UEFI.
func (d *Deploy) installBootloader(ctx context.Context, t *drivers.Task, b bootloader) error {
	params := store.Dict{"root_uuid": nullable(b.root), "efi_system_part_uuid": nil, "prep_boot_part_uuid": nil,
		"target_boot_mode": b.mode}
	if !b.whole && b.mode == store.BootModeUEFI {
		params["efi_system_part_uuid"] = nullable(b.ids.String("efi system partition uuid"))
	}
	if strings.HasPrefix(t.Node.Properties.String("cpu_arch"), "ppc64") {
		params["prep_boot_part_uuid"] = nullable(b.ids.String("PReP Boot partition uuid"))
	}
	t.Worker.Report(t, drivers.Progress{Doing: "installing the bootloader", Waiting: true})
	answer, err := d.client.poll(ctx, t.Node, request{method: "image.install_bootloader", params: params})
	if store.KindOf(err) == store.AgentAPIError && !(b.softwareRAID && b.mode == store.BootModeUEFI) {
		t.Log.Warn().Err(err).Msg("installing the bootloader again without target_boot_mode")
		delete(params, "target_boot_mode")
		answer, err = d.client.poll(ctx, t.Node, request{method: "image.install_bootloader", params: params})
	}
	if err != nil {
		return err
	}
	if answer.Status == statusFailed {
		return store.Errorf(store.InstanceDeployFailure, "Failed to install a bootloader when deploying node %s: %s",
			t.Node.UUID, answer.failure())
	}
	return nil
}
