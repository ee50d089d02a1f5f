package drivers

import (
	"context"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// KeyBootVolume is the key in driver_internal_info that names the volume target which a node boots from.
const KeyBootVolume = "boot_from_volume"

// keyDeployVolume names the one that an image is written to, which no interface of ironic can do.
const keyDeployVolume = "boot_from_volume_deploy"

// The kinds of volumes.
const (
	VolumeISCSI        = "iscsi"
	VolumeFibreChannel = "fibre_channel"
)

// IsBootVolume tells that a node tries a volume first when it boots.
func IsBootVolume(v *store.VolumeTarget) bool { return v.BootIndex != nil && *v.BootIndex == 0 }

// VolumeType is what kind of volume one is, "" when nobody said.
func VolumeType(v *store.VolumeTarget) string {
	if v.VolumeType == nil {
		return ""
	}
	return *v.VolumeType
}

// BootVolume is the volume that a node boots from, nil when it has none.
func BootVolume(ctx context.Context, t *Task) (*store.VolumeTarget, error) {
	targets, err := t.Worker.VolumeTargets(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("reading the node's volume targets: %w", err)
	}
	for _, v := range targets {
		if IsBootVolume(v) {
			return v, nil
		}
	}
	return nil, nil
}

// RememberBootVolume writes down which volume the node boots from, when its boot interface can boot it. A machine that does not say of
// itself that it can is a StorageError. It may be called again: the volume is found again.
func RememberBootVolume(ctx context.Context, t *Task) error {
	v, err := BootVolume(ctx, t)
	if err != nil || v == nil {
		return err
	}
	can, err := Capabilities(t.Node)
	if err != nil {
		return err
	}
	kind := strings.ToLower(VolumeType(v))
	if _, ok := can["iscsi_boot"]; kind == VolumeISCSI && !ok {
		return store.Errorf(store.StorageError, "Node %s has an iSCSI boot volume defined and no iSCSI boot support available.", t.Node.UUID)
	}
	if _, ok := can["fibre_channel_boot"]; kind == VolumeFibreChannel && !ok {
		return store.Errorf(store.StorageError,
			"Node %s has a Fibre Channel boot volume defined and no Fibre Channel boot support available.", t.Node.UUID)
	}
	if t.Node.DriverInternalInfo == nil {
		t.Node.DriverInternalInfo = store.Dict{}
	}
	if Can(t.Hardware.Boot, kind+"_volume_boot") {
		t.Node.DriverInternalInfo[KeyBootVolume] = v.UUID
	}
	return t.Worker.Save(ctx, t)
}

// ForgetVolumes deletes the node's volume targets, which belong to an instance that is gone. Crash window: those that are deleted stay
// so, and the next call deletes the rest.
func ForgetVolumes(ctx context.Context, t *Task) error {
	targets, err := t.Worker.VolumeTargets(ctx, t)
	if err != nil {
		return fmt.Errorf("reading the node's volume targets: %w", err)
	}
	for _, v := range targets {
		if err := t.Worker.DestroyVolumeTarget(ctx, t, v); err != nil && store.KindOf(err) != store.VolumeTargetNotFound {
			return fmt.Errorf("deleting volume target %s: %w", v.UUID, err)
		}
		t.Log.Info().Str("volume_target", v.UUID).Msg("The volume target of an instance that is gone was deleted")
	}
	delete(t.Node.DriverInternalInfo, KeyBootVolume)
	delete(t.Node.DriverInternalInfo, keyDeployVolume)
	return t.Worker.Save(ctx, t)
}

// ISCSIBootVolume is the volume that the node's instance boots from over iSCSI, nil when it boots otherwise or when the volume is gone.
func ISCSIBootVolume(ctx context.Context, t *Task) (*store.VolumeTarget, error) {
	id := t.Node.DriverInternalInfo.String(KeyBootVolume)
	if id == "" {
		return nil, nil
	}
	targets, err := t.Worker.VolumeTargets(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("reading the node's volume targets: %w", err)
	}
	for _, v := range targets {
		if v.UUID == id && VolumeType(v) == VolumeISCSI {
			return v, nil
		}
	}
	return nil, nil
}
