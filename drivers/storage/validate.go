package storage

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Validate checks that the node's connectors, its volumes and what it says of itself fit.
func (*Cinder) Validate(ctx context.Context, t *drivers.Task) error {
	iscsi, fibre, err := validateConnectors(ctx, t)
	if err != nil {
		return err
	}
	bootsISCSI, bootsFibre := enabled(t.Node, "iscsi_boot"), enabled(t.Node, "fibre_channel_boot")
	if bootsISCSI && !iscsi {
		return invalid(t, store.InvalidParameterValue, "In order to enable the 'iscsi_boot' capability for the node, an associated "+
			"volume_connector type must be valid for iSCSI (iqn).")
	}
	if bootsFibre && !fibre {
		return invalid(t, store.InvalidParameterValue, "In order to enable the 'fibre_channel_boot' capability for the node, an "+
			"associated volume_connector type must be valid for Fibre Channel (wwpn, wwnn).")
	}
	targets, err := t.Worker.VolumeTargets(ctx, t)
	if err != nil {
		return fmt.Errorf("reading the node's volume targets: %w", err)
	}
	for _, v := range targets {
		if wrong := targetMistake(v, iscsi, fibre, bootsISCSI, bootsFibre); wrong != "" {
			return invalid(t, store.InvalidParameterValue, wrong)
		}
	}
	return nil
}

// enabled reads a capability as oslo reads texts of truth.
func enabled(n *store.Node, capability string) bool {
	return store.Dict{"value": drivers.Capability(n, capability)}.Bool("value", false)
}

// invalid is a mistake with ironic's words in front.
func invalid(t *drivers.Task, kind store.Kind, reason string) error {
	return store.Errorf(kind, "Failed to validate cinder storage interface for node %s. %s", t.Node.UUID, reason)
}

// validateConnectors tells whether the node reaches volumes over iSCSI, and by Fibre Channel.
func validateConnectors(ctx context.Context, t *drivers.Task) (iscsi, fibre bool, err error) {
	connectors, err := t.Worker.VolumeConnectors(ctx, t)
	if err != nil {
		return false, false, fmt.Errorf("reading the node's volume connectors: %w", err)
	}
	count := map[string]int{}
	for _, one := range connectors {
		if one.ConnectorID == nil {
			continue
		}
		count[text(one.Type)]++
		if text(one.Type) == connectorIQN && !drivers.Can(t.Hardware.Boot, drivers.CanBootIPXE) {
			return false, false, invalid(t, store.InvalidParameterValue, "The [pxe]/ipxe_enabled option must be set to True or the boot "+
				"interface must be set to ``ipxe`` to support network booting to an iSCSI volume.")
		}
	}
	if count[connectorIQN] > 1 {
		t.Log.Warn().Int("connectors", count[connectorIQN]).Msg("The node has several iSCSI connectors, of which the first is used")
	}
	if count[connectorWWPN] != count[connectorWWNN] {
		return false, false, invalid(t, store.StorageError, fmt.Sprintf("Cinder requires both wwnn and wwpn entries for FCoE connections. "+
			"There must be a wwpn entry for every wwnn entry. There are %d wwpn entries and %d wwnn entries.",
			count[connectorWWPN], count[connectorWWNN]))
	}
	return count[connectorIQN] > 0, count[connectorWWPN] > 0, nil
}

// targetMistake says what is wrong with a volume, "" when nothing is.
func targetMistake(v *store.VolumeTarget, iscsi, fibre, bootsISCSI, bootsFibre bool) string {
	boot, kind := drivers.IsBootVolume(v), drivers.VolumeType(v)
	switch {
	case v.VolumeID == nil:
		return fmt.Sprintf("volume_id missing from target %s.", v.UUID)
	case kind == drivers.VolumeFibreChannel && !bootsFibre && boot:
		return fmt.Sprintf("Volume target %s is configured for 'fibre_channel', however the capability 'fibre_channel_boot' is not "+
			"set on node.", v.UUID)
	case kind == drivers.VolumeFibreChannel && !fibre:
		return fmt.Sprintf("Volume target %s is configured for 'fibre_channel', however no Fibre Channel WWPNs are configured for the "+
			"node volume connectors.", v.UUID)
	case kind == drivers.VolumeISCSI && !bootsISCSI && boot:
		return fmt.Sprintf("Volume target %s is configured for 'iscsi', however the capability 'iscsi_boot' is not set for the node.", v.UUID)
	case kind == drivers.VolumeISCSI && !iscsi:
		return fmt.Sprintf("Volume target %s is configured for 'iscsi', however no iSCSI connectors are configured for the node.", v.UUID)
	case kind != drivers.VolumeISCSI && kind != drivers.VolumeFibreChannel:
		if v.VolumeType == nil {
			kind = "None"
		}
		return fmt.Sprintf("Volume target %s is of an unknown type '%s'. Supported types: 'iscsi' or 'fibre_channel'", v.UUID, kind)
	}
	return ""
}
