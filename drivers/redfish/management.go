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
}

// NewManagement returns the management interface redfish. bootMode is [deploy]default_boot_mode.
func NewManagement(c *Client, bootMode string) *Management {
	return NewManagementOf(c.Plain(), bootMode)
}

// NewManagementOf returns a management interface like redfish for other BMCs.
func NewManagementOf(b *BMCs, bootMode string) *Management { return &Management{base{b}, bootMode} }

// Validate checks driver_info.
func (m *Management) Validate(_ context.Context, t *drivers.Task) error {
	return m.bmcs.Validate(t.Node)
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

// DetectVendor returns the system's Manufacturer.
func (m *Management) DetectVendor(ctx context.Context, t *drivers.Task) (vendor string, err error) {
	err = m.on(ctx, t, "", func(s *system) error {
		vendor = s.Manufacturer
		return nil
	})
	return vendor, err
}

var _ drivers.Management = (*Management)(nil)
