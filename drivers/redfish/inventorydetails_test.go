package redfish_test

import (
	"testing"

	"github.com/ironmaster/ironmaster/drivers/redfish"
)

// What a BMC tells of controllers, PCI devices and switches is in the inventory; what it refuses to tell is left out.
func TestInventoryDetails(t *testing.T) {
	const store, chassis, pci = systemAt + "/Storage/A", "/redfish/v1/Chassis/1", "/redfish/v1/PCI"
	adapters := chassis + "/NetworkAdapters"
	b := newBMC(t)
	furnish(b)
	b.parts[store]["Name"] = "RAID"
	b.parts[store]["StorageControllers"] = []any{object{"MemberId": "0", "Name": "PERC", "SupportedRAIDTypes": []any{"RAID1"}, "SpeedGbps": 12,
		"SupportedControllerProtocols": []any{"PCIe"}, "Status": object{"Health": "OK", "State": "Enabled"}}}
	b.parts[store]["Drives"] = []any{link(store + "/d0")}
	for key, value := range map[string]any{"Manufacturer": "Acme", "Model": "X", "SerialNumber": "7", "MediaType": "SSD", "Protocol": "SAS",
		"Status": object{}} {
		b.parts[store+"/d0"][key] = value
	}
	b.system["PCIeDevices"] = []any{link(pci + "/1"), link(pci + "/gone"), link(pci + "/2")}
	b.system["Links"].(object)["Chassis"] = []any{link(chassis), link("/redfish/v1/Chassis/gone")}
	for at, part := range map[string]object{
		pci + "/1":          {"PCIeFunctions": link(pci + "/1/f")},
		pci + "/2":          {},
		pci + "/1/f":        {"Members": []any{link(pci + "/1/f/0"), link(pci + "/1/f/1"), link(pci + "/1/f/2")}},
		pci + "/1/f/0":      {"DeviceClass": "NetworkController", "DeviceId": "0x1533", "VendorId": "0x8086", "SubsystemId": nil},
		pci + "/1/f/1":      {"Id": "1"},
		pci + "/1/f/2":      {"DeviceId": 5427},
		chassis:             {"NetworkAdapters": link(adapters)},
		adapters:            {"Members": []any{link(adapters + "/1")}},
		adapters + "/1":     {"Ports": link(adapters + "/1/p")},
		adapters + "/1/p":   {"Members": []any{link(adapters + "/1/p/1"), link(adapters + "/1/p/2"), link(adapters + "/1/p/3")}},
		adapters + "/1/p/1": {"Id": "NIC.1", "Ethernet": object{"LLDPReceive": object{"ChassisId": "aa:bb", "PortId": "Eth1", "ManagementVlanId": 7}}},
		adapters + "/1/p/2": {"Id": "NIC.2", "Ethernet": object{"LLDPReceive": object{}}},
		adapters + "/1/p/3": {"Id": "NIC.3", "Ethernet": object{"LLDPReceive": object{"ManagementVlanId": "none"}}},
	} {
		part["@odata.id"] = at
		b.parts[at] = part
	}
	_, f, err := inspected(t, b, redfish.InspectConfig{Inventory: true, Stored: true, Serial: true}, "validate-interfaces,ports,architecture")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"disks": `[{"model":"X","name":"Drive d0","rotational":false,"serial":"7","size":515396075520,"vendor":"Acme"}]`,
		"storage_controllers": `[{"drives":[{"id":"d0","manufacturer":"Acme","media_type":"SSD","model":"X","name":"Drive d0","protocol":"SAS",` +
			`"revision":null,"serial_number":"7","size":515396075520,"status":null}],"id":"A","name":"RAID","storage_controllers":[` +
			`{"controller_protocols":["PCIe"],"device_protocols":[],"member_id":"0","name":"PERC","raid_types":["RAID1"],"speed_gbps":12,` +
			`"status":{"health":"OK","state":"Enabled"}}]}]`,
		"pci_devices": `[{"class":"NetworkController","product_id":"0x1533","vendor_id":"0x8086"}]`,
	} {
		if got := asJSON(t, f.inventory[key]); got != want {
			t.Errorf("%s\n%s, want\n%s", key, got, want)
		}
	}
	if got := asJSON(t, f.plugin["parsed_lldp"]); got != `{"NIC.1":{"switch_chassis_id":"aa:bb","switch_port_id":"Eth1","switch_vlan_id":7}}` {
		t.Errorf("plugin data %s", got)
	}
}
