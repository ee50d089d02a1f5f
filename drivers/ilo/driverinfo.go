package ilo

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// The driver_info keys in ironic's words (ironic/drivers/modules/ilo/common.py).
var (
	requiredProperties = map[string]string{
		"ilo_address":  "IP address or hostname of the iLO. Required.",
		"ilo_username": "username for the iLO with administrator privileges. Required.",
		"ilo_password": "password for ilo_username. Required.",
	}
	optionalProperties = map[string]string{
		"client_port":    "port to be used for iLO operations. Optional.",
		"client_timeout": "timeout (in seconds) for iLO operations. Optional.",
		"ca_file": "CA certificate file to validate iLO. This attibute is deprecated and will be removed in future release. " +
			"Optional",
		"ilo_verify_ca": "Either a Boolean value, a path to a CA_BUNDLE file or directory with certificates of trusted CAs. If " +
			"set to True the driver will verify the host certificates; if False the driver will ignore verifying the SSL " +
			"certificate. If it's a path the driver will use the specified certificate or one of the certificates in the " +
			"directory. Defaults to True. Optional",
	}
	cleanProperties = map[string]string{
		"ilo_change_password": "new password for iLO. Required if the clean step 'reset_ilo_credential' is enabled.",
	}
)

// required are the keys that no node may lack, in ironic's order.
var required = []string{"ilo_address", "ilo_username", "ilo_password"}

// systemID is the path of an iLO's only system. An iLO redirects what lacks the slash.
const systemID = "/redfish/v1/Systems/1/"

// access reads driver_info with the checks and texts of ironic. The port counts for Redfish too, which proliantutils always asks
// at 443.
func access(n *store.Node, cfg Config) (redfish.Access, error) {
	var missing []string
	for _, key := range required {
		if _, given := n.DriverInfo[key]; !given {
			missing = append(missing, "'"+key+"'")
		}
	}
	if len(missing) > 0 {
		return redfish.Access{}, store.Errorf(store.MissingParameterValue, "The following required iLO parameters are missing "+
			"from the node's driver_info: [%s]", strings.Join(missing, ", "))
	}
	a := redfish.Access{SystemID: systemID, Username: n.DriverInfo.String("ilo_username"),
		Password: n.DriverInfo.String("ilo_password")}
	port, err := drivers.NetworkPort(n.DriverInfo, "client_port", cfg.Port)
	if err != nil {
		return a, err
	}
	if a.Timeout, err = timeout(n, cfg); err != nil {
		return a, err
	}
	if a.Verify, err = verify(n, cfg); err != nil {
		return a, err
	}
	if a.Address, err = address(n, port); err != nil {
		return a, err
	}
	if err := checkSNMP(n); err != nil {
		return a, err
	}
	_, err = consolePort(n)
	return a, err
}

// consolePort is the node's console_port; 0 stands for none.
func consolePort(n *store.Node) (int, error) {
	if text := n.DriverInfo.String(keyConsolePort); text == "" || text == "0" {
		return 0, nil
	}
	return drivers.NetworkPort(n.DriverInfo, keyConsolePort, 0)
}

func address(n *store.Node, port int) (string, error) {
	host := n.DriverInfo.String("ilo_address")
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]"
	}
	if _, _, err := net.SplitHostPort(host); err != nil && port != 443 {
		host = net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port))
	}
	u, err := url.Parse("https://" + host)
	if err != nil || u.Hostname() == "" || u.Host != host || strings.ContainsAny(host, " <>\"{}|\\^`@") {
		return "", store.Errorf(store.InvalidParameterValue, "Invalid iLO address set in driver_info/ilo_address on node %s: it "+
			"should be an IP address or a host name", n.UUID)
	}
	return u.String(), nil
}

func timeout(n *store.Node, cfg Config) (time.Duration, error) {
	value, given := n.DriverInfo["client_timeout"]
	if !given {
		return cfg.Timeout, nil
	}
	seconds, err := strconv.ParseFloat(fmt.Sprint(value), 64)
	if text, isText := value.(string); err != nil || isText && strings.ContainsAny(text, ".eE") || seconds < 1 {
		return 0, store.Errorf(store.InvalidParameterValue,
			"The following iLO parameters from the node's driver_info should be integers: ['client_timeout']")
	}
	return drivers.Seconds(math.Trunc(seconds)), nil
}

func verify(n *store.Node, cfg Config) (redfish.Verify, error) {
	file := cfg.CAFile
	if value, given := n.DriverInfo["ca_file"]; given {
		file, _ = value.(string)
	}
	if file != "" {
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			return redfish.Verify{}, store.Errorf(store.InvalidParameterValue, `ca_file "%s" is not found.`, file)
		}
		return redfish.Verify{Path: file}, nil
	}
	return redfish.ParseVerify(n, "ilo_verify_ca", cfg.VerifyCA)
}

// checkSNMP checks the keys of inspection by SNMP, as ironic does for every interface.
func checkSNMP(n *store.Node) error {
	info := n.DriverInfo
	if info.String("snmp_auth_user") == "" {
		return nil
	}
	var missing []string
	for _, key := range []string{"snmp_auth_prot_password", "snmp_auth_priv_password"} {
		if _, given := info[key]; !given {
			missing = append(missing, "'"+key+"'")
		}
	}
	if len(missing) > 0 {
		return store.Errorf(store.MissingParameterValue,
			"The following required SNMP parameters are missing from the node's driver_info: [%s]", strings.Join(missing, ", "))
	}
	for _, key := range []string{"snmp_auth_protocol", "snmp_auth_priv_protocol"} {
		valid := []string{"MD5", "SHA"}
		if key == "snmp_auth_priv_protocol" {
			valid = []string{"AES", "DES"}
		}
		value := info.String(key)
		if value != "" && !slices.Contains(valid, strings.ToUpper(value)) {
			return store.Errorf(store.InvalidParameterValue, "Invalid value %s given for driver_info parameter %s", value, key)
		}
	}
	return nil
}
