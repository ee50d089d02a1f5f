package catalog

import (
	"maps"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
)

// vendorTypes are the hardware types of vendors (reference/drivers.md §2.2), as far as their power interfaces are in the build: later
// releases of ironic lack some.
func vendorTypes(built map[drivers.InterfaceType]map[string]drivers.Interface) map[string]map[drivers.InterfaceType][]string {
	types := map[string]map[drivers.InterfaceType][]string{}
	if built[drivers.TypePower]["idrac-redfish"] != nil {
		types["idrac"] = idracType(built[drivers.TypeFirmware] != nil)
	}
	if built[drivers.TypePower]["irmc"] != nil {
		types["irmc"] = map[drivers.InterfaceType][]string{
			drivers.TypeBIOS:       {"irmc", "no-bios"},
			drivers.TypeBoot:       {"irmc-virtual-media", "ipxe", "irmc-pxe", "pxe"},
			drivers.TypeConsole:    {"ipmitool-socat", "ipmitool-shellinabox", "no-console"},
			drivers.TypeManagement: {"irmc"},
			drivers.TypePower:      {"irmc", "ipmitool"},
			drivers.TypeRAID:       {"no-raid", "irmc", "agent"},
			drivers.TypeVendor:     {"no-vendor", "irmc"},
		}
	}
	if built[drivers.TypePower]["ilo"] != nil {
		ilo := map[drivers.InterfaceType][]string{
			drivers.TypeBoot:       {"ilo-virtual-media", "ilo-ipxe", "ilo-pxe"},
			drivers.TypeBIOS:       {"ilo", "no-bios"},
			drivers.TypeConsole:    {"ilo", "no-console"},
			drivers.TypeInspect:    {"ilo", "inspector", "agent", "no-inspect"},
			drivers.TypeManagement: {"ilo"},
			drivers.TypePower:      {"ilo"},
			drivers.TypeVendor:     {"ilo", "no-vendor"},
		}
		types["ilo"], types["ilo5"] = ilo, extended(ilo, map[drivers.InterfaceType][]string{
			drivers.TypeBoot: append(slices.Clone(ilo[drivers.TypeBoot]), "ilo-uefi-https"), drivers.TypeManagement: {"ilo5"},
			drivers.TypeRAID: {"ilo5", "no-raid", "agent"},
		})
	}
	if built[drivers.TypePower]["snmp"] != nil {
		types["snmp"] = map[drivers.InterfaceType][]string{drivers.TypeManagement: {"noop", "fake"}, drivers.TypePower: {"snmp"}}
	}
	return types
}

// extended is a type with some of its interfaces replaced.
func extended(base, own map[drivers.InterfaceType][]string) map[drivers.InterfaceType][]string {
	all := maps.Clone(base)
	maps.Copy(all, own)
	return all
}

// idracType is Dell's, which 29.0 made one of redfish's kind. WSMAN, which 21.4 prefers, is not in the build.
func idracType(newer bool) map[drivers.InterfaceType][]string {
	boot, power := []string{"ipxe", "pxe"}, []string{"idrac-redfish"}
	bios, vendor := []string{"idrac-redfish"}, []string{"idrac-redfish"}
	if newer {
		boot, power = append(boot, "http-ipxe", "http"), append(power, "redfish")
		bios, vendor = append(bios, "redfish"), append(vendor, "redfish")
	}
	return map[drivers.InterfaceType][]string{
		drivers.TypeBIOS:       append(bios, "no-bios"),
		drivers.TypeFirmware:   {"redfish", "no-firmware"},
		drivers.TypeInspect:    {"idrac-redfish", "inspector", "agent", "no-inspect"},
		drivers.TypeVendor:     append(vendor, "no-vendor"),
		drivers.TypeBoot:       append(boot, "idrac-redfish-virtual-media"),
		drivers.TypeManagement: {"idrac-redfish"},
		drivers.TypePower:      power,
		drivers.TypeRAID:       {"idrac-redfish", "no-raid", "agent"},
	}
}
