package agent

import (
	"context"
	"maps"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/drivers/inspector"
	"github.com/ironmaster/ironmaster/store"
)

// InspectorService is ironic-inspector. Nodes are named by their UUIDs.
type InspectorService interface {
	// Start begins an inspection. managed tells that somebody else boots the ramdisk.
	Start(ctx context.Context, node string, managed bool) error
	// Abort ends one. None to end is no error.
	Abort(ctx context.Context, node string) error
	// Status is how a node's inspection stands, nil when there was none.
	Status(ctx context.Context, node string) (*inspector.Status, error)
	// Data is what was found out.
	Data(ctx context.Context, node string) (store.Dict, error)
	// Callback is where ramdisks tell what they find.
	Callback(ctx context.Context) (string, error)
	// Continue is what a ramdisk would do there.
	Continue(ctx context.Context, data store.Dict) error
}

// Inspector is the inspect interface inspector: ironic-inspector has the machine boot a ramdisk, or this conductor does where it can,
// and makes of its findings what it is configured to.
type Inspector struct {
	drivers.BareInspect
	inspectionBoot
	service InspectorService
	// forwards hands findings over to the service that come to ironic-api, as since 22.1.
	forwards bool
}

// NewInspector returns the inspect interface inspector.
func NewInspector(cfg Config, icfg InspectConfig, service InspectorService, keep inspection.Store, forwards bool) *Inspector {
	return &Inspector{inspectionBoot: inspectionBoot{cfg, icfg, keep}, service: service, forwards: forwards}
}

var _ drivers.Delegated = (*Inspector)(nil)

// InspectHardware boots the ramdisk where this conductor does. What it does it may do again.
func (i *Inspector) InspectHardware(ctx context.Context, t *drivers.Task) (drivers.Outcome, error) {
	managed, err := i.begin(ctx, t, i.forwards)
	if err != nil || !managed {
		return drivers.Waiting, err
	}
	if err := i.bootFor(ctx, t); err != nil {
		return drivers.Done, i.notBegun(ctx, t, err, i.removeRamdisk)
	}
	return drivers.Waiting, nil
}

// bootFor boots the ramdisk on behalf of the service, which is told before it could hear from it.
func (i *Inspector) bootFor(ctx context.Context, t *drivers.Task) error {
	callback, err := i.service.Callback(ctx)
	if err != nil {
		return err
	}
	if err := i.prepareManaged(ctx, t, callback); err != nil {
		return err
	}
	if err := i.service.Start(ctx, t.Node.UUID, true); err != nil {
		return err
	}
	return i.switchOn(ctx, t)
}

// TakesNode tells that the service boots the machine.
func (*Inspector) TakesNode(n *store.Node) bool {
	return !n.DriverInternalInfo.Bool(keyManagesBoot, false)
}

// Begin has the service boot the machine.
func (i *Inspector) Begin(ctx context.Context, t *drivers.Task) error {
	return i.service.Start(ctx, t.Node.UUID, false)
}

// Standing asks the service.
func (i *Inspector) Standing(ctx context.Context, t *drivers.Task) (drivers.Standing, error) {
	status, err := i.service.Status(ctx, t.Node.UUID)
	if err != nil || status == nil {
		return drivers.Standing{}, err
	}
	return drivers.Standing{Known: true, Over: status.Finished || status.Error != "", Error: status.Error,
		Awaited: status.State == inspector.Starting || status.State == inspector.Waiting}, nil
}

// Findings are split as ironic keeps them.
func (i *Inspector) Findings(ctx context.Context, t *drivers.Task) (inventory, pluginData store.Dict, err error) {
	data, err := i.service.Data(ctx, t.Node.UUID)
	if err != nil {
		return nil, nil, err
	}
	inventory = data.Dict("inventory")
	delete(data, "inventory")
	return inventory, data, nil
}

// Conclude takes the ramdisk away that this conductor had booted.
func (i *Inspector) Conclude(ctx context.Context, t *drivers.Task) error {
	delete(internalInfo(t.Node), keyLookup)
	return i.cleanUp(ctx, t, false)
}

// AbortInspection has the service end it. The ramdisk stays where it is, as with ironic.
func (i *Inspector) AbortInspection(ctx context.Context, t *drivers.Task) error {
	if err := i.service.Abort(ctx, t.Node.UUID); err != nil {
		return err
	}
	info := internalInfo(t.Node)
	if _, kept := info[keyLookup]; !kept {
		return nil
	}
	delete(info, keyLookup)
	return t.Worker.Save(ctx, t)
}

// Forward hands the findings to the service, in its format.
func (i *Inspector) Forward(ctx context.Context, _ *drivers.Task, inventory, pluginData store.Dict) error {
	data := store.Dict{}
	maps.Copy(data, pluginData)
	data["inventory"] = inventory
	return i.service.Continue(ctx, data)
}
