package redfish

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

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

// laterProperties came with the choice of TLS.
var laterProperties = map[string]string{
	"firmware_update_unresponsive_bmc_wait": "Number of seconds to wait to avoid the BMC becoming unresponsive during firmware " +
		"updates. If not set, the default value is taken from the Ironic configuration " +
		"``firmware_update_wait_unresponsive_bmc`` in the ``[redfish]`` section.",
	"redfish_tls_minimum_version": "Minimum TLS protocol version for connections to the Redfish BMC. Can be \"1.1\", \"1.2\", or " +
		"\"1.3\". If not set, the default value is taken from Ironic configuration as ``[redfish]tls_minimum_version`` option.",
	"redfish_tls_ciphers": "OpenSSL cipher list to use for connections to the Redfish BMC. If not set, the default value is taken " +
		"from Ironic configuration as ``[redfish]tls_ciphers`` option.",
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
	dialect            Dialect
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
	if t.verify, err = parseVerify(n, cfg.VerifyCA); err != nil {
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
	if cfg.ChoosesTLS {
		t.dialect, err = parseDialect(n, cfg.TLS)
	}
	return t, err
}

// parseVerify reads how a BMC's certificate is checked. What is configured counts for nodes that merely want it checked, too.
func parseVerify(n *store.Node, configured Verify) (Verify, error) {
	value, given := n.DriverInfo["redfish_verify_ca"]
	if given && (value == true || value == nil && configured != Verify{}) {
		return configured, nil
	}
	return ParseVerify(n, "redfish_verify_ca", configured)
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
func (b base) Properties() map[string]string { return b.bmcs.client.properties() }

// properties are those of the release in use.
func (c *Client) properties() map[string]string {
	all := maps.Clone(properties)
	if c.cfg.ChoosesTLS {
		maps.Copy(all, laterProperties)
	}
	return all
}

// Steps offers none.
func (base) Steps(drivers.StepKind) []drivers.Step { return nil }
