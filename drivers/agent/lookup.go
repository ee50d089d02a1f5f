package agent

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
)

// resolvePatience is how long the name of a BMC may take to be resolved.
const resolvePatience = 10 * time.Second

// bmcAddresses are the names and addresses by which driver_info names the node's BMC, without those that each machine calls itself by.
func bmcAddresses(ctx context.Context, t *drivers.Task) []any {
	found := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(t.Node.DriverInfo)) {
		bridged := strings.HasPrefix(key, "ipmi_") && bridges(t.Node.DriverInfo.String("ipmi_bridging"))
		host := hostOf(t.Node.DriverInfo.String(key))
		if !strings.HasSuffix(key, "_address") || host == "" || bridged {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, resolvePatience)
		resolved, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		cancel()
		if err != nil {
			t.Log.Warn().Err(err).Str("field", key).Msg("The BMC's name has no address; the node is not found by it")
			continue
		}
		for _, ip := range resolved {
			if !ip.IsLoopback() {
				found[ip.Unmap().String()] = true
			}
		}
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() || strings.HasPrefix(host, "localhost") {
			continue
		}
		found[host] = true
	}
	var out []any
	for _, address := range slices.Sorted(maps.Keys(found)) {
		out = append(out, address)
	}
	return out
}

// bridges tells whether IPMI goes over another BMC, whose address says nothing of the node.
func bridges(setting string) bool { return setting == "single" || setting == "dual" }

// hostOf is the host of an address or URL.
func hostOf(address string) string {
	if strings.Contains(address, "//") {
		u, err := url.Parse(address)
		if err != nil {
			return ""
		}
		return u.Hostname()
	}
	return strings.Trim(address, "[]")
}
