package irmc

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// ownProperties are the driver_info keys in ironic's words (ironic/drivers/modules/irmc/common.py), beside those of SNMP.
var ownProperties = map[string]string{
	"irmc_address":  "IP address or hostname of the iRMC. Required.",
	"irmc_username": "Username for the iRMC with administrator privileges. Required.",
	"irmc_password": "Password for irmc_username. Required.",
	"irmc_port":     "Port to be used for iRMC operations; either 80 or 443. The default value is 443. Optional.",
	"irmc_auth_method": "Authentication method for iRMC operations; either 'basic' or 'digest'. The default value is 'basic'. " +
		"Optional.",
	"irmc_client_timeout": "Timeout (in seconds) for iRMC operations. The default value is 60. Optional.",
	"irmc_sensor_method": "Sensor data retrieval method; either 'ipmitool' or 'scci'. The default value is 'ipmitool'. " +
		"Optional.",
	"irmc_verify_ca": "Either a Boolean value, a path to a CA_BUNDLE file or directory with certificates of trusted CAs. If set " +
		"to True the driver will verify the host certificates; if False the driver will ignore verifying the SSL certificate. " +
		"If it's a path the driver will use the specified certificate or one of the certificates in the directory. Defaults to " +
		"True. Optional",
}

// properties are all of them.
func properties() map[string]string {
	all := maps.Clone(ownProperties)
	maps.Copy(all, snmpProperties)
	return all
}

// access reads driver_info with the checks and texts of ironic. Other than there irmc_address may name a port, which is asked by HTTPS.
func access(n *store.Node, cfg Config) (redfish.Access, error) {
	info := n.DriverInfo
	var missing []string
	for _, key := range []string{"irmc_address", "irmc_username", "irmc_password"} {
		if info.String(key) == "" {
			missing = append(missing, "'"+key+"'")
		}
	}
	if len(missing) > 0 {
		return redfish.Access{}, store.Errorf(store.MissingParameterValue,
			"Missing the following iRMC parameters in node's driver_info: [%s].", strings.Join(missing, ", "))
	}
	port, err := drivers.NetworkPort(info, "irmc_port", cfg.Port)
	if err != nil {
		return redfish.Access{}, err
	}
	a := redfish.Access{Username: info.String("irmc_username"), Password: info.String("irmc_password"), Timeout: cfg.Timeout}
	var faults []string
	if method := choice(info, "irmc_auth_method", cfg.AuthMethod); method != "basic" && method != "digest" {
		faults = append(faults, fmt.Sprintf("Value '%s' is not supported for 'irmc_auth_method'.", info["irmc_auth_method"]))
	}
	if port != 80 && port != 443 {
		faults = append(faults, fmt.Sprintf("Value '%d' is not supported for 'irmc_port'.", port))
	}
	if value, given := info["irmc_client_timeout"]; given {
		seconds, known, err := info.Int("irmc_client_timeout")
		_, isText := value.(string)
		if whole := !strings.ContainsAny(fmt.Sprint(value), ".eE"); err != nil || !known || isText || !whole || seconds < 1 {
			faults = append(faults, fmt.Sprintf("Value '%v' is not an integer for 'irmc_client_timeout'", info["irmc_client_timeout"]))
		}
		a.Timeout = drivers.Seconds(seconds)
	}
	if method := choice(info, "irmc_sensor_method", cfg.SensorMethod); method != "ipmitool" && method != "scci" {
		faults = append(faults, fmt.Sprintf("Value '%s' is not supported for 'irmc_sensor_method'.", info["irmc_sensor_method"]))
	}
	if a.Verify, err = redfish.ParseVerify(n, "irmc_verify_ca", cfg.VerifyCA); err != nil {
		faults = append(faults, err.Error())
	}
	if len(faults) > 0 {
		return a, store.Errorf(store.InvalidParameterValue, "The following errors were encountered while parsing driver_info:\n%s",
			strings.Join(faults, "\n"))
	}
	if err := checkSNMP(n, cfg.SNMP); err != nil {
		return a, err
	}
	a.Address, err = address(n, port)
	return a, err
}

func choice(info store.Dict, key, fallback string) string {
	if value, given := info[key]; given {
		return strings.ToLower(fmt.Sprint(value))
	}
	return fallback
}

func address(n *store.Node, port int) (string, error) {
	host, scheme := n.DriverInfo.String("irmc_address"), "https://"
	if port == 80 {
		scheme = "http://"
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]"
	}
	if _, own, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(own, 10, 16); err != nil {
			host = ""
		}
	}
	u, err := url.Parse(scheme + host)
	if err != nil || u.Hostname() == "" || u.Host != host || strings.ContainsAny(host, " <>\"{}|\\^`@") {
		return "", store.Errorf(store.InvalidParameterValue, "Invalid iRMC address set in driver_info/irmc_address on node %s: it "+
			"should be an IP address or a host name", n.UUID)
	}
	return u.String(), nil
}
