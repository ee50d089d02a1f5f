package pxe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// PrepareInstance makes the machine boot its instance from now on: from its disk, whatever kind of image was written there, or
// from the network when the instance is on a volume, is a ramdisk or still has to be installed. For machines that try the network
// first all the same there may be a configuration that sends them to the disk.
func (b *Boot) PrepareInstance(ctx context.Context, t *drivers.Task) error {
	if err := drivers.SyncBootMode(ctx, t, b.cfg.DefaultBootMode); err != nil {
		return err
	}
	option := drivers.InstanceBoot(t.Node)
	if option != drivers.BootKickstart {
		// Installers are not signed; what they install boots securely.
		if err := drivers.SetSecureBootIfWanted(ctx, t, true); err != nil {
			return err
		}
	}
	volume, err := bootVolume(ctx, t)
	if err != nil {
		return err
	}
	if option == drivers.BootLocal && volume == nil {
		return b.bootDisk(ctx, t)
	}
	if err := b.offerInstance(ctx, t); err != nil {
		return err
	}
	if t.Node.ProvisionState == store.Active {
		return nil
	}
	return b.setNetworkDevice(ctx, t, true)
}

// bootDisk takes the ramdisk away and sets the disk as boot device.
func (b *Boot) bootDisk(ctx context.Context, t *drivers.Task) error {
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

// The names of an instance's files.
const (
	kernelName  = "kernel"
	ramdiskName = "ramdisk"
	isoName     = "boot_iso"
)

// offerInstance tells DHCP and writes what the machine reads to boot an instance from the network.
func (b *Boot) offerInstance(ctx context.Context, t *drivers.Task) error {
	mode, err := drivers.BootMode(t.Node, b.cfg.DefaultBootMode)
	if err != nil {
		return err
	}
	options, err := b.dhcpOptions(t, mode)
	if err != nil {
		return err
	}
	if err := b.serveInstance(ctx, t); err != nil {
		return err
	}
	if err := b.dhcp.Update(ctx, t, options); err != nil {
		return err
	}
	// What was served to a ramdisk is not needed any more.
	return t.Worker.Journal(t).Put(ctx, journalRamdisk, promise{})
}

func (b *Boot) wish(t *drivers.Task) image.BootWish {
	return image.BootWish{Node: t.Node, Installer: drivers.InstanceBoot(t.Node) == drivers.BootKickstart, Requester: image.RequesterOf(t)}
}

// serveInstance fetches kernel and ramdisk, or an ISO, and writes the configuration that boots them. It may run again at any
// time: everything is made as if for the first time.
func (b *Boot) serveInstance(ctx context.Context, t *drivers.Task) error {
	volume, err := bootVolume(ctx, t)
	if err != nil {
		return err
	}
	if volume != nil {
		return b.serveVolume(ctx, t, volume)
	}
	if err := b.placeFirst(); err != nil {
		return fmt.Errorf("writing what boot loaders read first: %w", err)
	}
	if drivers.InstanceBoot(t.Node) == drivers.BootKickstart {
		return b.serveInstaller(ctx, t)
	}
	images, err := b.sources.BootImages(ctx, b.wish(t))
	if err != nil {
		return err
	}
	if images.ISO != "" && !b.ipxe {
		// Ironic writes a configuration that boots nothing.
		return store.Errorf(store.InstanceDeployFailure, "Boot interface %s cannot boot the ISO in instance_info.boot_iso of node %s; "+
			"ipxe and virtual media can", t.Node.BootInterface, t.Node.UUID)
	}
	files, values := map[string]string{isoName: images.ISO}, map[string]any{"boot_iso_url": b.web.url(b.cfg.HTTPURL, t.Node, isoName)}
	if images.ISO == "" {
		files = map[string]string{kernelName: images.Kernel, ramdiskName: images.Ramdisk}
		values = map[string]any{"aki_path": b.location(t.Node, kernelName), "ari_path": b.location(t.Node, ramdiskName)}
	}
	for name, href := range files {
		if err := b.fetch(ctx, t, image.Ref{Href: href, Requester: image.RequesterOf(t)}, b.tree, name); err != nil {
			return err
		}
	}
	return b.writeConfiguration(ctx, t, configuration{instance: values, section: ramdiskSection})
}

// url is where a file of a node is found below the tree's URL.
func (tree) url(base string, n *store.Node, name string) string {
	return base + "/" + n.UUID + "/" + name
}

// ResumeInstance writes the files of an instance again that its machine may read at its next start, if they are gone.
func (b *Boot) ResumeInstance(ctx context.Context, t *drivers.Task) error {
	volume, err := bootVolume(ctx, t)
	if err != nil || volume == nil && drivers.InstanceBoot(t.Node) != drivers.BootRamdisk {
		return err
	}
	if _, err := os.Stat(filepath.Join(b.tree.nodeDir(t.Node), configName)); err == nil {
		return nil
	}
	return b.serveInstance(ctx, t)
}

// CleanUpInstance takes away what PrepareInstance made for one instance.
func (b *Boot) CleanUpInstance(ctx context.Context, t *drivers.Task) error {
	if err := b.remove(ctx, t); err != nil {
		return err
	}
	return drivers.SetSecureBootIfWanted(ctx, t, false)
}
