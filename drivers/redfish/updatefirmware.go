package redfish

import (
	"cmp"
	"context"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/jsonschema"
	"github.com/ironmaster/ironmaster/store"
)

// imageUpdates are the step update_firmware: files that are named by their URLs and checksums, whatever they are for.
type imageUpdates struct {
	*updater
	cfg    UpdateConfig
	schema *jsonschema.Schema
}

// newImageUpdates returns nil where firmware is not updated.
func newImageUpdates(b *BMCs) *imageUpdates {
	if b.client == nil || b.client.cfg.Updates.Files == nil {
		return nil
	}
	i := &imageUpdates{cfg: b.client.cfg.Updates, schema: jsonschema.MustParse(imagesSchema)}
	i.updater = &updater{base: base{b}, key: "firmware_updates", files: i.cfg.Files, stage: i.stageImage, now: time.Now}
	return i
}

func (i *imageUpdates) stageImage(ctx context.Context, t *drivers.Task, update store.Dict) (string, bool, error) {
	return i.cfg.serve(ctx, t, update.String("url"), cmp.Or(update.String("source"), i.cfg.Source),
		checksum(t.Node.UUID, update.String("checksum"), !i.cfg.Services))
}

func (i *imageUpdates) step() drivers.Step {
	return drivers.Step{Interface: drivers.TypeManagement, Name: "update_firmware", RequiresRamdisk: true,
		Args: map[string]drivers.StepArg{"firmware_images": {Description: "A list of firmware images to apply.", Required: true}},
		Run:  i.run, Resume: i.resume}
}

func (i *imageUpdates) run(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	list, err := checkUpdates(i.schema, args["firmware_images"])
	if err != nil {
		return drivers.Done, err
	}
	return i.begin(ctx, t, list)
}

func (i *imageUpdates) resume(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if i.UnderWay(t.Node) {
		return i.goOn(ctx, t)
	}
	return i.run(ctx, t, args)
}

// UnderWay tells whether the BMC updates firmware for the step update_firmware.
func (m *Management) UnderWay(n *store.Node) bool { return m.images != nil && m.images.UnderWay(n) }

// Poll looks how the step update_firmware stands.
func (m *Management) Poll(ctx context.Context, t *drivers.Task) (bool, error) {
	return m.images.Poll(ctx, t)
}

// Discard forgets the firmware that was to be updated.
func (m *Management) Discard(ctx context.Context, t *drivers.Task) error {
	return m.images.Discard(ctx, t)
}

var _ drivers.Polled = (*Management)(nil)
