package inspection

import (
	"context"
	"regexp"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

var macAddress = regexp.MustCompile(`^[0-9a-f]{2}(:[0-9a-f]{2}){5}$`)

// NormalMAC is an Ethernet address in lower case with colons between; ok is false for anything else.
func NormalMAC(address string) (mac string, ok bool) {
	mac = strings.ReplaceAll(strings.ToLower(address), "-", ":")
	return mac, macAddress.MatchString(mac)
}

// CreatePorts gives the node a port for each address that no port has.
func CreatePorts(ctx context.Context, t *drivers.Task, s Store, addresses []string) error {
	for _, address := range addresses {
		mac, ok := NormalMAC(address)
		if !ok {
			t.Log.Warn().Str("address", address).Msg("A network card is left out, for its address is no MAC address")
			continue
		}
		if err := createPort(ctx, t, s, &store.Port{Address: mac}); err != nil {
			return err
		}
	}
	return nil
}

// createPort adds a port, unless some node has one of the address.
func createPort(ctx context.Context, t *drivers.Task, s Store, p *store.Port) error {
	p.NodeID = t.Node.ID
	switch err := s.CreatePort(ctx, p); {
	case store.KindOf(err) == store.MACAlreadyExists:
		t.Log.Info().Str("address", p.Address).Msg("There is a port with this address already")
		return nil
	case err != nil:
		return err
	}
	t.Log.Info().Str("address", p.Address).Str("port", p.UUID).Msg("A port was created for what inspection found")
	return nil
}
