package ilo

import (
	"context"
	"fmt"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// HTTPS is the boot interface ilo-uefi-https: the machine's own firmware fetches the boot ISO from a URL in the BIOS settings.
type HTTPS struct {
	*redfish.VirtualMedia
	machine *httpsMachine
}

// NewHTTPS returns the boot interface ilo-uefi-https.
func NewHTTPS(c *redfish.Client, cfg Config, media redfish.VirtualMediaConfig, isos *bootiso.Builder,
	publisher redfish.Publisher) *HTTPS {
	m := &httpsMachine{machine{base: newBase(c, cfg)}}
	m.Standard = redfish.NewStandard(m.bmcs, media.DefaultBootMode)
	return &HTTPS{redfish.NewMedia(m, named(media), isos, publisher), m}
}

// Capabilities are fewer than those of virtual media.
func (*HTTPS) Capabilities() []string { return []string{drivers.CanBootRamdisk} }

// Properties describes the images that a node may bring.
func (*HTTPS) Properties() map[string]string {
	return map[string]string{
		"deploy_kernel":  "URL or Glance UUID of the deployment kernel. Required.",
		"deploy_ramdisk": "URL or Glance UUID of the ramdisk that is mounted at boot time. Required.",
	}
}

// Validate checks beside the images that the machine is in UEFI mode, and that nothing is to be fetched unencrypted.
func (h *HTTPS) Validate(ctx context.Context, t *drivers.Task) error {
	if err := h.machine.Validate(ctx, t); err != nil {
		return err
	}
	var mode string
	err := h.machine.bmcs.Do(ctx, t, "Get current boot mode", func(s *redfish.System) (err error) {
		mode, err = currentMode(s)
		return err
	})
	switch {
	case store.KindOf(err) == store.IloOperationError:
		return store.Errorf(store.InvalidParameterValue, "Validation for 'ilo-uefi-https' boot interface failed. Could not determine "+
			"current boot mode for node %s.", t.Node.UUID)
	case err != nil:
		return err
	case mode != store.BootModeUEFI:
		return store.Errorf(store.InvalidParameterValue, "Validation for 'ilo-uefi-https' boot interface failed. The node is required "+
			"to be in 'UEFI' boot mode.")
	}
	if bootsOwnISO(t.Node) {
		return h.ValidateInstance(ctx, t)
	}
	if err := h.ValidateRamdisk(t.Node); err != nil {
		return err
	}
	if err := refuseInsecure(t.Node.DriverInfo); err != nil {
		return err
	}
	if writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t); err != nil || !writes {
		return err
	}
	if err := refuseInsecure(t.Node.InstanceInfo); err != nil {
		return err
	}
	return h.ValidateInstance(ctx, t)
}

// imageKeys are the keys whose images have to come encrypted.
var imageKeys = []string{"deploy_iso", "deploy_kernel", "deploy_ramdisk", "bootloader", "image_source", "kernel", "ramdisk"}

func refuseInsecure(info store.Dict) error {
	var insecure []string
	for _, key := range imageKeys {
		if href := info.String(key); strings.HasPrefix(href, "http://") {
			insecure = append(insecure, "'"+href+"'")
		}
	}
	if len(insecure) > 0 {
		return store.Errorf(store.InvalidParameterValue, "Secure URLs exposed over HTTPS are expected. Insecure URLs are provided "+
			"for [%s]", strings.Join(insecure, ", "))
	}
	return nil
}

// httpsMachine is redfish.Machine for a machine that fetches its ISO itself.
type httpsMachine struct{ machine }

// Loaded is true: what an agent has booted from is not needed any more.
func (*httpsMachine) Loaded(context.Context, *drivers.Task) (bool, error) { return true, nil }

// Load puts the URL into the BIOS settings, and makes the machine boot from there.
func (m *httpsMachine) Load(ctx context.Context, t *drivers.Task, url string, persistent bool) error {
	operation := fmt.Sprintf("Setting up node %s to boot from its URL.", t.Node.UUID)
	if !strings.HasPrefix(strings.ToLower(url), "https://") {
		return notSupported(operation, "A secure URL is expected that is exposed over HTTPS: see [ironmaster]image_server_url.")
	}
	err := m.bmcs.Do(ctx, t, operation, func(s *redfish.System) error {
		f, err := readFirmware(s)
		if err != nil {
			return err
		}
		next, err := f.next(s)
		if err != nil {
			return err
		}
		if next.attributes["UrlBootFile"] != url {
			if err := f.set(s, map[string]any{"PreBootNetwork": "Auto", "UrlBootFile": url, "Dhcpv4": "Enabled"}); err != nil {
				return err
			}
		}
		return setBoot(s, schemas.UefiHTTPBootSource, persistent)
	})
	return err
}

// Unload has nothing to do: the URL leads nowhere once the ISO is withdrawn.
func (*httpsMachine) Unload(context.Context, *drivers.Task) error { return nil }

// ReadyInstance leaves the boot mode alone, which is UEFI.
func (m *httpsMachine) ReadyInstance(ctx context.Context, t *drivers.Task) error {
	return drivers.SetSecureBootIfWanted(ctx, t, true)
}

// BootDisk leaves the boot mode alone too.
func (m *httpsMachine) BootDisk(ctx context.Context, t *drivers.Task) error {
	if err := drivers.SetBootDevice(ctx, t, store.BootDeviceDisk, true); err != nil {
		return err
	}
	return drivers.SetSecureBootIfWanted(ctx, t, true)
}

var _ drivers.Boot = (*HTTPS)(nil)
