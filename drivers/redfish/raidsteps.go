package redfish

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// begin carries a change out for the first time.
func (r *RAID) begin(do change) func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		return r.first(ctx, t, args, do, false)
	}
}

// first submits the first part of a change.
//
// Crash windows: between the BMC's taking it and the row's knowing of its tasks, goOn asks the BMC for tasks that have not ended, and for
// volumes that are there. Between that and the reboot, goOn reboots.
func (r *RAID) first(ctx context.Context, t *drivers.Task, args store.Dict, do change, again bool) (drivers.Outcome, error) {
	var work raidWork
	err := r.on(ctx, t, "", func(s *system) (err error) {
		if again {
			work, err = begun(ctx, t, s, args, do)
		} else {
			work, err = do(ctx, t, s, args)
		}
		if err == nil {
			work, err = r.submit(s, work, again)
		}
		return err
	})
	if err == nil {
		return r.await(ctx, t, work)
	}
	// The flow writes this with its failure. A later step that went on after its worker's death would take it for its own.
	delete(t.Node.DriverInternalInfo, keyPlan)
	return drivers.Done, err
}

// await has the machine reboot for work that is under way, and otherwise records what was done.
func (r *RAID) await(ctx context.Context, t *drivers.Task, work raidWork) (drivers.Outcome, error) {
	if len(work.Monitors) == 0 {
		err := r.record(ctx, t)
		if err == nil {
			err = t.Worker.Save(ctx, t)
		}
		// The flow writes this with its next step, or with its failure: until then the step is where it is.
		delete(t.Node.DriverInternalInfo, keyPlan)
		return drivers.Done, err
	}
	if err := follow(ctx, t, work); err != nil {
		return drivers.Done, err
	}
	// gofail: var raidSubmitted struct{}
	return drivers.Waiting, drivers.RebootToFinish(ctx, t)
}

// follow has the flow wait for work that is under way, and for the reboot that goes with it.
func follow(ctx context.Context, t *drivers.Task, work raidWork) error {
	delete(t.Node.DriverInternalInfo, keyPlan)
	if err := work.store(t.Node); err != nil {
		return err
	}
	drivers.AsyncStep{Skip: true, Polling: true}.Note(t.Node)
	return t.Worker.Save(ctx, t)
}

// goOn goes on with a change whose worker died while it was being submitted.
func (r *RAID) goOn(do change) func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error) {
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		if r.UnderWay(t.Node) {
			return r.rebootAgain(ctx, t)
		}
		var work raidWork
		err := r.on(ctx, t, "", func(s *system) error {
			active, err := s.activeTasks()
			if err != nil || len(active) == 0 {
				return err
			}
			if work, err = begun(ctx, t, s, args, do); err == nil {
				work.Monitors = active
			}
			return err
		})
		switch {
		case err != nil:
			return drivers.Done, err
		case len(work.Monitors) > 0:
			if err := follow(ctx, t, work); err != nil {
				return drivers.Done, err
			}
			return r.rebootAgain(ctx, t)
		}
		return r.first(ctx, t, args, do, true)
	}
}

// rebootAgain reboots a machine whose worker died about then, unless its BMC is at work on the change.
func (r *RAID) rebootAgain(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	work, err := readRAIDWork(t.Node)
	if err != nil {
		return drivers.Done, err
	}
	waits := false
	err = r.on(ctx, t, "", func(s *system) error {
		for _, monitor := range work.Monitors {
			state, gone, err := s.look(monitor)
			if err != nil {
				return err
			}
			waits = waits || !gone && state.active() && !state.begun()
		}
		return nil
	})
	if err != nil || !waits {
		return drivers.Waiting, err
	}
	return drivers.Waiting, drivers.RebootToFinish(ctx, t)
}

// UnderWay tells whether the BMC changes arrays of the node.
func (r *RAID) UnderWay(n *store.Node) bool { return len(n.DriverInternalInfo.Dict(keyRAID)) > 0 }

// Poll looks how a change of arrays stands, and asks for its next part when the one before has ended. A task that failed fails the step.
func (r *RAID) Poll(ctx context.Context, t *drivers.Task) (bool, error) {
	work, err := readRAIDWork(t.Node)
	if err != nil {
		return false, &drivers.StepFailure{Text: err.Error()}
	}
	var active []string
	var failed *drivers.StepFailure
	err = r.on(ctx, t, "", func(s *system) error {
		for _, monitor := range work.Monitors {
			state, gone, err := s.look(monitor)
			switch {
			case err != nil:
				return err
			case gone:
				t.Log.Info().Str("task", monitor).Msg("The BMC does not know the task any more; it is taken to have ended well")
			case state.active():
				active = append(active, monitor)
			case !state.succeeded():
				failed = &drivers.StepFailure{Text: fmt.Sprintf("RAID %s task %s to node %s failed; messages: %s", work.Operation,
					monitor, t.Node.UUID, state.told())}
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return false, err
	case failed != nil:
		return false, failed
	case len(active) > 0:
		if len(active) == len(work.Monitors) {
			return false, nil
		}
		work.Monitors = active
		if err := work.store(t.Node); err != nil {
			return false, err
		}
		return false, t.Worker.Save(ctx, t)
	}
	return r.next(ctx, t, work)
}

// next asks for what is pending. A crash before the row knows of it has the next Poll ask again: volumes that are there by then are left
// out, and a controller that is at work refuses.
func (r *RAID) next(ctx context.Context, t *drivers.Task, work raidWork) (bool, error) {
	if len(work.Pending) > 0 || work.More {
		err := r.on(ctx, t, "", func(s *system) (err error) {
			active, err := s.activeTasks()
			if err != nil {
				return err
			}
			if len(active) > 0 {
				work.Monitors = active
				return nil
			}
			work, err = r.submit(s, work, true)
			return err
		})
		if err != nil {
			return false, r.refused(t, err)
		}
		if len(work.Monitors) > 0 {
			_, err := r.await(ctx, t, work)
			return false, err
		}
	}
	if err := r.record(ctx, t); err != nil {
		return false, err
	}
	r.forget(t.Node)
	return true, nil
}

// Discard forgets what was to come, and records which arrays there are.
func (r *RAID) Discard(ctx context.Context, t *drivers.Task) error {
	t.Log.Warn().Msg("RAID configuration failed; what remained of it is discarded")
	r.forget(t.Node)
	return r.record(ctx, t)
}

func (*RAID) forget(n *store.Node) {
	delete(n.DriverInternalInfo, keyRAID)
	delete(n.DriverInternalInfo, keyPlan)
}

// refused makes what a BMC refuses the end of the flow. One that could not be asked is asked again.
func (*RAID) refused(t *drivers.Task, err error) error {
	if store.KindOf(err) == store.RedfishError {
		delete(t.Node.DriverInternalInfo, keyPlan)
		return &drivers.StepFailure{Text: err.Error()}
	}
	return err
}
