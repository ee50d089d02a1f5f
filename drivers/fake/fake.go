// Package fake holds interfaces that act on nothing: for tests of everything above them, and for trying out a
// conductor without hardware. They behave as those of ironic 21.4 do.
package fake

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
)

// Config says how long the pretended work of each interface takes.
type Config struct {
	PowerDelay, BootDelay, DeployDelay, ManagementDelay, BIOSDelay, VendorDelay, RescueDelay, InspectDelay, FirmwareDelay Delay
	// LogPassthrough gives the vendor interface the method of that name, as it has since 29.0.
	LogPassthrough bool
}

// plain has no properties, is always valid and offers no steps.
type plain struct{}

func (plain) Properties() map[string]string                 { return map[string]string{} }
func (plain) Validate(context.Context, *drivers.Task) error { return nil }
func (plain) Steps(drivers.StepKind) []drivers.Step         { return nil }
