package idrac

import (
	"context"
	"fmt"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// The keys of driver_internal_info that tell which task imports a configuration, and where it is exported to afterwards.
const (
	keyImport = "import_task_monitor_url"
	keyExport = "export_configuration_location"
)

// importJob is the kind of job that imports a configuration (DellJob, JobType).
const importJob = "ImportConfiguration"

// begin has the iDRAC import a configuration, which it does when the machine starts next.
func (c *configurations) begin(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	settings, err := c.read(ctx, t, args.String(argImport))
	if err != nil {
		return drivers.Done, err
	}
	const what = "import system configuration"
	monitor := ""
	err = c.bmcs.Do(ctx, t, what, func(s *redfish.System) error {
		return onManagers(s, t, what, func(m *schemas.Manager) error {
			target, err := managerAction(m, importAction)
			if err != nil {
				return err
			}
			location, err := s.Act(target, map[string]any{"ShareParameters": map[string]string{"Target": "ALL"}, "ImportBuffer": settings,
				"ShutdownType": "NoReboot"})
			if err == nil && location == "" {
				err = fmt.Errorf("the answer to %s does not include a Location", target)
			}
			monitor = location
			return err
		})
	})
	// gofail: var dellImportAsked struct{}
	if err != nil {
		return drivers.Done, err
	}
	if err := c.await(ctx, t, args, monitor); err != nil {
		return drivers.Done, err
	}
	// gofail: var dellImportNoted struct{}
	return drivers.Waiting, drivers.RebootToFinish(ctx, t)
}

// await has the flow wait for an import, and for the reboot that goes with it.
//
// Crash windows: an import that the iDRAC has taken and the row does not know is found by its kind. Between the row's knowing and the
// reboot, goOn reboots.
func (c *configurations) await(ctx context.Context, t *drivers.Task, args store.Dict, monitor string) error {
	info := t.Node.DriverInternalInfo
	info[keyImport] = monitor
	if where := args.String(argExport); where != "" {
		info[keyExport] = where
	}
	drivers.AsyncStep{Skip: true, Polling: true}.Note(t.Node)
	return t.Worker.Save(ctx, t)
}

// goOn goes on with an import whose worker died.
func (c *configurations) goOn(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if monitor := importing(t.Node); monitor != "" {
		return drivers.Waiting, rebootUnlessBegun(ctx, t, c.bmcs, []string{monitor})
	}
	found := ""
	err := c.bmcs.Do(ctx, t, "looking for an import", func(s *redfish.System) error {
		active, err := s.ActiveTasks()
		if err != nil {
			return err
		}
		for _, task := range active {
			kind, err := jobType(s, task)
			if err != nil {
				return err
			}
			if kind == importJob {
				found = task
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return drivers.Done, err
	case found != "":
		if err := c.await(ctx, t, args, found); err != nil {
			return drivers.Done, err
		}
		return drivers.Waiting, rebootUnlessBegun(ctx, t, c.bmcs, []string{found})
	}
	return c.begin(ctx, t, args)
}

func importing(n *store.Node) string { return n.DriverInternalInfo.String(keyImport) }

// imported is a task that imports a configuration.
type imported struct {
	Messages []struct{ Message, MessageID, Severity string }
}

// partly are the messages of an import that left something out: it counts as completed. Newer iDRACs do not rate their messages.
func (i imported) partly() []string {
	var said []string
	for _, m := range i.Messages {
		if m.Message != "" && (m.Severity != "" && m.Severity != "OK" || strings.Contains(m.MessageID, "SYS055")) {
			said = append(said, m.Message)
		}
	}
	return said
}

// poll looks how an import stands.
func (c *configurations) poll(ctx context.Context, t *drivers.Task) (bool, error) {
	monitor := importing(t.Node)
	var state redfish.TaskState
	var task imported
	err := c.bmcs.Do(ctx, t, "checking an import", func(s *redfish.System) (err error) {
		if state, err = s.TaskState(monitor); err == nil && !state.Gone && !state.Active {
			err = s.Read(monitor, &task)
		}
		return err
	})
	if err != nil || state.Active {
		return false, err
	}
	info := t.Node.DriverInternalInfo
	where := info.String(keyExport)
	c.forget(t.Node)
	said := task.partly()
	switch {
	case state.Gone:
		return false, failed("Failed import configuration task: %s. Message: 'the iDRAC does not know the task any more'. Most likely this "+
			"happened because could not find the task anymore as it got deleted by iDRAC. If not already, upgrade iDRAC firmware to 5.00.00.00 "+
			"or later that preserves tasks for longer or decrease [drac]query_import_config_job_status_interval", monitor)
	case !state.Succeeded || len(said) > 0:
		return false, failed("Failed import configuration task: %s. Message: '%s'.", monitor, strings.Join(said, ", "))
	case where == "":
		return true, nil
	}
	if _, err := c.exportTo(ctx, t, store.Dict{argExport: where}); err != nil {
		return false, failed("Failed export configuration. %s", err)
	}
	return true, nil
}

func failed(format string, args ...any) error {
	return &drivers.StepFailure{Text: fmt.Sprintf(format, args...)}
}

func (*configurations) forget(n *store.Node) {
	delete(n.DriverInternalInfo, keyImport)
	delete(n.DriverInternalInfo, keyExport)
}
