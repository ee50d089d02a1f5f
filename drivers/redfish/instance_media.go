package redfish

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// PrepareInstance makes the machine boot its instance from now on: from its disk, or from an ISO when the instance is a ramdisk.
func (v *VirtualMedia) PrepareInstance(ctx context.Context, t *drivers.Task) error {
	if t.Node.ProvisionState == store.Adopting {
		return nil
	}
	if drivers.InstanceBoot(t.Node) == drivers.BootRamdisk {
		return v.bootInstance(ctx, t)
	}
	if err := v.eject(ctx, t); err != nil {
		return err
	}
	return v.machine.BootDisk(ctx, t)
}

// bootInstance shows the machine the ISO of its instance. It may run again at any time: what is there already stays, and a
// machine that runs from the ISO keeps it.
func (v *VirtualMedia) bootInstance(ctx context.Context, t *drivers.Task) error {
	if err := v.machine.ReadyInstance(ctx, t); err != nil {
		return err
	}
	p, err := v.promised(ctx, t)
	if err != nil {
		return err
	}
	if !p.Instance {
		p = isoPromise{Instance: true}
	}
	url, p, err := v.provideInstance(ctx, t, p)
	if err != nil {
		return err
	}
	if err := v.machine.Load(ctx, t, url, true); err != nil {
		return err
	}
	return v.attachDrive(ctx, t, p)
}

// promised is what this worker remembers to serve; nothing when it was never asked or has forgotten.
func (v *VirtualMedia) promised(ctx context.Context, t *drivers.Task) (p isoPromise, err error) {
	_, err = t.Worker.Journal(t).Get(ctx, journalISO, &p)
	return p, err
}

// provideInstance returns the URL that the BMC is to take the instance's ISO from, and remembers what the worker serves itself.
func (v *VirtualMedia) provideInstance(ctx context.Context, t *drivers.Task, p isoPromise) (string, isoPromise, error) {
	images, err := v.cfg.Sources.BootImages(ctx, v.wish(t))
	if err != nil {
		return "", p, err
	}
	source := cmp.Or(t.Node.InstanceInfo.String("ramdisk_image_download_source"), v.cfg.DownloadSource)
	var iso *bootiso.Image
	switch {
	case images.ISO == "":
		iso, err = v.buildInstance(ctx, t, images)
	case source != "local" && isWeb(images.ISO):
		return images.ISO, p, t.Worker.Journal(t).Put(ctx, journalISO, p)
	default:
		iso, err = v.isos.Fetch(ctx, images.ISO)
	}
	if err != nil {
		return "", p, err
	}
	published, err := v.publish(ctx, t, iso, p.Secret)
	if err != nil {
		return "", p, err
	}
	p.Secret = published.Secret
	// This is written down before the BMC hears of it: a restart from here on serves the same ISO at the same URL.
	return published.URL, p, t.Worker.Journal(t).Put(ctx, journalISO, p)
}

func (v *VirtualMedia) wish(t *drivers.Task) image.BootWish {
	return image.BootWish{Node: t.Node, Installer: drivers.InstanceBoot(t.Node) == drivers.BootKickstart, Whole: true,
		Requester: image.RequesterOf(t)}
}

// buildInstance lays an ISO of the instance's kernel and ramdisk together. No agent is on it.
func (v *VirtualMedia) buildInstance(ctx context.Context, t *drivers.Task, images image.BootImages) (*bootiso.Image, error) {
	mode, err := drivers.BootMode(t.Node, v.cfg.DefaultBootMode)
	if err != nil {
		return nil, err
	}
	loader := cmp.Or(v.own(t.Node, "bootloader"), t.Node.InstanceInfo.String("bootloader"),
		v.cfg.ImagesByArch[t.Node.Properties.String("cpu_arch")].Bootloader, v.cfg.Images.Bootloader)
	t.Worker.Report(t, drivers.Progress{Doing: "building the boot ISO"})
	return v.isos.Build(ctx, bootiso.Request{Kernel: images.Kernel, Ramdisk: images.Ramdisk, Bootloader: loader, Mode: mode,
		Instance:   true,
		Parameters: strings.TrimSpace("root=/dev/ram0 text " + t.Node.InstanceInfo.String("ramdisk_kernel_arguments"))})
}

func isWeb(href string) bool {
	scheme, _, _ := strings.Cut(strings.ToLower(href), "://")
	return scheme == "http" || scheme == "https"
}

// attachDrive shows the machine the instance's config drive as a USB stick, if there is one.
func (v *VirtualMedia) attachDrive(ctx context.Context, t *drivers.Task, p isoPromise) error {
	published, p, err := v.publishDrive(ctx, t, p)
	if err != nil || published.URL == "" {
		return err
	}
	if err := t.Worker.Journal(t).Put(ctx, journalISO, p); err != nil {
		return err
	}
	err = v.machine.AttachStick(ctx, t, published.URL)
	if store.KindOf(err) == store.InvalidParameterValue {
		return store.Errorf(store.InstanceDeployFailure,
			"Cannot attach configdrive for node %s: no suitable virtual USB slot has been found", t.Node.UUID)
	}
	return err
}

// publishDrive serves the config drive; the URL is empty when there is none.
func (v *VirtualMedia) publishDrive(ctx context.Context, t *drivers.Task, p isoPromise) (Published, isoPromise, error) {
	if !drivers.Can(t.Hardware.Boot, drivers.CanBootRamdiskWithDrive) {
		return Published{}, p, nil
	}
	drive, err := image.ConfigDriveContent(ctx, v.cfg.Downloads, t.Node)
	if err != nil || drive == nil {
		return Published{}, p, err
	}
	published, err := v.publisher.PublishDrive(ctx, t, drive, p.Drive)
	if err != nil {
		return published, p, fmt.Errorf("publishing the config drive: %w", err)
	}
	p.Drive = published.Secret
	return published, p, nil
}

// ResumeInstance serves again what an instance boots from, after this worker was restarted. An ISO that comes from elsewhere is
// left alone.
func (v *VirtualMedia) ResumeInstance(ctx context.Context, t *drivers.Task) error {
	p, err := v.promised(ctx, t)
	if err != nil || !p.Instance {
		return err
	}
	if p.Secret != "" && !v.holds(t.Node) {
		if _, _, err := v.provideInstance(ctx, t, p); err != nil {
			return err
		}
	}
	if p.Drive == "" {
		return nil
	}
	_, _, err = v.publishDrive(ctx, t, p)
	return err
}

// detachDrive takes the config drive away.
func (v *VirtualMedia) detachDrive(ctx context.Context, t *drivers.Task) error {
	p, err := v.promised(ctx, t)
	if err != nil || p.Drive == "" {
		return err
	}
	return cmp.Or(v.machine.DetachStick(ctx, t), v.publisher.WithdrawDrive(ctx, t.Node))
}
