package ilo

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/raid"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// RAID is the raid interface ilo5: arrays of HPE's Smart Array controllers, which these make and delete when the machine starts.
type RAID struct {
	base
	schema *raid.Schema
}

// NewRAID returns the raid interface ilo5.
func NewRAID(c *redfish.Client, cfg Config) *RAID { return &RAID{newBase(c, cfg), raid.NewSchema()} }

// Properties describes how a node names its iLO.
func (*RAID) Properties() map[string]string { return maps.Clone(requiredProperties) }

// Validate checks the configuration that the node is to get.
func (r *RAID) Validate(_ context.Context, t *drivers.Task) error {
	return raid.ValidateTarget(t.Node, r.schema.Validate)
}

// ValidateRAIDConfig checks a configuration.
func (r *RAID) ValidateRAIDConfig(_ context.Context, _ *drivers.Task, config store.Dict) error {
	return r.schema.Validate(config)
}

// LogicalDiskProperties describes what a logical disk may be given.
func (r *RAID) LogicalDiskProperties() map[string]string { return r.schema.LogicalDiskProperties() }

// The names of the steps, and upstream's marks in driver_internal_info that the machine restarts in their middle.
const (
	stepCreate = "create_configuration"
	stepDelete = "delete_configuration"
	markCreate = "ilo_raid_create_in_progress"
	markDelete = "ilo_raid_delete_in_progress"
)

// Steps make and delete arrays. Each has the machine restart in its middle, and runs again when its agent is back.
func (r *RAID) Steps(kind drivers.StepKind) []drivers.Step {
	remove := drivers.Step{Interface: drivers.TypeRAID, Name: stepDelete, RequiresRamdisk: true, Run: r.remove,
		Resume: r.resume(markDelete, r.remove)}
	switch kind {
	case drivers.CleanStep:
		return []drivers.Step{remove, {Interface: drivers.TypeRAID, Name: stepCreate, RequiresRamdisk: true, Run: r.create,
			Resume: r.resume(markCreate, r.create), Args: map[string]drivers.StepArg{
				"create_root_volume":     {Description: "This specifies whether to create the root volume. Defaults to `True`."},
				"create_nonroot_volumes": {Description: "This specifies whether to create the non-root volumes. Defaults to `True`."},
			}}}
	case drivers.DeployStep:
		args := raid.ApplyArgs()
		delete(args, "delete_existing")
		return []drivers.Step{remove, {Interface: drivers.TypeRAID, Name: "apply_configuration", RequiresRamdisk: true, Run: r.apply,
			Resume: r.resume(markCreate, r.apply), Args: args}}
	}
	return nil
}

// apply is create with a configuration of its own. Unlike in cleaning volumes beside the root volume are made when they are asked for.
func (r *RAID) apply(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	config := args.Dict("raid_config")
	if err := r.schema.Validate(config); err != nil {
		return drivers.Done, err
	}
	t.Node.TargetRAIDConfig = config
	args = args.Clone()
	args["create_nonroot_volumes"] = args.Bool("create_nonroot_volumes", false)
	return r.create(ctx, t, args)
}

// create asks for arrays, and reads them when the machine has restarted.
func (r *RAID) create(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	target, err := raid.Filter(t.Node, args.Bool("create_root_volume", true), args.Bool("create_nonroot_volumes", true))
	if err != nil {
		return drivers.Done, err
	}
	if err := enoughDisks(target); err != nil {
		return drivers.Done, err
	}
	failed := "Failed to create raid configuration on node " + t.Node.UUID
	t.Node.DriverInternalInfo["target_raid_config"] = map[string]any(target)
	if !t.Node.DriverInternalInfo.Bool(markCreate, false) {
		return r.begin(ctx, t, markCreate, failed, func(a *smartStorage) error { return askForArrays(a, target) })
	}
	var made store.Dict
	err = r.end(ctx, t, markCreate, failed, func(a *smartStorage) error {
		made, err = arraysOf(a, target)
		return err
	})
	switch {
	case err != nil:
		return drivers.Done, err
	case len(made.List("logical_disks")) == 0:
		return drivers.Done, r.failed(t, stepCreate, "Unable to create raid")
	}
	return drivers.Done, raid.Record(t.Node, made, time.Now())
}

// remove asks for the end of all arrays, and looks when the machine has restarted whether they are gone.
func (r *RAID) remove(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	failed := "Failed to delete raid configuration on node " + t.Node.UUID
	if !t.Node.DriverInternalInfo.Bool(markDelete, false) {
		return r.begin(ctx, t, markDelete, failed, askForDeletion)
	}
	var left []any
	err := r.end(ctx, t, markDelete, failed, func(a *smartStorage) (err error) {
		left, err = remaining(a)
		return err
	})
	switch {
	case err != nil:
		return drivers.Done, err
	case len(left) > 0:
		return drivers.Done, r.failed(t, stepDelete, "Unable to delete these logical disks: "+store.PythonRepr(left))
	}
	t.Node.RAIDConfig = store.Dict{}
	return drivers.Done, nil
}

// nothingToDo is a change that needs no restart.
type nothingToDo struct{}

func (nothingToDo) Error() string {
	return "No logical drives are found in any controllers. Nothing to delete."
}

// begin puts a change for the next start of the machine, and restarts it.
//
// Crash windows: until the mark is saved nothing has restarted the machine, so that the change can be put again: it takes the place of the
// one before. Afterwards resume looks whether the restart is due.
func (r *RAID) begin(ctx context.Context, t *drivers.Task, mark, failed string, change func(*smartStorage) error) (drivers.Outcome, error) {
	var nothing bool
	err := r.bmcs.Do(ctx, t, "RAID config", func(s *redfish.System) error {
		a, err := readStorage(s)
		if err == nil {
			err = change(a)
		}
		if nothing = errors.Is(err, nothingToDo{}); nothing {
			return nil
		}
		return err
	})
	if err != nil {
		return drivers.Done, ended(err, failed)
	}
	if nothing {
		t.Log.Info().Msg("No logical drive was found to delete")
		return drivers.Done, nil
	}
	t.Node.DriverInternalInfo[mark] = true
	drivers.AsyncStep{}.Note(t.Node)
	if err := t.Worker.Save(ctx, t); err != nil {
		return drivers.Done, err
	}
	return restart(ctx, t, mark)
}

// end reads what came of a change, and takes its mark away.
func (r *RAID) end(ctx context.Context, t *drivers.Task, mark, failed string, read func(*smartStorage) error) error {
	err := r.bmcs.Do(ctx, t, "RAID config", func(s *redfish.System) error {
		a, err := readStorage(s)
		if err == nil {
			err = read(a)
		}
		return err
	})
	if err != nil && store.KindOf(err) == "" {
		return err
	}
	for _, key := range []string{mark, "skip_current_clean_step", "skip_current_deploy_step"} {
		delete(t.Node.DriverInternalInfo, key)
	}
	return ended(err, failed)
}

// resume goes on with a change whose worker died about the restart.
func (r *RAID) resume(mark string, run func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error)) func(context.Context,
	*drivers.Task, store.Dict) (drivers.Outcome, error) {
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		if !t.Node.DriverInternalInfo.Bool(mark, false) || !drivers.RebootDue(t.Node) {
			return run(ctx, t, args)
		}
		due, err := r.restartDue(ctx, t)
		if err != nil || !due {
			return drivers.Waiting, err
		}
		return restart(ctx, t, mark)
	}
}

// restartDue tells whether the machine has not begun to restart for a change: one that starts may be in the midst of it.
func (r *RAID) restartDue(ctx context.Context, t *drivers.Task) (due bool, err error) {
	err = r.bmcs.Do(ctx, t, "RAID config", func(s *redfish.System) error {
		if slices.Contains(postRunning, readExtension(s).PostState) && readExtension(s).PostState != postFinished {
			return nil
		}
		a, err := readStorage(s)
		if err == nil {
			due, err = a.pending()
		}
		return err
	})
	return due, err
}

// ended makes what an iLO refuses the end of the flow, in ironic's words with the reason behind.
func ended(err error, failed string) error {
	if store.KindOf(err) != store.IloOperationError {
		return err
	}
	return &drivers.StepFailure{Text: failed + ": " + err.Error()}
}

// failed is a step that the controller did not do although it was restarted.
func (*RAID) failed(t *drivers.Task, step, why string) error {
	kind := store.InstanceDeployFailure
	if len(t.Node.CleanStep) > 0 {
		kind = store.NodeCleaningFailure
	}
	return store.Errorf(kind, "Step %s failed on node %s with error: %s", step, t.Node.UUID, why)
}

var _ drivers.RAID = (*RAID)(nil)
