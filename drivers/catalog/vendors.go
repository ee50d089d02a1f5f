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
	if built[drivers.TypePower]["ilo"] != nil {
		ilo := map[drivers.InterfaceType][]string{
			drivers.TypeBoot:       {"ilo-virtual-media", "ilo-ipxe", "ilo-pxe"},
			drivers.TypeBIOS:       {"ilo", "no-bios"},
			drivers.TypeConsole:    {"ilo", "no-console"},
			drivers.TypeManagement: {"ilo"},
			drivers.TypePower:      {"ilo"},
		}
		types["ilo"], types["ilo5"] = ilo, extended(ilo, map[drivers.InterfaceType][]string{
			drivers.TypeBoot: append(slices.Clone(ilo[drivers.TypeBoot]), "ilo-uefi-https"), drivers.TypeManagement: {"ilo5"},
		})
	}
	return types
}

// extended is a type with some of its interfaces replaced.
func extended(base, own map[drivers.InterfaceType][]string) map[drivers.InterfaceType][]string {
	all := maps.Clone(base)
	maps.Copy(all, own)
	return all
}
