package idrac

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// RAID is the raid interface idrac-redfish: that of redfish, and around it what Dell's controllers want. Before anything they must be
// ready for changes without a restart; drives that machines see as they are become drives for arrays; and when all arrays are deleted,
// what is left of foreign ones goes, and controllers that make no arrays are made such.
type RAID struct {
	*redfish.RAID
	bmcs *redfish.BMCs
	cfg  Config
}

// NewRAID returns the raid interface idrac-redfish.
func NewRAID(c *redfish.Client, cfg Config) *RAID {
	r := &RAID{bmcs: c.Plain(), cfg: cfg}
	r.RAID = redfish.NewRAIDOf(c, redfish.RAIDVendor{Convert: r.convert})
	return r
}

// awaitReady waits until changes without a restart are taken, which takes a minute or two from the start of the machine. It goes on when
// that is not so in time: changes with one are taken anyway.
func (r *RAID) awaitReady(ctx context.Context, t *drivers.Task) error {
	if drivers.WithoutRamdisk(t.Node) {
		state, err := t.Hardware.Power.PowerState(ctx, t)
		if err == nil && state == store.PowerOff {
			err = t.Worker.SetPower(ctx, t, store.PowerOn)
		}
		if err != nil {
			return err
		}
	}
	for attempt := 1; attempt <= r.cfg.ReadyAttempts; attempt++ {
		ready, err := r.ready(ctx, t)
		if err != nil || ready {
			return err
		}
		t.Worker.Report(t, drivers.Progress{Doing: "waiting for the RAID controllers to get ready", Waiting: true})
		if err := drivers.Pause(ctx, r.cfg.ReadyInterval); err != nil {
			return err
		}
	}
	t.Log.Warn().Msg("The RAID controllers are not ready for changes without a restart; the step goes on")
	return nil
}

func (r *RAID) ready(ctx context.Context, t *drivers.Task) (ready bool, err error) {
	const what = "get real-time ready status"
	err = r.bmcs.Do(ctx, t, what, func(s *redfish.System) error {
		return onManagers(s, t, what, func(m *schemas.Manager) error {
			target, err := serviceAction(s, m, "DellLCService", "DellLCService.GetRemoteServicesAPIStatus")
			if err != nil {
				return err
			}
			text, err := s.Obtain(target, struct{}{}, r.cfg.TaskTimeout, r.cfg.TaskPoll)
			if err != nil {
				return err
			}
			var status struct{ RTStatus string }
			err = json.Unmarshal(text, &status)
			ready = status.RTStatus == "Ready"
			return err
		})
	})
	return ready, err
}

// raidAction is the target of an action of Dell's RAID service.
func raidAction(s *redfish.System, name string) (string, error) {
	path, err := service(s.RawData, s.ODataID, "DellRaidService")
	if err != nil {
		return "", err
	}
	return actionOf(s, path, "DellRaidService."+name)
}

// boss tells a controller for the boot disk alone, which neither converts drives nor has foreign ones.
func boss(c redfish.RAIDController) bool { return strings.Contains(strings.ToUpper(c.Name), "BOSS") }

// convert makes raw drives such that arrays are made of, controller by controller.
func (r *RAID) convert(_ context.Context, t *drivers.Task, s *redfish.System, drives []redfish.RAIDDrive) error {
	raw := map[string][]string{}
	var order []string
	for _, d := range drives {
		if !d.Raw || boss(d.Controller) {
			continue
		}
		if raw[d.Controller.ID] == nil {
			order = append(order, d.Controller.ID)
		}
		raw[d.Controller.ID] = append(raw[d.Controller.ID], d.ID)
	}
	if len(order) == 0 {
		return nil
	}
	target, err := raidAction(s, "ConvertToRAID")
	if err != nil {
		return err
	}
	var tasks []string
	for _, id := range order {
		task, err := r.job(s, target, map[string]any{"PDArray": raw[id]})
		if err != nil {
			return err
		}
		t.Log.Info().Strs("drives", raw[id]).Str("task", task).Msg("Drives are converted for RAID")
		tasks = append(tasks, task)
	}
	return r.awaitAll(s, tasks)
}

// job asks for something and returns the task by which it is followed.
func (r *RAID) job(s *redfish.System, target string, payload any) (string, error) {
	location, err := s.Act(target, payload)
	if err != nil {
		return "", err
	}
	if location == "" {
		return "", fmt.Errorf("the answer to %s does not include a Location", target)
	}
	return s.TaskOf(location)
}

func (r *RAID) awaitAll(s *redfish.System, tasks []string) error {
	for _, task := range tasks {
		state, err := s.AwaitTask(task, r.cfg.RAIDTimeout, r.cfg.TaskPoll)
		if err != nil {
			return err
		}
		if !state.Gone && !state.Succeeded {
			return redfishError("Failed RAID configuration tasks: Task %s. Message: '%s'.", task, state.Told)
		}
	}
	return nil
}
