package config

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
)

// FQDN returns the machine's name as Python's socket.getfqdn does, which is what a Python conductor on this machine
// would be registered as: the first name with a dot that its address resolves to, else the plain host name.
func FQDN(ctx context.Context) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("reading the host name: %w", err)
	}
	// Names that do not resolve are usual in small set-ups; the host name itself is the answer then.
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil || len(addresses) == 0 {
		return host, nil
	}
	names, err := net.DefaultResolver.LookupAddr(ctx, addresses[0])
	if err != nil || len(names) == 0 {
		return host, nil
	}
	return qualified(names), nil
}

func qualified(names []string) string {
	for _, name := range names {
		if name = strings.TrimSuffix(name, "."); strings.Contains(name, ".") {
			return name
		}
	}
	return strings.TrimSuffix(names[0], ".")
}

// FirstAddress returns the first IPv4 address of an interface that is up and not a loopback, or nothing.
func FirstAddress() string {
	interfaces, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, card := range interfaces {
		if card.Flags&net.FlagUp == 0 || card.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, err := card.Addrs()
		if err != nil {
			continue
		}
		for _, address := range addresses {
			if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLinkLocalUnicast() {
				return network.IP.String()
			}
		}
	}
	return ""
}
