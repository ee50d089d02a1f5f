package redfish_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// newBIOSTask is biosTask as ironic 39.0 has it, with the registry read; without a ramdisk.
func newBIOSTask(t *testing.T, tr *redfishtest.Tree) (*drivers.Task, *worker, *redfish.BIOS, *kept) {
	t.Helper()
	cfg := redfish.DefaultConfig()
	cfg.BIOS = redfish.BIOSConfig{OneMark: true, WithoutRamdisk: true}
	client, rows := redfishtest.ClientWith(t, cfg), &kept{}
	x, w := task(client, tr.URL)
	x.Node.DriverInfo["redfish_username"], x.Node.DriverInfo["redfish_verify_ca"] = redfishtest.User, false
	b := redfish.NewBIOS(client, rows)
	x.Hardware.BIOS, x.Hardware.Deploy = b, fake.NewDeploy(fake.Config{})
	x.Node.ServiceStep = store.Dict{"interface": "bios", "step": "apply_configuration"}
	x.Node.DriverInternalInfo["service_disable_ramdisk"] = true
	if err := b.CacheSettings(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	return x, w, b, rows
}

func biosSettings(pairs ...any) store.Dict {
	var all []any
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, map[string]any{"name": pairs[i], "value": pairs[i+1]})
	}
	return store.Dict{"settings": all}
}

func TestBIOSStepsNeedNoRamdisk(t *testing.T) {
	_, _, b, _ := newBIOSTask(t, biosBMC(t))
	for kind, free := range map[drivers.StepKind]bool{drivers.CleanStep: true, drivers.ServiceStep: true, drivers.DeployStep: false} {
		var names []string
		for _, s := range b.Steps(kind) {
			if names = append(names, s.Name); s.RequiresRamdisk == free {
				t.Errorf("%s step %s: needs a ramdisk: %v", kind, s.Name, s.RequiresRamdisk)
			}
		}
		if !slices.Equal(names, []string{"factory_reset", "apply_configuration"}) {
			t.Errorf("%s steps %q", kind, names)
		}
	}
}

// A worker that dies at any point of the step finds in the row what is left to do.
func TestBIOSSettingsTakeEffectWithoutARamdisk(t *testing.T) {
	tr := biosBMC(t)
	tr.Set("/redfish/v1/registrystore/bios", object{"RegistryEntries": object{"Attributes": []any{
		object{"AttributeName": "Cores", "Type": "Integer", "LowerBound": 1, "UpperBound": 64}}}})
	x, w, b, rows := newBIOSTask(t, tr)
	wanted := biosSettings("Cores", "8", "BootMode", "Legacy")
	step := stepOf(t, b, drivers.ServiceStep, "apply_configuration")
	if outcome, err := step.Run(t.Context(), x, wanted); err != nil || outcome != drivers.Waiting || !slices.Equal(w.power, []string{store.Reboot}) {
		t.Fatalf("%v, %v, power %v", outcome, err, w.power)
	}
	info := x.Node.DriverInternalInfo
	state := info.Dict("redfish_bios_state")
	if !state.Bool("reboot_requested", false) || state.Dict("requested_bios_attrs")["Cores"] != json.Number("8") ||
		!info.Bool("servicing_polling", false) || !info.Bool("servicing_reboot", false) || info.Bool("skip_current_service_step", true) {
		t.Errorf("driver_internal_info %v", info)
	}
	if sent := tr.Changes(); len(sent) != 1 || !strings.HasSuffix(sent[0], `"Attributes":{"BootMode":"Legacy","Cores":8}}`) {
		t.Errorf("sent %q", sent)
	}
	// Nobody knows whether the machine was rebooted.
	if outcome, err := step.Resume(t.Context(), x, wanted); err != nil || outcome != drivers.Waiting || len(w.power) != 2 || len(tr.Changes()) != 0 {
		t.Errorf("resumed: %v, %v, power %v", outcome, err, w.power)
	}
	poll := func(what string, want bool) {
		t.Helper()
		if done, err := b.Poll(t.Context(), x); err != nil || done != want {
			t.Errorf("%s: done %v, %v", what, done, err)
		}
	}
	if !b.UnderWay(x.Node) {
		t.Error("nobody asks after the settings")
	}
	poll("before they have taken effect", false)
	tr.Set(biosAt, object{"Attributes": object{"BootMode": "Legacy", "Cores": 8}})
	tr.Set(systemAt, object{"BootProgress": object{"LastState": "SystemHardwareInitializationComplete"}})
	saved := w.saved
	if poll("while the machine starts", false); w.saved == saved || x.Node.ProvisionUpdatedAt.IsZero() {
		t.Error("the flow is not told to wait on")
	}
	tr.Set(systemAt, object{"BootProgress": object{"LastState": "OSRunning"}})
	tr.Set(biosAt+"/Settings", object{"Attributes": object{"Cores": 8}})
	poll("while the BMC is not done with them", false)
	tr.Set(biosAt+"/Settings", object{"Attributes": nil})
	poll("afterwards", true)
	if outcome, err := step.Resume(t.Context(), x, wanted); err != nil || outcome != drivers.Done || len(w.power) != 2 ||
		b.UnderWay(x.Node) || text(rows.all["Cores"].Value) != "8" {
		t.Errorf("the second half: %v, %v, power %v, info %v", outcome, err, w.power, x.Node.DriverInternalInfo)
	}
	// What is right already restarts nothing.
	if outcome, err := step.Run(t.Context(), x, wanted); err != nil || outcome != drivers.Done || len(w.power) != 2 || len(tr.Changes()) != 0 {
		t.Errorf("once more: %v, %v", outcome, err)
	}
}

func TestBIOSSettingsAreCheckedBefore(t *testing.T) {
	tr := biosBMC(t)
	tr.Set("/redfish/v1/registrystore/bios", object{"RegistryEntries": object{"Attributes": []any{
		object{"AttributeName": "BootMode", "Type": "Enumeration", "Value": []any{object{"ValueName": "Uefi"}, object{"ValueName": "Legacy"}}},
		object{"AttributeName": "Cores", "Type": "Integer", "LowerBound": 1, "UpperBound": 64},
		object{"AttributeName": "Fan", "Type": "Boolean"},
		object{"AttributeName": "Tag", "Type": "String", "MinLength": 1, "MaxLength": 3}}}})
	x, _, b, _ := newBIOSTask(t, tr)
	step := stepOf(t, b, drivers.CleanStep, "apply_configuration")
	refused := "Redfish BIOS apply_configuration failed for node node-1: invalid value for setting(s): "
	for _, c := range []struct {
		settings store.Dict
		sent     string
		refused  string
	}{
		{biosSettings("BootMode", "legacy", "Cores", "65"), "", "BootMode, Cores"},
		{biosSettings("BootMode", true), "", "BootMode"},
		{biosSettings("Cores", "many"), "", "Cores"},
		{biosSettings("Cores", nil), "", "Cores"},
		{biosSettings("Tag", "long"), "", "Tag"},
		{biosSettings("Tag", ""), "", "Tag"},
		{biosSettings("Tag", json.Number("7")), "", "Tag"},
		{biosSettings("Cores", " 4 "), `{"Cores":4}`, ""},
		{biosSettings("Cores", json.Number("4.7")), `{"Cores":4}`, ""},
		{biosSettings("Fan", "FALSE"), `{"Fan":false}`, ""},
		{biosSettings("Tag", "äöü", "Other", "x"), `{"Other":"x","Tag":"äöü"}`, ""},
	} {
		_, err := step.Run(t.Context(), x, c.settings)
		if c.refused != "" {
			redfishtest.WantError(t, err, store.InvalidParameterValue, refused+c.refused)
		} else if err != nil {
			t.Errorf("%v: %v", c.settings, err)
		}
		if sent := strings.Join(tr.Changes(), "\n"); c.sent == "" && sent != "" || !strings.Contains(sent, c.sent) {
			t.Errorf("%v: sent %s", c.settings, sent)
		}
		if err := b.Discard(t.Context(), x); err != nil || b.UnderWay(x.Node) {
			t.Errorf("discarded: %v", err)
		}
	}
}

// With an agent, its heartbeats move the flow on, and what older releases began goes on.
func TestBIOSSettingsWithARamdisk(t *testing.T) {
	tr := biosBMC(t)
	x, w, b, _ := newBIOSTask(t, tr)
	info := x.Node.DriverInternalInfo
	delete(info, "service_disable_ramdisk")
	step := stepOf(t, b, drivers.ServiceStep, "factory_reset")
	if outcome, err := step.Run(t.Context(), x, nil); err != nil || outcome != drivers.Waiting || info.Bool("servicing_polling", false) || b.UnderWay(x.Node) {
		t.Errorf("%v, %v, info %v", outcome, err, info)
	}
	delete(info, "servicing_reboot")
	if outcome, err := step.Resume(t.Context(), x, nil); err != nil || outcome != drivers.Done || info["redfish_bios_state"] != nil || len(w.power) != 1 {
		t.Errorf("the second half: %v, %v, info %v", outcome, err, info)
	}
	info["post_bios_reboot_requested"], info["requested_bios_attrs"] = true, map[string]any{"Cores": json.Number("7")}
	_, err := stepOf(t, b, drivers.ServiceStep, "apply_configuration").Resume(t.Context(), x, biosSettings("Cores", "7"))
	var failure *drivers.StepFailure
	if !errors.As(err, &failure) || failure.Text != "Redfish BIOS apply_configuration step failed. Attributes {'Cores': 7} are not updated." {
		t.Errorf("begun by 29.0: %v", err)
	}
}
