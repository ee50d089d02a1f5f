package redfish

import "github.com/ironmaster/ironmaster/drivers"

// Records is where what users see of a machine's firmware and its settings is kept.
type Records interface {
	BIOSSettings
	Components
}

// Interfaces returns the interfaces that configure machines and speak to their BMCs beside power, management and boot. Dell's for BIOS
// settings and vendor methods are the same, as in ironic.
func Interfaces(c *Client, records Records) map[drivers.InterfaceType]map[string]drivers.Interface {
	return map[drivers.InterfaceType]map[string]drivers.Interface{
		drivers.TypeBIOS:     {"redfish": NewBIOS(c, records), "idrac-redfish": NewBIOS(c, records)},
		drivers.TypeFirmware: {"redfish": NewFirmware(c, records)},
		drivers.TypeRAID:     {"redfish": NewRAID(c)},
		drivers.TypeVendor:   {"redfish": NewPassthru(c), "idrac-redfish": NewPassthru(c)},
	}
}
