package room

import (
	"net/http"
	"slices"
	"strconv"
)

// The controller of a machine makes volumes at the next start, one change at a time, as Dell's PERC controllers do. Other changes that
// wait for a start stand beside them in the BMC's list of tasks.

const (
	tasksPath      = rootPath + "/TaskService/Tasks"
	volumesPattern = systemPattern + "/Storage/1/Volumes"
)

// volume is an array on the machine's disk.
type volume struct {
	id, kind string
	bytes    any
	links    any
}

// changeTask is something that is done at the next start, or was.
type changeTask struct {
	id string
	// kind is what Dell calls such a job. Of each kind there is one at a time.
	kind  string
	does  func(*state)
	ended bool
}

// The kinds of tasks (DellJob, JobType).
const (
	jobRAID     = "RAIDConfiguration"
	jobFirmware = "FirmwareUpdate"
	jobImport   = "ImportConfiguration"
)

// atStart keeps a change for the next start, and answers with its task.
func (b *bmc) atStart(w http.ResponseWriter, kind string, does func(*state)) *redfishError {
	refused := false
	id := ""
	b.m.change(func(s *state) {
		refused = slices.ContainsFunc(s.changeTasks, func(t changeTask) bool { return !t.ended && t.kind == kind })
		if refused {
			return
		}
		s.changes++
		id = strconv.Itoa(s.changes)
		s.changeTasks = append(s.changeTasks, changeTask{id: id, kind: kind, does: does})
	})
	if refused {
		return errSystemState()
	}
	w.Header().Set("Location", tasksPath+"/"+id)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

var volumeRoutes = []route{
	{path: rootPath + "/TaskService", get: func(_ *bmc, r *http.Request) document {
		return document{"@odata.id": r.URL.Path, "@odata.type": "#TaskService.v1_2_0.TaskService", "Id": "TaskService",
			"Name": "Tasks", "Tasks": link(tasksPath)}
	}},
	{path: tasksPath, get: func(b *bmc, _ *http.Request) document {
		var paths []string
		for _, t := range b.m.view().changeTasks {
			paths = append(paths, tasksPath+"/"+t.id)
		}
		return collection(tasksPath, "Task", "Tasks", paths...)
	}},
	{path: tasksPath + "/{task}", get: oneTask},
	{path: volumesPattern, get: volumes, post: makeVolume},
	{path: volumesPattern + "/{volume}", get: oneVolume},
}

// oneTask shows a change. Dell's other work has ended as soon as it is asked for.
func oneTask(b *bmc, r *http.Request) document {
	id := r.PathValue("task")
	state := "Completed"
	var one changeTask
	tasks := b.m.view().changeTasks
	i := slices.IndexFunc(tasks, func(t changeTask) bool { return t.id == id })
	switch {
	case i >= 0:
		if one = tasks[i]; !one.ended {
			state = "Pending"
		}
	case b.face.vendor != vendorDell:
		return nil
	}
	resource := document{"@odata.id": r.URL.Path, "@odata.type": "#Task.v1_4_3.Task", "Id": id, "Name": "Task", "TaskState": state, "TaskStatus": "OK"}
	if b.face.vendor == vendorDell {
		resource["Oem"] = document{"Dell": document{"JobType": one.kind}}
	}
	return resource
}

func (b *bmc) volumesPath() string { return b.systemPath() + "/Storage/1/Volumes" }

func volumes(b *bmc, _ *http.Request) document {
	var paths []string
	for _, v := range b.m.view().volumes {
		paths = append(paths, b.volumesPath()+"/"+v.id)
	}
	all := collection(b.volumesPath(), "Volume", "Volumes", paths...)
	all["@Redfish.OperationApplyTimeSupport"] = document{"SupportedValues": []string{"OnReset"}}
	return all
}

func oneVolume(b *bmc, r *http.Request) document {
	for _, v := range b.m.view().volumes {
		if v.id == r.PathValue("volume") {
			return document{"@odata.id": r.URL.Path, "@odata.type": "#Volume.v1_5_0.Volume", "Id": v.id, "Name": "Virtual Disk " + v.id,
				"RAIDType": v.kind, "CapacityBytes": v.bytes, "Links": v.links}
		}
	}
	return nil
}

// makeVolume keeps a volume for the next start.
func makeVolume(b *bmc, w http.ResponseWriter, _ *http.Request, body document) *redfishError {
	kind, ok := body["RAIDType"].(string)
	if !ok {
		return errPropertyType("RAIDType", body["RAIDType"])
	}
	return b.atStart(w, jobRAID, func(s *state) {
		s.made++
		s.volumes = append(s.volumes, volume{id: strconv.Itoa(s.made), kind: kind, bytes: body["CapacityBytes"], links: body["Links"]})
	})
}

// makeChanges does what was kept for the next start.
func (s *state) makeChanges() {
	for i, t := range s.changeTasks {
		if !t.ended {
			t.does(s)
			s.changeTasks[i].ended = true
		}
	}
}

// arrays are the RAID types of the volumes.
func (s *state) arrays() []string {
	var kinds []string
	for _, v := range s.volumes {
		kinds = append(kinds, v.kind)
	}
	return kinds
}
