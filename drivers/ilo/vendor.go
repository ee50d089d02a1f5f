package ilo

import (
	"context"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Passthru is the vendor interface ilo: the subscriptions of redfish, and booting an ISO of the user's.
type Passthru struct {
	*redfish.Passthru
	bmcs  *redfish.BMCs
	media *redfish.VirtualMedia
}

// NewPassthru returns the vendor interface ilo. media is the boot interface that shows machines their ISOs. What fails of the methods of
// redfish is a RedfishError, as in ironic.
func NewPassthru(c *redfish.Client, cfg Config, media *VirtualMedia) *Passthru {
	plain := c.Of(redfish.Vendor{Access: func(n *store.Node) (redfish.Access, error) { return access(n, cfg) }})
	return &Passthru{redfish.NewPassthruOf(plain), newBase(c, cfg).bmcs, media.VirtualMedia}
}

// The methods that are not those of redfish.
const (
	methodISO   = "boot_into_iso"
	methodEject = "eject_vmedia"
	argISO      = "boot_iso_href"
)

// NodeMethods are ironic's, with one that it lists and refuses.
func (p *Passthru) NodeMethods() map[string]drivers.VendorMethod {
	methods := p.Passthru.NodeMethods()
	methods[methodISO] = drivers.VendorMethod{HTTPMethods: []string{"POST"}, Run: p.bootISO, Description: "Attaches an ISO image and " +
		"reboots the node. Required argument: 'boot_iso_href' - href of the image to be booted. This can be a Glance UUID or an HTTP(S) URL."}
	return methods
}

// ValidateMethod checks the arguments of a method, and that the node may be asked for it.
func (p *Passthru) ValidateMethod(ctx context.Context, t *drivers.Task, method string, args store.Dict) error {
	switch method {
	case methodISO:
		return p.validateISO(ctx, t, args)
	case methodEject:
		return notSupported(method, method+" can not be performed as the driver does not support eject_vmedia through ilo vendor interface")
	}
	if err := p.knowsEvents(ctx, t); err != nil {
		return err
	}
	return p.Passthru.ValidateMethod(ctx, t, method, args)
}

// knowsEvents refuses machines whose iLOs have no subscriptions: those before Gen10.
func (p *Passthru) knowsEvents(ctx context.Context, t *drivers.Task) error {
	const operation = "Event methods"
	return p.bmcs.Do(ctx, t, operation, func(s *redfish.System) error {
		if slices.ContainsFunc([]string{"Gen8", "Gen9"}, func(old string) bool { return strings.Contains(s.Model, old) }) {
			return notSupported(operation, operation+" can not be performed as the driver does not support Event methods on the given node")
		}
		return nil
	})
}

func (p *Passthru) validateISO(ctx context.Context, t *drivers.Task, args store.Dict) error {
	if t.Node.ProvisionState != store.Manageable && !t.Node.Maintenance {
		return store.Errorf(store.InvalidStateRequested, "The requested action 'boot_into_iso' can be performed only when node %s is in %s "+
			"state or in 'maintenance' mode", t.Node.UUID, store.Manageable)
	}
	if args.String(argISO) == "" {
		return store.Errorf(store.MissingParameterValue, "Error validating input for boot_into_iso vendor passthru. Some parameters were not "+
			"provided: . Missing are: ['boot_iso_href']")
	}
	return p.media.CheckISO(ctx, t, args.String(argISO))
}

func (p *Passthru) bootISO(ctx context.Context, t *drivers.Task, args store.Dict) (any, error) {
	if err := p.media.BootISO(ctx, t, args.String(argISO)); err != nil {
		return nil, err
	}
	return nil, t.Worker.SetPower(ctx, t, store.Reboot)
}

var _ drivers.Vendor = (*Passthru)(nil)
