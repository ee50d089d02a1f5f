// Package catalog brings together everything that this build can drive, and works out from the configuration which of it
// is enabled, what each hardware type supports, and which interfaces act for a node.
package catalog

import (
	"maps"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/noop"
)

// Parts are the implementations that need more than a constructor without arguments. A nil part is absent from the
// catalog. Implementations are pointers.
type Parts struct {
	Fake         fake.Config
	BIOSSettings fake.BIOSSettings

	// Deploys are the deploy interfaces through an agent by name, AgentPower is the power interface agent, AgentRescue the rescue
	// interface agent.
	Deploys     map[string]drivers.Deploy
	AgentPower  drivers.Power
	AgentRescue drivers.Rescue

	// AgentRAID is the raid interface agent.
	AgentRAID drivers.RAID

	RedfishPower      drivers.Power
	RedfishManagement drivers.Management
	RedfishInspect    drivers.Inspect
	// AgentInspect is the inspect interface agent, which ironic has since 22.1.
	AgentInspect drivers.Inspect
	// Inspector is the inspect interface inspector, which ironic has up to 32.0.
	Inspector drivers.Inspect
	// VirtualMedia and RedfishHTTPS are the boot interfaces redfish-virtual-media and redfish-https; ironic has the latter since 2024.1.
	VirtualMedia, RedfishHTTPS drivers.Boot

	// Vendors are the interfaces of vendors' hardware types. Such a type is in the catalog when its power interface is.
	Vendors map[drivers.InterfaceType]map[string]drivers.Interface

	// The boot interfaces pxe, ipxe, http and http-ipxe; ironic has the last two since 25.0.
	PXE, IPXE, HTTP, HTTPIPXE drivers.Boot

	// GraphicalConsoles are the console interfaces fake-graphical and redfish-graphical, which ironic has since 29.0. GraphicalEverywhere
	// tells that every machine may have the former, as after 32.0; before it is for fake hardware.
	GraphicalConsoles   map[string]drivers.Console
	GraphicalEverywhere bool

	// Flat and Neutron are the network interfaces flat and neutron.
	Flat, Neutron drivers.Network

	// External and Cinder are the storage interfaces external and cinder.
	External, Cinder drivers.Storage

	// Firmware tells that the release in use knows firmware interfaces: 29.0 does, 21.4 does not.
	Firmware bool
	// RedfishSerial tells that machines with Redfish may have IPMI's serial console: after 32.0 they do.
	RedfishSerial bool
}

// New returns the catalog of this build.
func New(p Parts) *drivers.Catalog {
	impl := map[drivers.InterfaceType]map[string]drivers.Interface{
		drivers.TypeBIOS:    {"fake": fake.NewBIOS(p.Fake, p.BIOSSettings), "no-bios": noop.NewBIOS()},
		drivers.TypeBoot:    {"fake": fake.NewBoot(p.Fake)},
		drivers.TypeConsole: {"fake": fake.NewConsole(), "no-console": noop.NewConsole()},
		drivers.TypeDeploy:  {"fake": fake.NewDeploy(p.Fake)},
		drivers.TypeInspect: {"fake": fake.NewInspect(p.Fake), "no-inspect": noop.NewInspect()},
		drivers.TypeManagement: {
			"fake": fake.NewManagement(p.Fake), "noop": noop.NewManagement(),
		},
		drivers.TypeNetwork: {"noop": noop.NewNetwork()},
		drivers.TypePower:   {"fake": fake.NewPower(p.Fake)},
		drivers.TypeRAID:    {"fake": fake.NewRAID(), "no-raid": noop.NewRAID()},
		drivers.TypeRescue:  {"fake": fake.NewRescue(p.Fake), "no-rescue": noop.NewRescue()},
		drivers.TypeStorage: {"fake": fake.NewStorage(), "noop": noop.NewStorage()},
		drivers.TypeVendor:  {"fake": fake.NewVendor(p.Fake), "no-vendor": noop.NewVendor()},
	}
	if p.Firmware {
		impl[drivers.TypeFirmware] = map[string]drivers.Interface{"fake": fake.NewFirmware(p.Fake), "no-firmware": noop.NewFirmware()}
	}
	for name, deploy := range p.Deploys {
		impl[drivers.TypeDeploy][name] = deploy
	}
	if p.AgentRescue != nil {
		impl[drivers.TypeRescue]["agent"] = p.AgentRescue
	}
	if p.AgentPower != nil {
		impl[drivers.TypePower]["agent"] = p.AgentPower
	}
	if p.AgentRAID != nil {
		impl[drivers.TypeRAID]["agent"] = p.AgentRAID
	}
	if p.RedfishPower != nil {
		impl[drivers.TypePower]["redfish"] = p.RedfishPower
	}
	if p.RedfishManagement != nil {
		impl[drivers.TypeManagement]["redfish"] = p.RedfishManagement
	}
	if p.RedfishInspect != nil {
		impl[drivers.TypeInspect]["redfish"] = p.RedfishInspect
	}
	if p.AgentInspect != nil {
		impl[drivers.TypeInspect]["agent"] = p.AgentInspect
	}
	if p.Inspector != nil {
		impl[drivers.TypeInspect]["inspector"] = p.Inspector
	}
	for name, network := range map[string]drivers.Network{"flat": p.Flat, "neutron": p.Neutron} {
		if network != nil {
			impl[drivers.TypeNetwork][name] = network
		}
	}
	for name, console := range p.GraphicalConsoles {
		impl[drivers.TypeConsole][name] = console
	}
	for name, storage := range map[string]drivers.Storage{"external": p.External, "cinder": p.Cinder} {
		if storage != nil {
			impl[drivers.TypeStorage][name] = storage
		}
	}
	for typ, interfaces := range p.Vendors {
		// A release that lacks a type of interfaces has none of them.
		if impl[typ] != nil {
			maps.Copy(impl[typ], interfaces)
		}
	}
	for name, boot := range map[string]drivers.Boot{"pxe": p.PXE, "ipxe": p.IPXE, "http": p.HTTP, "http-ipxe": p.HTTPIPXE,
		"redfish-virtual-media": p.VirtualMedia, "redfish-https": p.RedfishHTTPS} {
		if boot != nil {
			impl[drivers.TypeBoot][name] = boot
		}
	}
	types := hardwareTypes(impl)
	addConsoles(types, impl[drivers.TypeConsole], p)
	return &drivers.Catalog{Types: types, Implementations: impl}
}

// addConsoles gives hardware types the consoles that not every release has.
func addConsoles(types map[string]drivers.HardwareType, built map[string]drivers.Interface, p Parts) {
	if machine, ok := types["redfish"]; ok {
		serial := "ipmitool-socat"
		if !p.RedfishSerial {
			serial = ""
		}
		machine.Supported[drivers.TypeConsole] = slices.DeleteFunc([]string{"redfish-graphical", serial, "no-console"},
			func(name string) bool { return built[name] == nil })
	}
	if built["fake-graphical"] == nil {
		return
	}
	if p.GraphicalEverywhere {
		for _, machine := range types {
			machine.Supported[drivers.TypeConsole] = append(machine.Supported[drivers.TypeConsole], "fake-graphical")
		}
	} else if machine, ok := types["fake-hardware"]; ok {
		machine.Supported[drivers.TypeConsole] = []string{"fake", "fake-graphical", "no-console"}
	}
}
