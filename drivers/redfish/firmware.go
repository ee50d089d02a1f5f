package redfish

import (
	"context"
	_ "embed"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/jsonschema"
	"github.com/ironmaster/ironmaster/store"
)

// Firmware is the firmware interface redfish: which firmware BIOS, BMC and network cards have, and its updates.
type Firmware struct {
	base
	cfg        UpdateConfig
	components Components
	schema     *jsonschema.Schema
	updates    componentUpdates
}

// Components is where the firmware that users see is kept: the table firmware_information.
type Components interface {
	// RecordFirmware writes down which firmware a node's parts were found with.
	RecordFirmware(ctx context.Context, nodeID int64, components []store.FirmwareComponent) error
}

// componentUpdates are updates of components that are known by name.
type componentUpdates interface {
	UnderWay(n *store.Node) bool
	Poll(ctx context.Context, t *drivers.Task) (bool, error)
	Discard(ctx context.Context, t *drivers.Task) error
	begin(ctx context.Context, t *drivers.Task, list []store.Dict) (drivers.Outcome, error)
	goOn(ctx context.Context, t *drivers.Task) (drivers.Outcome, error)
}

//go:embed firmware_settings.json
var settingsSchema []byte

//go:embed firmware_settings_nics.json
var settingsSchemaWithNICs []byte

// keyComponents holds the updates of the firmware interface in driver_internal_info.
const keyComponents = "redfish_fw_updates"

// NewFirmware returns the firmware interface redfish.
func NewFirmware(c *Client, components Components) *Firmware {
	f := &Firmware{base: base{c.Plain()}, components: components, schema: jsonschema.MustParse(settingsSchema)}
	if c != nil {
		f.cfg = c.cfg.Updates
	}
	u := &updater{base: f.base, key: keyComponents, files: f.cfg.Files, stage: f.stage, targets: true, now: time.Now}
	f.updates = u
	if f.cfg.ByComponent {
		u.keys, u.named = componentKeys, true
		f.schema, f.updates = jsonschema.MustParse(settingsSchemaWithNICs), &stagedUpdates{u, f}
	}
	return f
}

// stage has no checksum to hold a file against.
func (f *Firmware) stage(ctx context.Context, t *drivers.Task, update store.Dict) (string, bool, error) {
	return f.cfg.serve(ctx, t, update.String("url"), f.cfg.Source, func(string) error { return nil })
}

// Validate checks driver_info.
func (f *Firmware) Validate(_ context.Context, t *drivers.Task) error { return f.bmcs.Validate(t.Node) }

// Steps update firmware. A servicing needs no ramdisk for it where the components say when the machine is to reboot.
func (f *Firmware) Steps(kind drivers.StepKind) []drivers.Step {
	if kind == drivers.VerifyStep {
		return nil
	}
	return []drivers.Step{{Interface: drivers.TypeFirmware, Name: "update", Run: f.update, Resume: f.goOn,
		RequiresRamdisk: kind != drivers.ServiceStep || !f.cfg.ByComponent,
		Args: map[string]drivers.StepArg{"settings": {Description: "A list of dicts with firmware components to be updated",
			Required: true}}}}
}

func (f *Firmware) update(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	list, err := checkUpdates(f.schema, args["settings"])
	if err != nil {
		return drivers.Done, err
	}
	return f.begun(ctx, t, func() (drivers.Outcome, error) { return f.updates.begin(ctx, t, list) })
}

func (f *Firmware) goOn(ctx context.Context, t *drivers.Task, args store.Dict) (drivers.Outcome, error) {
	if !f.UnderWay(t.Node) {
		return f.update(ctx, t, args)
	}
	return f.begun(ctx, t, func() (drivers.Outcome, error) { return f.updates.goOn(ctx, t) })
}

// begun records, in releases that do not wait for components, what the machine has when its updates have begun.
func (f *Firmware) begun(ctx context.Context, t *drivers.Task, begin func() (drivers.Outcome, error)) (drivers.Outcome, error) {
	outcome, err := begin()
	if err != nil || f.cfg.ByComponent {
		return outcome, err
	}
	return outcome, f.CacheComponents(ctx, t)
}

// UnderWay tells whether the BMC updates components of the node.
func (f *Firmware) UnderWay(n *store.Node) bool { return f.updates.UnderWay(n) }

// Poll looks how the updates stand.
func (f *Firmware) Poll(ctx context.Context, t *drivers.Task) (bool, error) {
	return f.updates.Poll(ctx, t)
}

// Discard forgets the updates that were to come.
func (f *Firmware) Discard(ctx context.Context, t *drivers.Task) error {
	return f.updates.Discard(ctx, t)
}

var (
	_ drivers.Polled        = (*Firmware)(nil)
	_ drivers.FirmwareCache = (*Firmware)(nil)
)
