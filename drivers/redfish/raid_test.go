package redfish_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// raidTask is a node that is being cleaned, behind a BMC.
func raidTask(t *testing.T, b *raidBMC) (*drivers.Task, *worker, *redfish.RAID) {
	t.Helper()
	client := redfishtest.Client(t)
	x, w := task(client, b.URL)
	x.Node.DriverInfo["redfish_username"], x.Node.DriverInfo["redfish_verify_ca"] = redfishtest.User, false
	r := redfish.NewRAID(client)
	x.Hardware.RAID, x.Hardware.Deploy = r, fake.NewDeploy(fake.Config{})
	x.Node.CleanStep = store.Dict{"interface": "raid", "step": "create_configuration"}
	x.Node.TargetRAIDConfig = store.Dict{"logical_disks": []any{
		map[string]any{"size_gb": json.Number("100"), "raid_level": "1", "is_root_volume": true}}}
	return x, w, r
}

func stepOf(t *testing.T, i drivers.Interface, kind drivers.StepKind, name string) drivers.Step {
	t.Helper()
	for _, s := range i.Steps(kind) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no %s step %s", kind, name)
	return drivers.Step{}
}

func TestRAIDSteps(t *testing.T) {
	_, _, r := raidTask(t, newRAIDBMC(t, false))
	for kind, want := range map[drivers.StepKind][]string{drivers.CleanStep: {"delete_configuration", "create_configuration"},
		drivers.DeployStep: {"delete_configuration", "apply_configuration"}, drivers.VerifyStep: nil} {
		var names []string
		for _, s := range r.Steps(kind) {
			names = append(names, s.Name)
			if s.Priority != 0 || s.Abortable || !s.RequiresRamdisk || s.Resume == nil {
				t.Errorf("%s: %+v", kind, s)
			}
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %q", kind, names)
		}
	}
}

func TestRAIDConfigurationsAreChecked(t *testing.T) {
	x, _, r := raidTask(t, newRAIDBMC(t, false))
	if err := r.Validate(t.Context(), x); err != nil {
		t.Error(err)
	}
	x.Node.TargetRAIDConfig["logical_disks"].([]any)[0].(map[string]any)["interface_type"] = "scsi"
	redfishtest.WantError(t, r.Validate(t.Context(), x), store.InvalidParameterValue, "interface type `scsi` not supported by Redfish RAID")
	redfishtest.WantError(t, r.ValidateRAIDConfig(t.Context(), x, store.Dict{}), store.InvalidParameterValue,
		"RAID config validation error: 'logical_disks' is a required property")
}

func TestVolumesAreMadeAtOnce(t *testing.T) {
	b := newRAIDBMC(t, false)
	x, w, r := raidTask(t, b)
	outcome, err := stepOf(t, r, drivers.CleanStep, "create_configuration").Run(t.Context(), x, nil)
	if err != nil || outcome != drivers.Done || len(w.power) != 0 {
		t.Fatalf("%v, %v, power %v", outcome, err, w.power)
	}
	sent := b.Changes()
	if len(sent) != 1 || !strings.HasPrefix(sent[0], "POST "+volumesAt+` {"@Redfish.OperationApplyTime":"Immediate","CapacityBytes":107374182400,"Links":{"Drives":[`) ||
		strings.Count(sent[0], "Drives/Disk.") != 2 || !strings.Contains(sent[0], `"RAIDType":"RAID1"`) {
		t.Errorf("sent %q", sent)
	}
	disks := x.Node.RAIDConfig.List("logical_disks")
	if len(disks) != 1 || disks[0].(map[string]any)["raid_level"] != "1" || disks[0].(map[string]any)["size_gb"] != json.Number("100") ||
		disks[0].(map[string]any)["controller"] != "RAID.1" {
		t.Errorf("raid_config %v", x.Node.RAIDConfig)
	}
	// What a worker asked for before it died is not asked for again.
	outcome, err = stepOf(t, r, drivers.CleanStep, "create_configuration").Resume(t.Context(), x, nil)
	if sent := b.Changes(); err != nil || outcome != drivers.Done || len(sent) != 0 {
		t.Errorf("resumed: %v, %v, sent %q", outcome, err, sent)
	}
	outcome, err = stepOf(t, r, drivers.CleanStep, "delete_configuration").Run(t.Context(), x, nil)
	if sent := b.Changes(); err != nil || outcome != drivers.Done || len(sent) != 1 || !strings.HasPrefix(sent[0], "DELETE "+volumesAt+"/1") {
		t.Errorf("deleted: %v, %v, sent %q", outcome, err, sent)
	}
	if disks := x.Node.RAIDConfig.List("logical_disks"); len(disks) != 0 {
		t.Errorf("raid_config %v after it was deleted", disks)
	}
}

func TestVolumesAreMadeAtTheNextStart(t *testing.T) {
	b := newRAIDBMC(t, true)
	x, w, r := raidTask(t, b)
	outcome, err := stepOf(t, r, drivers.CleanStep, "create_configuration").Run(t.Context(), x, nil)
	info := x.Node.DriverInternalInfo
	if err != nil || outcome != drivers.Waiting || !slices.Equal(w.power, []string{store.Reboot}) || !r.UnderWay(x.Node) ||
		!info.Bool("cleaning_polling", false) || !info.Bool("cleaning_reboot", false) || !info.Bool("skip_current_clean_step", false) {
		t.Fatalf("%v, %v, power %v, info %v", outcome, err, w.power, info)
	}
	if done, err := r.Poll(t.Context(), x); done || err != nil {
		t.Errorf("while the task is pending: %v, %v", done, err)
	}
	// A worker that died about then reboots a machine whose BMC waits for that, and no other.
	resume := stepOf(t, r, drivers.CleanStep, "create_configuration").Resume
	if outcome, err := resume(t.Context(), x, nil); err != nil || outcome != drivers.Waiting || len(w.power) != 2 {
		t.Errorf("resumed: %v, %v, power %v", outcome, err, w.power)
	}
	b.Set(tasksAt+"/1", object{"TaskState": "Running"})
	if outcome, err := resume(t.Context(), x, nil); err != nil || outcome != drivers.Waiting || len(w.power) != 2 {
		t.Errorf("resumed while it is made: %v, %v, power %v", outcome, err, w.power)
	}
	b.volume("RAID1", 0, 1)
	b.Set(tasksAt+"/1", object{"TaskState": "Completed", "TaskStatus": "OK"})
	b.Changes()
	done, err := r.Poll(t.Context(), x)
	if !done || err != nil || r.UnderWay(x.Node) || len(x.Node.RAIDConfig.List("logical_disks")) != 1 {
		t.Errorf("%v, %v, %v", done, err, x.Node.RAIDConfig)
	}
}

// A worker died between the BMC's taking the change and its row's knowing. A reboot does not break off what the BMC is at.
func TestTasksThatNoRowKnowsAreWaitedFor(t *testing.T) {
	for state, reboots := range map[string]int{"New": 1, "Running": 0} {
		b := newRAIDBMC(t, true)
		x, w, r := raidTask(t, b)
		b.Set(tasksAt+"/7", object{"TaskState": state})
		b.Set(tasksAt, object{"Members": []any{link(tasksAt + "/7")}})
		outcome, err := stepOf(t, r, drivers.CleanStep, "create_configuration").Resume(t.Context(), x, nil)
		if err != nil || outcome != drivers.Waiting || len(b.Changes()) != 0 || len(w.power) != reboots {
			t.Fatalf("%s: %v, %v, power %v", state, outcome, err, w.power)
		}
		b.volume("RAID1", 0, 1)
		b.Remove(tasksAt + "/7")
		b.Set(tasksAt, object{"Members": []any{}})
		if done, err := r.Poll(t.Context(), x); !done || err != nil || len(b.Changes()) != 0 {
			t.Errorf("%s: the task made the volume: %v, %v", state, done, err)
		}
	}
}

func TestOneVolumeAfterTheOther(t *testing.T) {
	b := newRAIDBMC(t, true)
	x, w, r := raidTask(t, b)
	disk := func(id string) map[string]any {
		return map[string]any{"size_gb": json.Number("10"), "raid_level": "0", "controller": "RAID.1", "physical_disks": []any{id}}
	}
	x.Node.TargetRAIDConfig = store.Dict{"logical_disks": []any{disk("Disk.0"), disk("Disk.1")}}
	step := stepOf(t, r, drivers.CleanStep, "create_configuration")
	if outcome, err := step.Run(t.Context(), x, nil); err != nil || outcome != drivers.Waiting || len(b.Changes()) != 1 {
		t.Fatalf("%v, %v", outcome, err)
	}
	// The row is read back as the database has it.
	text, err := store.AppendJSON(nil, map[string]any(x.Node.DriverInternalInfo))
	if err != nil {
		t.Fatal(err)
	}
	if x.Node.DriverInternalInfo, err = store.ParseDict(text); err != nil {
		t.Fatal(err)
	}
	b.volume("RAID0", 0)
	b.Set(tasksAt+"/1", object{"TaskState": "Completed", "TaskStatus": "OK"})
	done, err := r.Poll(t.Context(), x)
	if sent := b.Changes(); done || err != nil || len(sent) != 1 || !strings.Contains(sent[0], "Disk.1") || len(w.power) != 2 {
		t.Fatalf("%v, %v, sent %q, power %v", done, err, sent, w.power)
	}
	b.Remove(tasksAt + "/2")
	b.Set(tasksAt, object{"Members": []any{}})
	if done, err := r.Poll(t.Context(), x); !done || err != nil {
		t.Errorf("a task that the BMC forgot: %v, %v", done, err)
	}
}

// Two volumes on the same disks: that the first one is there says nothing of the second.
func TestVolumesMayShareTheirDisks(t *testing.T) {
	b := newRAIDBMC(t, true)
	x, _, r := raidTask(t, b)
	disk := func(size json.Number) map[string]any {
		return map[string]any{"size_gb": size, "raid_level": "1", "controller": "RAID.1", "share_physical_disks": true,
			"physical_disks": []any{"Disk.0", "Disk.1"}}
	}
	x.Node.TargetRAIDConfig = store.Dict{"logical_disks": []any{disk("10"), disk("20")}}
	step := stepOf(t, r, drivers.CleanStep, "create_configuration")
	if outcome, err := step.Run(t.Context(), x, nil); err != nil || outcome != drivers.Waiting || len(b.Changes()) != 1 {
		t.Fatalf("%v, %v", outcome, err)
	}
	b.volume("RAID1", 0, 1)
	b.Set(tasksAt+"/1", object{"TaskState": "Completed", "TaskStatus": "OK"})
	second := fmt.Sprintf(`"CapacityBytes":%d,`, 20<<30)
	done, err := r.Poll(t.Context(), x)
	if sent := b.Changes(); done || err != nil || len(sent) != 1 || !strings.Contains(sent[0], second) {
		t.Errorf("%v, %v, sent %q", done, err, sent)
	}
	// A worker died when the first one was made.
	b = newRAIDBMC(t, false)
	b.volume("RAID1", 0, 1)
	config := x.Node.TargetRAIDConfig
	x, _, r = raidTask(t, b)
	x.Node.TargetRAIDConfig = config
	outcome, err := stepOf(t, r, drivers.CleanStep, "create_configuration").Resume(t.Context(), x, nil)
	if sent := b.Changes(); err != nil || outcome != drivers.Done || len(sent) != 1 || !strings.Contains(sent[0], second) {
		t.Errorf("resumed: %v, %v, sent %q", outcome, err, sent)
	}
}

func TestAFailedRAIDTaskFailsTheStep(t *testing.T) {
	b := newRAIDBMC(t, true)
	x, _, r := raidTask(t, b)
	if _, err := stepOf(t, r, drivers.CleanStep, "create_configuration").Run(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	b.Set(tasksAt+"/1", object{"TaskState": "Exception", "TaskStatus": "Critical", "Messages": []any{object{"Message": "a disk is bad"}}})
	_, err := r.Poll(t.Context(), x)
	var failure *drivers.StepFailure
	if !errors.As(err, &failure) || failure.Text != "RAID create task "+tasksAt+"/1 to node node-1 failed; messages: a disk is bad" {
		t.Errorf("%v", err)
	}
	if err := r.Discard(t.Context(), x); err != nil || r.UnderWay(x.Node) {
		t.Errorf("discarding: %v, %v", err, x.Node.DriverInternalInfo)
	}
}

func TestRAIDErrors(t *testing.T) {
	b := newRAIDBMC(t, false)
	x, _, r := raidTask(t, b)
	step := stepOf(t, r, drivers.CleanStep, "create_configuration")
	disk := x.Node.TargetRAIDConfig["logical_disks"].([]any)[0].(map[string]any)
	disk["size_gb"] = "MAX"
	_, err := step.Run(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.InvalidParameterValue, "'physical_disks' is missing from logical_disk while 'size_gb'='MAX' was requested")
	disk["size_gb"] = json.Number("5000")
	_, err = step.Run(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.RedfishError, "failed to find matching physical disks for all logical disks")
	x.Node.TargetRAIDConfig = nil
	_, err = step.Run(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.MissingParameterValue, "has no target RAID configuration")
	b.Set(systemAt, object{"Storage": nil})
	_, err = stepOf(t, r, drivers.CleanStep, "delete_configuration").Run(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.RedfishError, "Redfish exception occurred. Error: ",
		": The attribute Storage is missing from the resource "+systemAt)
	if strings.Contains(err.Error(), "Cannot get the list") {
		t.Errorf("ironic says what it was about in its log alone: %v", err)
	}
	apply := stepOf(t, r, drivers.DeployStep, "apply_configuration")
	_, err = apply.Run(t.Context(), x, store.Dict{"raid_config": map[string]any{}})
	redfishtest.WantError(t, err, store.InvalidParameterValue, "'logical_disks' is a required property")
	if sent := b.Changes(); len(sent) != 0 {
		t.Errorf("sent %q", sent)
	}
}

func TestApplyConfigurationMakesTheRootVolume(t *testing.T) {
	b := newRAIDBMC(t, false)
	x, _, r := raidTask(t, b)
	x.Node.CleanStep, x.Node.DeployStep = nil, store.Dict{"interface": "raid", "step": "apply_configuration"}
	config := x.Node.TargetRAIDConfig
	config["logical_disks"] = append(config["logical_disks"].([]any), map[string]any{"size_gb": json.Number("10"), "raid_level": "0"})
	x.Node.TargetRAIDConfig = nil
	outcome, err := stepOf(t, r, drivers.DeployStep, "apply_configuration").Run(t.Context(), x, store.Dict{"raid_config": map[string]any(config)})
	if sent := b.Changes(); err != nil || outcome != drivers.Done || len(sent) != 1 || !strings.Contains(sent[0], "RAID1") {
		t.Errorf("%v, %v, sent %q", outcome, err, sent)
	}
	if len(x.Node.TargetRAIDConfig.List("logical_disks")) != 2 {
		t.Errorf("target_raid_config %v", x.Node.TargetRAIDConfig)
	}
}
