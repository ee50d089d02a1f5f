package inspection

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// The entries of the plugin data by which validate-interfaces hands on what it found.
const (
	keyAllInterfaces   = "all_interfaces"
	keyValidInterfaces = "valid_interfaces"
	keyMACs            = "macs"
)

// ramdiskError fails on what the ramdisk reports to have gone wrong.
func ramdiskError(_ context.Context, w *work) error {
	if text := w.plugin.String("error"); text != "" {
		return failure("Ramdisk reported error: %s", text)
	}
	return nil
}

// validateInterfaces sorts out the network cards: those with name and address, and among them those that are to have a port.
func validateInterfaces(_ context.Context, w *work) error {
	listed, there := w.inventory["interfaces"]
	if !there {
		return w.invalid("no interfaces present in inventory")
	}
	items, _ := listed.([]any)
	booted := bootedMAC(w.inventory)
	all := store.Dict{}
	var order []string
	for _, item := range items {
		one := dictOf(item)
		name := one.String("name")
		mac, ok := NormalMAC(one.String("mac_address"))
		if name == "" || !ok {
			w.Log.Debug().Str("name", name).Msg("A network card without a name or an address is left out")
			continue
		}
		one = one.Clone()
		one["pxe_enabled"] = mac == booted
		one["ipv6_address"] = withoutZone(one["ipv6_address"])
		if _, again := all[name]; !again {
			order = append(order, name)
		}
		all[name] = one
	}
	if len(all) == 0 {
		return w.invalid("no valid network interfaces")
	}
	if booted == "" && w.cfg.AddPorts == AddPXE {
		w.Log.Warn().Msg("The inventory does not tell which network card booted; all of them get ports")
	}
	valid, macs := store.Dict{}, []any{}
	for _, name := range order {
		one := all.Dict(name)
		if w.getsPort(name, one, booted) {
			valid[name] = one.Clone()
			macs = append(macs, one["mac_address"])
		}
	}
	if len(valid) == 0 {
		return w.invalid(fmt.Sprintf(`no network interfaces match the configuration (add_ports set to "%s")`, w.cfg.AddPorts))
	}
	w.plugin[keyAllInterfaces], w.plugin[keyValidInterfaces], w.plugin[keyMACs] = all, valid, macs
	return nil
}

// getsPort tells whether a card is one of those that AddPorts means.
func (w *work) getsPort(name string, card store.Dict, booted string) bool {
	ip := card.String("ipv4_address")
	if ip == "" {
		ip = card.String("ipv6_address")
	}
	switch {
	case name == "lo" || loopback(ip):
		return false
	case w.cfg.AddPorts == AddPXE && booted != "" && !card.Bool("pxe_enabled", true):
		return false
	case w.cfg.AddPorts == AddActive && ip == "":
		return false
	}
	return true
}

// bootedMAC is the address of the card that the ramdisk was booted over, "" when the inventory does not tell. PXELINUX puts the
// hardware type before it.
func bootedMAC(inventory store.Dict) string {
	address := inventory.Dict("boot").String("pxe_interface")
	if _, rest, dashes := strings.Cut(address, "-"); dashes {
		address = rest
	}
	mac, _ := NormalMAC(address)
	return mac
}

// withoutZone is an IPv6 address without the name of the card that it belongs to, as in fd00::1%eno1.
func withoutZone(v any) any {
	text, ok := v.(string)
	if !ok {
		return v
	}
	address, _, _ := strings.Cut(text, "%")
	return address
}

func loopback(ip string) bool {
	address, err := netip.ParseAddr(ip)
	return err == nil && address.IsLoopback()
}

// dictOf is an object as a Dict, an empty one for anything else.
func dictOf(v any) store.Dict {
	switch d := v.(type) {
	case store.Dict:
		return d
	case map[string]any:
		return d
	}
	return store.Dict{}
}
