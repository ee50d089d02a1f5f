package inspection

import (
	"context"
	"net/netip"

	"github.com/ironmaster/ironmaster/store"
)

// physicalNetwork writes into the ports which physical network the addresses of their cards are of.
func physicalNetwork(ctx context.Context, w *work) error {
	ports, err := w.Worker.Ports(ctx, w.Task)
	if err != nil {
		return err
	}
	byAddress := map[string]*store.Port{}
	for _, p := range ports {
		byAddress[p.Address] = p
	}
	valid := w.plugin.Dict(keyAllInterfaces)
	for _, item := range w.inventory.List("interfaces") {
		card := dictOf(item)
		mac, _ := NormalMAC(card.String("mac_address"))
		p := byAddress[mac]
		if _, known := valid[card.String("name")]; !known || p == nil {
			continue
		}
		name := w.cfg.physicalNetworkOf(card)
		if name == "" || p.PhysicalNetwork != nil && *p.PhysicalNetwork == name {
			continue
		}
		p.PhysicalNetwork = &name
		if err := w.Worker.SavePort(ctx, w.Task, p); err != nil {
			return err
		}
	}
	return nil
}

// physicalNetworkOf is the name of the network that a card's addresses are in, the older kind of addresses first; "" when there is
// none.
func (c Config) physicalNetworkOf(card store.Dict) string {
	for _, key := range []string{"ipv4_address", "ipv6_address"} {
		address, err := netip.ParseAddr(card.String(key))
		if err != nil {
			continue
		}
		for _, n := range c.PhysicalNetworks {
			if n.Prefix.Contains(address.WithZone("")) {
				return n.Name
			}
		}
	}
	return ""
}
