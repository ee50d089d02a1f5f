package ilo_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ilo"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

const wholeMachine = "testdata/ilo5-dl365-hardware.json"

func inspect(t *testing.T, tr *redfishtest.Tree, properties store.Dict) (*redfishtest.Found, *drivers.Task, error) {
	t.Helper()
	x, _ := task(t, tr, config())
	f := redfishtest.NewFound()
	x.Worker, x.Node.Properties = f, properties
	_, err := ilo.NewInspect(redfishtest.Client(t), config(), true, f).InspectHardware(t.Context(), x)
	return f, x, err
}

func TestInspection(t *testing.T) {
	tr := redfishtest.Open(t, wholeMachine, machine)
	f, x, err := inspect(t, tr, store.Dict{"capabilities": "rack:7,nic_capacity:1Gb", "local_gb": 20})
	if err != nil {
		t.Fatal(err)
	}
	p := x.Node.Properties
	if p["memory_mb"] != int64(196608) || p["cpus"] != int64(64) || p["cpu_arch"] != "x86_64" || p["local_gb"] != int64(1489) {
		t.Errorf("properties %v", p)
	}
	const want = "rack:7,nic_capacity:32Gb,hardware_supports_raid:true,has_ssd:true,ilo_firmware_version:iLO 5 v3.14,last_firmware_scan_result:Ok," +
		"logical_raid_level_1:true,overall_security_status:Risk,pci_gpu_devices:1,rom_firmware_version:A42 v3.72 (05/16/2025)," +
		"secure_boot:true,security_override_switch:Ok,server_model:ProLiant DL365 Gen10 Plus -- SIMULATED,sriov_enabled:true"
	if p["capabilities"] != want {
		t.Errorf("capabilities\n%v\nwant\n%s", p["capabilities"], want)
	}
	security := p.Dict("security_parameters")
	if len(security) != 12 || security.Dict("Secure Boot")["security_status"] != "Risk" {
		t.Errorf("security_parameters %v", security)
	}
	if got := f.Described(); got != "84:16:0c:39:a1:e2 84:16:0c:39:a1:e3" {
		t.Errorf("ports %s", got)
	}
	if len(f.Power) != 0 || len(tr.Changes()) != 0 {
		t.Errorf("power %v", f.Power)
	}
}

// A machine that is off is switched on for the time of its inspection.
func TestInspectionOfAMachineThatIsOff(t *testing.T) {
	tr := redfishtest.Open(t, wholeMachine, machine)
	tr.Set("/redfish/v1/Systems/1", redfishtest.Object{"PowerState": "Off"})
	f, x, err := inspect(t, tr, store.Dict{})
	if err != nil || !slices.Equal(f.Power, []string{store.PowerOn, store.PowerOff}) || len(x.Node.DriverInternalInfo) != 0 {
		t.Errorf("%v, power %v, %v", err, f.Power, x.Node.DriverInternalInfo)
	}
	// A worker that went on with it knows that the machine was off.
	x.Node.DriverInternalInfo["ironmaster_inspected_off"] = true
	tr.Set("/redfish/v1/Systems/1", redfishtest.Object{"PowerState": "On"})
	f.Power = nil
	if _, err := ilo.NewInspect(redfishtest.Client(t), config(), true, f).InspectHardware(t.Context(), x); err != nil ||
		!slices.Equal(f.Power, []string{store.PowerOff}) {
		t.Errorf("%v, power %v", err, f.Power)
	}
}

// What an iLO does not show is left out; what every machine has may not be missing.
func TestInspectionOfMachinesThatTellLittle(t *testing.T) {
	tr := redfishtest.Open(t, wholeMachine, machine)
	for _, path := range []string{"/redfish/v1/Systems/1/SmartStorage", "/redfish/v1/Systems/1/Storage", "/redfish/v1/Systems/1/PCIDevices",
		"/redfish/v1/Managers/1/SecurityService", "/redfish/v1/systems/1/bios", "/redfish/v1/Systems/1/SecureBoot"} {
		tr.Remove(path)
	}
	_, x, err := inspect(t, tr, store.Dict{"local_gb": 20})
	if err != nil || x.Node.Properties["local_gb"] != int64(20) || x.Node.Properties["security_parameters"] != nil ||
		!strings.HasPrefix(x.Node.Properties.String("capabilities"), "ilo_firmware_version:") {
		t.Errorf("%v, %v", err, x.Node.Properties)
	}
	tr.Set("/redfish/v1/Systems/1/EthernetInterfaces", redfishtest.Object{"Members": []any{}})
	f, x, err := inspect(t, tr, store.Dict{})
	redfishtest.WantError(t, err, store.HardwareInspectionFailure, "Failed to inspect hardware. Reason: The node node-1 didn't return 'macs' as the key with inspection.")
	if len(x.Node.Properties) != 0 || len(f.Created) != 0 {
		t.Errorf("it left %v", x.Node.Properties)
	}
	tr.Set("/redfish/v1/Systems/1", redfishtest.Object{"MemorySummary": nil})
	_, _, err = inspect(t, tr, store.Dict{})
	redfishtest.WantError(t, err, store.HardwareInspectionFailure, "Server didn't return the key(s): memory_mb")
}
