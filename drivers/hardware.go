package drivers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// Hardware is the set of interfaces that act for one node.
type Hardware struct {
	BIOS       BIOS
	Boot       Boot
	Console    Console
	Deploy     Deploy
	Firmware   Interface
	Inspect    Inspect
	Management Management
	Network    Network
	Power      Power
	RAID       RAID
	Rescue     Rescue
	Storage    Storage
	Vendor     Vendor
}

// Get returns the interface of a type, nil for a type that the release lacks.
func (h *Hardware) Get(typ InterfaceType) Interface {
	var i Interface
	switch typ {
	case TypeBIOS:
		i = h.BIOS
	case TypeBoot:
		i = h.Boot
	case TypeConsole:
		i = h.Console
	case TypeDeploy:
		i = h.Deploy
	case TypeFirmware:
		i = h.Firmware
	case TypeInspect:
		i = h.Inspect
	case TypeManagement:
		i = h.Management
	case TypeNetwork:
		i = h.Network
	case TypePower:
		i = h.Power
	case TypeRAID:
		i = h.RAID
	case TypeRescue:
		i = h.Rescue
	case TypeStorage:
		i = h.Storage
	case TypeVendor:
		i = h.Vendor
	}
	return i
}

// HardwareType is a named family of machines and the interfaces that it supports, in order of preference: the first one
// enabled is the default (drivers.md §2.4).
type HardwareType struct {
	Name      string
	Supported map[InterfaceType][]string
}

// Catalog is everything that this build can drive: the hardware types, and each implementation by type and name.
type Catalog struct {
	Types           map[string]HardwareType
	Implementations map[InterfaceType]map[string]Interface
}

// Lookup returns the implementation of a name.
func (c *Catalog) Lookup(typ InterfaceType, name string) (Interface, error) {
	if i, ok := c.Implementations[typ][name]; ok {
		return i, nil
	}
	return nil, store.Errorf(store.InterfaceNotFoundInEntrypoint,
		"Could not find the following interface in the 'ironic.hardware.interfaces.%s' entrypoint: %s. Valid interfaces are %s.",
		typ, name, pythonList(c.Names(typ)))
}

// Names lists the implementations of a type, sorted.
func (c *Catalog) Names(typ InterfaceType) []string {
	names := make([]string, 0, len(c.Implementations[typ]))
	for name := range c.Implementations[typ] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Compose builds a node's Hardware from the interface names chosen for it.
func (c *Catalog) Compose(names map[InterfaceType]string) (*Hardware, error) {
	h := &Hardware{}
	for typ, name := range names {
		i, err := c.Lookup(typ, name)
		if err != nil {
			return nil, err
		}
		if !h.set(typ, i) {
			return nil, fmt.Errorf("interface %s %s does not implement its type", typ, name)
		}
	}
	return h, nil
}

func (h *Hardware) set(typ InterfaceType, i Interface) (ok bool) {
	switch typ {
	case TypeBIOS:
		h.BIOS, ok = i.(BIOS)
	case TypeBoot:
		h.Boot, ok = i.(Boot)
	case TypeDeploy:
		h.Deploy, ok = i.(Deploy)
	case TypeManagement:
		h.Management, ok = i.(Management)
	case TypeNetwork:
		h.Network, ok = i.(Network)
	case TypePower:
		h.Power, ok = i.(Power)
	case TypeRescue:
		h.Rescue, ok = i.(Rescue)
	case TypeStorage:
		h.Storage, ok = i.(Storage)
	case TypeConsole:
		h.Console, ok = i.(Console)
	case TypeFirmware:
		h.Firmware, ok = i, true
	case TypeInspect:
		h.Inspect, ok = i.(Inspect)
	case TypeRAID:
		h.RAID, ok = i.(RAID)
	case TypeVendor:
		h.Vendor, ok = i.(Vendor)
	}
	return ok
}

// pythonList renders names as Python prints a list, because ironic's texts hold it that way.
func pythonList(names []string) string {
	if len(names) == 0 {
		return "[]"
	}
	return "['" + strings.Join(names, "', '") + "']"
}
