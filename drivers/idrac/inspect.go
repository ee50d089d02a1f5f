package idrac

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// InspectConfig says what the releases of ironic do otherwise with what an iDRAC tells.
type InspectConfig struct {
	redfish.InspectConfig
	// EachCard gives each network card a port, whatever its state, as up to 36.0.
	EachCard bool
	// MarksPorts marks the ports of the cards that the machine boots from; since 29.0 [inspector]update_pxe_enabled says whether.
	MarksPorts bool
	// SKUIsSerial shows Dell's service tag as the serial number, as since 35.0.
	SKUIsSerial bool
	// Neighbours hands on what network cards know of their switches, as since 34.0.
	Neighbours bool
}

// NewInspect returns the inspect interface idrac-redfish: that of redfish, with what an iDRAC knows of its network cards.
func NewInspect(c *redfish.Client, cfg Config, icfg InspectConfig, keep inspection.Store) *redfish.Inspect {
	v := redfish.InspectVendor{EachCard: icfg.EachCard, MarksPorts: icfg.MarksPorts, SKUIsSerial: icfg.SKUIsSerial,
		BootCards: func(_ context.Context, t *drivers.Task, s *redfish.System, cards map[string]string, mode string) ([]string, error) {
			return bootCards(t, s, cfg, cards, mode)
		}}
	if icfg.Neighbours {
		v.Neighbours = neighbours
	}
	return redfish.NewInspectOf(c, icfg.InspectConfig, keep, v)
}

// pxeDevices is how many network cards the BIOS settings name that UEFI boots from.
const pxeDevices = 4

// bootCards are the addresses of the cards that the machine boots from by PXE. In UEFI mode the BIOS settings name them; in BIOS mode
// each card knows it itself, and only the iDRAC's profile tells.
func bootCards(t *drivers.Task, s *redfish.System, cfg Config, cards map[string]string, mode string) ([]string, error) {
	var names []string
	var err error
	switch mode {
	case store.BootModeUEFI:
		names, err = bootCardsOfUEFI(s)
	case store.BootModeBIOS:
		err = onManagers(s, t, "get PXE port MAC addresses", func(m *schemas.Manager) (err error) {
			names, err = bootCardsOfBIOS(s, m, cfg)
			return err
		})
	}
	var addresses []string
	for _, name := range names {
		if address, known := cards[name]; known {
			addresses = append(addresses, address)
			continue
		}
		t.Log.Warn().Str("card", name).Msg("The iDRAC has the machine boot from a network card that it does not show")
	}
	return addresses, err
}

func bootCardsOfUEFI(s *redfish.System) ([]string, error) {
	settings, err := s.BIOSValues()
	if err != nil {
		return nil, err
	}
	var names []string
	for i := 1; i <= pxeDevices; i++ {
		name, _ := settings[fmt.Sprintf("PxeDev%dInterface", i)].(string)
		if settings[fmt.Sprintf("PxeDev%dEnDis", i)] == "Enabled" && name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

func bootCardsOfBIOS(s *redfish.System, m *schemas.Manager, cfg Config) ([]string, error) {
	text, err := export(s, m, cfg, "NIC", "Default", "Default")
	if err != nil {
		return nil, err
	}
	var cards profile
	if err := json.Unmarshal(text, &cards); err != nil || cards.SystemConfiguration == nil {
		return nil, errNoProfile
	}
	var names []string
	for _, card := range cards.SystemConfiguration.Components {
		for _, a := range card.Attributes {
			if a.Name == "LegacyBootProto" && a.Value == "PXE" {
				names = append(names, card.FQDD)
			}
		}
	}
	return names, nil
}

// neighbours are the switches that network cards hang on, by the card's name. An iDRAC that does not tell has none.
func neighbours(s *redfish.System) store.Dict {
	var all struct {
		Members []struct{ FQDD, SwitchConnectionID, SwitchPortConnectionID string }
	}
	path := strings.TrimRight(s.ODataID, "/") + "/NetworkPorts/Oem/Dell/DellSwitchConnections"
	if s.Read(path, &all) != nil {
		return nil
	}
	const none = "No Link"
	found := store.Dict{}
	for _, c := range all.Members {
		if c.FQDD == "" || c.SwitchConnectionID == "" || c.SwitchPortConnectionID == "" || c.SwitchConnectionID == none ||
			c.SwitchPortConnectionID == none {
			continue
		}
		found[c.FQDD] = store.Dict{"switch_chassis_id": c.SwitchConnectionID, "switch_port_id": c.SwitchPortConnectionID}
	}
	return found
}
