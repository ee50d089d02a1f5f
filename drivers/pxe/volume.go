package pxe

import (
	"context"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// firstExtraDrive is the BIOS's number for the disk after the first one, which is the boot volume.
const firstExtraDrive = 0x81

// bootVolume is the volume that the machine boots over iSCSI, nil when it boots otherwise. An installer is booted from where it is.
func bootVolume(ctx context.Context, t *drivers.Task) (*store.VolumeTarget, error) {
	if drivers.InstanceBoot(t.Node) == drivers.BootKickstart {
		return nil, nil
	}
	return drivers.ISCSIBootVolume(ctx, t)
}

// serveVolume writes the configuration that boots a volume over iSCSI, with the node's other volumes as further disks.
func (b *Boot) serveVolume(ctx context.Context, t *drivers.Task, boot *store.VolumeTarget) error {
	if err := b.placeFirst(); err != nil {
		return fmt.Errorf("writing what boot loaders read first: %w", err)
	}
	values, err := volumeOptions(ctx, t, boot)
	if err != nil {
		return err
	}
	return b.writeConfiguration(ctx, t, configuration{instance: values, section: iscsiSection})
}

// volumeOptions are the variables of ironic's templates that say where volumes are.
func volumeOptions(ctx context.Context, t *drivers.Task, boot *store.VolumeTarget) (map[string]any, error) {
	connectors, err := t.Worker.VolumeConnectors(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("reading the node's volume connectors: %w", err)
	}
	initiator := ""
	for _, c := range connectors {
		if c.Type != nil && *c.Type == "iqn" && c.ConnectorID != nil {
			initiator = *c.ConnectorID
		}
	}
	targets, err := t.Worker.VolumeTargets(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("reading the node's volume targets: %w", err)
	}
	var further []map[string]any
	for _, v := range targets {
		if !drivers.IsBootVolume(v) && strings.Contains(drivers.VolumeType(v), drivers.VolumeISCSI) {
			one := volumeAccess(v.Properties)
			one["drive"] = fmt.Sprintf("%#x", firstExtraDrive+len(further))
			further = append(further, one)
		}
	}
	first := volumeAccess(boot.Properties)
	if first["url"] == noVolumeURL {
		t.Log.Warn().Str("volume_target", boot.UUID).
			Msg("The boot volume's properties tell neither target_portal nor target_iqn: the machine will not find it")
	}
	return map[string]any{"boot_from_volume": true, "iscsi_boot_url": first["url"], "username": first["username"],
		"password": first["password"], "iscsi_initiator_iqn": oneLine(initiator), "iscsi_volumes": further}, nil
}

// volumeAccess says how one volume is reached: iPXE's address of it (https://ipxe.org/sanuri), and CHAP's name and password, "" where
// there are none.
func volumeAccess(properties store.Dict) map[string]any {
	return map[string]any{"url": volumeURL(properties), "username": oneLine(properties.String("auth_username")),
		"password": oneLine(properties.String("auth_password"))}
}

// noVolumeURL is the address of a volume of which nothing is known.
const noVolumeURL = "iscsi:::::"

// volumeURL is a volume's address, or several of them with a space between when it is reached by several ways.
func volumeURL(properties store.Dict) string {
	iqn, lun := volumeProperty(properties, "target_iqn"), volumeProperty(properties, "target_lun")
	address := func(portal string) string {
		host, port := portal, ""
		if colon := strings.LastIndexByte(portal, ':'); colon > strings.LastIndexByte(portal, ']') {
			host, port = portal[:colon], portal[colon+1:]
		}
		return oneLine("iscsi:" + host + "::" + port + ":" + lun + ":" + iqn)
	}
	if _, several := properties["target_portals"]; !several {
		return address(volumeProperty(properties, "target_portal"))
	}
	var all []string
	for _, portal := range properties.List("target_portals") {
		all = append(all, address(fmt.Sprint(portal)))
	}
	return strings.Join(all, " ")
}

// volumeProperty is a property of a volume or, for one with several ways, the first in the list of the name with an s.
func volumeProperty(properties store.Dict, name string) string {
	for _, key := range []string{name, name + "s"} {
		value := properties[key]
		if list, ok := value.([]any); ok {
			value = nil
			if len(list) > 0 {
				value = list[0]
			}
		}
		if text := fmt.Sprint(value); value != nil && text != "" {
			return text
		}
	}
	return ""
}

// oneLine takes out what would end a line of a boot loader's configuration: the rest would be commands.
func oneLine(text string) string {
	return strings.NewReplacer("\n", "", "\r", "", "\x00", "").Replace(text)
}
