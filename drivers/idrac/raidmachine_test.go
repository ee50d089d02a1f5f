package idrac_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/idrac"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

const (
	perc        = system + "/Storage/RAID.Integrated.1-1"
	percVolumes = perc + "/Volumes"
	percDevice  = perc + "/Controllers/RAID.Integrated.1-1"
	bossAt      = system + "/Storage/AHCI.Slot.3-1"
	tasksAt     = "/redfish/v1/TaskService/Tasks"
	raidAt      = system + "/Oem/Dell/DellRaidService/Actions/DellRaidService."
)

// raidMachine is an iDRAC 9 with a controller of two raw drives, and one for the boot disk alone.
type raidMachine struct {
	*redfishtest.Tree
	// ready is what the iDRAC says to the question whether it takes changes without a restart, as long as it has something to say.
	ready []string
	// foreign is the kind of job that forgets foreign arrays; without one there are none.
	foreign string
	// stays tells that tasks do not end by themselves.
	stays bool
	// fails is what jobs say that fail; without it they succeed.
	fails string
	tasks int
}

type object = redfishtest.Object

func linkTo(path string) object { return object{"@odata.id": path} }

func newRAIDMachine(t *testing.T) *raidMachine {
	t.Helper()
	m := &raidMachine{}
	m.Tree = redfishtest.Open(t, idrac9, m.change)
	m.Set("/redfish/v1/TaskService", object{"Tasks": linkTo(tasksAt)})
	m.Set(tasksAt, object{"Members": []any{}})
	m.Set(system+"/Storage", object{"Members": []any{linkTo(perc), linkTo(bossAt)}})
	m.Set(perc, object{"Id": "RAID.Integrated.1-1", "Volumes": linkTo(percVolumes), "Controllers": linkTo(perc + "/Controllers"),
		"Drives": []any{linkTo(perc + "/Drives/Disk.Bay.0"), linkTo(perc + "/Drives/Disk.Bay.1")}})
	m.Set(perc+"/Controllers", object{"Members": []any{linkTo(percDevice)}})
	m.Set(percDevice, object{"Id": "RAID.Integrated.1-1", "Name": "PERC H730P", "SupportedRAIDTypes": []any{"RAID0", "RAID1"},
		"@Redfish.Settings": object{"SettingsObject": linkTo(percDevice + "/Settings")},
		"Oem":               object{"Dell": object{"DellStorageController": object{"ControllerMode": "RAID"}}}})
	m.Set(percDevice+"/Settings", object{"Id": "Settings"})
	for i := range 2 {
		name := fmt.Sprintf("Disk.Bay.%d", i)
		m.Set(perc+"/Drives/"+name, object{"Id": name, "MediaType": "SSD", "Protocol": "SATA", "CapacityBytes": 480 << 30,
			"Links": object{"Volumes": []any{linkTo(percVolumes + "/" + name)}}})
		m.Set(percVolumes+"/"+name, object{"Id": name, "VolumeType": "RawDevice", "RAIDType": nil})
	}
	m.Set(percVolumes, object{"Members": []any{linkTo(percVolumes + "/Disk.Bay.0"), linkTo(percVolumes + "/Disk.Bay.1")},
		"@Redfish.OperationApplyTimeSupport": object{"SupportedValues": []any{"Immediate", "OnReset"}}})
	m.Set(bossAt, object{"Id": "AHCI.Slot.3-1", "StorageControllers": []any{object{"Name": "BOSS-S1", "SupportedRAIDTypes": []any{"RAID1"}}}})
	return m
}

// change answers with the tree locked.
func (m *raidMachine) change(tr *redfishtest.Tree, method, path string, body object) (int, object, bool) {
	switch {
	case strings.HasSuffix(path, "GetRemoteServicesAPIStatus"):
		status := "Ready"
		if len(m.ready) > 0 {
			status, m.ready = m.ready[0], m.ready[1:]
		}
		return 200, object{"RTStatus": status, "LCStatus": "Ready"}, true
	case path == raidAt+"ConvertToRAID":
		tr.Merge(percVolumes, object{"Members": []any{}})
		for _, drive := range body["PDArray"].([]any) {
			tr.Merge(perc+"/Drives/"+drive.(string), object{"CapacityBytes": 479 << 30, "Links": object{"Volumes": []any{}}})
		}
		return m.job(tr, "RealTimeNoRebootConfiguration")
	case path == raidAt+"ClearForeignConfig" && m.foreign == "":
		return 400, redfishtest.Refusal("IDRAC.2.8.STOR018"), true
	case path == raidAt+"ClearForeignConfig":
		kind := m.foreign
		m.foreign = ""
		return m.job(tr, kind)
	case method == "POST" && path == percVolumes:
		tr.Merge(percVolumes+"/Disk.Virtual.0", object{"Id": "Disk.Virtual.0", "Name": "VD 0", "RAIDType": body["RAIDType"],
			"CapacityBytes": body["CapacityBytes"], "Links": body["Links"]})
		tr.Merge(percVolumes, object{"Members": []any{linkTo(percVolumes + "/Disk.Virtual.0")}})
		return m.job(tr, "RealTimeNoRebootConfiguration")
	case method == "DELETE" && strings.HasPrefix(path, percVolumes):
		tr.Merge(percVolumes, object{"Members": []any{}})
		return m.job(tr, "RealTimeNoRebootConfiguration")
	case method == "PATCH" && path == percDevice+"/Settings":
		return m.job(tr, "RAIDConfiguration")
	}
	return 0, nil, false
}

// job takes something on that has ended at once, unless it stays.
func (m *raidMachine) job(tr *redfishtest.Tree, kind string) (int, object, bool) {
	m.tasks++
	id := fmt.Sprintf("JID_%d", m.tasks)
	state := "Completed"
	if m.stays {
		state = "Starting"
	}
	if m.fails != "" {
		state = "Exception"
	}
	tr.Merge(tasksAt+"/"+id, object{"Id": id, "TaskState": state, "TaskStatus": "OK", "Messages": []any{object{"Message": m.fails}},
		"Oem": object{"Dell": object{"JobType": kind}}})
	var all []any
	for i := range m.tasks {
		all = append(all, linkTo(fmt.Sprintf("%s/JID_%d", tasksAt, i+1)))
	}
	tr.Merge(tasksAt, object{"Members": all})
	return 202, object{"Location": "/redfish/v1/TaskService/Tasks/" + id}, true
}

func (m *raidMachine) end(id string, state, message string) {
	m.Set(tasksAt+"/"+id, object{"TaskState": state, "Messages": []any{object{"Message": message}}})
}

// asked are the changes since the last call, without the bodies and without the questions whether the iDRAC is ready.
func (m *raidMachine) asked() string {
	var all []string
	for _, change := range m.Changes() {
		words := strings.SplitN(change, " ", 3)
		if !strings.HasSuffix(words[1], "APIStatus") {
			all = append(all, words[0]+" "+words[1][strings.LastIndexAny(words[1], "/.")+1:])
		}
	}
	return strings.Join(all, ", ")
}

// raidCleaning is a node that is being cleaned.
func raidCleaning(t *testing.T, m *raidMachine) (*drivers.Task, *redfishtest.Worker, *idrac.RAID) {
	t.Helper()
	cfg := idrac.DefaultConfig()
	cfg.TaskPoll, cfg.ReadyInterval, cfg.ReadyAttempts = time.Millisecond, time.Millisecond, 3
	x := deployment(t, m.Tree)
	w := redfishtest.NewWorker()
	r := idrac.NewRAID(redfishtest.Client(t), cfg)
	x.Worker, x.Hardware.RAID, x.Hardware.Deploy = w, r, fake.NewDeploy(fake.Config{})
	x.Node.ProvisionState, x.Node.CleanStep = store.Cleaning, store.Dict{"interface": "raid", "step": "x"}
	x.Node.TargetRAIDConfig = store.Dict{"logical_disks": []any{map[string]any{"size_gb": json.Number("480"), "raid_level": "1",
		"is_root_volume": true}}}
	return x, w, r
}

func raidStep(t *testing.T, r *idrac.RAID, name string) drivers.Step {
	t.Helper()
	for _, s := range r.Steps(drivers.CleanStep) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no step %s", name)
	return drivers.Step{}
}
