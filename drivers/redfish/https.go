package redfish

import (
	"context"
	"slices"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/store"
)

// HTTPS is the boot interface redfish-https: the machine's own firmware fetches the boot ISO from a URL that its BMC hands on. It needs
// an address from DHCP before. Instances on a ramdisk have no config drive.
type HTTPS struct {
	*VirtualMedia
	bmcs *BMCs
}

// NewHTTPS returns the boot interface redfish-https.
func NewHTTPS(c *Client, cfg VirtualMediaConfig, isos *bootiso.Builder, publisher Publisher) *HTTPS {
	cfg.Vendor, cfg.Name = "redfish", "Redfish virtual media"
	m := &httpMachine{NewStandard(c.Plain(), cfg.DefaultBootMode)}
	return &HTTPS{NewMedia(m, cfg, isos, publisher), m.bmcs}
}

// Capabilities are fewer than those of virtual media.
func (*HTTPS) Capabilities() []string { return []string{drivers.CanBootRamdisk} }

// Validate asks the BMC whether its machine boots from URLs, before it checks the images. A BMC that does not tell is tried.
func (h *HTTPS) Validate(ctx context.Context, t *drivers.Task) error {
	err := h.bmcs.Do(ctx, t, "", func(s *System) error {
		allowed := s.Boot.AllowableBootSourceOverrideTargetValues
		if len(allowed) > 0 && !slices.Contains(allowed, schemas.UefiHTTPBootSource) {
			return store.Errorf(store.UnsupportedHardwareFeature, "Node %s hardware does not support feature UefiHttp boot, which is "+
				"required based upon the requested configuration.", t.Node.UUID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return h.VirtualMedia.Validate(ctx, t)
}

// keyBootURL holds, in driver_internal_info, the URL that goes to the BMC with the boot device uefihttp.
const keyBootURL = "redfish_uefi_http_url"

// httpMachine is the Machine whose firmware fetches its ISO.
type httpMachine struct{ *Standard }

// Loaded is true: what an agent has booted from is not needed any more.
func (*httpMachine) Loaded(context.Context, *drivers.Task) (bool, error) { return true, nil }

// Load leaves the URL for the management interface, which hands it to the BMC.
//
// Crash window: the URL is saved before the BMC is asked and forgotten before it is sent. Whoever goes on with the flow loads the ISO anew.
func (*httpMachine) Load(ctx context.Context, t *drivers.Task, url string, persistent bool) error {
	if t.Node.DriverInternalInfo == nil {
		t.Node.DriverInternalInfo = store.Dict{}
	}
	t.Node.DriverInternalInfo[keyBootURL] = url
	if err := t.Worker.Save(ctx, t); err != nil {
		return err
	}
	return drivers.SetBootDevice(ctx, t, store.BootDeviceUEFIHTTP, persistent)
}

// Unload has nothing to do: the URL leads nowhere once the ISO is withdrawn, and goes with the next boot device.
func (*httpMachine) Unload(context.Context, *drivers.Task) error { return nil }

// DetachStick has nothing to do: there are no sticks.
func (*httpMachine) DetachStick(context.Context, *drivers.Task) error { return nil }

var _ drivers.Boot = (*HTTPS)(nil)
