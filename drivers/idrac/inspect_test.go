package idrac_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/idrac"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

const exportAction = manager + "/Actions/Oem/EID_674_Manager.ExportSystemConfiguration"

// furnished is an iDRAC 9 with four network cards, of which the first two have no link.
func furnished(t *testing.T, mode string) *redfishtest.Tree {
	t.Helper()
	exported, err := os.ReadFile("testdata/export-nic.json")
	if err != nil {
		t.Fatal(err)
	}
	var profile redfishtest.Object
	if err := json.Unmarshal(exported, &profile); err != nil {
		t.Fatal(err)
	}
	tr := redfishtest.Open(t, idrac9, func(tr *redfishtest.Tree, _, path string, _ redfishtest.Object) (int, redfishtest.Object, bool) {
		if path != exportAction {
			return 0, nil, false
		}
		tr.Merge(task1, profile)
		return 202, redfishtest.Object{"Location": task1}, true
	})
	collection := func(at string, members map[string]redfishtest.Object) {
		var links []any
		for id, one := range members {
			one["Id"] = id
			tr.Set(at+"/"+id, one)
			links = append(links, redfishtest.Object{"@odata.id": at + "/" + id})
		}
		tr.Set(at, redfishtest.Object{"Name": "Collection", "Members": links, "Members@odata.count": len(links)})
	}
	up, down := redfishtest.Object{"Health": "OK", "State": "Enabled"}, redfishtest.Object{"Health": "OK", "State": "StandbyOffline"}
	collection(system+"/EthernetInterfaces", map[string]redfishtest.Object{
		"NIC.Integrated.1-1-1": {"MACAddress": "F4:02:70:B8:A6:01", "Status": down},
		"NIC.Integrated.1-2-1": {"MACAddress": "F4:02:70:B8:A6:02", "Status": down},
		"NIC.Integrated.1-3-1": {"MACAddress": "F4:02:70:B8:A6:03", "Status": up},
		"NIC.Integrated.1-4-1": {"MACAddress": "F4:02:70:B8:A6:04", "Status": up},
	})
	collection(system+"/Processors", map[string]redfishtest.Object{"CPU.Socket.1": {"ProcessorArchitecture": "x86", "InstructionSet": "x86-64", "TotalThreads": 48}})
	tr.Set(system+"/Bios", redfishtest.Object{"Attributes": redfishtest.Object{"PxeDev1EnDis": "Enabled", "PxeDev1Interface": "NIC.Integrated.1-1-1",
		"PxeDev2EnDis": "Enabled", "PxeDev2Interface": "NIC.Slot.9-9-9", "PxeDev3EnDis": "Disabled", "PxeDev3Interface": "NIC.Integrated.1-2-1"}})
	tr.Set(system, redfishtest.Object{"Boot": redfishtest.Object{"BootSourceOverrideMode": mode}, "SKU": "8CYCZ23",
		"EthernetInterfaces": redfishtest.Object{"@odata.id": system + "/EthernetInterfaces"},
		"Processors":         redfishtest.Object{"@odata.id": system + "/Processors"},
		"Bios":               redfishtest.Object{"@odata.id": system + "/Bios"}})
	tr.Set(system+"/NetworkPorts/Oem/Dell/DellSwitchConnections", redfishtest.Object{"Members": []any{
		redfishtest.Object{"FQDD": "NIC.Integrated.1-3-1", "SwitchConnectionID": "58:56:e8:00:00:01", "SwitchPortConnectionID": "Te 1/21"},
		redfishtest.Object{"FQDD": "NIC.Integrated.1-4-1", "SwitchConnectionID": "No Link", "SwitchPortConnectionID": "No Link"}}})
	return tr
}

func inspect(t *testing.T, tr *redfishtest.Tree, icfg idrac.InspectConfig) (*redfishtest.Found, *drivers.Task, error) {
	t.Helper()
	cfg := idrac.DefaultConfig()
	cfg.TaskPoll, cfg.ExportTimeout = time.Millisecond, 5*time.Second
	x := deployment(t, tr)
	f := redfishtest.NewFound()
	x.Worker = f
	_, err := idrac.NewInspect(redfishtest.Client(t), cfg, icfg, f).InspectHardware(t.Context(), x)
	return f, x, err
}

func TestInspection(t *testing.T) {
	for name, c := range map[string]struct {
		mode  string
		marks bool
		want  string
	}{
		"UEFI":              {"UEFI", true, "f4:02:70:b8:a6:01* f4:02:70:b8:a6:02 f4:02:70:b8:a6:03 f4:02:70:b8:a6:04"},
		"BIOS":              {"Legacy", true, "f4:02:70:b8:a6:01 f4:02:70:b8:a6:02 f4:02:70:b8:a6:03* f4:02:70:b8:a6:04"},
		"ports left alone":  {"UEFI", false, "f4:02:70:b8:a6:01 f4:02:70:b8:a6:02 f4:02:70:b8:a6:03 f4:02:70:b8:a6:04"},
		"mode nobody knows": {"Chosen", true, "f4:02:70:b8:a6:01 f4:02:70:b8:a6:02 f4:02:70:b8:a6:03 f4:02:70:b8:a6:04"},
	} {
		t.Run(name, func(t *testing.T) {
			f, x, err := inspect(t, furnished(t, c.mode), idrac.InspectConfig{InspectConfig: redfish.InspectConfig{Texts: true},
				EachCard: true, MarksPorts: c.marks})
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Described(); got != c.want {
				t.Errorf("ports %s, want %s", got, c.want)
			}
			if x.Node.Properties["memory_mb"] != "196608" || x.Node.Properties["cpus"] != int64(48) {
				t.Errorf("properties %v", x.Node.Properties)
			}
		})
	}
}

// The newest ironic leaves ports to its hooks, and tells them of boot cards and switches.
func TestInspectionWithHooks(t *testing.T) {
	hooks, err := inspection.NewHooks("validate-interfaces,ports,architecture", inspection.DefaultConfig(), redfishtest.NewFound())
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := inspect(t, furnished(t, "Legacy"), idrac.InspectConfig{
		InspectConfig: redfish.InspectConfig{Inventory: true, Stored: true, Hooks: hooks, Serial: true}, SKUIsSerial: true, Neighbours: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Inventory.Dict("boot").String("pxe_interface"); got != "F4:02:70:B8:A6:03" {
		t.Errorf("pxe_interface %q", got)
	}
	if got := f.Inventory.Dict("system_vendor").String("serial_number"); got != "8CYCZ23" {
		t.Errorf("serial number %q", got)
	}
	heard := f.Plugin.Dict("parsed_lldp")
	if len(heard) != 1 || heard.Dict("NIC.Integrated.1-3-1").String("switch_port_id") != "Te 1/21" {
		t.Errorf("parsed_lldp %v", heard)
	}
}

func TestInspectionOfAnIDRACThatExportsNothing(t *testing.T) {
	tr := furnished(t, "Legacy")
	tr.Set(manager, redfishtest.Object{"UUID": "", "Actions": redfishtest.Object{"Oem": redfishtest.Object{
		"OemManager.v1_0_0#OemManager.ExportSystemConfiguration": redfishtest.Object{"target": system + "/Actions/ComputerSystem.Reset"}}}})
	f, x, err := inspect(t, tr, idrac.InspectConfig{EachCard: true, MarksPorts: true})
	redfishtest.WantError(t, err, store.RedfishError, "all managers failed: get PXE port MAC addresses",
		"'Manager iDRAC.Embedded.1: ", "failed to get system configuration from response")
	if len(f.Created) != 0 || x.Node.Properties["memory_mb"] != nil {
		t.Errorf("it left %s and %v", f.Described(), x.Node.Properties)
	}
}
