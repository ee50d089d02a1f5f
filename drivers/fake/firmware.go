package fake

import "github.com/ironmaster/ironmaster/drivers"

// Firmware is the firmware interface fake: always valid, with nothing to update. Ironic has it since 22.1.
type Firmware struct{ plain }

// NewFirmware returns the firmware interface fake.
func NewFirmware() *Firmware { return &Firmware{} }

var _ drivers.Interface = (*Firmware)(nil)
