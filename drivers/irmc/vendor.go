package irmc

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Passthru is the vendor interface irmc.
type Passthru struct{ bmcs *redfish.BMCs }

// NewPassthru returns the vendor interface irmc.
func NewPassthru(c *redfish.Client, cfg Config) *Passthru {
	return &Passthru{bmcs(c, cfg, operationFailed)}
}

// Properties describes how a node names its iRMC.
func (*Passthru) Properties() map[string]string { return properties() }

// Validate checks driver_info.
func (p *Passthru) Validate(_ context.Context, t *drivers.Task) error { return p.bmcs.Validate(t.Node) }

// Steps offers none.
func (*Passthru) Steps(drivers.StepKind) []drivers.Step { return nil }

// NodeMethods has one. Other than in ironic it has the node for itself from the beginning: it writes into it.
func (p *Passthru) NodeMethods() map[string]drivers.VendorMethod {
	return map[string]drivers.VendorMethod{"cache_irmc_firmware_version": {HTTPMethods: []string{"POST"}, Description: "Connect to iRMC and " +
		"fetch iRMC firmware version and, if firmware version has not been cached in or actual firmware version is different from one in " +
		"driver_internal_info/irmc_fw_version, store firmware version in driver_internal_info/irmc_fw_version.",
		Run: func(ctx context.Context, t *drivers.Task, _ store.Dict) (any, error) {
			return nil, noteFirmware(ctx, t, p.bmcs, "caching firmware version")
		}}}
}

// DriverMethods are none.
func (*Passthru) DriverMethods() map[string]drivers.VendorMethod { return nil }

// ValidateMethod checks driver_info.
func (p *Passthru) ValidateMethod(ctx context.Context, t *drivers.Task, _ string, _ store.Dict) error {
	return p.Validate(ctx, t)
}

var _ drivers.Vendor = (*Passthru)(nil)
