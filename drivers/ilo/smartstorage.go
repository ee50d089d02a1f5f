package ilo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers/redfish"
)

// arrayController is a controller of HPE's own storage (HpeSmartStorageArrayController).
type arrayController struct {
	Model, Location string
	Links           map[string]hpLink
}

// physicalDrive is one of its drives (HpeSmartStorageDiskDrive).
type physicalDrive struct {
	Location, MediaType    string
	DiskDriveStatusReasons []string
}

// storageConfig is what an iLO 5 takes a controller's arrays from when the machine starts (SmartStorageConfig). Its Location is that of the
// controller.
type storageConfig struct {
	Location       string
	LogicalDrives  []logicalDrive
	PhysicalDrives []any
	Settings       struct {
		Messages []struct{ MessageID string } `json:"Messages"`
		Object   hpLink                       `json:"SettingsObject"`
	} `json:"@Redfish.Settings"`
}

// logicalDrive is an array.
type logicalDrive struct {
	CapacityGiB            float64
	Raid                   string
	LogicalDriveName       string
	VolumeUniqueIdentifier string
	DataDrives             any
	// Actions are what is to be done with it at the next start.
	Actions []any
}

// smartStorage is a machine's storage as far as an iLO 5 changes it.
type smartStorage struct {
	s           *redfish.System
	controllers []arrayController
	configs     []storageConfig
}

func readStorage(s *redfish.System) (*smartStorage, error) {
	configs := readExtension(s).SmartStorageConfig
	if len(configs) == 0 {
		return nil, reason("The Redfish controller failed to get the SmartStorageConfig controller configurations.")
	}
	all := &smartStorage{s: s}
	for _, at := range configs {
		var one storageConfig
		if err := s.Read(at.path(), &one); err != nil {
			return nil, err
		}
		all.configs = append(all.configs, one)
	}
	var err error
	all.controllers, err = arrayControllers(s)
	return all, err
}

func arrayControllers(s *redfish.System) ([]arrayController, error) {
	path := readExtension(s).Links["SmartStorage"].path()
	if path == "" {
		return nil, nil
	}
	var storage struct{ Links map[string]hpLink }
	if err := s.Read(path, &storage); err != nil {
		return nil, err
	}
	members, err := membersAt(s, storage.Links["ArrayControllers"])
	if err != nil {
		return nil, err
	}
	all := make([]arrayController, len(members))
	for i, member := range members {
		if err := s.Read(member, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// config is that of a controller, nil for one that has none.
func (a *smartStorage) config(c arrayController) *storageConfig {
	i := slices.IndexFunc(a.configs, func(one storageConfig) bool { return one.Location == c.Location })
	if i < 0 {
		return nil
	}
	return &a.configs[i]
}

// named is the controller of a model, or the first one when a logical disk names none.
func (a *smartStorage) named(model string) (arrayController, *storageConfig, error) {
	var models []string
	for _, c := range a.controllers {
		if model == "" || c.Model == model {
			if config := a.config(c); config != nil {
				return c, config, nil
			}
		}
		models = append(models, "'"+c.Model+"'")
	}
	return arrayController{}, nil, reason(fmt.Sprintf("The Redfish controller failed to create the raid configuration for one or more "+
		"controllers with Error: [('%s', \"Controller not found. Available controllers are: [%s]\")]", model, strings.Join(models, ", ")))
}

// change puts what the controller is to do at the next start in the place of what it was to do before.
func (a *smartStorage) change(c *storageConfig, method string, payload map[string]any) error {
	path := c.Settings.Object.path()
	if path == "" {
		return reason("The SmartStorageConfig at " + c.Location + " takes no settings.")
	}
	_, err := a.s.Send(method, path, payload)
	return err
}

// pending tells whether what was asked of the arrays of any controller still waits for the next start.
func (a *smartStorage) pending() (bool, error) {
	for i := range a.configs {
		next, err := a.settings(&a.configs[i])
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(next, func(d logicalDrive) bool { return d.VolumeUniqueIdentifier == "" || len(d.Actions) > 0 }) {
			return true, nil
		}
	}
	return false, nil
}

// settings are the arrays of a controller's next start.
func (a *smartStorage) settings(c *storageConfig) ([]logicalDrive, error) {
	var next storageConfig
	err := a.s.Read(c.Settings.Object.path(), &next)
	return next.LogicalDrives, err
}

// refusal is what a controller said to the last change of its arrays, "" when it did it.
func (c *storageConfig) refusal() string {
	said := ""
	for _, message := range c.Settings.Messages {
		if !strings.Contains(message.MessageID, "Success") {
			said = message.MessageID
		}
	}
	return said
}

// drives are those of a controller.
func (a *smartStorage) drives(c arrayController) ([]physicalDrive, error) {
	members, err := membersAt(a.s, c.Links["PhysicalDrives"])
	if err != nil {
		return nil, err
	}
	all := make([]physicalDrive, len(members))
	for i, member := range members {
		if err := a.s.Read(member, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// inArrays are the locations of drives that arrays are made of.
func (a *smartStorage) inArrays() map[string]bool {
	used := map[string]bool{}
	for _, c := range a.configs {
		for _, d := range c.LogicalDrives {
			for _, location := range locations(d.DataDrives) {
				used[location] = true
			}
		}
	}
	return used
}

// locations are the drives of an array, as far as they are named.
func locations(drives any) []string {
	list, _ := drives.([]any)
	var all []string
	for _, item := range list {
		if text, ok := item.(string); ok {
			all = append(all, text)
		}
	}
	return all
}
