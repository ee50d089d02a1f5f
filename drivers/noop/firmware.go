package noop

import "github.com/ironmaster/ironmaster/drivers"

// Firmware is the interface no-firmware: every use is refused.
type Firmware struct{ unsupported }

// NewFirmware returns the interface no-firmware.
func NewFirmware() *Firmware { return &Firmware{unsupported{drivers.TypeFirmware}} }
