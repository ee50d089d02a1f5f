package redfish

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
)

// TaskState is how work stands that a BMC goes on with by itself, for the packages of vendors.
type TaskState struct {
	// Gone tells that the BMC knows the task no more, as some do of those that have ended.
	Gone bool
	// Active tells that it has not ended; Begun that it is under way and does not wait for the machine to start.
	Active, Begun bool
	// Succeeded tells that it ended well; Told are its messages in one line.
	Succeeded bool
	Told      string
}

// TaskState reads a task or its monitor.
func (s *system) TaskState(monitor string) (TaskState, error) {
	t, gone, err := s.look(monitor)
	if err != nil || gone {
		return TaskState{Gone: gone}, err
	}
	return TaskState{Active: t.active(), Begun: t.begun(), Succeeded: t.succeeded(), Told: t.told()}, nil
}

// ActiveTasks are the paths of the tasks of the BMC that have not ended.
func (s *system) ActiveTasks() ([]string, error) { return s.activeTasks() }

// TaskOf is the path of the task by which the BMC shows a job of its vendor's, whose path or name is given.
func (s *system) TaskOf(job string) (string, error) {
	all, err := s.allTasks()
	if err != nil {
		return "", err
	}
	id := path.Base(job)
	i := slices.IndexFunc(all, func(task string) bool { return path.Base(task) == id })
	if i < 0 {
		return "", fmt.Errorf("the BMC shows no task %s", id)
	}
	return all[i], nil
}

// AwaitTask waits until a task has ended, and looks pause apart. Its error names the task that has not ended in time.
func (s *system) AwaitTask(monitor string, timeout, pause time.Duration) (TaskState, error) {
	for deadline := time.Now().Add(timeout); ; {
		state, err := s.TaskState(monitor)
		if err != nil || !state.Active {
			return state, err
		}
		if time.Now().After(deadline) {
			return state, fmt.Errorf("the task %s took longer than %s", monitor, timeout)
		}
		if err := drivers.Pause(s.ctx, pause); err != nil {
			return state, err
		}
	}
}

// Send asks for a change. monitor is where the BMC tells how it goes, "" when it is done.
func (s *system) Send(method, path string, payload any) (monitor string, err error) {
	return s.send(method, path, payload)
}

// ChangeAtReset asks for a change of a resource that takes effect at the next start of the machine.
func (s *system) ChangeAtReset(path string, payload map[string]any) (monitor string, err error) {
	var resource struct {
		Settings struct {
			Object rawLink `json:"SettingsObject"`
		} `json:"@Redfish.Settings"`
	}
	if err := s.Read(path, &resource); err != nil {
		return "", err
	}
	payload["@Redfish.SettingsApplyTime"] = preferredApplyTime("OnReset")
	if resource.Settings.Object.Path != "" {
		path = resource.Settings.Object.Path
	}
	return s.send(http.MethodPatch, path, payload)
}

// preferredApplyTime is how a settings resource is told when to take effect (Settings.v1_0_0, PreferredApplyTime).
func preferredApplyTime(when string) map[string]string {
	return map[string]string{"@odata.type": "#Settings.v1_0_0.PreferredApplyTime", "ApplyTime": when}
}
