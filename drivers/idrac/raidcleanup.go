package idrac

import (
	"context"
	"net/http"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
)

// noForeign is what a controller says that has no foreign drives.
const noForeign = "STOR018"

// clearForeign asks each controller to forget foreign arrays. It returns the tasks by which it is followed.
func (r *RAID) clearForeign(s *redfish.System, t *drivers.Task) ([]string, error) {
	controllers, err := s.RAIDControllers()
	if err != nil {
		return nil, err
	}
	var tasks []string
	for _, c := range controllers {
		if !c.RAID || boss(c) {
			continue
		}
		target, err := raidAction(s, "ClearForeignConfig")
		if err != nil {
			return nil, err
		}
		task, err := r.job(s, target, map[string]string{"TargetFQDD": c.ID})
		if redfish.Refused(err) == http.StatusBadRequest && strings.Contains(s.Explain(err), noForeign) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t.Log.Info().Str("controller", c.ID).Str("task", task).Msg("Foreign arrays are forgotten")
		tasks = append(tasks, task)
	}
	return tasks, nil
}

// toRAIDMode has controllers make arrays from the next start on that do not. Newer ones know no other mode, and do not tell.
func (r *RAID) toRAIDMode(s *redfish.System, t *drivers.Task) ([]string, error) {
	controllers, err := s.RAIDControllers()
	if err != nil {
		return nil, err
	}
	var tasks []string
	for _, c := range controllers {
		if c.Path == "" {
			continue
		}
		var resource struct {
			Oem struct {
				Dell struct {
					DellStorageController struct{ ControllerMode string }
				}
			}
		}
		if err := s.Read(c.Path, &resource); err != nil {
			return nil, err
		}
		if mode := resource.Oem.Dell.DellStorageController.ControllerMode; mode == "" || mode == "RAID" {
			continue
		}
		task, err := s.ChangeAtReset(c.Path, map[string]any{"Oem": map[string]any{"Dell": map[string]any{
			"DellStorageController": map[string]string{"ControllerMode": "RAID"}}}})
		if err != nil {
			return nil, err
		}
		t.Log.Info().Str("controller", c.ID).Str("task", task).Msg("The controller is put into RAID mode")
		if task != "" {
			tasks = append(tasks, task)
		}
	}
	return tasks, nil
}

// jobType is what Dell says a task does: stagedJob restarts the machine by itself.
func jobType(s *redfish.System, task string) (string, error) {
	var shown struct {
		Oem struct{ Dell struct{ JobType string } }
	}
	err := s.Read(task, &shown)
	return shown.Oem.Dell.JobType, err
}

const stagedJob = "RAIDConfiguration"

// cleanUp is the second part of a deletion: foreign arrays go, and controllers get into RAID mode.
//
// Crash windows: a task that the iDRAC has taken and the row does not know is found as one that has not ended, and waited for as if it
// deleted arrays; then all this begins anew, and finds nothing left to do.
func (r *RAID) cleanUp(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	var tasks []string
	staged := false
	err := r.bmcs.Do(ctx, t, "clear foreign config", func(s *redfish.System) (err error) {
		if tasks, err = r.clearForeign(s, t); err != nil {
			return err
		}
		for _, task := range tasks {
			kind, err := jobType(s, task)
			if err != nil {
				return err
			}
			staged = staged || kind == stagedJob
		}
		if staged {
			return nil
		}
		if err := r.awaitAll(s, tasks); err != nil {
			return err
		}
		tasks, err = r.toRAIDMode(s, t)
		return err
	})
	switch {
	case err != nil:
		return drivers.Done, err
	case staged:
		return drivers.Waiting, r.awaitStaged(ctx, t, tasks)
	case len(tasks) > 0:
		return drivers.Waiting, r.awaitMode(ctx, t, tasks)
	}
	return drivers.Done, nil
}
