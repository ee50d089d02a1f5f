package redfish_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

func TestPowerState(t *testing.T) {
	b := newBMC(t)
	x, _ := task(open(t, quick()), b.url)
	for told, want := range map[string]string{"On": "power on", "PoweringOn": "power on", "Off": "power off",
		"PoweringOff": "power off", "Paused": ""} {
		b.set(func() { b.system["PowerState"] = told })
		if got, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", told, got, err, want)
		}
	}
}

func TestSetPowerState(t *testing.T) {
	reset := "POST " + systemAt + "/Actions/ComputerSystem.Reset "
	for _, c := range []struct {
		name, from, to string
		sent           []string
	}{
		{"on", "Off", store.PowerOn, []string{reset + `{"ResetType":"On"}`}},
		{"on already", "On", store.PowerOn, nil},
		{"off", "On", store.PowerOff, []string{reset + `{"ResetType":"ForceOff"}`}},
		{"off already", "Off", store.PowerOff, nil},
		{"off on the way on", "PoweringOn", store.PowerOff, []string{reset + `{"ResetType":"ForceOff"}`}},
		{"soft off", "On", store.SoftPowerOff, []string{reset + `{"ResetType":"GracefulShutdown"}`}},
		{"restart", "On", store.Reboot, []string{reset + `{"ResetType":"ForceRestart"}`}},
	} {
		b := newBMC(t)
		b.set(func() { b.system["PowerState"] = c.from })
		x, _ := task(open(t, quick()), b.url)
		if err := x.Hardware.Power.SetPowerState(t.Context(), x, c.to, 0); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := b.changes(); !slices.Equal(got, c.sent) {
			t.Errorf("%s: sent %q, want %q", c.name, got, c.sent)
		}
	}
}

func TestPowerRefused(t *testing.T) {
	b := newBMC(t)
	b.set(func() { b.system["PowerState"] = "On" })
	x, _ := task(open(t, quick()), b.url)
	p := x.Hardware.Power
	redfishtest.WantError(t, p.SetPowerState(t.Context(), x, store.SoftReboot, 0), store.RedfishError,
		"Redfish exception occurred. Error: Setting power state to soft rebooting failed for node node-1. Error: ",
		"GracefulRestart", b.url)
	redfishtest.WantError(t, p.SetPowerState(t.Context(), x, "sideways", 0), store.InvalidParameterValue)
	b.refuse = func(string, object) (int, string) { return 409, "busy" }
	redfishtest.WantError(t, p.Reboot(t.Context(), x, 0), store.RedfishError,
		"Reboot failed for node node-1 when setting power state to power off. Error: ", "HTTP 409", "busy")
}

func TestForceOnWhereOnIsNotAllowed(t *testing.T) {
	b := newBMC(t)
	b.system["Actions"].(object)["#ComputerSystem.Reset"].(object)["ResetType@Redfish.AllowableValues"] =
		[]any{"ForceOn", "ForceOff"}
	x, _ := task(open(t, quick()), b.url)
	if err := x.Hardware.Power.SetPowerState(t.Context(), x, store.PowerOn, 0); err != nil {
		t.Fatal(err)
	}
	if got := b.changes(); len(got) != 1 || got[0] != "POST "+systemAt+`/Actions/ComputerSystem.Reset {"ResetType":"ForceOn"}` {
		t.Errorf("sent %q", got)
	}
}

func TestPowerThatChangesLate(t *testing.T) {
	b := newBMC(t)
	b.power = func(b *bmc, kind string) {
		b.system["PowerState"] = "PoweringOn"
		time.AfterFunc(20*time.Millisecond, func() { b.set(func() { b.system["PowerState"] = "On" }) })
	}
	x, _ := task(open(t, quick()), b.url)
	if err := x.Hardware.Power.Reboot(t.Context(), x, 0); err != nil {
		t.Error(err)
	}
}

func TestPowerThatDoesNotChange(t *testing.T) {
	b := newBMC(t)
	b.power = func(*bmc, string) {}
	x, _ := task(open(t, quick()), b.url)
	err := x.Hardware.Power.SetPowerState(t.Context(), x, store.PowerOn, 30*time.Millisecond)
	redfishtest.WantError(t, err, store.PowerStateFailure)
	if want := "Failed to set node power state to power on."; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// A BMC may refuse for a while to switch on again, and refuse to do what is done.
func TestPowerDespiteRefusals(t *testing.T) {
	b := newBMC(t)
	refusals := 2
	message := "Base.1.8.ActionParameterValueConflict"
	b.refuse = func(path string, body object) (int, string) {
		if refusals == 0 || body["ResetType"] == "ForceOff" && message != "off already" {
			return 0, ""
		}
		refusals--
		return 409, message
	}
	cfg := quick()
	cfg.ConflictRetries, cfg.ConflictInterval, cfg.ForgivesRefusals = 2, time.Millisecond, true
	x, _ := task(open(t, cfg), b.url)
	if err := x.Hardware.Power.SetPowerState(t.Context(), x, store.PowerOn, 0); err != nil || len(b.changes()) != 3 {
		t.Errorf("refused twice: %v", err)
	}
	b.set(func() { b.system["PowerState"], refusals = "Off", 3 })
	redfishtest.WantError(t, x.Hardware.Power.SetPowerState(t.Context(), x, store.PowerOn, 0), store.RedfishError, "ActionParameterValueConflict")

	b.set(func() {
		b.system["PowerState"], refusals, message = "PoweringOff", 9, "off already"
	})
	if err := x.Hardware.Power.SetPowerState(t.Context(), x, store.PowerOff, 0); err != nil {
		t.Errorf("off already: %v", err)
	}
	b.set(func() { b.system["PowerState"], message = nil, "The Host is Powered On." })
	if err := x.Hardware.Power.SetPowerState(t.Context(), x, store.PowerOn, 0); err != nil {
		t.Errorf("on, as the refusal says: %v", err)
	}
}

// Up to ironic 28.0 a refusal is one, whatever the machine's state.
func TestPowerRefusalsFailOnOlderReleases(t *testing.T) {
	b := newBMC(t)
	b.system["PowerState"] = "On"
	b.refuse = func(string, object) (int, string) { return 400, "Host is powered on." }
	x, _ := task(open(t, quick()), b.url)
	redfishtest.WantError(t, x.Hardware.Power.SetPowerState(t.Context(), x, store.Reboot, 0), store.RedfishError, "Host is powered on.")
	if sent := b.changes(); len(sent) != 1 {
		t.Errorf("sent %q", sent)
	}
}

// A machine that must not be switched off is restarted.
func TestRebootWithoutPowerOff(t *testing.T) {
	b := newBMC(t)
	b.system["PowerState"] = "On"
	cfg := quick()
	cfg.RestartPause = time.Millisecond
	x, _ := task(open(t, cfg), b.url)
	x.Node.DisablePowerOff = new(true)
	if err := x.Hardware.Power.Reboot(t.Context(), x, 0); err != nil {
		t.Fatal(err)
	}
	if sent := b.changes(); len(sent) != 1 || !strings.Contains(sent[0], `"ForceRestart"`) {
		t.Errorf("sent %q", sent)
	}
}
