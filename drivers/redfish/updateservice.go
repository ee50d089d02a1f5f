package redfish

import (
	"errors"
	"net/http"
	"slices"
)

// updateService is the UpdateService resource of a BMC.
type updateService struct {
	path    string
	Actions struct {
		Update struct {
			Target string `json:"target"`
		} `json:"#UpdateService.SimpleUpdate"`
	}
}

// updateService reads the service that updates firmware.
func (s *system) updateService() (*updateService, error) {
	path, err := s.service("UpdateService")
	if err != nil {
		return nil, err
	}
	u := &updateService{path: path}
	if err := s.Read(path, u); err != nil {
		return nil, err
	}
	if u.Actions.Update.Target == "" {
		return nil, redfishError("The action #UpdateService.SimpleUpdate is missing from the resource %s", path)
	}
	return u, nil
}

// simpleUpdate has the BMC read a file and update what it is for. monitor is where the BMC tells how it goes.
func (s *system) simpleUpdate(service *updateService, file string, targets ...string) (monitor string, err error) {
	payload := map[string]any{"ImageURI": file, "TransferProtocol": "HTTP"}
	if len(targets) > 0 {
		payload["Targets"] = targets
	}
	target := service.Actions.Update.Target
	answer, text, err := s.exchange(http.MethodPost, target, payload)
	if err != nil {
		return "", err
	}
	monitor, ok := monitorOf(answer, text)
	if !ok {
		return "", redfishError("Response to %s did not contain a Location header", target)
	}
	return monitor, nil
}

// knownTasks are all tasks of the service. One without a TaskService has none.
func (s *system) knownTasks() ([]string, error) {
	all, err := s.allTasks()
	var none *missing
	if errors.As(err, &none) {
		return nil, nil
	}
	return all, err
}

// newTask is a task that the service did not have before, "" when there is none. One that goes on is preferred: what has ended may be
// somebody else's.
func (s *system) newTask(before []any) (string, error) {
	tasks, err := s.knownTasks()
	if err != nil {
		return "", err
	}
	found := ""
	for _, one := range slices.Backward(tasks) {
		if slices.Contains(before, any(one)) {
			continue
		}
		state, gone, err := s.look(one)
		switch {
		case err != nil:
			return "", err
		case gone:
		case state.active():
			return one, nil
		case found == "":
			found = one
		}
	}
	return found, nil
}
