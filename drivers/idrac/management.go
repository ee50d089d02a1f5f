package idrac

import (
	"context"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Management is the management interface idrac-redfish: that of redfish, with steps for the iDRAC itself.
type Management struct {
	*redfish.Management
	bmcs *redfish.BMCs
	cfg  Config
	// configurations is nil where there are no molds, as since ironic 37.0.
	configurations *configurations
}

// NewManagement returns the management interface idrac-redfish.
func NewManagement(c *redfish.Client, cfg Config) *Management {
	m := &Management{Management: redfish.NewManagement(c, cfg.BootMode), bmcs: c.Plain(), cfg: cfg}
	if cfg.Molds != nil {
		m.configurations = newConfigurations(m.bmcs, cfg, cfg.Molds)
	}
	return m
}

// Steps are those of redfish, and Dell's: in cleaning and verification those for the iDRAC itself, which need no ramdisk and may run twice,
// and those for configurations.
func (m *Management) Steps(kind drivers.StepKind) []drivers.Step {
	steps := m.Management.Steps(kind)
	if m.configurations != nil {
		steps = append(steps, m.configurations.steps(kind)...)
	}
	if kind != drivers.CleanStep && kind != drivers.VerifyStep {
		return steps
	}
	for _, own := range []struct {
		name string
		runs []func(context.Context, *drivers.Task) error
	}{
		{"clear_job_queue", []func(context.Context, *drivers.Task) error{m.clearJobQueue}},
		{"reset_idrac", []func(context.Context, *drivers.Task) error{m.reset}},
		{"known_good_state", []func(context.Context, *drivers.Task) error{m.reset, m.clearJobQueue}},
	} {
		steps = append(steps, drivers.Step{Interface: drivers.TypeManagement, Name: own.name,
			Run: func(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
				for _, run := range own.runs {
					if err := forgiven(t, run(ctx, t)); err != nil {
						return drivers.Done, err
					}
				}
				return drivers.Done, nil
			}})
	}
	return steps
}

// forgiven lets a verification go on when the iDRAC could not do a step.
func forgiven(t *drivers.Task, err error) error {
	if store.KindOf(err) != store.RedfishError {
		return err
	}
	if strings.Contains(err.Error(), " is missing from the resource ") {
		t.Log.Warn().Err(err).Msg("the iDRAC does not support the step; newer firmware of an iDRAC9 does")
	}
	if t.Node.ProvisionState == store.Verifying {
		return nil
	}
	return err
}

// clearJobQueue deletes all jobs of the Lifecycle Controller.
func (m *Management) clearJobQueue(ctx context.Context, t *drivers.Task) error {
	return m.bmcs.Do(ctx, t, "clear job queue", func(s *redfish.System) error {
		return onManagers(s, t, "clear job queue", func(manager *schemas.Manager) error {
			target, err := serviceAction(s, manager, "DellJobService", "DellJobService.DeleteJobQueue")
			if err != nil {
				return err
			}
			_, err = s.Act(target, map[string]string{"JobID": "JID_CLEARALL"})
			return err
		})
	})
}

// reset restarts the iDRAC and waits until it shows the system again.
func (m *Management) reset(ctx context.Context, t *drivers.Task) error {
	return m.bmcs.Do(ctx, t, "reset iDRAC", func(s *redfish.System) error {
		err := onManagers(s, t, "reset iDRAC", func(manager *schemas.Manager) error {
			target, err := serviceAction(s, manager, "DelliDRACCardService", "DelliDRACCardService.iDRACReset")
			if err != nil {
				return err
			}
			_, err = s.Act(target, map[string]string{"Force": "Graceful"})
			return err
		})
		if err != nil {
			return err
		}
		t.Worker.Report(t, drivers.Progress{Doing: "waiting for the iDRAC to come back", Waiting: true})
		// It answers for some seconds more.
		if err := drivers.Pause(ctx, m.cfg.ResetPause); err != nil {
			return err
		}
		back, err := s.Await(m.cfg.ResetTimeout, m.cfg.TaskPoll, func() bool { return true })
		if err == nil && !back {
			return redfishError("the iDRAC of node %s did not come back within %s", t.Node.UUID, m.cfg.ResetTimeout)
		}
		return err
	})
}

func (m *Management) imports(n *store.Node) bool {
	return m.configurations != nil && importing(n) != ""
}

// UnderWay tells whether the iDRAC imports a configuration, or updates firmware.
func (m *Management) UnderWay(n *store.Node) bool { return m.imports(n) || m.Management.UnderWay(n) }

// Poll looks how the running step stands.
func (m *Management) Poll(ctx context.Context, t *drivers.Task) (bool, error) {
	if m.imports(t.Node) {
		return m.configurations.poll(ctx, t)
	}
	return m.Management.Poll(ctx, t)
}

// Discard forgets what was to come.
func (m *Management) Discard(ctx context.Context, t *drivers.Task) error {
	if m.imports(t.Node) {
		m.configurations.forget(t.Node)
		return nil
	}
	return m.Management.Discard(ctx, t)
}

var (
	_ drivers.Management = (*Management)(nil)
	_ drivers.Polled     = (*Management)(nil)
)
