package redfish_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

const biosAt = systemAt + "/Bios"

// kept is the table of settings.
type kept struct{ all map[string]store.BIOSSetting }

func (k *kept) ReplaceRegisteredBIOSSettings(_ context.Context, _ int64, settings []store.BIOSSetting) error {
	k.all = map[string]store.BIOSSetting{}
	for _, one := range settings {
		k.all[one.Name] = one
	}
	return nil
}

func (k *kept) BIOSSettings(context.Context, int64) (all []*store.BIOSSetting, err error) {
	for _, one := range k.all {
		all = append(all, &one)
	}
	return all, nil
}

// biosBMC is a BMC whose firmware takes settings at the next start, which a test does itself.
func biosBMC(t *testing.T) *redfishtest.Tree {
	t.Helper()
	resources := serviceTree(object{"Bios": link(biosAt)})
	maps.Copy(resources, map[string]object{
		biosAt: {"@odata.id": biosAt, "AttributeRegistry": "BiosRegistry.v1_0_0",
			"Attributes": object{"BootMode": "Uefi", "Cores": 16, "Fan": true, "Tag": nil},
			"@Redfish.Settings": object{"SettingsObject": link(biosAt + "/Settings"),
				"SupportedApplyTimes": []any{"OnReset"}},
			"Actions": object{"#Bios.ResetBios": object{"target": biosAt + "/Actions/Bios.ResetBios"}}},
		biosAt + "/Settings":          {"Attributes": object{}},
		"/redfish/v1/Registries":      {"Members": []any{link("/redfish/v1/Registries/Base"), link("/redfish/v1/Registries/BiosRegistry")}},
		"/redfish/v1/Registries/Base": {"Id": "Base", "Registry": "Base.1.0", "Location": []any{}},
		"/redfish/v1/Registries/BiosRegistry": {"Id": "BiosRegistry", "Registry": "BiosRegistry.v1_0_0", "Location": []any{
			object{"Language": "de", "Uri": "/de"}, object{"Language": "en-US", "Uri": "/redfish/v1/registrystore/bios"}}},
		"/redfish/v1/registrystore/bios": {"RegistryEntries": object{"Attributes": []any{
			object{"AttributeName": "BootMode", "Type": "Enumeration", "ReadOnly": false, "ResetRequired": true,
				"Value": []any{object{"ValueName": "Uefi"}, object{"ValueDisplayName": "Legacy"}, object{}}},
			object{"AttributeName": "Cores", "Type": "Integer", "LowerBound": 1, "UpperBound": 9999999999, "ReadOnly": true,
				"IsSystemUniqueProperty": false}}}},
	})
	return redfishtest.Serve(t, resources, func(tr *redfishtest.Tree, method, path string, _ object) (int, object, bool) {
		if path == biosAt+"/Actions/Bios.ResetBios" {
			tr.Merge(biosAt+"/Settings", object{"Attributes": object{"BootMode": "Legacy"}})
			return 200, object{}, true
		}
		return 0, nil, false
	})
}

// serviceTree is a service with one system.
func serviceTree(system object) map[string]object {
	maps.Copy(system, object{"@odata.id": systemAt, "Id": "1"})
	return map[string]object{
		"/redfish/v1": {"@odata.id": "/redfish/v1", "RedfishVersion": "1.6.0", "Systems": link("/redfish/v1/Systems"),
			"Registries": link("/redfish/v1/Registries"), "EventService": link("/redfish/v1/EventService"),
			"Links": object{"Sessions": link("/redfish/v1/SessionService/Sessions")}},
		"/redfish/v1/Systems": {"Members": []any{link(systemAt)}},
		systemAt:              system,
	}
}

func biosTask(t *testing.T, tr *redfishtest.Tree) (*drivers.Task, *worker, *redfish.BIOS, *kept) {
	t.Helper()
	client, rows := redfishtest.Client(t), &kept{}
	x, w := task(client, tr.URL)
	x.Node.DriverInfo["redfish_username"], x.Node.DriverInfo["redfish_verify_ca"] = redfishtest.User, false
	b := redfish.NewBIOS(client, rows)
	x.Hardware.BIOS, x.Hardware.Deploy = b, fake.NewDeploy(fake.Config{})
	x.Node.CleanStep = store.Dict{"interface": "bios", "step": "apply_configuration"}
	return x, w, b, rows
}

func text(s *string) string {
	if s == nil {
		return "<nil>"
	}
	return *s
}

func TestBIOSSettingsAreCachedWithTheirRegistry(t *testing.T) {
	tr := biosBMC(t)
	x, _, b, rows := biosTask(t, tr)
	if err := b.CacheSettings(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	mode, cores, fan := rows.all["BootMode"], rows.all["Cores"], rows.all["Fan"]
	if text(mode.Value) != "Uefi" || text(mode.Type) != "Enumeration" || !slices.Equal(mode.AllowableValues, []string{"Uefi", "Legacy"}) ||
		!*mode.ResetRequired || *mode.ReadOnly {
		t.Errorf("BootMode: %+v", mode)
	}
	if text(cores.Value) != "16" || *cores.LowerBound != 1 || cores.UpperBound != nil || *cores.Unique {
		t.Errorf("Cores: %+v", cores)
	}
	if text(fan.Value) != "True" || fan.Type != nil || rows.all["Tag"].Value != nil || len(rows.all) != 4 {
		t.Errorf("%+v", rows.all)
	}
	// A registry that can't be read is done without.
	tr.Remove("/redfish/v1/registrystore/bios")
	if err := b.CacheSettings(t.Context(), x); err != nil || rows.all["Cores"].LowerBound != nil || text(rows.all["Cores"].Value) != "16" {
		t.Errorf("without a registry: %v, %+v", err, rows.all["Cores"])
	}
	tr.Set(systemAt, object{"Bios": nil})
	redfishtest.WantError(t, b.CacheSettings(t.Context(), x), store.UnsupportedDriverExtension,
		"Cannot fetch BIOS attributes for node node-1, BIOS settings are not supported.")
}

func TestBIOSSettingsAreAppliedByAReboot(t *testing.T) {
	tr := biosBMC(t)
	x, w, b, rows := biosTask(t, tr)
	settings := store.Dict{"settings": []any{map[string]any{"name": "Cores", "value": json.Number("8")},
		map[string]any{"name": "BootMode", "value": "Legacy"}}}
	step := stepOf(t, b, drivers.CleanStep, "apply_configuration")
	outcome, err := step.Run(t.Context(), x, settings)
	info := x.Node.DriverInternalInfo
	if err != nil || outcome != drivers.Waiting || !slices.Equal(w.power, []string{store.Reboot}) || !info.Bool("post_config_reboot_requested", false) ||
		!info.Bool("cleaning_reboot", false) || info.Bool("skip_current_clean_step", true) || len(info.Dict("requested_bios_attrs")) != 2 {
		t.Fatalf("%v, %v, power %v, info %v", outcome, err, w.power, info)
	}
	if sent := tr.Changes(); len(sent) != 1 || sent[0] != "PATCH "+biosAt+`/Settings {"@Redfish.SettingsApplyTime":{"@odata.type":`+
		`"#Settings.v1_0_0.PreferredApplyTime","ApplyTime":"OnReset"},"Attributes":{"BootMode":"Legacy","Cores":8}}` {
		t.Errorf("sent %q", sent)
	}
	// A worker that died about then does not know whether the machine was rebooted.
	if outcome, err := step.Resume(t.Context(), x, settings); err != nil || outcome != drivers.Waiting || len(w.power) != 2 || len(tr.Changes()) != 0 {
		t.Errorf("resumed before the agent was back: %v, %v, power %v", outcome, err, w.power)
	}
	delete(info, "cleaning_reboot")
	tr.Set(biosAt, object{"Attributes": object{"BootMode": "Legacy", "Cores": 8}})
	if outcome, err := step.Resume(t.Context(), x, settings); err != nil || outcome != drivers.Done || text(rows.all["Cores"].Value) != "8" ||
		info["requested_bios_attrs"] != nil || info["post_config_reboot_requested"] != nil || len(w.power) != 2 {
		t.Errorf("afterwards: %v, %v, info %v", outcome, err, info)
	}
}

func TestBIOSSettingsThatDidNotTakeEffectFailTheStep(t *testing.T) {
	tr := biosBMC(t)
	x, _, b, _ := biosTask(t, tr)
	settings := store.Dict{"settings": []any{map[string]any{"name": "Cores", "value": "8"}}}
	step := stepOf(t, b, drivers.DeployStep, "apply_configuration")
	x.Node.CleanStep, x.Node.DeployStep = nil, store.Dict{"interface": "bios", "step": "apply_configuration"}
	if outcome, err := step.Run(t.Context(), x, settings); err != nil || outcome != drivers.Waiting || !x.Node.DriverInternalInfo.Bool("deployment_reboot", false) {
		t.Fatalf("%v, %v", outcome, err)
	}
	delete(x.Node.DriverInternalInfo, "deployment_reboot")
	_, err := step.Resume(t.Context(), x, settings)
	var failure *drivers.StepFailure
	if !errors.As(err, &failure) || failure.Text != "Redfish BIOS apply_configuration step failed. Attributes {'Cores': '8'} are not updated." {
		t.Errorf("%v", err)
	}
}

func TestBIOSIsReset(t *testing.T) {
	tr := biosBMC(t)
	x, w, b, _ := biosTask(t, tr)
	step := stepOf(t, b, drivers.CleanStep, "factory_reset")
	if outcome, err := step.Run(t.Context(), x, nil); err != nil || outcome != drivers.Waiting || len(w.power) != 1 ||
		!x.Node.DriverInternalInfo.Bool("post_factory_reset_reboot_requested", false) {
		t.Fatalf("%v, %v", outcome, err)
	}
	delete(x.Node.DriverInternalInfo, "cleaning_reboot")
	if outcome, err := step.Resume(t.Context(), x, nil); err != nil || outcome != drivers.Done {
		t.Errorf("%v, %v", outcome, err)
	}
	if sent := tr.Changes(); len(sent) != 1 || !strings.HasPrefix(sent[0], "POST "+biosAt+"/Actions/Bios.ResetBios") {
		t.Errorf("sent %q", sent)
	}
}

func TestBIOSErrors(t *testing.T) {
	tr := biosBMC(t)
	x, _, b, _ := biosTask(t, tr)
	apply := stepOf(t, b, drivers.CleanStep, "apply_configuration")
	_, err := apply.Run(t.Context(), x, store.Dict{"settings": []any{map[string]any{"value": 1}}})
	redfishtest.WantError(t, err, store.InvalidParameterValue, "settings: every item needs a name and a value")
	tr.Set(biosAt, object{"Actions": object{"#Bios.ResetBios": nil}})
	_, err = stepOf(t, b, drivers.CleanStep, "factory_reset").Run(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.RedfishError, "Redfish BIOS factory reset failed for node node-1. Error: ", "The action #Bios.ResetBios is missing")
	tr.Remove(biosAt + "/Settings")
	_, err = apply.Run(t.Context(), x, store.Dict{"settings": []any{map[string]any{"name": "Cores", "value": 1}}})
	redfishtest.WantError(t, err, store.RedfishError, "Redfish BIOS apply configuration failed for node node-1. Error: ")
	tr.Set(systemAt, object{"Bios": nil})
	_, err = apply.Run(t.Context(), x, store.Dict{"settings": []any{}})
	redfishtest.WantError(t, err, store.RedfishError, "because BIOS settings are not supported")
	if len(x.Node.DriverInternalInfo) != 0 {
		t.Errorf("info %v after refusals", x.Node.DriverInternalInfo)
	}
	delete(x.Node.DriverInfo, "redfish_address")
	redfishtest.WantError(t, b.Validate(t.Context(), x), store.MissingParameterValue, "redfish_address")
}
