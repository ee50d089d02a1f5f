package redfish

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// properties are the driver_info keys of every redfish interface, in ironic's words.
var properties = map[string]string{
	"redfish_address": "The URL address to the Redfish controller. It must include the authority portion of the URL. If " +
		"the scheme is missing, https is assumed. For example: https://mgmt.vendor.com. If a path is added, it will be " +
		"used as the API endpoint root_prefix. Required",
	"redfish_system_id": "The canonical path to the ComputerSystem resource that the driver will interact with. It should " +
		"include the root service, version and the unique resource path to a ComputerSystem within the same authority as " +
		"the redfish_address property. For example: /redfish/v1/Systems/1. This property is only required if target BMC " +
		"manages more than one ComputerSystem. Otherwise ironic will pick the only available ComputerSystem automatically.",
	"redfish_username": "User account with admin/server-profile access privilege. Although this property is not mandatory " +
		"it's highly recommended to set a username. Optional",
	"redfish_password": "User account password. Although this property is not mandatory, it's highly recommended to set a " +
		"password. Optional",
	"redfish_verify_ca": "Either a Boolean value, a path to a CA_BUNDLE file or directory with certificates of trusted CAs. " +
		"If set to True the driver will verify the host certificates; if False the driver will ignore verifying the SSL " +
		"certificate. If it's a path the driver will use the specified certificate or one of the certificates in the " +
		"directory. Defaults to True. Optional",
	"redfish_auth_type": "Redfish HTTP client authentication method. Can be \"basic\", \"session\" or \"auto\". If not set, " +
		"the default value is taken from Ironic configuration as ``[redfish]auth_type`` option.",
}

// target is where and how a node's BMC is reached, from driver_info.
type target struct {
	// address is scheme and authority of the service, without a slash at the end.
	address string
	// prefix is the path of the service root, empty for the standard one.
	prefix string
	// systemID is the path of the ComputerSystem, empty for the only one.
	systemID           string
	username, password string
	verify             Verify
	auth               string
	// timeout bounds reaching the BMC and each of its answers; 0 stands for the configured ones.
	timeout time.Duration
}

// parseDriverInfo reads driver_info with the checks and texts of ironic (ironic/drivers/modules/redfish/utils.py). One
// fault of ironic's is left out: a node without a user name or password is no error, it just does not log in.
func parseDriverInfo(n *store.Node, cfg Config) (target, error) {
	info := n.DriverInfo
	if !store.PythonTrue(info["redfish_address"]) {
		return target{}, store.Errorf(store.MissingParameterValue,
			"Missing the following Redfish properties in node %s driver_info: ['redfish_address']", n.UUID)
	}
	t := target{username: info.String("redfish_username"), password: info.String("redfish_password")}
	var err error
	if t.address, t.prefix, err = parseAddress(n); err != nil {
		return target{}, err
	}
	if t.systemID, err = parseSystemID(n); err != nil {
		return target{}, err
	}
	if t.verify, err = ParseVerify(n, "redfish_verify_ca", cfg.VerifyCA); err != nil {
		return target{}, err
	}
	t.auth = cfg.AuthType
	if value, given := info["redfish_auth_type"]; given {
		text, _ := value.(string)
		if !slices.Contains([]string{authBasic, authSession, authAuto}, text) {
			return target{}, store.Errorf(store.InvalidParameterValue, `Invalid value "%s" set in `+
				`driver_info/redfish_auth_type on node %s. The value should be one of "basic", "session" or "auto".`,
				store.PythonText(value), n.UUID)
		}
		t.auth = text
	}
	return t, nil
}

func parseAddress(n *store.Node) (address, prefix string, err error) {
	value, ok := n.DriverInfo["redfish_address"].(string)
	if !ok {
		return "", "", invalidAddress(n, store.PythonText(n.DriverInfo["redfish_address"]))
	}
	if ip, err := netip.ParseAddr(value); err == nil && ip.Is6() {
		value = "[" + value + "]"
	}
	if scheme, authority, found := strings.Cut(value, "://"); !found || scheme == "" || authority == "" {
		value = "https://" + value
	}
	u, err := url.Parse(value)
	foreign := strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII })
	if err != nil || u.Hostname() == "" || foreign || strings.ContainsAny(value, " <>\"{}|\\^`") ||
		(u.Scheme != "http" && u.Scheme != "https") {
		return "", "", invalidAddress(n, value)
	}
	prefix = strings.TrimRight(u.EscapedPath(), "/")
	if prefix != "" {
		prefix += "/"
	}
	return u.Scheme + "://" + u.Host, prefix, nil
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

func parseSystemID(n *store.Node) (string, error) {
	switch value := n.DriverInfo["redfish_system_id"].(type) {
	case nil:
		return "", nil
	case string:
		return quotePath(value), nil
	default:
		return "", store.Errorf(store.InvalidParameterValue, `Invalid value "%s" set in `+
			"driver_info/redfish_system_id on node %s. The value should be a path (string) to the resource that the driver "+
			"will interact with. For example: /redfish/v1/Systems/1", store.PythonText(value), n.UUID)
	}
}

// quotePath escapes as Python's urllib.parse.quote does: everything but letters, digits, _.-~ and the slash.
func quotePath(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("_.-~/", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ParseVerify reads how a certificate is checked from a key of driver_info; fallback counts where it is missing.
func ParseVerify(n *store.Node, key string, fallback Verify) (Verify, error) {
	value, given := n.DriverInfo[key]
	if !given {
		return fallback, nil
	}
	switch value := value.(type) {
	case bool:
		return Verify{Off: !value}, nil
	case string:
		if info, err := os.Stat(value); err == nil && (info.IsDir() || info.Mode().IsRegular()) {
			return Verify{Path: value}, nil
		}
		switch strings.ToLower(strings.TrimSpace(value)) {
		case "1", "t", "true", "on", "y", "yes":
			return Verify{}, nil
		case "0", "f", "false", "off", "n", "no":
			return Verify{Off: true}, nil
		}
	}
	return Verify{}, store.Errorf(store.InvalidParameterValue, "Invalid value type set in driver_info/%s on node %s. The value should "+
		`be a Boolean or the path to a file/directory, not "%s"`, key, n.UUID, store.PythonText(value))
}

// base is what every redfish interface has in common.
type base struct{ bmcs *BMCs }

// on calls do with the node's system as it is now. operation is what a vendor's users are told has failed.
func (b base) on(ctx context.Context, t *drivers.Task, operation string, do func(*system) error) error {
	return b.bmcs.Do(ctx, t, operation, do)
}

// Properties describes how a node names its BMC.
func (base) Properties() map[string]string { return maps.Clone(properties) }

// Steps offers none.
func (base) Steps(drivers.StepKind) []drivers.Step { return nil }
