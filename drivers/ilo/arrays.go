package ilo

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/ironmaster/ironmaster/drivers/raid"
	"github.com/ironmaster/ironmaster/store"
)

// fewestDisks are how many disks each level needs.
var fewestDisks = map[string]int64{"0": 1, "1": 2, "5": 3, "6": 4, "1+0": 4, "10": 4, "5+0": 6, "50": 6, "6+0": 8, "60": 8, "1ADM": 3}

// enoughDisks checks that each logical disk has the disks that its level needs, as proliantutils does.
func enoughDisks(target store.Dict) error {
	for _, disk := range raid.Disks(target) {
		level := disk.String("raid_level")
		fewest, known := fewestDisks[level]
		if !known {
			return store.Errorf(store.InvalidParameterValue, "RAID level %s is not one that an iLO makes.", level)
		}
		count, given, err := disk.Int("number_of_physical_disks")
		if err != nil {
			return store.Errorf(store.InvalidParameterValue, "number_of_physical_disks of a logical disk: %w", err)
		}
		if !given {
			count = int64(len(disk.List("physical_disks")))
		}
		if count > 0 && count < fewest {
			return store.Errorf(store.InvalidParameterValue, "RAID level %s requires at least %d disks.", level, fewest)
		}
	}
	return nil
}

// askForArrays asks each controller for the logical disks that are to be on it.
func askForArrays(a *smartStorage, target store.Dict) error {
	wanted := map[*storageConfig][]any{}
	var order []*storageConfig
	for _, disk := range raid.Disks(target) {
		_, config, err := a.named(disk.String("controller"))
		if err != nil {
			return err
		}
		if wanted[config] == nil {
			order = append(order, config)
		}
		wanted[config] = append(wanted[config], inWordsOfILO(disk))
	}
	for _, config := range order {
		err := a.change(config, http.MethodPut, map[string]any{"DataGuard": "Disabled", "LogicalDrives": wanted[config]})
		if err != nil {
			return err
		}
	}
	return nil
}

// inWordsOfILO is a logical disk as a SmartStorageConfig has it.
func inWordsOfILO(disk store.Dict) map[string]any {
	level := disk.String("raid_level")
	drive := map[string]any{"Raid": "Raid" + strings.ReplaceAll(level, "+", ""), "CapacityGiB": int64(-1)}
	if size, given, err := disk.Int("size_gb"); given && err == nil {
		drive["CapacityGiB"] = size
	}
	if name := disk.String("volume_name"); name != "" {
		drive["LogicalDriveName"] = name
	}
	if disks, given := disk["physical_disks"]; given {
		drive["DataDrives"] = disks
		return drive
	}
	which := map[string]any{"DataDriveCount": fewestDisks[level]}
	if count, given, err := disk.Int("number_of_physical_disks"); given && err == nil {
		which["DataDriveCount"] = count
	}
	for to, from := range map[string]string{"DataDriveMediaType": "disk_type", "DataDriveInterfaceType": "interface_type"} {
		if text := disk.String(from); text != "" {
			which[to] = text
		}
	}
	drive["DataDrives"] = which
	return drive
}

// arraysOf are the arrays of the controllers that a configuration is for, as the row shows them. Its error tells of a change that the
// controller refused, or that there are none.
func arraysOf(a *smartStorage, target store.Dict) (store.Dict, error) {
	var disks []any
	seen := map[*storageConfig]bool{}
	empty := true
	for _, disk := range raid.Disks(target) {
		controller, config, err := a.named(disk.String("controller"))
		if err != nil {
			return nil, err
		}
		if seen[config] {
			continue
		}
		seen[config] = true
		if len(config.LogicalDrives) == 0 {
			continue
		}
		empty = false
		if said := config.refusal(); said != "" {
			return nil, reason("Failed to perform the create_raid operation successfully. Error - " + said)
		}
		next, err := a.settings(config)
		if err != nil {
			return nil, err
		}
		for _, d := range next {
			disks = append(disks, d.shown(controller.Model))
		}
	}
	if empty {
		return nil, reason("No logical drives are found in any controllers.")
	}
	return store.Dict{"logical_disks": disks}, nil
}

// shown is an array as the row has it.
func (d logicalDrive) shown(controller string) map[string]any {
	named := any(controller)
	if controller == "" {
		named = nil
	}
	return map[string]any{"size_gb": int64(d.CapacityGiB), "raid_level": strings.TrimPrefix(d.Raid, "Raid"),
		"root_device_hint": map[string]any{"wwn": "0x" + d.VolumeUniqueIdentifier}, "controller": named,
		"physical_disks": d.DataDrives, "volume_name": d.LogicalDriveName}
}

// askForDeletion asks all controllers that have arrays for their end.
func askForDeletion(a *smartStorage) error {
	asked := false
	for i := range a.configs {
		config := &a.configs[i]
		if len(config.LogicalDrives) == 0 {
			continue
		}
		var all []any
		for _, d := range config.LogicalDrives {
			all = append(all, map[string]any{"Actions": []any{map[string]any{"Action": "LogicalDriveDelete"}},
				"VolumeUniqueIdentifier": d.VolumeUniqueIdentifier})
		}
		if err := a.change(config, http.MethodPut, map[string]any{"LogicalDrives": all, "DataGuard": "Permissive"}); err != nil {
			return err
		}
		asked = true
	}
	if !asked {
		return nothingToDo{}
	}
	return nil
}

// remaining are the arrays that are there after a deletion.
func remaining(a *smartStorage) ([]any, error) {
	var left []any
	for i := range a.configs {
		config := &a.configs[i]
		if said := config.refusal(); said != "" {
			// A controller that has nothing to do with the deletion may say something else.
			if config.PhysicalDrives == nil {
				continue
			}
			return nil, reason(fmt.Sprintf("Failed to perform the delete_raid operation successfully. Error - %s", said))
		}
		next, err := a.settings(config)
		if err != nil {
			return nil, err
		}
		for _, d := range next {
			left = append(left, d.shown(""))
		}
	}
	return left, nil
}
