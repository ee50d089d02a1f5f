package ilo

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// markVolume tells, in driver_internal_info, that the machine's BIOS settings name the volume that it boots from, as upstream has it.
const markVolume = "ilo_uefi_iscsi_boot"

// attempt is how a network card reaches a volume, in the words of the BIOS settings.
type attempt = map[string]any

// bootsVolume makes a machine in UEFI mode boot the instance's iSCSI volume. It tells whether there is one: a machine in BIOS mode, and one
// without a volume, boot otherwise.
//
// Crash window: the mark is saved before the settings are made, so that whoever cleans up takes away what may be there.
func (b *base) bootsVolume(ctx context.Context, t *drivers.Task) (bool, error) {
	v, err := drivers.ISCSIBootVolume(ctx, t)
	if err != nil || v == nil {
		return false, err
	}
	uefi, err := b.startsUEFI(ctx, t)
	if err != nil || !uefi {
		return false, err
	}
	t.Node.DriverInternalInfo[markVolume] = true
	if err := t.Worker.Save(ctx, t); err != nil {
		return false, err
	}
	target, err := volumeAttempt(t.Node, v)
	if err != nil {
		return false, err
	}
	if err := b.setAttempts(ctx, t, "Setting of target IQN "+v.Properties.String("target_iqn")+" for node "+t.Node.UUID, target); err != nil {
		return false, err
	}
	return true, drivers.SetBootDevice(ctx, t, bootDeviceISCSI, true)
}

// startsUEFI tells whether the machine's next start is in UEFI mode.
func (b *base) startsUEFI(ctx context.Context, t *drivers.Task) (uefi bool, err error) {
	err = b.bmcs.Do(ctx, t, "Get pending boot mode", func(s *redfish.System) error {
		mode, err := pendingMode(s)
		uefi = mode == store.BootModeUEFI
		return err
	})
	return uefi, err
}

// forgetsVolume takes a volume out of the BIOS settings. It tells whether there was one.
func (b *base) forgetsVolume(ctx context.Context, t *drivers.Task) (bool, error) {
	if !t.Node.DriverInternalInfo.Bool(markVolume, false) {
		return false, nil
	}
	err := b.setAttempts(ctx, t, "Unsetting of iSCSI target for node "+t.Node.UUID, attempt{"iSCSIConnection": "Disabled"})
	if err != nil {
		return false, err
	}
	delete(t.Node.DriverInternalInfo, markVolume)
	return true, t.Worker.Save(ctx, t)
}

// volumeAttempt is a volume in the words of the BIOS settings.
func volumeAttempt(n *store.Node, v *store.VolumeTarget) (attempt, error) {
	for _, key := range []string{"target_portal", "target_iqn", "target_lun"} {
		if _, given := v.Properties[key]; !given {
			return nil, store.Errorf(store.MissingParameterValue, "Failed to get iSCSI target info for node %s. Error: '%s'", n.UUID, key)
		}
	}
	host, text, err := net.SplitHostPort(v.Properties.String("target_portal"))
	port, portErr := strconv.ParseUint(text, 10, 16)
	if err != nil || portErr != nil {
		return nil, store.Errorf(store.InvalidParameterValue, "The target_portal of volume target %s is not of the form HOST:PORT.", v.UUID)
	}
	a := attempt{"iSCSITargetName": v.Properties["target_iqn"], "iSCSILUN": v.Properties["target_lun"], "iSCSITargetIpAddress": host,
		"iSCSITargetTcpPort": port, "iSCSITargetInfoViaDHCP": false, "iSCSIConnection": "Enabled"}
	if user := v.Properties.String("auth_username"); user != "" {
		a["iSCSIAuthenticationMethod"], a["iSCSIChapUsername"], a["iSCSIChapSecret"] = "Chap", user, v.Properties.String("auth_password")
	}
	return a, nil
}

// setAttempts gives each network card of the node's ports the same attempt.
func (b *base) setAttempts(ctx context.Context, t *drivers.Task, operation string, one attempt) error {
	ports, err := t.Worker.Ports(ctx, t)
	if err != nil {
		return err
	}
	return b.bmcs.Do(ctx, t, operation, func(s *redfish.System) error {
		if secret, chap := one["iSCSIChapSecret"].(string); chap {
			s.Hide(secret)
		}
		f, err := readFirmware(s)
		switch {
		case err != nil:
			return err
		case f.mode() != store.BootModeUEFI:
			return notSupported(operation, "iSCSI boot is not supported in the BIOS boot mode")
		case f.iscsi == "" || f.mappings == "":
			return reason("The BIOS settings of this system have no place for iSCSI volumes.")
		}
		cards, err := cardsOf(s, f.mappings, ports)
		if err != nil {
			return err
		}
		var sources []any
		for i, card := range cards {
			source := attempt{"iSCSIAttemptName": card, "iSCSINicSource": card, "iSCSIAttemptInstance": i + 1}
			for name, value := range one {
				source[name] = value
			}
			sources = append(sources, source)
		}
		var settings struct {
			Settings struct {
				Object hpLink `json:"SettingsObject"`
			} `json:"@Redfish.Settings"`
		}
		if err := s.Read(f.iscsi, &settings); err != nil {
			return err
		}
		return s.Change(settings.Settings.Object.path(), map[string]any{"iSCSISources": sources})
	})
}

// cardsOf are the names that the BIOS settings have for the network cards of ports, or for all of them where the node has no port.
func cardsOf(s *redfish.System, mappings string, ports []*store.Port) ([]string, error) {
	var known struct {
		BiosPciSettingsMappings []struct {
			Subinstances []struct {
				CorrelatableID string
				// Associations are names, and lists of them.
				Associations []any
			}
		}
	}
	if err := s.Read(mappings, &known); err != nil {
		return nil, err
	}
	paths, err := devicePaths(s)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	var missing []any
	for _, p := range ports {
		path, there := paths[strings.ToLower(p.Address)]
		if !there {
			missing = append(missing, p.Address)
		}
		wanted[path] = true
	}
	if len(missing) > 0 {
		return nil, reason("Given macs: " + store.PythonRepr(missing) + " not found in the system")
	}
	var names []string
	for _, mapping := range known.BiosPciSettingsMappings {
		for _, one := range mapping.Subinstances {
			for _, association := range one.Associations {
				name, _ := association.(string)
				fits := len(ports) == 0 || wanted[one.CorrelatableID]
				if strings.Contains(name, "NicBoot") && fits && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	if len(names) == 0 {
		return nil, reason("No macs were found on the system")
	}
	return names, nil
}

// devicePaths are the UEFI paths of network cards, by address in lower case.
func devicePaths(s *redfish.System) (map[string]string, error) {
	var links struct{ EthernetInterfaces hpLink }
	if err := s.Read(systemID, &links); err != nil {
		return nil, err
	}
	members, err := membersAt(s, links.EthernetInterfaces)
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, member := range members {
		var card struct{ MACAddress, UefiDevicePath string }
		if err := s.Read(member, &card); err != nil {
			return nil, err
		}
		paths[strings.ToLower(card.MACAddress)] = card.UefiDevicePath
	}
	return paths, nil
}
