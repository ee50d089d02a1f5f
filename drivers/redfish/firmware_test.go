package redfish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// recorded is redfish.Components in memory.
type recorded struct{ all []store.FirmwareComponent }

func (r *recorded) RecordFirmware(_ context.Context, _ int64, components []store.FirmwareComponent) error {
	r.all = components
	return nil
}

func (r *recorded) String() string {
	var all []string
	for _, c := range r.all {
		text := c.Component + " " + *c.CurrentVersion
		for _, maker := range []*string{c.Vendor, c.Model, c.SerialNumber} {
			if maker != nil {
				text += " " + *maker
			}
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// component is a node whose components are updated.
type component struct {
	*drivers.Task
	*worker
	bmc      *firmwareBMC
	firmware *redfish.Firmware
	recorded *recorded
	files    *staged
}

func newComponent(t *testing.T, cfg redfish.UpdateConfig) *component {
	t.Helper()
	c := &component{bmc: newFirmwareBMC(t), recorded: &recorded{}, files: &staged{t.TempDir(), map[string]string{}}}
	all := redfish.DefaultConfig()
	all.Updates = cfg
	all.Updates.Files, all.Updates.Source = c.files, "http"
	client := redfishtest.ClientWith(t, all)
	c.Task, c.worker = task(client, c.bmc.URL)
	c.Node.DriverInfo["redfish_username"], c.Node.DriverInfo["redfish_verify_ca"] = redfishtest.User, false
	c.Node.CleanStep = store.Dict{"interface": "firmware", "step": "update"}
	c.Hardware.Deploy = fake.NewDeploy(fake.Config{})
	c.firmware = redfish.NewFirmware(client, c.recorded)
	return c
}

// update asks for updates of components.
func (c *component) update(t *testing.T, components ...string) (drivers.Outcome, error) {
	t.Helper()
	return stepOf(t, c.firmware, drivers.CleanStep, "update").Run(t.Context(), c.Task, settings(components...))
}

func settings(components ...string) store.Dict {
	var list []any
	for _, name := range components {
		list = append(list, map[string]any{"component": name, "url": "http://files/" + name})
	}
	return store.Dict{"settings": list}
}

// polls asks how the updates stand and expects reboots since the last time.
func (c *component) polls(t *testing.T, what string, reboots int) (done bool, err error) {
	t.Helper()
	if c.power = nil; !c.firmware.UnderWay(c.Node) {
		t.Fatalf("%s: nothing is under way", what)
	}
	done, err = c.firmware.Poll(t.Context(), c.Task)
	if len(c.power) != reboots {
		t.Errorf("%s: power %v", what, c.power)
	}
	return done, err
}

func (c *component) current() store.Dict {
	return store.Dict{"update": c.Node.DriverInternalInfo.List("redfish_fw_updates")[0]}.Dict("update")
}

// long ago, as rows hold moments.
const longAgo = "2020-01-01T00:00:00.000000"

var byComponent = redfish.UpdateConfig{ByComponent: true, Services: true, Delay: 5 * time.Minute, NICWait: time.Minute,
	VersionCheck: 30 * time.Second, Overall: 2 * time.Hour, Successes: 2, ValidationInterval: time.Millisecond, ValidationTimeout: time.Minute}

func TestComponentsAreUpdatedOneAfterAnother(t *testing.T) {
	c := newComponent(t, byComponent)
	outcome, err := c.update(t, "bios", "nic:S1")
	info := c.Node.DriverInternalInfo
	if err != nil || outcome != drivers.Waiting || len(c.power) != 0 || !info.Bool("cleaning_polling", false) ||
		!info.Bool("cleaning_reboot", false) || info["redfish_fw_update_start_time"] == nil || c.current()["power_timeout"] != json.Number("300") {
		t.Fatalf("%v, %v, power %v, %v", outcome, err, c.power, info)
	}
	if done, err := c.polls(t, "the BIOS waits for a start", 1); done || err != nil || !c.current().Bool("bios_reboot_triggered", false) {
		t.Errorf("%v, %v, %v", done, err, c.current())
	}
	c.bmc.end(1, "Running", "OK")
	if done, err := c.polls(t, "the BIOS is written", 0); done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	c.bmc.end(1, "Completed", "OK")
	if done, err := c.polls(t, "the network card's turn", 0); done || err != nil || c.current()["component"] != "nic:S1" ||
		c.current()["task_monitor"] != tasksAt+"/2" || info.Bool("cleaning_reboot", true) {
		t.Errorf("%v, %v, %v", done, err, info)
	}
	c.bmc.end(2, "Starting", "OK")
	if done, err := c.polls(t, "the network card does not begin", 0); done || err != nil || c.current()["nic_starting_timestamp"] == nil {
		t.Errorf("%v, %v, %v", done, err, c.current())
	}
	c.current()["nic_starting_timestamp"] = longAgo
	if done, err := c.polls(t, "it still does not", 1); done || err != nil || !c.current().Bool("nic_reboot_triggered", false) {
		t.Errorf("%v, %v, %v", done, err, c.current())
	}
	c.bmc.end(2, "Completed", "OK")
	done, err := c.polls(t, "the end", 0)
	if !done || err != nil || len(c.Node.DriverInternalInfo.List("redfish_fw_updates")) != 0 || info["redfish_fw_update_start_time"] != nil {
		t.Errorf("%v, %v, %v", done, err, info)
	}
	if got := c.recorded.String(); got != "bios 1.0, bmc 7.0 Room, nic:S1 3.0 Maker S1" {
		t.Errorf("recorded %s", got)
	}
	if sent := c.bmc.Changes(); len(sent) != 2 {
		t.Errorf("sent %q", sent)
	}
}

func TestNetworkCardsThatBeginAtOnceNeedAStartAfterwards(t *testing.T) {
	c := newComponent(t, byComponent)
	if _, err := c.update(t, "nic:S1"); err != nil {
		t.Fatal(err)
	}
	c.bmc.end(1, "Running", "OK")
	if done, err := c.polls(t, "it is written", 0); done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	c.bmc.end(1, "Completed", "OK")
	if done, err := c.polls(t, "the end", 1); !done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
}

func TestBMCsAreComparedBeforeAndAfter(t *testing.T) {
	for _, x := range []struct {
		name    string
		version string // "" is a BMC that does not tell
		late    bool
		done    bool
		reboots int
	}{
		{name: "a new version", version: "8.0", done: true},
		{name: "not yet", version: "7.0"},
		{name: "the same at the end", version: "7.0", late: true, done: true},
		{name: "nothing to compare", late: true, done: true, reboots: 1},
	} {
		c := newComponent(t, byComponent)
		if _, err := c.update(t, "bmc"); err != nil {
			t.Fatal(err)
		}
		if c.current()["wait"] != json.Number("300") || c.current()["component_type"] != "bmc" ||
			c.Node.DriverInternalInfo["bmc_fw_version_before_update"] != "7.0" || c.Node.DriverInternalInfo.Bool("cleaning_reboot", true) {
			t.Errorf("%s: %v", x.name, c.Node.DriverInternalInfo)
		}
		if done, err := c.polls(t, x.name, 0); done || err != nil {
			t.Errorf("%s: at once: %v, %v", x.name, done, err)
		}
		c.bmc.end(1, "Completed", "OK")
		c.bmc.Set(managerAt, object{"FirmwareVersion": x.version})
		if c.current()["wait_start_time"] = longAgo; x.late {
			c.current()["bmc_check_start_time"] = longAgo
		}
		if done, err := c.polls(t, x.name, x.reboots); done != x.done || err != nil {
			t.Errorf("%s: %v, %v", x.name, done, err)
		}
		if !x.done && (c.current()["wait"] != json.Number("30") || !c.current().Bool("bmc_version_checking", false)) {
			t.Errorf("%s: %v", x.name, c.current())
		}
	}
}

// More seconds than fit are not a time in the past.
func TestAWaitOfAnyLength(t *testing.T) {
	c := newComponent(t, byComponent)
	if _, err := c.update(t, "bmc"); err != nil {
		t.Fatal(err)
	}
	c.bmc.end(1, "Completed", "OK")
	const seconds = json.Number("9223372037")
	c.current()["wait"] = seconds
	if done, err := c.polls(t, "a long wait", 0); done || err != nil || c.current()["wait"] != seconds {
		t.Errorf("%v, %v, %v", done, err, c.current())
	}
}

func TestComponentUpdatesFail(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(c *component)
		says   string
	}{
		{"a task", func(c *component) { c.bmc.end(1, "Exception", "Critical", object{"Message": "Wrong file"}) },
			"Firmware update failed for node node-1, firmware http://files/bios. Error: Wrong file"},
		{"a task without words", func(c *component) {
			c.bmc.end(1, "Exception", "Critical", object{"Message": "Unknown error", "MessageId": "Update.1"}, object{"Message": "unknown"})
		}, "Firmware update failed for node node-1, firmware http://files/bios. Error: Update.1,  unknown"},
		{"too long", func(c *component) { c.Node.DriverInternalInfo["redfish_fw_update_start_time"] = longAgo },
			"Firmware update on node node-1 has exceeded the overall timeout of 7200 seconds. Elapsed time: "},
	} {
		c := newComponent(t, byComponent)
		if _, err := c.update(t, "bios"); err != nil {
			t.Fatal(err)
		}
		x.change(c)
		_, err := c.polls(t, x.name, 0)
		var failure *drivers.StepFailure
		if !errors.As(err, &failure) || !strings.HasPrefix(failure.Text, x.says) || c.firmware.UnderWay(c.Node) ||
			c.Node.DriverInternalInfo["redfish_fw_update_start_time"] != nil {
			t.Errorf("%s: %v, left %v", x.name, err, c.Node.DriverInternalInfo)
		}
	}
}

// Whether a machine was rebooted nobody knows when the worker died about then.
func TestRebootsForComponentsAreMadeUpFor(t *testing.T) {
	for state, reboots := range map[string]int{"Pending": 1, "Running": 0} {
		c := newComponent(t, byComponent)
		if _, err := c.update(t, "bios"); err != nil {
			t.Fatal(err)
		}
		c.current()["bios_reboot_triggered"], c.current()["ironmaster_reboot"] = true, true
		c.bmc.end(1, state, "OK")
		if done, err := c.polls(t, state, reboots); done || err != nil {
			t.Errorf("%s: %v, %v", state, done, err)
		}
		if sent := c.bmc.Changes(); len(sent) != 1 {
			t.Errorf("%s: sent %q", state, sent)
		}
	}
}

func TestOlderReleasesRebootForEachComponent(t *testing.T) {
	c := newComponent(t, redfish.UpdateConfig{Services: true})
	outcome, err := c.update(t, "bios", "bmc")
	if err != nil || outcome != drivers.Waiting || !slices.Equal(c.power, []string{store.Reboot}) || c.recorded.String() != "bios 1.0, bmc 7.0" {
		t.Fatalf("%v, %v, power %v, recorded %s", outcome, err, c.power, c.recorded)
	}
	c.bmc.end(1, "Completed", "OK")
	if done, err := c.polls(t, "the BMC's turn", 1); done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	c.bmc.end(2, "Completed", "OK")
	if done, err := c.polls(t, "the end", 0); !done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	_, err = c.update(t, "nic:S1")
	redfishtest.WantError(t, err, store.InvalidParameterValue, "'nic:S1' is not one of ['bios', 'bmc']")
}

func TestComponentsOfABMCThatTellsNothing(t *testing.T) {
	c := newComponent(t, redfish.UpdateConfig{})
	c.bmc.Set(systemAt, object{"BiosVersion": ""})
	c.bmc.Set(managerAt, object{"FirmwareVersion": ""})
	redfishtest.WantError(t, c.firmware.CacheComponents(t.Context(), c.Task), store.UnsupportedDriverExtension,
		"Cannot retrieve firmware for node node-1: no supported components")
}

// The first manager that the system names is its BMC, whichever answers first.
func TestTheBMCIsTheManagerThatIsNamedFirst(t *testing.T) {
	c := newComponent(t, redfish.UpdateConfig{})
	links := []any{link(managerAt)}
	for i := 2; i < 10; i++ {
		at := fmt.Sprintf("/redfish/v1/Managers/%d", i)
		c.bmc.Set(at, object{"@odata.id": at, "Id": fmt.Sprint(i), "FirmwareVersion": "0.1"})
		links = append(links, link(at))
	}
	c.bmc.Set(systemAt, object{"Links": object{"Chassis": []any{link(chassisAt)}, "ManagedBy": links}})
	for range 10 {
		if err := c.firmware.CacheComponents(t.Context(), c.Task); err != nil || c.recorded.String() != "bios 1.0, bmc 7.0" {
			t.Fatalf("%v, recorded %s", err, c.recorded)
		}
	}
}
