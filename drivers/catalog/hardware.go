package catalog

import (
	"maps"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
)

// fakeHardware may use any enabled interface; what it supports matters for its defaults alone.
const fakeHardware = "fake-hardware"

// networkBoot are the boot interfaces that every hardware type with a network card has.
var networkBoot = []string{"ipxe", "pxe", "http-ipxe", "http"}

// deploys are the deploy interfaces of every hardware type. The last one is of this build alone.
var deploys = []string{"autodetect", "direct", "ramdisk", "anaconda", "bootc", "custom-agent", "iscsi"}

// hardwareTypes returns the hardware types with the interfaces of reference/drivers.md §2 that are in the build. Names
// stand in order of preference.
func hardwareTypes(built map[drivers.InterfaceType]map[string]drivers.Interface) map[string]drivers.HardwareType {
	generic := map[drivers.InterfaceType][]string{
		drivers.TypeBIOS:     {"no-bios"},
		drivers.TypeBoot:     networkBoot,
		drivers.TypeConsole:  {"no-console"},
		drivers.TypeDeploy:   deploys,
		drivers.TypeFirmware: {"no-firmware"},
		drivers.TypeInspect:  {"inspector", "agent", "no-inspect"},
		drivers.TypeNetwork:  {"flat", "neutron", "noop"},
		drivers.TypeRAID:     {"no-raid", "agent"},
		drivers.TypeRescue:   {"no-rescue", "agent"},
		drivers.TypeStorage:  {"noop", "cinder", "external"},
		drivers.TypeVendor:   {"no-vendor"},
	}
	special := map[string]map[drivers.InterfaceType][]string{
		fakeHardware: {
			drivers.TypeBIOS:       {"fake", "no-bios"},
			drivers.TypeBoot:       {"fake", "ipxe", "pxe", "http-ipxe", "http"},
			drivers.TypeConsole:    {"fake", "no-console"},
			drivers.TypeDeploy:     slices.Concat([]string{"fake"}, deploys),
			drivers.TypeFirmware:   {"fake", "no-firmware"},
			drivers.TypeInspect:    {"fake", "inspector", "agent", "no-inspect"},
			drivers.TypeManagement: {"fake"},
			drivers.TypePower:      {"fake"},
			drivers.TypeRAID:       {"fake", "no-raid", "agent"},
			drivers.TypeRescue:     {"fake", "no-rescue", "agent"},
			drivers.TypeStorage:    {"fake", "noop", "cinder", "external"},
			drivers.TypeVendor:     {"fake", "no-vendor"},
		},
		// Upstream has no fake here. With it an operator boots the ramdisk by hand, as fits a machine whose power is managed by
		// hand too.
		"manual-management": {
			drivers.TypeBoot:       append(slices.Clone(networkBoot), "fake"),
			drivers.TypeDeploy:     append(slices.Clone(deploys), "noop"),
			drivers.TypeManagement: {"noop", "fake"},
			drivers.TypePower:      {"agent", "fake"},
		},
		"intel-ipmi": {
			drivers.TypeConsole:    {"ipmitool-socat", "no-console"},
			drivers.TypeManagement: {"intel-ipmitool"},
			drivers.TypePower:      {"ipmitool"},
			drivers.TypeVendor:     {"ipmitool", "no-vendor"},
		},
		"ipmi": {
			drivers.TypeConsole:    {"ipmitool-socat", "ipmitool-shellinabox", "no-console"},
			drivers.TypeManagement: {"ipmitool", "noop"},
			drivers.TypePower:      {"ipmitool"},
			drivers.TypeVendor:     {"ipmitool", "no-vendor"},
		},
		"redfish": {
			drivers.TypeBoot:       append(slices.Clone(networkBoot), "redfish-virtual-media", "redfish-https"),
			drivers.TypeInspect:    {"redfish", "inspector", "agent", "no-inspect"},
			drivers.TypeManagement: {"redfish", "noop"},
			drivers.TypePower:      {"redfish"},
			drivers.TypeBIOS:       {"redfish", "no-bios"},
			drivers.TypeFirmware:   {"redfish", "no-firmware"},
			drivers.TypeRAID:       {"redfish", "no-raid", "agent"},
			drivers.TypeVendor:     {"redfish", "no-vendor"},
		},
	}
	maps.Copy(special, vendorTypes(built))
	types := map[string]drivers.HardwareType{}
	for name, own := range special {
		supported := map[drivers.InterfaceType][]string{}
		all := maps.Clone(generic)
		maps.Copy(all, own)
		for typ, names := range all {
			if built[typ] == nil {
				continue
			}
			supported[typ] = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return built[typ][n] == nil })
		}
		// A type for which this build has no boot interface is of no use.
		if len(supported[drivers.TypeBoot]) > 0 && len(supported[drivers.TypePower]) > 0 {
			types[name] = drivers.HardwareType{Name: name, Supported: supported}
		}
	}
	return types
}

// order is that in which a node's interfaces are looked at, and so which of several mistakes is told first.
var order = []drivers.InterfaceType{drivers.TypeBoot, drivers.TypeDeploy, drivers.TypeManagement, drivers.TypeNetwork,
	drivers.TypePower, drivers.TypeBIOS, drivers.TypeConsole, drivers.TypeFirmware, drivers.TypeInspect, drivers.TypeRAID,
	drivers.TypeRescue, drivers.TypeStorage, drivers.TypeVendor}

// interfaceTypes returns the types that a catalog has, in a fixed order.
func interfaceTypes(c *drivers.Catalog) []drivers.InterfaceType {
	return slices.DeleteFunc(slices.Clone(order), func(t drivers.InterfaceType) bool { return c.Implementations[t] == nil })
}
