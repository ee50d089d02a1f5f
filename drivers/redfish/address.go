package redfish

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// How ironic's library takes a URL apart (RFC 3986, appendix B, but for the scheme and the backslash), and what it lets through.
var (
	reference = regexp.MustCompile(`(?s)^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?://([^\\/?#]*))?([^?#]*)`)
	authority = regexp.MustCompile(`^(?:(?:[\w.~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@)?((?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*|\[[^\]]*\]):?[0-9]{0,5}$`)
	dotted    = regexp.MustCompile(`^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$`)
)

// parseAddress reads scheme and authority of the service, and the path of its root. A scheme that nobody can speak is none of its business.
func parseAddress(n *store.Node) (address, prefix string, err error) {
	value, ok := n.DriverInfo["redfish_address"].(string)
	if !ok {
		return "", "", invalidAddress(n, store.PythonText(n.DriverInfo["redfish_address"]))
	}
	if ip, err := netip.ParseAddr(value); err == nil && ip.Is6() {
		value = "[" + value + "]"
	}
	parts := reference.FindStringSubmatch(value)
	if parts[1] == "" || parts[2] == "" {
		value = "https://" + value
		parts = reference.FindStringSubmatch(value)
	}
	scheme, place, path := parts[1], parts[2], parts[3]
	if scheme == "" || !validAuthority(place) {
		return "", "", invalidAddress(n, value)
	}
	// What stands before the @ would have to be kept from every text; driver_info has keys for it.
	place = place[strings.LastIndexByte(place, '@')+1:]
	if prefix = strings.TrimRight(escaped(path), "/"); prefix != "" {
		prefix = "/" + strings.TrimLeft(prefix, "/") + "/"
	}
	return strings.ToLower(scheme) + "://" + place, prefix, nil
}

func validAuthority(place string) bool {
	found := authority.FindStringSubmatch(place)
	if place == "" || found == nil {
		return false
	}
	host := found[1]
	switch {
	case strings.HasPrefix(host, "["):
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		return err == nil && ip.Is6()
	case dotted.MatchString(host):
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	return true
}

// escaped is a path with escapes for what must not stand in one; those that it has stay.
func escaped(path string) string {
	plain, err := url.PathUnescape(path)
	if err != nil {
		plain = path
	}
	return (&url.URL{Path: plain, RawPath: path}).EscapedPath()
}

// invalidAddress shows an address without credentials that somebody wrote into it.
func invalidAddress(n *store.Node, address string) error {
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		scheme, _, _ := strings.Cut(address, "://")
		address = scheme + "://...@" + address[at+1:]
	}
	return store.Errorf(store.InvalidParameterValue,
		"Invalid Redfish address %s set in driver_info/redfish_address on node %s", address, n.UUID)
}

// spoken tells whether the scheme of an address is one that BMCs are spoken to by.
func spoken(address string) bool {
	return strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://")
}

// unspoken is how asking a BMC fails whose address has another scheme, in the words of ironic's HTTP library.
func unspoken(node, address string, failed func(reason string) error) error {
	root := address + "/redfish/v1/"
	reason := fmt.Sprintf("Unable to connect to %s. Error: No connection adapters were found for '%s'", root, root)
	if failed != nil {
		return failed(reason)
	}
	return store.Errorf(store.RedfishConnectionError, "Redfish connection failed for node %s: %s", node, reason)
}
