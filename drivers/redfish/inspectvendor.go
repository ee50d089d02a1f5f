package redfish

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/store"
)

// InspectVendor is what the inspect interface of a vendor finds out and does beyond that of redfish. Nil parts find out nothing.
type InspectVendor struct {
	// EachCard gives every network card a port, and not only those that the BMC calls healthy and enabled.
	EachCard bool
	// BootCards returns the addresses of the network cards that the machine is set to boot from. cards are the addresses of all, by
	// name; bootMode is store.BootModeUEFI, BootModeBIOS or "".
	BootCards func(ctx context.Context, t *drivers.Task, s *System, cards map[string]string, bootMode string) ([]string, error)
	// MarksPorts has pxe_enabled of the node's ports tell whether their cards are among BootCards. It counts where no hooks run.
	MarksPorts bool
	// SKUIsSerial has the inventory show the system's SKU as its serial number.
	SKUIsSerial bool
	// Neighbours returns what network cards have heard of the switches that they hang on, by card; where hooks run.
	Neighbours func(s *System) store.Dict
}

// NewInspectOf returns the inspect interface of a vendor whose nodes name their BMCs as redfish has it.
func NewInspectOf(c *Client, cfg InspectConfig, keep inspection.Store, v InspectVendor) *Inspect {
	i := NewInspect(c, cfg, keep)
	i.vendor = v
	return i
}

// vendorFindings are what a vendor's BMC tells beyond the standard.
type vendorFindings struct {
	// bootCards is nil where nobody knows.
	bootCards  []string
	neighbours store.Dict
}

// findMore adds what the vendor's part finds out.
func (i *Inspect) findMore(ctx context.Context, s *system, f *findings) (err error) {
	if i.vendor.BootCards != nil {
		cards := map[string]string{}
		for _, c := range f.cards {
			cards[c.id] = c.address
		}
		if f.more.bootCards, err = i.vendor.BootCards(ctx, s.task, s, cards, f.bootMode); err != nil {
			return err
		}
		if f.more.bootCards == nil {
			f.more.bootCards = []string{}
		}
	}
	if i.vendor.Neighbours != nil && i.cfg.Hooks != nil {
		f.more.neighbours = i.vendor.Neighbours(s)
	}
	if i.cfg.Serial && i.cfg.Hooks != nil {
		if err := s.findFunctions(&f.details); err != nil {
			return err
		}
		if i.vendor.Neighbours == nil {
			if err := s.findNeighbours(&f.details); err != nil {
				return err
			}
		}
	}
	if i.vendor.SKUIsSerial && s.SKU != "" {
		f.serial = s.SKU
	}
	return nil
}

// tell adds them to what hooks work on. An inventory has one boot card.
func (m vendorFindings) tell(inventory, pluginData store.Dict) {
	if len(m.bootCards) > 0 {
		boot := inventory.Dict("boot")
		if boot == nil {
			boot = store.Dict{}
		}
		boot["pxe_interface"] = m.bootCards[0]
		inventory["boot"] = boot
	}
	if len(m.neighbours) > 0 {
		pluginData["parsed_lldp"] = m.neighbours
	}
}

// everyCard are the addresses of all network cards.
func (f findings) everyCard() []string {
	var addresses []string
	for _, c := range f.cards {
		addresses = append(addresses, c.address)
	}
	return addresses
}

// bootAddresses are the addresses of bootCards as ports have them.
func (f findings) bootAddresses() []string {
	var addresses []string
	for _, c := range f.more.bootCards {
		if mac, ok := inspection.NormalMAC(c); ok {
			addresses = append(addresses, mac)
		}
	}
	return addresses
}

// markPorts writes into the node's ports which of them the machine boots from.
func (i *Inspect) markPorts(ctx context.Context, t *drivers.Task, f findings) error {
	if !i.vendor.MarksPorts || f.more.bootCards == nil {
		return nil
	}
	ports, err := t.Worker.Ports(ctx, t)
	if err != nil {
		return err
	}
	booting := f.bootAddresses()
	for _, p := range ports {
		boots := slices.Contains(booting, p.Address)
		if p.PXEEnabled != nil && *p.PXEEnabled == boots {
			continue
		}
		p.PXEEnabled = &boots
		if err := t.Worker.SavePort(ctx, t, p); err != nil {
			return err
		}
		t.Log.Info().Str("port", p.UUID).Bool("pxe_enabled", boots).Msg("A port was marked by what its card is set to")
	}
	return nil
}
