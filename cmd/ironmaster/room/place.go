package room

import (
	"context"
	"fmt"
	"net"
)

// place is where a room's BMCs and agents listen and are reached.
type place struct {
	host string // as the inventory has it
	ip   net.IP
}

// findPlace resolves an address or a name of this host.
func findPlace(ctx context.Context, host string) (place, error) {
	addresses, err := net.DefaultResolver.LookupIP(ctx, "ip4", host)
	if err != nil {
		return place{}, fmt.Errorf("finding the room's address: %w", err)
	}
	if addresses[0].IsUnspecified() {
		return place{}, fmt.Errorf("a room needs an address at which it is reached, not %s", host)
	}
	return place{host, addresses[0]}, nil
}

// names are what a certificate holds beside the address.
func (p place) names() []string {
	if net.ParseIP(p.host) != nil {
		return nil
	}
	return []string{p.host}
}

// url is how a listener of the room is reached, without the scheme.
func (p place) url(listener net.Addr) string {
	_, port, err := net.SplitHostPort(listener.String())
	if err != nil {
		return listener.String()
	}
	return net.JoinHostPort(p.host, port)
}
