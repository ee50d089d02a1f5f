package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// The components of the firmware interface.
const (
	partBIOS = "bios"
	partBMC  = "bmc"
	partNIC  = "nic" // nic:SERIAL
)

// CacheComponents records which firmware BIOS and BMC have, and the network cards where the release knows those.
func (f *Firmware) CacheComponents(ctx context.Context, t *drivers.Task) error {
	var found []store.FirmwareComponent
	err := f.on(ctx, t, "", func(s *system) error {
		if s.BiosVersion != "" {
			found = append(found, store.FirmwareComponent{Component: partBIOS, CurrentVersion: &s.BiosVersion})
		}
		managers, err := s.managers()
		if err != nil {
			t.Log.Warn().Str("reason", s.session.explain(err)).Msg("The firmware of the BMC can't be told")
		}
		if len(managers) > 0 && managers[0].FirmwareVersion != "" {
			one := store.FirmwareComponent{Component: partBMC, CurrentVersion: &managers[0].FirmwareVersion}
			if f.cfg.ByComponent {
				one.Model = given(managers[0].Model)
			}
			found = append(found, one)
		}
		if !f.cfg.ByComponent {
			return nil
		}
		cards, err := s.cardFirmware()
		if err != nil {
			// HPE's refuse this while no operating system runs.
			t.Log.Warn().Str("reason", s.session.explain(err)).Msg("The firmware of network cards can't be told")
		}
		found = append(found, cards...)
		return nil
	})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return store.Errorf(store.UnsupportedDriverExtension, "Cannot retrieve firmware for node %s: no supported components", t.Node.UUID)
	}
	return f.components.RecordFirmware(ctx, t.Node.ID, found)
}

// given is nil for an empty text.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// networkAdapters are the paths of the network cards in the system's first chassis. Its error is *missing where there are none to show.
func (s *system) networkAdapters() ([]string, error) {
	var links struct {
		Links struct{ Chassis []rawLink }
	}
	if err := json.Unmarshal(s.RawData, &links); err != nil {
		return nil, err
	}
	if len(links.Links.Chassis) == 0 {
		return nil, &missing{"Links/Chassis", s.ODataID}
	}
	at := links.Links.Chassis[0].Path
	var chassis json.RawMessage
	if err := s.Read(at, &chassis); err != nil {
		return nil, err
	}
	collection, err := linked(at, chassis, "NetworkAdapters")
	if err != nil {
		return nil, err
	}
	return s.members(collection)
}

// cardFirmware reads the firmware of network cards, by their serial numbers where they have one. Of several controllers on a card the first
// that tells counts: a node has each component once.
func (s *system) cardFirmware() ([]store.FirmwareComponent, error) {
	paths, err := s.networkAdapters()
	var none *missing
	if errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []store.FirmwareComponent
	for _, path := range paths {
		var card struct {
			ID                                string `json:"Id"`
			Manufacturer, Model, SerialNumber string
			Controllers                       []struct{ FirmwarePackageVersion string }
		}
		if err := s.Read(path, &card); err != nil {
			return nil, err
		}
		name := card.SerialNumber
		if name == "" {
			name = card.ID
		}
		for _, c := range card.Controllers {
			one := store.FirmwareComponent{Component: partNIC + ":" + name, CurrentVersion: &c.FirmwarePackageVersion,
				Vendor: given(card.Manufacturer), Model: given(card.Model), SerialNumber: given(card.SerialNumber)}
			known := slices.ContainsFunc(found, func(f store.FirmwareComponent) bool { return f.Component == one.Component })
			if c.FirmwarePackageVersion != "" && !known {
				found = append(found, one)
			}
		}
	}
	return found, nil
}
