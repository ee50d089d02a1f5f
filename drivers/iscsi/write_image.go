package iscsi

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// writeImage is the step deploy.write_image: the agent exposes the disk, and this worker writes it.
//
// Crash windows. qemu-img ends with the worker that runs it, and the row says that a writing was begun before the disk is
// touched. A writing that was cut short is begun anew, at most maxAnew times, on a target of its own: a worker that was only
// believed dead, and goes on, finds that its own is gone. Once the image was on the disk and read back, the row says so; what
// comes then (a config drive, the table) is small. With the UUIDs in the row the writing is over.
func (d *Deploy) writeImage(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	return d.write(ctx, t, false)
}

// resumeWriteImage goes on with writeImage. An agent that was never told to expose its disk has just booted.
func (d *Deploy) resumeWriteImage(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	if t.Node.DriverInternalInfo[keyUUIDs] != nil {
		return drivers.Done, nil
	}
	exposed, err := d.Called(ctx, t, startTarget)
	switch {
	case store.KindOf(err) == store.AgentConnectionFailed && ctx.Err() == nil:
		t.Log.Warn().Err(err).Msg("The agent can't be asked whether it exposes its disk; its next heartbeat tells")
		return drivers.Again, nil
	case err != nil:
		return drivers.Done, err
	}
	return d.write(ctx, t, exposed)
}

// write writes the image. exposed tells that this agent has exposed its disk before.
func (d *Deploy) write(ctx context.Context, t *drivers.Task, exposed bool) (drivers.Outcome, error) {
	if writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t); err != nil || !writes {
		return drivers.Done, err
	}
	cached, err := d.held(ctx, t)
	if err != nil {
		return drivers.Done, err
	}
	progress := writingOf(t.Node)
	if progress.tries > maxAnew {
		return drivers.Done, store.Errorf(store.InstanceDeployFailure,
			"Writing the image to node %s was begun anew %d times, and each time cut short; giving up", t.Node.UUID, maxAnew)
	}
	progress.tries++
	if !exposed {
		// The machine was off since: nobody knows what its disk holds.
		progress.poured = false
	}
	if err := progress.save(ctx, t); err != nil {
		return drivers.Done, err
	}
	// gofail: var iscsiIntended struct{}
	ids, err := d.writeTry(ctx, t, try{cached, progress, exposed})
	switch {
	case err == nil:
	case exposed && errors.Is(err, errRefused):
		// Ramdisks of ironic's own times give their disk to one target only.
		t.Log.Warn().Err(err).Msg("The ramdisk does not expose its disk anew; the machine boots again")
		if err := d.RebootAgent(ctx, t); err != nil {
			return drivers.Done, err
		}
		return drivers.Again, t.Worker.Save(ctx, t)
	case store.KindOf(err) == store.AgentInProgress:
		// The agent did nothing, and is asked again at its next heartbeat.
		progress.tries--
		return drivers.Done, errors.Join(err, progress.save(ctx, t))
	default:
		return drivers.Done, d.writeFailed(ctx, t, err)
	}
	delete(t.Node.DriverInternalInfo, keyWriting)
	t.Node.DriverInternalInfo[keyUUIDs] = map[string]any(ids)
	if err := t.Worker.Save(ctx, t); err != nil {
		return drivers.Done, err
	}
	// gofail: var iscsiWritten struct{}
	return drivers.Done, nil
}

// writeFailed words an error for the user, unless it only tells that the work ends here.
func (d *Deploy) writeFailed(ctx context.Context, t *drivers.Task, err error) error {
	kind := store.KindOf(err)
	if ctx.Err() != nil || errors.Is(err, store.ErrLockLost) || kind == store.AgentConnectionFailed || kind == store.AgentInProgress {
		return err
	}
	d.CollectLogs(ctx, t, "", true)
	return store.Errorf(store.InstanceDeployFailure, "Deploy failed for instance %s. Error: %w", cmp.Or(t.Node.InstanceUUID, "None"), err)
}

// try is one attempt to write the image.
type try struct {
	cached   image.Cached
	progress writing
	exposed  bool
}

func (d *Deploy) writeTry(ctx context.Context, t *drivers.Task, a try) (ids store.Dict, err error) {
	work := &writer{d: d, t: t, try: a}
	if work.source, err = imageAt(a.cached.Path, a.cached.Format); err != nil {
		return nil, err
	}
	if err := work.plan(ctx); err != nil {
		return nil, err
	}
	// What an exposed disk holds is looked at first.
	wipe := !a.exposed && !work.request.PreserveEphemeral
	if work.lun, err = d.expose(ctx, t, a.progress.tries, wipe); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, work.lun.close()) }()
	if wholeDisk(t.Node) {
		return work.wholeDisk(ctx)
	}
	return work.partitions(ctx)
}

// readBack tells whether the disk still holds the whole image, from a place on.
func (w *writer) readBack(ctx context.Context, at int64) (bool, error) {
	if !w.exposed {
		return false, nil
	}
	if !w.progress.poured {
		w.t.Log.Warn().Int64("try", w.progress.tries).Msg("Writing the image was cut short; it is begun anew")
		return false, nil
	}
	err := w.verify(ctx, at)
	var wrong *differenceError
	if errors.As(err, &wrong) {
		w.t.Log.Warn().Err(err).Int64("try", w.progress.tries).Msg("The disk does not hold the image any more; it is written anew")
		return false, nil
	}
	if err == nil {
		w.t.Log.Info().Msg("The disk holds the image that was written before")
	}
	return err == nil, err
}

// pourImage writes the image from a place on, reads it back, and has the row say so.
func (w *writer) pourImage(ctx context.Context, at int64) error {
	told := -1
	p := pouring{from: w.source, size: w.size(), to: at, sparse: !wholeDisk(w.t.Node) && w.d.cfg.sparse(),
		onPercent: func(percent float64) {
			// gofail: var iscsiPouring struct{}
			w.t.Worker.Report(w.t, drivers.Progress{Doing: doing, Bytes: int64(percent / 100 * float64(w.size())), Total: w.size()})
			if tens := int(percent) / 10; tens > told {
				told = tens
				w.t.Log.Info().Int("percent", int(percent)).Msg("Writing the image over iSCSI")
			}
		}}
	if err := w.lun.pour(ctx, p); err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}
	// gofail: var iscsiPoured struct{}
	if err := w.verify(ctx, at); err != nil {
		return err
	}
	w.progress.poured = true
	if err := w.progress.save(ctx, w.t); err != nil {
		return err
	}
	// gofail: var iscsiVerified struct{}
	return nil
}

// doing is what events say meanwhile; it is what those of direct say.
const doing = "writing the image"
