package ilo_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ilo"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

const (
	hardware  = "testdata/ilo5-dl365-hardware.json"
	arraysAt  = "/redfish/v1/systems/1/smartstorageconfig"
	nextAt    = arraysAt + "/settings/"
	diskAt    = "/redfish/v1/Systems/1/SmartStorage/ArrayControllers/1/DiskDrives/"
	smartUID  = "600508B1001C2E955E0D6EC1B6B9A0C7"
	nothing   = `{"DataGuard":"Permissive","LogicalDrives":[{"Actions":[{"Action":"LogicalDriveDelete"}],"VolumeUniqueIdentifier":"` + smartUID + `"}]}`
	smartName = "HPE SR932i-p Gen10+"
)

// smartArray takes what a controller is to do at the next start.
func smartArray(tr *redfishtest.Tree, method, path string, body redfishtest.Object) (int, redfishtest.Object, bool) {
	if method == http.MethodPut {
		tr.Merge(path, body)
		return http.StatusOK, redfishtest.Object{}, true
	}
	return machine(tr, method, path, body)
}

// start is what a controller has done when the machine has started.
func start(tr *redfishtest.Tree, arrays ...any) {
	for _, at := range []string{arraysAt, nextAt} {
		tr.Set(at, redfishtest.Object{"LogicalDrives": arrays})
	}
}

func raidTask(t *testing.T) (*redfishtest.Tree, *ilo.RAID, *drivers.Task, *redfishtest.Worker) {
	t.Helper()
	tr := redfishtest.Open(t, hardware, smartArray)
	x, w := task(t, tr, config())
	x.Node.ProvisionState, x.Node.CleanStep = store.Cleaning, store.Dict{"step": "x"}
	return tr, ilo.NewRAID(redfishtest.Client(t), config()), x, w
}

func TestArraysAreDeleted(t *testing.T) {
	tr, r, x, w := raidTask(t)
	outcome, err := run(t, r, x, drivers.CleanStep, "delete_configuration", nil)
	if outcome != drivers.Waiting || err != nil || !slices.Equal(w.Power, []string{store.Reboot}) {
		t.Fatalf("%v, %v, power %q", outcome, err, w.Power)
	}
	wantChanges(t, tr, "PUT "+nextAt+" "+nothing)
	info := x.Node.DriverInternalInfo
	if !info.Bool("ilo_raid_delete_in_progress", false) || !info.Bool("cleaning_reboot", false) || info.Bool("skip_current_clean_step", true) {
		t.Errorf("driver_internal_info is %v", info)
	}
	start(tr)
	delete(info, "cleaning_reboot")
	outcome, err = run(t, r, x, drivers.CleanStep, "delete_configuration", nil)
	if outcome != drivers.Done || err != nil || x.Node.RAIDConfig == nil || len(x.Node.RAIDConfig) > 0 {
		t.Errorf("%v, %v, raid_config %v", outcome, err, x.Node.RAIDConfig)
	}
	if _, left := info["ilo_raid_delete_in_progress"]; left {
		t.Errorf("driver_internal_info is %v", info)
	}
	// There is nothing to delete any more.
	if outcome, err = run(t, r, x, drivers.CleanStep, "delete_configuration", nil); outcome != drivers.Done || err != nil {
		t.Errorf("%v, %v", outcome, err)
	}
	wantChanges(t, tr)
}

func TestArraysThatStayFailTheDeletion(t *testing.T) {
	_, r, x, _ := raidTask(t)
	x.Node.DriverInternalInfo["ilo_raid_delete_in_progress"] = true
	_, err := run(t, r, x, drivers.CleanStep, "delete_configuration", nil)
	redfishtest.WantError(t, err, store.NodeCleaningFailure,
		"Step delete_configuration failed on node node-1 with error: Unable to delete these logical disks: [{", "0x"+smartUID)
}

func TestArraysAreMade(t *testing.T) {
	tr, r, x, w := raidTask(t)
	start(tr)
	x.Node.TargetRAIDConfig = store.Dict{"logical_disks": []any{
		map[string]any{"size_gb": 100, "raid_level": "1", "is_root_volume": true, "controller": smartName, "physical_disks": []any{"4I:1:1", "4I:1:2"}},
		map[string]any{"size_gb": "MAX", "raid_level": "5+0", "disk_type": "ssd", "volume_name": "data"}}}
	outcome, err := run(t, r, x, drivers.CleanStep, "create_configuration", nil)
	if outcome != drivers.Waiting || err != nil || !slices.Equal(w.Power, []string{store.Reboot}) {
		t.Fatalf("%v, %v, power %q", outcome, err, w.Power)
	}
	wantChanges(t, tr, "PUT "+nextAt+` {"DataGuard":"Disabled","LogicalDrives":[{"CapacityGiB":100,"DataDrives":["4I:1:1","4I:1:2"],"Raid":"Raid1"},`+
		`{"CapacityGiB":-1,"DataDrives":{"DataDriveCount":6,"DataDriveMediaType":"ssd"},"LogicalDriveName":"data","Raid":"Raid50"}]}`)
	start(tr, redfishtest.Object{"CapacityGiB": 100, "Raid": "Raid1", "LogicalDriveName": "Logical Drive 1", "VolumeUniqueIdentifier": "6005",
		"DataDrives": []any{"4I:1:1", "4I:1:2"}})
	outcome, err = run(t, r, x, drivers.CleanStep, "create_configuration", nil)
	if outcome != drivers.Done || err != nil {
		t.Fatalf("%v, %v", outcome, err)
	}
	disks := x.Node.RAIDConfig.List("logical_disks")
	got := store.Dict{"disk": disks[0]}.Dict("disk")
	if len(disks) != 1 || got.String("controller") != smartName || got.String("raid_level") != "1" || got.Dict("root_device_hint").String("wwn") != "0x6005" {
		t.Errorf("raid_config %v", x.Node.RAIDConfig)
	}
	wantChanges(t, tr)
}

// A worker that died about the restart looks first: one of a controller that is at work would do harm.
func TestRestartForArraysIsMadeUpFor(t *testing.T) {
	for _, c := range []struct {
		name, post string
		pending    bool
		want       []string
	}{
		{"not restarted yet", "FinishedPost", true, []string{store.Reboot}},
		{"in the midst of it", "InPost", true, nil},
		{"done", "FinishedPost", false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, r, x, w := raidTask(t)
			x.Node.DriverInternalInfo["ilo_raid_delete_in_progress"] = true
			drivers.AsyncStep{}.Note(x.Node)
			tr.Set("/redfish/v1/Systems/1", redfishtest.Object{"Oem": redfishtest.Object{"Hpe": redfishtest.Object{"PostState": c.post}}})
			start(tr)
			if c.pending {
				tr.Set(nextAt, redfishtest.Object{"LogicalDrives": []any{redfishtest.Object{"VolumeUniqueIdentifier": smartUID,
					"Actions": []any{redfishtest.Object{"Action": "LogicalDriveDelete"}}}}})
			}
			for _, s := range r.Steps(drivers.CleanStep) {
				if s.Name != "delete_configuration" {
					continue
				}
				if outcome, err := s.Resume(t.Context(), x, nil); outcome != drivers.Waiting || err != nil || !slices.Equal(w.Power, c.want) {
					t.Errorf("%v, %v, power %q, want %q", outcome, err, w.Power, c.want)
				}
			}
			wantChanges(t, tr)
		})
	}
}

// stuck is the worker of a machine that does not restart.
type stuck struct{ *redfishtest.Worker }

func (stuck) SetPower(context.Context, *drivers.Task, string) error {
	return errors.New("the machine is stuck")
}

// What the next flow finds would make its step pass for half done.
func TestAStepLeavesNoMarkWhenTheMachineDoesNotRestart(t *testing.T) {
	tr, r, x, w := raidTask(t)
	start(tr, redfishtest.Object{"VolumeUniqueIdentifier": smartUID})
	x.Worker = stuck{w}
	for _, c := range []struct {
		of         drivers.Interface
		step, mark string
	}{
		{r, "delete_configuration", "ilo_raid_delete_in_progress"},
		{x.Hardware.Management, "erase_devices", "ilo_disk_erase_ssd_check"},
	} {
		outcome, err := run(t, c.of, x, drivers.CleanStep, c.step, nil)
		if err == nil || err.Error() != "the machine is stuck" {
			t.Errorf("%s: %v, %v", c.step, outcome, err)
		}
		if _, left := x.Node.DriverInternalInfo[c.mark]; left {
			t.Errorf("%s left %v", c.step, x.Node.DriverInternalInfo)
		}
	}
	// A flow that goes on in another worker finds the mark.
	ctx, cancel := context.WithCancel(t.Context())
	x.Worker = stopping{w, cancel}
	if _, err := step(t, r, drivers.CleanStep, "delete_configuration").Run(ctx, x, nil); err == nil {
		t.Error("the worker has stopped, and restarted the machine")
	}
	if !x.Node.DriverInternalInfo.Bool("ilo_raid_delete_in_progress", false) {
		t.Errorf("driver_internal_info is %v", x.Node.DriverInternalInfo)
	}
}

// stopping is a worker that stops when it is about to restart a machine.
type stopping struct {
	*redfishtest.Worker
	stop func()
}

func (s stopping) SetPower(ctx context.Context, _ *drivers.Task, _ string) error {
	s.stop()
	return ctx.Err()
}

func TestArraysAreRefused(t *testing.T) {
	tr, r, x, _ := raidTask(t)
	disk := func(properties store.Dict) store.Dict {
		whole := map[string]any{"size_gb": 100, "raid_level": "1"}
		for name, value := range properties {
			whole[name] = value
		}
		return store.Dict{"logical_disks": []any{whole}}
	}
	for _, c := range []struct {
		config store.Dict
		want   string
	}{
		{disk(store.Dict{"controller": "another"}), "Failed to create raid configuration on node node-1: RAID config failed, error: "},
		{disk(store.Dict{"raid_level": "5", "number_of_physical_disks": 2}), "RAID level 5 requires at least 3 disks."},
		{disk(store.Dict{"raid_level": "JBOD"}), "RAID level JBOD is not one that an iLO makes."},
		{nil, "Node node-1 has no target RAID configuration."},
	} {
		x.Node.TargetRAIDConfig = c.config
		_, err := run(t, r, x, drivers.CleanStep, "create_configuration", nil)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
	wantChanges(t, tr)
	// What the controller has refused.
	tr.Set(arraysAt, redfishtest.Object{"@Redfish.Settings": redfishtest.Object{"Messages": []any{redfishtest.Object{"MessageId": "iLO.2.15.Failed"}}}})
	x.Node.TargetRAIDConfig, x.Node.DriverInternalInfo["ilo_raid_create_in_progress"] = disk(nil), true
	_, err := run(t, r, x, drivers.CleanStep, "create_configuration", nil)
	if err == nil || !strings.HasSuffix(err.Error(), "Failed to perform the create_raid operation successfully. Error - iLO.2.15.Failed") {
		t.Errorf("got %v", err)
	}
}

func TestDrivesAreErased(t *testing.T) {
	tr, _, x, w := raidTask(t)
	start(tr)
	tr.Set(diskAt+"28", redfishtest.Object{"MediaType": "HDD"})
	m := x.Hardware.Management
	args := store.Dict{"erase_pattern": map[string]any{"hdd": "zero", "ssd": "crypto"}}
	asked := func(pattern, location string) string {
		return "PATCH " + nextAt + ` {"Actions":[{"Action":"PhysicalDriveErase","ErasePattern":"` + pattern + `","PhysicalDriveList":["` + location +
			`"]}],"DataGuard":"Disabled"}`
	}
	for i, want := range []string{asked("OnePass", "4I:1:1"), asked("SanitizeRestrictedCryptoScramble", "4I:1:2")} {
		outcome, err := run(t, m, x, drivers.CleanStep, "erase_devices", args)
		if outcome != drivers.Waiting || err != nil || len(w.Power) != i+1 {
			t.Fatalf("%v, %v, power %q", outcome, err, w.Power)
		}
		wantChanges(t, tr, want)
	}
	polled := m.(drivers.Polled)
	if polled.UnderWay(x.Node) {
		t.Error("the erasing is under way before the machine has started")
	}
	outcome, err := run(t, m, x, drivers.CleanStep, "erase_devices", args)
	if outcome != drivers.Waiting || err != nil || len(w.Power) != 2 || !polled.UnderWay(x.Node) {
		t.Fatalf("%v, %v, power %q", outcome, err, w.Power)
	}
	tr.Set(diskAt+"28", redfishtest.Object{"DiskDriveStatusReasons": []any{"EraseCompleted"}})
	if done, err := polled.Poll(t.Context(), x); done || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
	tr.Set(diskAt+"24", redfishtest.Object{"DiskDriveStatusReasons": []any{"EraseCompleted"}})
	if done, err := polled.Poll(t.Context(), x); !done || err != nil || polled.UnderWay(x.Node) {
		t.Errorf("%v, %v, %v", done, err, x.Node.DriverInternalInfo)
	}
	wantChanges(t, tr)
}

// The drives of the recorded machine are in an array.
func TestDrivesInArraysAreNotErased(t *testing.T) {
	tr, _, x, w := raidTask(t)
	outcome, err := run(t, x.Hardware.Management, x, drivers.CleanStep, "erase_devices", nil)
	if outcome != drivers.Done || err != nil || len(w.Power) > 0 {
		t.Errorf("%v, %v, power %q", outcome, err, w.Power)
	}
	for _, bad := range []any{"hdd", map[string]any{"hdd": "block"}, map[string]any{"tape": "zero"}, map[string]any{"ssd": 1}} {
		_, err := run(t, x.Hardware.Management, x, drivers.CleanStep, "erase_devices", store.Dict{"erase_pattern": bad})
		redfishtest.WantError(t, err, store.InvalidParameterValue, "is invalid. Clean step 'erase_devices' is not executed for node-1.")
	}
	wantChanges(t, tr)
}

func TestOneButtonSecureErase(t *testing.T) {
	tr := redfishtest.Open(t, hardware, func(tr *redfishtest.Tree, method, path string, body redfishtest.Object) (int, redfishtest.Object, bool) {
		return http.StatusOK, redfishtest.Object{}, strings.HasSuffix(path, ".SecureSystemErase")
	})
	x, w := task(t, tr, config())
	outcome, err := run(t, x.Hardware.Management, x, drivers.CleanStep, "one_button_secure_erase", nil)
	if outcome != drivers.Waiting || err != nil || !slices.Equal(w.Power, []string{store.Reboot}) || !x.Node.Maintenance {
		t.Fatalf("%v, %v, power %q", outcome, err, w.Power)
	}
	wantChanges(t, tr, `POST /redfish/v1/Systems/1/Actions/Oem/Hpe/HpeComputerSystemExt.SecureSystemErase {"SystemROMAndiLOErase":true,"UserDataErase":true}`)
	for _, s := range x.Hardware.Management.Steps(drivers.CleanStep) {
		if s.Name != "one_button_secure_erase" {
			continue
		}
		if outcome, err := s.Resume(t.Context(), x, nil); outcome != drivers.Waiting || err != nil || len(w.Power) != 1 {
			t.Errorf("%v, %v, power %q", outcome, err, w.Power)
		}
	}
	wantChanges(t, tr)
}
