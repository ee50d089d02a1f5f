package iscsi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// Images is where images come from; agent.Depot is one.
type Images interface {
	// Hold fetches, checks and converts an image and keeps it for the node.
	Hold(ctx context.Context, t *drivers.Task, wish agent.ServeRequest) (image.Cached, error)
	// Held is what Hold keeps for a node, also after a restart.
	Held(n *store.Node) (image.Cached, bool)
}

// Web reads config drives that are given by their URL; image.Service is one.
type Web interface {
	Download(ctx context.Context, ref image.Ref, w io.Writer, progress *image.Progress) (int64, error)
}

// Deploy is the deploy interface iscsi. What it shares with direct is direct's.
type Deploy struct {
	*agent.Deploy
	cfg    Config
	images Images
	web    Web
}

// Open returns the deploy interface iscsi. direct must have images come from this worker (agent.Config.DownloadSource "local").
// What a worker that was killed left in the scratch folder goes.
func Open(cfg Config, direct *agent.Deploy, images Images, web Web) (*Deploy, error) {
	if err := errors.Join(os.RemoveAll(cfg.ScratchDir), os.MkdirAll(cfg.ScratchDir, 0o700)); err != nil {
		return nil, fmt.Errorf("making a folder for what is on its way over iSCSI: %w", err)
	}
	return &Deploy{Deploy: direct, cfg: cfg, images: images, web: web}, nil
}

var (
	_ drivers.Deploy = (*Deploy)(nil)
	_ drivers.Agent  = (*Deploy)(nil)
)

// Steps are those of direct, with this interface's own way to write the image.
func (d *Deploy) Steps(kind drivers.StepKind) []drivers.Step {
	steps := d.Deploy.Steps(kind)
	for i, s := range steps {
		switch s.Name {
		case "deploy":
			steps[i].Run, steps[i].Resume = d.afterFetch(s.Run), d.afterFetch(s.Resume)
		case "write_image":
			steps[i] = drivers.Step{Interface: s.Interface, Name: s.Name, Priority: s.Priority, Run: d.writeImage,
				Resume: d.resumeWriteImage}
		case "prepare_instance_boot":
			steps[i].Run = d.prepareInstanceBoot
		}
	}
	return steps
}

// Prepare makes everything ready for the agent. The image is fetched later, by the first step.
func (d *Deploy) Prepare(ctx context.Context, t *drivers.Task) error {
	return d.PrepareWith(ctx, t, func(ctx context.Context, t *drivers.Task) error {
		return d.DecideKind(ctx, t, t.Node.InstanceInfo)
	})
}

// CleanUp takes away what Prepare and the steps made. It may be called again and again.
func (d *Deploy) CleanUp(ctx context.Context, t *drivers.Task) error {
	if err := d.Deploy.CleanUp(ctx, t); err != nil {
		return err
	}
	if !forget(t.Node) {
		return nil
	}
	return t.Worker.Save(ctx, t)
}

// stepRun is what a step does.
type stepRun = func(context.Context, *drivers.Task, store.Dict) (drivers.Outcome, error)

// afterFetch has the image here before a step runs that takes the machine away from what it does.
func (d *Deploy) afterFetch(run stepRun) stepRun {
	return func(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
		writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t)
		if err != nil {
			return drivers.Done, err
		}
		if writes {
			forget(t.Node)
			if _, err := d.fetch(ctx, t); err != nil {
				return drivers.Done, err
			}
		}
		return run(ctx, t, args)
	}
}

// prepareInstanceBoot is the step deploy.prepare_instance_boot. Which partitions there are this worker knows by itself.
func (d *Deploy) prepareInstanceBoot(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
	writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t)
	if err != nil {
		return drivers.Done, err
	}
	if !writes {
		return drivers.Done, t.Hardware.Boot.PrepareInstance(ctx, t)
	}
	ids := t.Node.DriverInternalInfo.Dict(keyUUIDs)
	if ids == nil {
		return drivers.Done, store.Errorf(store.InstanceDeployFailure, "Invalid internal state: the write_image deploy step has not "+
			"been called before prepare_instance_boot")
	}
	return drivers.Done, d.PrepareInstanceBoot(ctx, t, ids)
}
