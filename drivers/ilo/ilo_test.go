package ilo_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ilo"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// trees are the recorded iLOs of each generation (testdata/README.md).
var trees = map[string]string{
	"iLO 4": "testdata/ilo4-bl460c-gen9.json",
	"iLO 5": "testdata/ilo5-v2.46-dl325-gen10plus.json",
	"iLO 6": "testdata/ilo6-v1.66-dl380a-gen11.json",
	"iLO 7": "testdata/ilo7-v1.17-dl340-gen12.json",
}

// machine does what a recorded tree cannot: its self test follows its power, and an iLO 4 takes its own actions alone.
func machine(tr *redfishtest.Tree, method, path string, body redfishtest.Object) (int, redfishtest.Object, bool) {
	ilo4 := strings.Contains(path, "/Oem/Hp/") || strings.HasSuffix(path, "/")
	power := ""
	switch {
	case strings.Contains(path, ".PowerButton") && body["PushType"] == "PressAndHold":
		power = "Off"
	case strings.Contains(path, ".PowerButton"):
		power = "Off"
	case strings.Contains(path, "ComputerSystem.Reset") && body["ResetType"] != "Nmi":
		power = "On"
	case ilo4 && strings.Contains(path, "VirtualMedia") && len(body) > 1:
		return 400, redfishtest.Refusal("iLO.0.10.ActionParameterUnknown"), true
	}
	if power == "" {
		return 0, nil, false
	}
	post := map[string]string{"On": "FinishedPost", "Off": "PowerOff"}[power]
	tr.Merge("/redfish/v1/Systems/1", redfishtest.Object{"PowerState": power})
	key := "Hpe"
	if strings.HasSuffix(path, "/") {
		key = "Hp"
	}
	tr.Merge("/redfish/v1/Systems/1", redfishtest.Object{"Oem": redfishtest.Object{key: redfishtest.Object{"PostState": post}}})
	return 200, redfishtest.Object{}, true
}

func config() ilo.Config {
	return ilo.Config{Port: 443, Timeout: 5 * time.Second, DefaultBootMode: "auto", PowerWait: time.Millisecond,
		PowerTimeout: 5 * time.Second}
}

// task returns a task on a node behind a tree.
func task(t *testing.T, tr *redfishtest.Tree, cfg ilo.Config) (*drivers.Task, *redfishtest.Worker) {
	t.Helper()
	at, err := url.Parse(tr.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, w := redfishtest.Client(t), redfishtest.NewWorker()
	node := &store.Node{UUID: "node-1", Driver: "ilo5", DriverInfo: store.Dict{"ilo_address": at.Hostname(), "client_port": at.Port(),
		"ilo_username": redfishtest.User, "ilo_password": redfishtest.Password, "ilo_verify_ca": false},
		Properties: store.Dict{}, InstanceInfo: store.Dict{}, DriverInternalInfo: store.Dict{}}
	return &drivers.Task{Node: node, Worker: w, Log: zerolog.Nop(), Hardware: &drivers.Hardware{Network: noop.NewNetwork(), Storage: noop.NewStorage(),
		Power: ilo.NewPower(client, cfg), Management: ilo.NewManagement5(client, cfg)}}, w
}

// each runs a test against the trees of all generations.
func each(t *testing.T, run func(t *testing.T, tr *redfishtest.Tree, x *drivers.Task, generation string)) {
	for generation, file := range trees {
		t.Run(generation, func(t *testing.T) {
			tr := redfishtest.Open(t, file, machine)
			x, _ := task(t, tr, config())
			run(t, tr, x, generation)
		})
	}
}

func wantChanges(t *testing.T, tr *redfishtest.Tree, want ...string) {
	t.Helper()
	if got := tr.Changes(); !slices.Equal(got, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// button is the power button's action of a generation, as recorded.
func button(generation string) string {
	if generation == "iLO 4" {
		return "POST /redfish/v1/Systems/1/Actions/Oem/Hp/ComputerSystemExt.PowerButton/"
	}
	return "POST /redfish/v1/Systems/1/Actions/Oem/Hpe/HpeComputerSystemExt.PowerButton"
}

func reset(generation string) string {
	if generation == "iLO 4" {
		return "POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset/"
	}
	return "POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
}

func TestPower(t *testing.T) {
	each(t, func(t *testing.T, tr *redfishtest.Tree, x *drivers.Task, generation string) {
		tr.Set("/redfish/v1/Systems/1", redfishtest.Object{"PowerState": "On"})
		p := x.Hardware.Power
		for _, c := range []struct {
			target string
			want   []string
			state  string
		}{
			{store.PowerOn, nil, store.PowerOn},
			{store.PowerOff, []string{button(generation) + ` {"PushType":"PressAndHold"}`}, store.PowerOff},
			{store.PowerOff, nil, store.PowerOff},
			{store.PowerOn, []string{reset(generation) + ` {"ResetType":"On"}`}, store.PowerOn},
			{store.SoftReboot, []string{button(generation) + ` {"PushType":"Press"}`, reset(generation) + ` {"ResetType":"On"}`}, store.PowerOn},
			{store.Reboot, []string{reset(generation) + ` {"ResetType":"ForceRestart"}`}, store.PowerOn},
			{store.SoftPowerOff, []string{button(generation) + ` {"PushType":"Press"}`}, store.PowerOff},
			{store.Reboot, []string{reset(generation) + ` {"ResetType":"On"}`}, store.PowerOn},
		} {
			var err error
			if c.target == store.Reboot {
				err = p.Reboot(t.Context(), x, 0)
			} else {
				err = p.SetPowerState(t.Context(), x, c.target, 0)
			}
			if err != nil {
				t.Fatalf("%s: %v", c.target, err)
			}
			wantChanges(t, tr, c.want...)
			if state, err := p.PowerState(t.Context(), x); state != c.state || err != nil {
				t.Errorf("after %s the power is %q, %v", c.target, state, err)
			}
		}
	})
}

func TestPowerThatDoesNotChange(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], func(*redfishtest.Tree, string, string, redfishtest.Object) (int, redfishtest.Object, bool) {
		return 200, redfishtest.Object{}, true
	})
	x, _ := task(t, tr, config())
	err := x.Hardware.Power.SetPowerState(t.Context(), x, store.PowerOff, 20*time.Millisecond)
	redfishtest.WantError(t, err, store.PowerStateFailure, "Failed to set node power state to power off.")
	tr.Set("/redfish/v1/Systems/1", redfishtest.Object{"PowerState": nil})
	if state, err := x.Hardware.Power.PowerState(t.Context(), x); state != store.PowerError || err != nil {
		t.Errorf("state %q, %v", state, err)
	}
}

func TestBootDevice(t *testing.T) {
	each(t, func(t *testing.T, tr *redfishtest.Tree, x *drivers.Task, generation string) {
		m := x.Hardware.Management
		tr.Set("/redfish/v1/Systems/1", redfishtest.Object{"Boot": redfishtest.Object{"BootSourceOverrideEnabled": "Disabled"}})
		// Nothing overrides the order: its first entry counts.
		device, err := m.BootDevice(t.Context(), x)
		if err != nil || device.Persistent != nil && !*device.Persistent {
			t.Errorf("%+v, %v", device, err)
		}
		for _, c := range []struct {
			device     string
			persistent bool
			sent       string
		}{
			{store.BootDeviceCDROM, false, `{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Cd"}}`},
			{store.BootDeviceDisk, true, `{"Boot":{"BootSourceOverrideEnabled":"Continuous","BootSourceOverrideTarget":"Hdd"}}`},
			{store.BootDevicePXE, false, `{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}}`},
		} {
			if err := m.SetBootDevice(t.Context(), x, c.device, c.persistent); err != nil {
				t.Fatal(err)
			}
			wantChanges(t, tr, "PATCH /redfish/v1/Systems/1/ "+c.sent)
			device, err := m.BootDevice(t.Context(), x)
			if err != nil || device.Device != c.device || device.Persistent == nil || *device.Persistent != c.persistent {
				t.Errorf("%s: %+v, %v", c.device, device, err)
			}
		}
		redfishtest.WantError(t, m.SetBootDevice(t.Context(), x, "floppy", false), store.InvalidParameterValue, "Invalid boot device floppy specified.")
	})
}

// settings are where BIOS settings are put for the next start.
func settings(generation string) string {
	if generation == "iLO 4" {
		return "PATCH /redfish/v1/systems/1/bios/Settings "
	}
	return "PATCH /redfish/v1/systems/1/bios/settings/ "
}

func attributes(generation, settings string) string {
	if generation == "iLO 4" {
		return settings
	}
	return `{"Attributes":` + settings + `}`
}

func TestBootMode(t *testing.T) {
	each(t, func(t *testing.T, tr *redfishtest.Tree, x *drivers.Task, generation string) {
		m := x.Hardware.Management
		if mode, err := m.BootMode(t.Context(), x); mode != store.BootModeUEFI || err != nil {
			t.Errorf("boot mode %q, %v", mode, err)
		}
		if err := m.SetBootMode(t.Context(), x, store.BootModeUEFI); err != nil {
			t.Fatal(err)
		}
		wantChanges(t, tr)
		err := m.SetBootMode(t.Context(), x, store.BootModeBIOS)
		if generation == "iLO 6" || generation == "iLO 7" {
			// Gen11 and newer start in UEFI alone.
			redfishtest.WantError(t, err, store.InvalidParameterValue, "The given boot mode 'bios' is not supported.")
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		wantChanges(t, tr, settings(generation)+attributes(generation, `{"BootMode":"LegacyBios"}`))
		// What waits for the next start counts.
		if err := m.SetBootMode(t.Context(), x, store.BootModeUEFI); err != nil {
			t.Fatal(err)
		}
		wantChanges(t, tr, settings(generation)+attributes(generation, `{"BootMode":"Uefi","UefiOptimizedBoot":"Enabled"}`))
		redfishtest.WantError(t, m.SetBootMode(t.Context(), x, "none"), store.InvalidParameterValue, "The given boot mode 'none' is not supported.")
	})
}

func TestSecureBoot(t *testing.T) {
	each(t, func(t *testing.T, tr *redfishtest.Tree, x *drivers.Task, generation string) {
		m := x.Hardware.Management
		tr.Set("/redfish/v1/Systems/1/SecureBoot", redfishtest.Object{"SecureBootEnable": false})
		if on, err := m.SecureBoot(t.Context(), x); on || err != nil {
			t.Errorf("%v, %v", on, err)
		}
		if err := m.SetSecureBoot(t.Context(), x, true); err != nil {
			t.Fatal(err)
		}
		wantChanges(t, tr, `PATCH /redfish/v1/Systems/1/SecureBoot/ {"SecureBootEnable":true}`)
		if err := m.SetSecureBoot(t.Context(), x, true); err != nil {
			t.Fatal(err)
		}
		wantChanges(t, tr)
		tr.Remove("/redfish/v1/Systems/1/SecureBoot")
		_, err := m.SecureBoot(t.Context(), x)
		redfishtest.WantError(t, err, store.UnsupportedDriverExtension, "get_secure_boot_state")
	})
}

func TestInterruptAndVendor(t *testing.T) {
	each(t, func(t *testing.T, tr *redfishtest.Tree, x *drivers.Task, generation string) {
		m := x.Hardware.Management
		tr.Set("/redfish/v1/Systems/1", redfishtest.Object{"PowerState": "Off"})
		redfishtest.WantError(t, m.InjectNMI(t.Context(), x), store.IloOperationError,
			"Injecting NMI for node node-1 failed, error: Server is not in powered on state.")
		tr.Set("/redfish/v1/Systems/1", redfishtest.Object{"PowerState": "On"})
		if err := m.InjectNMI(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		wantChanges(t, tr, reset(generation)+` {"ResetType":"Nmi"}`)
		if _, err := m.DetectVendor(t.Context(), x); store.KindOf(err) != store.UnsupportedDriverExtension {
			t.Errorf("asked for the vendor: %v", err)
		}
	})
}

func TestRefusalsAreTheIronicOnes(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], machine)
	x, _ := task(t, tr, config())
	x.Node.DriverInfo["ilo_password"] = "wrong"
	_, err := x.Hardware.Power.PowerState(t.Context(), x)
	redfishtest.WantError(t, err, store.IloOperationError, "iLO get_power_status failed, error: ", "HTTP 401")
	x.Node.DriverInfo["ilo_address"], x.Node.DriverInfo["client_port"] = "127.0.0.1", 1
	err = x.Hardware.Management.SetBootDevice(t.Context(), x, store.BootDeviceDisk, true)
	redfishtest.WantError(t, err, store.IloOperationError, "Setting disk as boot device failed, error: ", "connection refused")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Hardware.Power.PowerState(ctx, x); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who gave up reads %v", err)
	}
}
