package redfish_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

func TestSetBootDeviceSendsWhatDiffers(t *testing.T) {
	for _, c := range []struct {
		name, vendor, enabled string
		device                string
		persistent            bool
		sent                  string
	}{
		{"once", "", "Disabled", "cdrom", false, `{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Cd"}`},
		{"once already", "", "Once", "pxe", false, `{"BootSourceOverrideTarget":"Pxe"}`},
		{"for good", "", "Once", "disk", true, `{"BootSourceOverrideEnabled":"Continuous","BootSourceOverrideTarget":"Hdd"}`},
		{"setup", "Dell Inc.", "Continuous", "bios", true, `{"BootSourceOverrideTarget":"BiosSetup"}`},
		{"Supermicro always says how long", "Supermicro", "Once", "pxe", false,
			`{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}`},
		{"AMI wants all", "American Megatrends International LLC.", "Once", "pxe", false,
			`{"BootSourceOverrideEnabled":"Once","BootSourceOverrideMode":"UEFI","BootSourceOverrideTarget":"Pxe"}`},
	} {
		b := newBMC(t)
		b.system["Boot"].(object)["BootSourceOverrideEnabled"] = c.enabled
		// Releases that know no URL to boot from leave it alone.
		b.system["Boot"].(object)["HttpBootUri"] = "http://boot.example/iso"
		x, _ := task(open(t, quick()), b.url)
		x.Node.Properties["vendor"] = c.vendor
		if err := x.Hardware.Management.SetBootDevice(t.Context(), x, c.device, c.persistent); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got, want := b.changes(), "PATCH "+systemAt+` {"Boot":`+c.sent+"}"; len(got) != 1 || got[0] != want {
			t.Errorf("%s: sent %q, want %s", c.name, got, want)
		}
	}
}

func TestBootDeviceThatTheBMCDoesNotKeep(t *testing.T) {
	b := newBMC(t)
	b.refuse = func(_ string, body object) (int, string) {
		if boot, ok := body["Boot"].(object); ok && boot["BootSourceOverrideEnabled"] == "Continuous" {
			return 400, "Continuous is not supported"
		}
		return 0, ""
	}
	x, w := task(open(t, quick()), b.url)
	if err := x.Hardware.Management.SetBootDevice(t.Context(), x, "disk", true); err != nil {
		t.Fatal(err)
	}
	if b.boot("Enabled") != "Once" || x.Node.DriverInternalInfo["redfish_boot_device"] != "disk" || w.saved != 1 {
		t.Errorf("%v, %v, saved %d times", b.boot("Enabled"), x.Node.DriverInternalInfo, w.saved)
	}
	// The machine started and forgot; before the next start the device is set again.
	b.set(func() {
		b.system["Boot"].(object)["BootSourceOverrideEnabled"] = "Disabled"
		b.system["Boot"].(object)["BootSourceOverrideTarget"] = "None"
	})
	b.changes()
	if err := x.Hardware.Power.SetPowerState(t.Context(), x, store.PowerOn, 0); err != nil {
		t.Fatal(err)
	}
	if got := b.changes(); len(got) != 2 || !strings.Contains(got[0], `"Hdd"`) || !strings.Contains(got[1], `"On"`) {
		t.Errorf("sent %q", got)
	}
	// Another device, set once, is not followed by the old one.
	if err := x.Hardware.Management.SetBootDevice(t.Context(), x, "pxe", false); err != nil {
		t.Fatal(err)
	}
	if _, kept := x.Node.DriverInternalInfo["redfish_boot_device"]; kept || w.saved != 2 {
		t.Errorf("%v, saved %d times", x.Node.DriverInternalInfo, w.saved)
	}
}

func TestBootDeviceErrors(t *testing.T) {
	b := newBMC(t)
	x, _ := task(open(t, quick()), b.url)
	m := x.Hardware.Management
	redfishtest.WantError(t, m.SetBootDevice(t.Context(), x, "floppy", false), store.InvalidParameterValue, "Invalid boot device floppy")
	b.refuse = func(string, object) (int, string) { return 400, "no way" }
	redfishtest.WantError(t, m.SetBootDevice(t.Context(), x, "pxe", false), store.RedfishError,
		"Redfish exception occurred. Error: Redfish set boot device failed for node node-1. Error: ", "no way")
	b.set(func() {
		b.system["Boot"].(object)["BootSourceOverrideTarget@Redfish.AllowableValues"] = []any{"None", "Pxe"}
	})
	b.changes()
	redfishtest.WantError(t, m.SetBootDevice(t.Context(), x, "cdrom", false), store.RedfishError, "allows the boot targets [None Pxe]")
	if got := b.changes(); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
}

func TestBootDeviceIsRead(t *testing.T) {
	yes, no := true, false
	b := newBMC(t)
	x, _ := task(open(t, quick()), b.url)
	for _, c := range []struct {
		target, enabled string
		want            drivers.BootDevice
	}{
		{"Pxe", "Once", drivers.BootDevice{Device: "pxe", Persistent: &no}},
		{"Hdd", "Continuous", drivers.BootDevice{Device: "disk", Persistent: &yes}},
		{"UefiShell", "Disabled", drivers.BootDevice{}},
	} {
		b.set(func() {
			b.system["Boot"] = object{"BootSourceOverrideTarget": c.target, "BootSourceOverrideEnabled": c.enabled}
		})
		if got, err := x.Hardware.Management.BootDevice(t.Context(), x); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %s: %+v, %v", c.target, c.enabled, got, err)
		}
	}
}

func TestBootMode(t *testing.T) {
	b := newBMC(t)
	x, _ := task(open(t, quick()), b.url)
	m := x.Hardware.Management
	if mode, err := m.BootMode(t.Context(), x); err != nil || mode != "uefi" {
		t.Errorf("%s, %v", mode, err)
	}
	if err := m.SetBootMode(t.Context(), x, "uefi"); err != nil || len(b.changes()) != 0 {
		t.Errorf("setting what is set: %v", err)
	}
	if err := m.SetBootMode(t.Context(), x, "bios"); err != nil || b.boot("Mode") != "Legacy" {
		t.Errorf("setting bios: %v, %v", err, b.boot("Mode"))
	}
	b.refuse = func(string, object) (int, string) { return 400, "fixed" }
	redfishtest.WantError(t, m.SetBootMode(t.Context(), x, "uefi"), store.RedfishError,
		"Setting boot mode to uefi failed for node node-1. Error: ", "fixed")
	b.set(func() { delete(b.system["Boot"].(object), "BootSourceOverrideMode") })
	redfishtest.WantError(t, m.SetBootMode(t.Context(), x, "uefi"), store.UnsupportedDriverExtension)
}

func TestSecureBoot(t *testing.T) {
	b := newBMC(t)
	x, _ := task(open(t, quick()), b.url)
	m := x.Hardware.Management
	// The link leads nowhere: the same as no secure boot.
	_, err := m.SecureBoot(t.Context(), x)
	redfishtest.WantError(t, err, store.UnsupportedDriverExtension)
	at := systemAt + "/SecureBoot"
	b.set(func() { b.media[at] = object{"@odata.id": at, "Id": "SecureBoot", "SecureBootEnable": false} })
	if on, err := m.SecureBoot(t.Context(), x); err != nil || on {
		t.Errorf("%v, %v", on, err)
	}
	if err := m.SetSecureBoot(t.Context(), x, true); err != nil || b.media[at]["SecureBootEnable"] != true {
		t.Errorf("%v, %v", err, b.media[at])
	}
	b.changes()
	if err := m.SetSecureBoot(t.Context(), x, true); err != nil || len(b.changes()) != 0 {
		t.Errorf("setting what is set: %v", err)
	}
	b.set(func() { b.system["Boot"].(object)["BootSourceOverrideMode"] = "Legacy" })
	redfishtest.WantError(t, m.SetSecureBoot(t.Context(), x, false), store.RedfishError,
		"Redfish exception occurred. Error: Configuring secure boot requires UEFI for node node-1")
	b.set(func() {
		b.media[at]["Actions"] = object{"#SecureBoot.ResetKeys": object{"target": at + "/Actions/SecureBoot.ResetKeys"}}
	})
	b.changes()
	for _, s := range m.Steps(drivers.CleanStep) {
		if _, err := s.Run(t.Context(), x, nil); err != nil || s.Priority != 0 {
			t.Errorf("%s: %v, priority %d", s.Name, err, s.Priority)
		}
	}
	want := []string{"POST " + at + `/Actions/SecureBoot.ResetKeys {"ResetKeysType":"ResetAllKeysToDefault"}`,
		"POST " + at + `/Actions/SecureBoot.ResetKeys {"ResetKeysType":"DeleteAllKeys"}`}
	if got := b.changes(); !slices.Equal(got, want) {
		t.Errorf("sent %q", got)
	}
}

func TestIndicators(t *testing.T) {
	b := newBMC(t)
	x, _ := task(open(t, quick()), b.url)
	m := x.Hardware.Management
	id := b.system["UUID"].(string)
	got, err := m.SupportedIndicators(t.Context(), x, "")
	want := map[string]map[string]drivers.Indicator{"system": {id: {States: []string{"blinking", "off", "on"}}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if err := m.SetIndicatorState(t.Context(), x, "system", id, "blinking"); err != nil {
		t.Error(err)
	}
	if state, err := m.IndicatorState(t.Context(), x, "system", id); err != nil || state != "blinking" {
		t.Errorf("%s, %v", state, err)
	}
	_, err = m.IndicatorState(t.Context(), x, "system", "other")
	redfishtest.WantError(t, err, store.MissingParameterValue, "Unknown indicator other for component system of node node-1")
	redfishtest.WantError(t, m.SetIndicatorState(t.Context(), x, "system", id, "purple"), store.InvalidParameterValue)
}

func TestNMIAndVendor(t *testing.T) {
	b := newBMC(t)
	x, _ := task(open(t, quick()), b.url)
	if err := x.Hardware.Management.InjectNMI(t.Context(), x); err != nil {
		t.Error(err)
	}
	if got := b.changes(); len(got) != 1 || !strings.HasSuffix(got[0], `{"ResetType":"Nmi"}`) {
		t.Errorf("sent %q", got)
	}
	if vendor, err := x.Hardware.Management.DetectVendor(t.Context(), x); err != nil || vendor != "Acme" {
		t.Errorf("%s, %v", vendor, err)
	}
}

// Storages may have drives with the same id. Users are told of the same one each time.
func TestIndicatorsOfDrivesThatShareAnID(t *testing.T) {
	b := newBMC(t)
	x, _ := task(open(t, quick()), b.url)
	const stores = systemAt + "/Storage"
	var members []any
	b.parts = map[string]object{}
	for i, led := range []string{"Lit", "Off", "Off", "Off", "Off", "Off", "Off", "Off"} {
		at := fmt.Sprintf("%s/%d", stores, i)
		members = append(members, link(at))
		b.parts[at] = object{"@odata.id": at, "Id": fmt.Sprint(i), "Drives": []any{link(at + "/Drives/0")}}
		b.parts[at+"/Drives/0"] = object{"@odata.id": at + "/Drives/0", "Id": "0", "IndicatorLED": led}
	}
	b.parts[stores] = object{"@odata.id": stores, "Name": "all", "Members": members, "Members@odata.count": len(members)}
	b.system["Storage"] = link(stores)
	for range 10 {
		if state, err := x.Hardware.Management.IndicatorState(t.Context(), x, "disk", "0"); err != nil || state != "on" {
			t.Fatalf("%s, %v", state, err)
		}
	}
}

// During a machine's self-test some BMCs take no boot device.
func TestBootDeviceDuringTheSelfTest(t *testing.T) {
	b := newBMC(t)
	refusals := 2
	b.refuse = func(string, object) (int, string) {
		if refusals == 0 {
			return 0, ""
		}
		refusals--
		return 400, "iLO.2.14.UnableToModifyDuringSystemPOST"
	}
	cfg := quick()
	cfg.POSTAttempts, cfg.POSTDelay = 3, time.Millisecond
	x, _ := task(open(t, cfg), b.url)
	if err := x.Hardware.Management.SetBootDevice(t.Context(), x, store.BootDevicePXE, false); err != nil || refusals != 0 {
		t.Errorf("refused twice: %v", err)
	}
	b.set(func() { refusals = 3 })
	err := x.Hardware.Management.SetBootDevice(t.Context(), x, store.BootDeviceDisk, false)
	redfishtest.WantError(t, err, store.RedfishError, "UnableToModifyDuringSystemPOST")
}

func TestHealthAndTheVendorOfTheService(t *testing.T) {
	resources := serviceTree(object{"Manufacturer": "Acme", "Status": object{"Health": "Warning"}})
	resources["/redfish/v1"]["Vendor"] = "Hpe"
	tr := redfishtest.Serve(t, resources, nil)
	for newer, vendor := range map[bool]string{false: "Acme", true: "Hpe"} {
		cfg := redfish.DefaultConfig()
		cfg.VendorOfRoot = newer
		x, _ := task(redfishtest.ClientWith(t, cfg), tr.URL)
		x.Node.DriverInfo["redfish_username"], x.Node.DriverInfo["redfish_verify_ca"] = redfishtest.User, false
		if got, err := x.Hardware.Management.DetectVendor(t.Context(), x); err != nil || got != vendor {
			t.Errorf("vendor %q, %v, want %q", got, err, vendor)
		}
		if got, err := x.Hardware.Management.(drivers.Examining).Health(t.Context(), x); err != nil || got != "Warning" {
			t.Errorf("health %q, %v", got, err)
		}
	}
}
