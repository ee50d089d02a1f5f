package redfish_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
)

// raidBMC is a BMC with one RAID controller and three disks. Changes of volumes take effect at once, or become tasks.
type raidBMC struct {
	*redfishtest.Tree
	onReset bool
	made    int
	tasks   int
}

const (
	storageAt = systemAt + "/Storage/RAID.1"
	volumesAt = storageAt + "/Volumes"
	tasksAt   = "/redfish/v1/TaskService/Tasks"
)

func newRAIDBMC(t *testing.T, onReset bool) *raidBMC {
	t.Helper()
	when := "Immediate"
	if onReset {
		when = "OnReset"
	}
	resources := map[string]object{
		"/redfish/v1": {"@odata.id": "/redfish/v1", "RedfishVersion": "1.6.0", "Systems": link("/redfish/v1/Systems"),
			"Tasks": link("/redfish/v1/TaskService"), "Links": object{"Sessions": link("/redfish/v1/SessionService/Sessions")}},
		"/redfish/v1/Systems":     {"Members": []any{link(systemAt)}},
		"/redfish/v1/TaskService": {"Tasks": link(tasksAt)},
		tasksAt:                   {"Members": []any{}},
		systemAt:                  {"@odata.id": systemAt, "Id": "1", "Storage": link(systemAt + "/Storage")},
		systemAt + "/Storage":     {"Members": []any{link(storageAt)}},
		storageAt: {"@odata.id": storageAt, "Id": "RAID.1", "Volumes": link(volumesAt), "Drives": []any{},
			"StorageControllers": []any{object{"SupportedRAIDTypes": []any{"RAID1", "RAID5"}}}},
		volumesAt: {"Members": []any{}, "@Redfish.OperationApplyTimeSupport": object{"SupportedValues": []any{when}}},
	}
	var drives []any
	for i := range 3 {
		at := fmt.Sprintf("%s/Drives/Disk.%d", storageAt, i)
		drives = append(drives, link(at))
		resources[at] = object{"@odata.id": at, "Id": fmt.Sprintf("Disk.%d", i), "MediaType": "HDD", "Protocol": "SAS",
			"CapacityBytes": 500 << 30}
	}
	resources[storageAt]["Drives"] = drives
	b := &raidBMC{onReset: onReset}
	b.Tree = redfishtest.Serve(t, resources, b.change)
	return b
}

// change answers with the tree locked.
func (b *raidBMC) change(tr *redfishtest.Tree, method, path string, body object) (int, object, bool) {
	switch {
	case method == http.MethodPost && path == volumesAt:
		if b.onReset {
			return b.task(tr)
		}
		b.add(tr, body)
		return http.StatusCreated, object{}, true
	case method == http.MethodDelete && strings.HasPrefix(path, volumesAt+"/"):
		if b.onReset {
			return b.task(tr)
		}
		tr.Merge(volumesAt, object{"Members": []any{}})
		return http.StatusNoContent, object{}, true
	}
	return 0, nil, false
}

func (b *raidBMC) task(tr *redfishtest.Tree) (int, object, bool) {
	b.tasks++
	at := fmt.Sprintf("%s/%d", tasksAt, b.tasks)
	tr.Merge(at, object{"TaskState": "Pending", "TaskStatus": "OK"})
	tr.Merge(tasksAt, object{"Members": []any{link(at)}})
	return http.StatusAccepted, object{"Location": at}, true
}

func (b *raidBMC) add(tr *redfishtest.Tree, body object) {
	b.made++
	at := fmt.Sprintf("%s/%d", volumesAt, b.made)
	tr.Merge(at, object{"Id": fmt.Sprint(b.made), "Name": "Virtual Disk", "RAIDType": body["RAIDType"],
		"CapacityBytes": body["CapacityBytes"], "Links": body["Links"]})
	tr.Merge(volumesAt, object{"Members": []any{link(at)}})
}

// volume puts a volume onto disks, as a task that ends does.
func (b *raidBMC) volume(kind string, disks ...int) {
	var drives []any
	for _, i := range disks {
		drives = append(drives, link(fmt.Sprintf("%s/Drives/Disk.%d", storageAt, i)))
	}
	at := volumesAt + "/9"
	b.Set(at, object{"Id": "9", "Name": "Virtual Disk", "RAIDType": kind, "CapacityBytes": 100 << 30, "Links": object{"Drives": drives}})
	b.Set(volumesAt, object{"Members": []any{link(at)}})
}
