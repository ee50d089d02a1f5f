package catalog

import (
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
)

// The text of IncompatibleInterface shows users a Python object and the name of a Python class. Clients that match on it
// keep working when both look as before.

var hardwareClasses = map[string]string{
	fakeHardware:        "FakeHardware",
	"idrac":             "IDRACHardware",
	"ilo":               "IloHardware",
	"ilo5":              "Ilo5Hardware",
	"irmc":              "IRMCHardware",
	"intel-ipmi":        "IntelIPMIHardware",
	"ipmi":              "IPMIHardware",
	"manual-management": "ManualManagementHardware",
	"redfish":           "RedfishHardware",
	"snmp":              "SNMPHardware",
}

// classes are upstream's for the interfaces of this build, below ironic.drivers.modules.
var classes = map[drivers.InterfaceType]map[string]string{
	drivers.TypeBIOS: {"fake": "fake.FakeBIOS", "ilo": "ilo.bios.IloBIOS", "no-bios": "noop.NoBIOS", "redfish": "redfish.bios.RedfishBIOS",
		"idrac-redfish": "drac.bios.DracRedfishBIOS", "irmc": "irmc.bios.IRMCBIOS"},
	drivers.TypeBoot: {"fake": "fake.FakeBoot", "ilo-uefi-https": "ilo.boot.IloUefiHttpsBoot",
		"ilo-pxe": "ilo.boot.IloPXEBoot", "ilo-ipxe": "ilo.boot.IloiPXEBoot", "irmc-pxe": "irmc.boot.IRMCPXEBoot",
		"idrac-redfish-virtual-media": "drac.boot.DracRedfishVirtualMediaBoot", "irmc-virtual-media": "irmc.boot.IRMCVirtualMediaBoot",
		"ilo-virtual-media":     "ilo.boot.IloVirtualMediaBoot",
		"redfish-virtual-media": "redfish.boot.RedfishVirtualMediaBoot", "redfish-https": "redfish.boot.RedfishHttpsBoot",
		"pxe": "pxe.PXEBoot", "ipxe": "ipxe.iPXEBoot", "http": "pxe.HttpBoot", "http-ipxe": "ipxe.iPXEHttpBoot"},
	drivers.TypeConsole: {"fake": "fake.FakeConsole", "ilo": "ilo.console.IloConsoleInterface",
		"ipmitool-socat": "ipmitool.IPMISocatConsole", "ipmitool-shellinabox": "ipmitool.IPMIShellinaboxConsole", "no-console": "noop.NoConsole",
		"fake-graphical": "fake.FakeGraphicalConsole", "redfish-graphical": "redfish.graphical_console.RedfishGraphicalConsole"},
	drivers.TypeDeploy: {"fake": "fake.FakeDeploy", "direct": "agent.AgentDeploy", "iscsi": "iscsi_deploy.ISCSIDeploy",
		"custom-agent": "agent.CustomAgentDeploy", "noop": "noop.NoDeploy", "ramdisk": "ramdisk.RamdiskDeploy",
		"anaconda": "pxe.PXEAnacondaDeploy", "bootc": "agent.BootcAgentDeploy", "autodetect": "autodetect.AutodetectDeploy"},
	drivers.TypeFirmware: {"fake": "fake.FakeFirmware", "no-firmware": "noop.NoFirmware",
		"redfish": "redfish.firmware.RedfishFirmware"},
	drivers.TypeInspect: {"agent": "inspector.agent.AgentInspect", "fake": "fake.FakeInspect", "no-inspect": "noop.NoInspect",
		"redfish": "redfish.inspect.RedfishInspect", "idrac-redfish": "drac.inspect.DracRedfishInspect",
		"ilo": "ilo.inspect.IloInspect", "inspector": "inspector.Inspector"},
	drivers.TypeManagement: {"fake": "fake.FakeManagement",
		"idrac-redfish": "drac.management.DracRedfishManagement", "irmc": "irmc.management.IRMCManagement",
		"ilo": "ilo.management.IloManagement", "ilo5": "ilo.management.Ilo5Management", "ipmitool": "ipmitool.IPMIManagement", "intel-ipmitool": "intel_ipmi.management.IntelIPMIManagement", "noop": "noop_mgmt.NoopManagement", "redfish": "redfish.management.RedfishManagement"},
	drivers.TypeNetwork: {"flat": "network.flat.FlatNetwork", "neutron": "network.neutron.NeutronNetwork",
		"noop": "network.noop.NoopNetwork"},
	drivers.TypePower: {"agent": "agent_power.AgentPower", "fake": "fake.FakePower",
		"idrac-redfish": "drac.power.DracRedfishPower", "irmc": "irmc.power.IRMCPower", "ilo": "ilo.power.IloPower", "ipmitool": "ipmitool.IPMIPower", "redfish": "redfish.power.RedfishPower", "snmp": "snmp.SNMPPower"},
	drivers.TypeRAID: {"agent": "agent.AgentRAID", "fake": "fake.FakeRAID", "no-raid": "noop.NoRAID", "redfish": "redfish.raid.RedfishRAID",
		"idrac-redfish": "drac.raid.DracRedfishRAID", "ilo5": "ilo.raid.Ilo5RAID"},
	drivers.TypeRescue: {"agent": "agent.AgentRescue", "fake": "fake.FakeRescue", "no-rescue": "noop.NoRescue"},
	drivers.TypeStorage: {"cinder": "storage.cinder.CinderStorage", "external": "storage.external.ExternalStorage",
		"fake": "fake.FakeStorage", "noop": "storage.noop.NoopStorage"},
	drivers.TypeVendor: {"fake": "fake.FakeVendorB", "ipmitool": "ipmitool.VendorPassthru", "no-vendor": "noop.NoVendor", "redfish": "redfish.vendor.RedfishVendorPassthru",
		"idrac-redfish": "drac.vendor_passthru.DracRedfishVendorPassthru", "ilo": "ilo.vendor.VendorPassthru",
		"irmc": "irmc.vendor.IRMCVendorPassthru"},
}

func pythonClass(hardware string) string { return hardwareClasses[hardware] }

func pythonObject(typ drivers.InterfaceType, name string, impl drivers.Interface) string {
	return fmt.Sprintf("<ironic.drivers.modules.%s object at %p>", classes[typ][name], impl)
}

// VendorClass is ironic's class that checks the arguments of a vendor interface's methods, as Python's failures name it.
func VendorClass(name string) string {
	if name == "idrac-redfish" {
		// It inherits the check.
		name = "redfish"
	}
	return "ironic.drivers.modules." + classes[drivers.TypeVendor][name]
}
