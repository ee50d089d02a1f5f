// Package storage connects nodes with volumes: those that somebody else attaches (external), and those of Cinder.
package storage

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// External is the storage interface external: whoever defines a node's volumes has made them reachable already.
type External struct {
	// namesOption has the refusal name an option of old, as ironic 21.4 does.
	namesOption bool
}

// NewExternal returns the storage interface external.
func NewExternal(namesOption bool) *External { return &External{namesOption} }

var _ drivers.Storage = (*External)(nil)

// Properties are none.
func (*External) Properties() map[string]string { return map[string]string{} }

// Steps offers none.
func (*External) Steps(drivers.StepKind) []drivers.Step { return nil }

// Validate checks that the boot interface can boot a volume.
func (e *External) Validate(ctx context.Context, t *drivers.Task) error {
	writes, err := e.ShouldWriteImage(ctx, t)
	if err != nil || writes || drivers.Can(t.Hardware.Boot, drivers.CanBootIPXE) {
		return err
	}
	reason := "To support network booting to an iSCSI volume, the boot interface must be set to ``ipxe``."
	if e.namesOption {
		reason = "The [pxe]/ipxe_enabled option must be set to True to support network booting to an iSCSI volume or the boot " +
			"interface must be set to ``ipxe``."
	}
	return store.Errorf(store.InvalidParameterValue, "Failed to validate external storage interface for node %s. %s", t.Node.UUID, reason)
}

// ShouldWriteImage is false when the node has a boot volume and its instance names no image.
func (*External) ShouldWriteImage(ctx context.Context, t *drivers.Task) (bool, error) {
	return writesImage(ctx, t)
}

// AttachVolumes does nothing.
func (*External) AttachVolumes(context.Context, *drivers.Task) error { return nil }

// DetachVolumes does nothing.
func (*External) DetachVolumes(context.Context, *drivers.Task) error { return nil }

// writesImage tells whether the instance comes with an image. Whoever names none, and a volume to boot from, has it on the volume.
func writesImage(ctx context.Context, t *drivers.Task) (bool, error) {
	if _, named := t.Node.InstanceInfo["image_source"]; named {
		return true, nil
	}
	v, err := drivers.BootVolume(ctx, t)
	return v == nil, err
}
