package idrac

import (
	"context"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Steps are those of redfish, which need no ramdisk in cleaning.
func (r *RAID) Steps(kind drivers.StepKind) []drivers.Step {
	steps := r.RAID.Steps(kind)
	for i := range steps {
		if kind == drivers.CleanStep {
			steps[i].RequiresRamdisk = false
		}
		deletes := steps[i].Name == "delete_configuration"
		steps[i].Run, steps[i].Resume = r.around(steps[i].Run, deletes), r.goOn(steps[i].Resume, deletes)
	}
	return steps
}

type stepRun = func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error)

// around is a step of redfish's, when the controllers are ready for it; a deletion has a second part.
func (r *RAID) around(run stepRun, deletes bool) stepRun {
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		if !r.UnderWay(t.Node) {
			if err := r.awaitReady(ctx, t); err != nil {
				return drivers.Done, err
			}
		}
		outcome, err := run(ctx, t, args)
		if err != nil || outcome != drivers.Done || !deletes {
			return outcome, err
		}
		return r.cleanUp(ctx, t)
	}
}

// goOn goes on with a step whose worker died.
func (r *RAID) goOn(resume stepRun, deletes bool) stepRun {
	first := r.around(resume, deletes)
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		tasks := followed(t.Node)
		if len(tasks) == 0 {
			return first(ctx, t, args)
		}
		if t.Node.DriverInternalInfo.String(keySubstep) == clearingForeign {
			return drivers.Waiting, drivers.PrepareToFinish(ctx, t)
		}
		return drivers.Waiting, rebootUnlessBegun(ctx, t, r.bmcs, tasks)
	}
}

// rebootUnlessBegun reboots a machine for tasks that wait for it. Its worker died about then.
func rebootUnlessBegun(ctx context.Context, t *drivers.Task, bmcs *redfish.BMCs, tasks []string) error {
	waits := false
	err := bmcs.Do(ctx, t, "looking at tasks", func(s *redfish.System) error {
		for _, task := range tasks {
			state, err := s.TaskState(task)
			if err != nil {
				return err
			}
			waits = waits || state.Active && !state.Begun
		}
		return nil
	})
	if err != nil || !waits {
		return err
	}
	return drivers.RebootToFinish(ctx, t)
}

// The keys of driver_internal_info that tell what the second part of a deletion waits for.
const (
	keyTasks   = "raid_task_monitor_uris"
	keySubstep = "raid_config_substep"
	// clearingForeign is the value of keySubstep while foreign arrays are forgotten by a job that restarts the machine.
	clearingForeign = "clear_foreign_config"
)

// followed are the tasks that the row knows.
func followed(n *store.Node) []string {
	var tasks []string
	for _, v := range n.DriverInternalInfo.List(keyTasks) {
		if text, ok := v.(string); ok {
			tasks = append(tasks, text)
		}
	}
	return tasks
}

func follow(n *store.Node, tasks []string) {
	var all []any
	for _, task := range tasks {
		all = append(all, task)
	}
	n.DriverInternalInfo[keyTasks] = all
}

// note has the flow wait for tasks, and for the reboot that goes with them.
func note(n *store.Node, tasks []string) {
	follow(n, tasks)
	drivers.AsyncStep{Skip: true, Polling: true}.Note(n)
}

// awaitMode reboots the machine for its controllers' new mode.
func (r *RAID) awaitMode(ctx context.Context, t *drivers.Task, tasks []string) error {
	// gofail: var dellModeAsked struct{}
	note(t.Node, tasks)
	if err := t.Worker.Save(ctx, t); err != nil {
		return err
	}
	// gofail: var dellModeNoted struct{}
	return drivers.RebootToFinish(ctx, t)
}

// awaitStaged lets the iDRAC restart the machine, into the agent where the flow has one.
func (r *RAID) awaitStaged(ctx context.Context, t *drivers.Task, tasks []string) error {
	t.Node.DriverInternalInfo[keySubstep] = clearingForeign
	note(t.Node, tasks)
	if err := t.Worker.Save(ctx, t); err != nil {
		return err
	}
	return drivers.PrepareToFinish(ctx, t)
}

// UnderWay tells whether the iDRAC changes arrays or controllers of the node.
func (r *RAID) UnderWay(n *store.Node) bool { return r.RAID.UnderWay(n) || len(followed(n)) > 0 }

// Poll looks how a step stands.
func (r *RAID) Poll(ctx context.Context, t *drivers.Task) (bool, error) {
	if !r.RAID.UnderWay(t.Node) {
		return r.pollTasks(ctx, t)
	}
	deletes := t.Node.DriverInternalInfo.Dict("raid_configs").String("operation") == "delete"
	done, err := r.RAID.Poll(ctx, t)
	if err != nil || !done || !deletes {
		return done, err
	}
	outcome, err := r.cleanUp(ctx, t)
	return err == nil && outcome == drivers.Done, ends(err)
}

// ends makes what an iDRAC refuses the end of the flow. One that could not be asked is asked again.
func ends(err error) error {
	if store.KindOf(err) == store.RedfishError {
		return &drivers.StepFailure{Text: err.Error()}
	}
	return err
}

func (r *RAID) pollTasks(ctx context.Context, t *drivers.Task) (bool, error) {
	all := followed(t.Node)
	var active, failed []string
	err := r.bmcs.Do(ctx, t, "checking RAID tasks", func(s *redfish.System) error {
		for _, task := range all {
			state, err := s.TaskState(task)
			switch {
			case err != nil:
				return err
			case state.Active:
				active = append(active, task)
			case !state.Gone && !state.Succeeded:
				failed = append(failed, fmt.Sprintf("Task %s. Message: '%s'.", task, state.Told))
			}
		}
		return nil
	})
	info := t.Node.DriverInternalInfo
	switch {
	case err != nil:
		return false, err
	case len(failed) > 0:
		r.forget(t.Node)
		return false, &drivers.StepFailure{Text: "Failed RAID configuration tasks: " + strings.Join(failed, ", ")}
	case len(active) == len(all):
		return false, nil
	case len(active) > 0:
		follow(t.Node, active)
		return false, t.Worker.Save(ctx, t)
	}
	foreign := info.String(keySubstep) == clearingForeign
	r.forget(t.Node)
	if !foreign {
		return true, nil
	}
	return r.pollMode(ctx, t)
}

// pollMode has controllers change their mode after foreign arrays are gone.
func (r *RAID) pollMode(ctx context.Context, t *drivers.Task) (bool, error) {
	var tasks []string
	err := r.bmcs.Do(ctx, t, "converting controllers to RAID mode", func(s *redfish.System) (err error) {
		tasks, err = r.toRAIDMode(s, t)
		return err
	})
	if err != nil || len(tasks) == 0 {
		return err == nil, ends(err)
	}
	return false, r.awaitMode(ctx, t, tasks)
}

func (*RAID) forget(n *store.Node) {
	delete(n.DriverInternalInfo, keyTasks)
	delete(n.DriverInternalInfo, keySubstep)
}

// Discard forgets what was to come.
func (r *RAID) Discard(ctx context.Context, t *drivers.Task) error {
	r.forget(t.Node)
	if !r.RAID.UnderWay(t.Node) {
		return nil
	}
	return r.RAID.Discard(ctx, t)
}

var (
	_ drivers.RAID   = (*RAID)(nil)
	_ drivers.Polled = (*RAID)(nil)
)
