package idrac_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

func TestRAIDStepsNeedNoRamdiskInCleaning(t *testing.T) {
	_, _, r := raidCleaning(t, newRAIDMachine(t))
	for kind, want := range map[drivers.StepKind]bool{drivers.CleanStep: false, drivers.DeployStep: true} {
		for _, s := range r.Steps(kind) {
			if s.RequiresRamdisk != want || s.Resume == nil {
				t.Errorf("%s: %+v", kind, s)
			}
		}
	}
}

// Drives become a little smaller on the way.
func TestRawDrivesAreConverted(t *testing.T) {
	m := newRAIDMachine(t)
	m.ready = []string{"NotReady", "NotReady"}
	x, w, r := raidCleaning(t, m)
	outcome, err := raidStep(t, r, "create_configuration").Run(t.Context(), x, nil)
	if err != nil || outcome != drivers.Done || len(w.Power) != 0 {
		t.Fatalf("%v, %v, power %v", outcome, err, w.Power)
	}
	changes := m.Changes()
	made := changes[len(changes)-1]
	if !strings.Contains(changes[len(changes)-2], `ConvertToRAID {"PDArray":["Disk.Bay.0","Disk.Bay.1"]}`) ||
		!strings.Contains(made, fmt.Sprintf(`"CapacityBytes":%d`, 479<<30)) {
		t.Errorf("sent %s", strings.Join(changes, "\n"))
	}
	if disks := x.Node.RAIDConfig.List("logical_disks"); len(disks) != 1 {
		t.Errorf("raid_config %v", x.Node.RAIDConfig)
	}
	if plan := x.Node.DriverInternalInfo["ironmaster_raid_plan"]; plan != nil {
		t.Errorf("the plan stays: %v", plan)
	}
}

// A worker died when the drives had become smaller: nobody converts them twice, nor plans for what they were.
func TestConvertedDrivesAreFoundAgain(t *testing.T) {
	m := newRAIDMachine(t)
	x, w, r := raidCleaning(t, m)
	saved := &savesInfo{Worker: w}
	x.Worker = saved
	if _, err := raidStep(t, r, "create_configuration").Run(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	m.Set(percVolumes, object{"Members": []any{}})
	m.Changes()
	var err error
	if x.Node.DriverInternalInfo, err = store.ParseDict(saved.first); err != nil {
		t.Fatal(err)
	}
	outcome, err := raidStep(t, r, "create_configuration").Resume(t.Context(), x, nil)
	changes := m.Changes()
	if err != nil || outcome != drivers.Done || len(changes) != 2 || !strings.Contains(changes[1], fmt.Sprintf(`"CapacityBytes":%d`, 479<<30)) {
		t.Fatalf("%v, %v, sent %q", outcome, err, changes)
	}
	if x.Node.DriverInternalInfo, err = store.ParseDict(saved.first); err != nil {
		t.Fatal(err)
	}
	outcome, err = raidStep(t, r, "create_configuration").Resume(t.Context(), x, nil)
	if asked := m.asked(); err != nil || outcome != drivers.Done || asked != "" {
		t.Errorf("resumed: %v, %v, asked %s", outcome, err, asked)
	}
}

func TestAConversionThatFails(t *testing.T) {
	m := newRAIDMachine(t)
	m.fails = "The drive is bad."
	x, _, r := raidCleaning(t, m)
	_, err := raidStep(t, r, "create_configuration").Run(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.RedfishError, "Failed RAID configuration tasks: Task "+tasksAt+"/JID_1. Message: 'The drive is bad.'.")
	if asked := m.asked(); asked != "POST ConvertToRAID" {
		t.Errorf("asked %s", asked)
	}
	if plan := x.Node.DriverInternalInfo["ironmaster_raid_plan"]; plan != nil {
		t.Errorf("the plan stays: %v", plan)
	}
}

// A task that has ended is not looked at again. That others go on does not mean that another reboot is due.
func TestTasksThatEndOneByOne(t *testing.T) {
	m := newRAIDMachine(t)
	x, w, r := raidCleaning(t, m)
	m.Set(tasksAt+"/JID_1", object{"TaskState": "Completed"})
	m.Set(tasksAt+"/JID_2", object{"TaskState": "Running"})
	x.Node.DriverInternalInfo = store.Dict{"raid_task_monitor_uris": []any{tasksAt + "/JID_1", tasksAt + "/JID_2"}, "cleaning_reboot": false}
	done, err := r.Poll(t.Context(), x)
	info := x.Node.DriverInternalInfo
	if left := info.List("raid_task_monitor_uris"); done || err != nil || !slices.Equal(left, []any{tasksAt + "/JID_2"}) ||
		info.Bool("cleaning_reboot", true) || len(w.Power) != 0 {
		t.Errorf("%v, %v, %v, power %v", done, err, info, w.Power)
	}
}

// savesInfo keeps the row's driver_internal_info as it was saved first.
type savesInfo struct {
	*redfishtest.Worker
	first []byte
}

func (w *savesInfo) Save(_ context.Context, t *drivers.Task) (err error) {
	if w.first == nil {
		w.first, err = store.AppendJSON(nil, map[string]any(t.Node.DriverInternalInfo))
	}
	return err
}

func TestDeletion(t *testing.T) {
	for name, c := range map[string]struct{ foreign, mode, want string }{
		"of arrays alone":     {"", "RAID", "DELETE 0, POST ClearForeignConfig"},
		"of foreign ones":     {"RealTimeNoRebootConfiguration", "RAID", "DELETE 0, POST ClearForeignConfig"},
		"a mode nobody tells": {"", "", "DELETE 0, POST ClearForeignConfig"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newRAIDMachine(t)
			m.foreign = c.foreign
			m.Set(percDevice, object{"Oem": object{"Dell": object{"DellStorageController": object{"ControllerMode": c.mode}}}})
			m.Set(percVolumes+"/Disk.Virtual.0", object{"Id": "Disk.Virtual.0", "RAIDType": "RAID1"})
			m.Set(percVolumes, object{"Members": []any{linkTo(percVolumes + "/Disk.Virtual.0")}})
			x, w, r := raidCleaning(t, m)
			outcome, err := raidStep(t, r, "delete_configuration").Run(t.Context(), x, nil)
			if err != nil || outcome != drivers.Done || len(w.Power) != 0 || r.UnderWay(x.Node) {
				t.Errorf("%v, %v, power %v, %v", outcome, err, w.Power, x.Node.DriverInternalInfo)
			}
			if asked := m.asked(); asked != c.want {
				t.Errorf("asked %s, want %s", asked, c.want)
			}
		})
	}
}

// A controller that passes drives through takes another mode at the next start.
func TestDeletionChangesTheModeOfControllers(t *testing.T) {
	m := newRAIDMachine(t)
	m.stays = true
	m.Set(percDevice, object{"Oem": object{"Dell": object{"DellStorageController": object{"ControllerMode": "EnhancedHBA"}}}})
	x, w, r := raidCleaning(t, m)
	step := raidStep(t, r, "delete_configuration")
	outcome, err := step.Run(t.Context(), x, nil)
	if err != nil || outcome != drivers.Waiting || !slices.Equal(w.Power, []string{store.Reboot}) || !r.UnderWay(x.Node) ||
		!x.Node.DriverInternalInfo.Bool("cleaning_polling", false) {
		t.Fatalf("%v, %v, power %v, %v", outcome, err, w.Power, x.Node.DriverInternalInfo)
	}
	if changes := m.Changes(); !strings.HasSuffix(changes[len(changes)-1], `{"@Redfish.SettingsApplyTime":{"@odata.type":"#Settings.v1_0_0.PreferredApplyTime",`+
		`"ApplyTime":"OnReset"},"Oem":{"Dell":{"DellStorageController":{"ControllerMode":"RAID"}}}}`) {
		t.Errorf("sent %s", changes[len(changes)-1])
	}
	// A worker that died about then reboots the machine when the iDRAC waits for that.
	if outcome, err := step.Resume(t.Context(), x, nil); err != nil || outcome != drivers.Waiting || len(w.Power) != 2 {
		t.Errorf("resumed: %v, %v, power %v", outcome, err, w.Power)
	}
	m.end("JID_1", "Running", "")
	if outcome, err := step.Resume(t.Context(), x, nil); err != nil || outcome != drivers.Waiting || len(w.Power) != 2 {
		t.Errorf("resumed while it runs: %v, %v, power %v", outcome, err, w.Power)
	}
	if done, err := r.Poll(t.Context(), x); done || err != nil {
		t.Errorf("while it runs: %v, %v", done, err)
	}
	m.end("JID_1", "Completed", "")
	if done, err := r.Poll(t.Context(), x); !done || err != nil || r.UnderWay(x.Node) {
		t.Errorf("%v, %v, %v", done, err, x.Node.DriverInternalInfo)
	}
	if asked := m.asked(); asked != "" {
		t.Errorf("asked again for %s", asked)
	}
}

// Some controllers forget foreign arrays by a job that restarts the machine; their mode comes after it.
func TestForeignArraysThatNeedARestart(t *testing.T) {
	m := newRAIDMachine(t)
	m.stays, m.foreign = true, "RAIDConfiguration"
	m.Set(percDevice, object{"Oem": object{"Dell": object{"DellStorageController": object{"ControllerMode": "HBA"}}}})
	x, w, r := raidCleaning(t, m)
	step := raidStep(t, r, "delete_configuration")
	outcome, err := step.Run(t.Context(), x, nil)
	if err != nil || outcome != drivers.Waiting || len(w.Power) != 0 || x.Node.DriverInternalInfo["raid_config_substep"] != "clear_foreign_config" {
		t.Fatalf("%v, %v, power %v, %v", outcome, err, w.Power, x.Node.DriverInternalInfo)
	}
	if outcome, err := step.Resume(t.Context(), x, nil); err != nil || outcome != drivers.Waiting || len(w.Power) != 0 || m.tasks != 1 {
		t.Errorf("resumed: %v, %v, power %v, %d tasks", outcome, err, w.Power, m.tasks)
	}
	m.end("JID_1", "Completed", "")
	if done, err := r.Poll(t.Context(), x); done || err != nil || len(w.Power) != 1 || !r.UnderWay(x.Node) {
		t.Errorf("then the mode: %v, %v, power %v, %v", done, err, w.Power, x.Node.DriverInternalInfo)
	}
	m.end("JID_2", "Exception", "The controller is busy.")
	_, err = r.Poll(t.Context(), x)
	var failure *drivers.StepFailure
	if !errors.As(err, &failure) || failure.Text != "Failed RAID configuration tasks: Task "+tasksAt+"/JID_2. Message: 'The controller is busy.'." ||
		r.UnderWay(x.Node) {
		t.Errorf("%v, %v", err, x.Node.DriverInternalInfo)
	}
}

// A worker died between the iDRAC's taking a job and its row's knowing: the job is waited for.
func TestJobsThatNoRowKnows(t *testing.T) {
	m := newRAIDMachine(t)
	m.stays = true
	x, w, r := raidCleaning(t, m)
	m.Set(tasksAt+"/JID_9", object{"TaskState": "Starting"})
	m.Set(tasksAt, object{"Members": []any{linkTo(tasksAt + "/JID_9")}})
	outcome, err := raidStep(t, r, "delete_configuration").Resume(t.Context(), x, nil)
	if asked := m.asked(); err != nil || outcome != drivers.Waiting || len(w.Power) != 1 || asked != "" {
		t.Fatalf("%v, %v, power %v, asked %s", outcome, err, w.Power, asked)
	}
	m.end("JID_9", "Completed", "")
	if done, err := r.Poll(t.Context(), x); !done || err != nil || m.asked() != "POST ClearForeignConfig" {
		t.Errorf("%v, %v", done, err)
	}
}

func TestRAIDWithoutARamdiskSwitchesTheMachineOn(t *testing.T) {
	m := newRAIDMachine(t)
	m.Set(system, object{"PowerState": "Off"})
	x, w, r := raidCleaning(t, m)
	x.Node.DriverInternalInfo["cleaning_disable_ramdisk"] = true
	if _, err := raidStep(t, r, "delete_configuration").Run(t.Context(), x, nil); err != nil || !slices.Equal(w.Power, []string{store.PowerOn}) {
		t.Errorf("%v, power %v", err, w.Power)
	}
}
