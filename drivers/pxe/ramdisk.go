package pxe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// PrepareRamdisk writes what the node's machine reads to boot the ramdisk, tells DHCP where, and sets the machine to boot from
// the network once. It may run again at any time: everything is made as if for the first time.
func (b *Boot) PrepareRamdisk(ctx context.Context, t *drivers.Task, params map[string]string) error {
	// A node without images fails before its boot mode is noted.
	if _, err := b.ramdiskImages(t.Node); err != nil {
		return err
	}
	if err := drivers.SyncBootMode(ctx, t, b.cfg.DefaultBootMode); err != nil {
		return err
	}
	mode, err := drivers.BootMode(t.Node, b.cfg.DefaultBootMode)
	if err != nil {
		return err
	}
	options, err := b.dhcpOptions(t, mode)
	if err != nil {
		return err
	}
	if err := b.serveRamdisk(ctx, t, params); err != nil {
		return err
	}
	if err := b.dhcp.Update(ctx, t, options); err != nil {
		return err
	}
	// gofail: var dhcpUpdated struct{}
	if err := t.Worker.Journal(t).Put(ctx, journalRamdisk, promise{Parameters: params}); err != nil {
		return err
	}
	return b.setNetworkDevice(ctx, t, false)
}

// journalRamdisk is the key under which this worker remembers what it serves to a machine.
const journalRamdisk = "pxe.ramdisk"

// promise is what it takes to write a node's files again.
type promise struct {
	Parameters map[string]string `json:"parameters"`
}

// serveRamdisk fetches kernel and ramdisk and writes the configuration that boots them.
func (b *Boot) serveRamdisk(ctx context.Context, t *drivers.Task, params map[string]string) error {
	images, err := b.ramdiskImages(t.Node)
	if err != nil {
		return err
	}
	if err := b.placeFirst(); err != nil {
		return fmt.Errorf("writing what boot loaders read first: %w", err)
	}
	for name, href := range map[string]string{images.kernelName(): images.kernel, images.ramdiskName(): images.ramdisk} {
		// The conductor's own kernels and ramdisks are read as the service, whoever asked for the deployment.
		if err := b.fetch(ctx, t, image.Ref{Href: href}, b.tree, name); err != nil {
			return err
		}
	}
	// gofail: var ramdiskLinked struct{}
	return b.writeConfiguration(ctx, t, configuration{kernel: images.kernelName(), ramdisk: images.ramdiskName(), params: params})
}

// fetch puts a file into the node's folder of a tree. The link there keeps the bytes, so nothing else needs to hold them.
func (b *Boot) fetch(ctx context.Context, t *drivers.Task, ref image.Ref, into tree, name string) error {
	held := filepath.Base(name)
	path, err := b.files.Fetch(ctx, t, ref, held)
	if err != nil {
		return err
	}
	if err := into.adopt(t.Node, name, path); err != nil {
		return fmt.Errorf("linking %s into %s: %w", name, into.root, err)
	}
	return b.files.Release(t, held)
}

// setNetworkDevice makes the machine try the network at its next start, or from now on. Hardware that has no boot device of its own for HTTP
// takes it as a kind of PXE.
func (b *Boot) setNetworkDevice(ctx context.Context, t *drivers.Task, persistent bool) error {
	if b.http {
		err := drivers.SetBootDevice(ctx, t, store.BootDeviceUEFIHTTP, persistent)
		if store.KindOf(err) != store.InvalidParameterValue {
			return err
		}
		t.Log.Warn().Err(err).Msg("the boot device uefihttp is not supported; pxe is set instead")
	}
	return drivers.SetBootDevice(ctx, t, store.BootDevicePXE, persistent)
}

// RetryBoot switches the machine off, and on again to boot from the network.
func (b *Boot) RetryBoot(ctx context.Context, t *drivers.Task) error {
	if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
		return err
	}
	if err := b.setNetworkDevice(ctx, t, false); err != nil {
		return err
	}
	return t.Worker.SetPower(ctx, t, store.PowerOn)
}

// Resume writes the files again that a machine may be about to read, if they are gone: the roots may be on a disk in memory.
func (b *Boot) Resume(ctx context.Context, t *drivers.Task) error {
	var p promise
	found, err := t.Worker.Journal(t).Get(ctx, journalRamdisk, &p)
	if err != nil || !found || p.Parameters == nil {
		return err
	}
	images, err := b.ramdiskImages(t.Node)
	if err != nil {
		return err
	}
	for _, name := range []string{configName, images.kernelName(), images.ramdiskName()} {
		if _, err := os.Stat(filepath.Join(b.tree.nodeDir(t.Node), name)); err != nil {
			return b.serveRamdisk(ctx, t, p.Parameters)
		}
	}
	return nil
}

// CleanUpRamdisk takes the node's files away.
func (b *Boot) CleanUpRamdisk(ctx context.Context, t *drivers.Task) error { return b.remove(ctx, t) }

func (b *Boot) remove(ctx context.Context, t *drivers.Task) error {
	if b.tree.root == "" {
		return nil
	}
	if err := b.tree.remove(t.Node); err != nil {
		return fmt.Errorf("removing the boot configuration: %w", err)
	}
	if b.web.root != "" {
		// What an installer that came by TFTP read.
		if err := os.RemoveAll(b.web.nodeDir(t.Node)); err != nil {
			return fmt.Errorf("removing what an installer read: %w", err)
		}
	}
	// gofail: var bootConfigRemoved struct{}
	return t.Worker.Journal(t).Put(ctx, journalRamdisk, promise{})
}
