package redfish

import "github.com/ironmaster/ironmaster/drivers"

// Interfaces returns the interfaces that configure machines and speak to their BMCs beside power, management and boot. Dell's for BIOS
// settings and vendor methods are the same, as in ironic.
func Interfaces(c *Client, settings BIOSSettings) map[drivers.InterfaceType]map[string]drivers.Interface {
	return map[drivers.InterfaceType]map[string]drivers.Interface{
		drivers.TypeBIOS:   {"redfish": NewBIOS(c, settings), "idrac-redfish": NewBIOS(c, settings)},
		drivers.TypeRAID:   {"redfish": NewRAID(c)},
		drivers.TypeVendor: {"redfish": NewPassthru(c), "idrac-redfish": NewPassthru(c)},
	}
}
