package redfish

import (
	"context"
	"fmt"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
)

// Management is the management interface redfish.
type Management struct {
	base
	// bootMode is [deploy]default_boot_mode.
	bootMode string
	// images is nil where firmware is not updated.
	images *imageUpdates
}

// NewManagement returns the management interface redfish. bootMode is [deploy]default_boot_mode.
func NewManagement(c *Client, bootMode string) *Management {
	return NewManagementOf(c.Plain(), bootMode)
}

// NewManagementOf returns a management interface like redfish for other BMCs.
func NewManagementOf(b *BMCs, bootMode string) *Management {
	return &Management{base: base{b}, bootMode: bootMode, images: newImageUpdates(b)}
}

// Validate checks driver_info.
func (m *Management) Validate(_ context.Context, t *drivers.Task) error {
	return m.bmcs.Validate(t.Node)
}

// Steps change secure boot's keys, firmware and the BMC's clock.
func (m *Management) Steps(kind drivers.StepKind) []drivers.Step {
	var steps []drivers.Step
	if kind == drivers.CleanStep || kind == drivers.DeployStep {
		steps = m.keySteps()
	}
	steps = append(steps, m.clockSteps(kind)...)
	if m.images != nil && (kind == drivers.CleanStep || kind == drivers.ServiceStep && m.images.cfg.Services) {
		steps = append(steps, m.images.step())
	}
	return steps
}

// InjectNMI sends a non-maskable interrupt.
func (m *Management) InjectNMI(ctx context.Context, t *drivers.Task) error {
	return m.on(ctx, t, "", func(s *system) error {
		if err := s.reset(schemas.NmiResetType); err != nil {
			return s.told(err, fmt.Sprintf("Redfish inject NMI failed for node %s. Error: ", t.Node.UUID))
		}
		return nil
	})
}

// DetectVendor returns the system's Manufacturer, or before it who made the service where the release goes by that.
func (m *Management) DetectVendor(ctx context.Context, t *drivers.Task) (vendor string, err error) {
	err = m.on(ctx, t, "", func(s *system) error {
		vendor = s.Manufacturer
		if m.bmcs.client.cfg.VendorOfRoot && s.session.root.Vendor != "" {
			vendor = s.session.root.Vendor
		}
		return nil
	})
	return vendor, err
}

// Health is what the BMC says of the machine as a whole.
func (m *Management) Health(ctx context.Context, t *drivers.Task) (health string, err error) {
	err = m.on(ctx, t, "", func(s *system) error {
		switch s.Status.Health {
		case schemas.OKHealth, schemas.WarningHealth, schemas.CriticalHealth:
			health = string(s.Status.Health)
		}
		return nil
	})
	return health, err
}

var (
	_ drivers.Management = (*Management)(nil)
	_ drivers.Examining  = (*Management)(nil)
	_ drivers.Sensing    = (*Management)(nil)
)
