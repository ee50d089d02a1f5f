package irmc

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// snmpProperties are the driver_info keys of SNMP in ironic's words. They are checked as ironic does, and not used: nothing here speaks SNMP.
var snmpProperties = map[string]string{
	"irmc_snmp_version":   "SNMP protocol version; either 'v1', 'v2c', or 'v3'. The default value is 'v2c'. Optional.",
	"irmc_snmp_port":      "SNMP port. The default is 161. Optional.",
	"irmc_snmp_community": "SNMP community required for versions 'v1' and 'v2c'. The default value is 'public'. Optional.",
	"irmc_snmp_user":      "SNMPv3 User-based Security Model (USM) username. Required for version 'v3’. ",
	"irmc_snmp_auth_password": "SNMPv3 message authentication key. Must be 8+ characters long. Required when message authentication is " +
		"used.",
	"irmc_snmp_priv_password": "SNMPv3 message privacy key. Must be 8+ characters long. Required when message privacy is used.",
	"irmc_snmp_auth_proto": "SNMPv3 message authentication protocol ID. Required for version 'v3'. If using iRMC S4/S5, only 'sha' is " +
		"supported.If using iRMC S6, the valid options are 'sha256', 'sha384', 'sha512'.",
	"irmc_snmp_priv_proto": "SNMPv3 message privacy (encryption) protocol ID. Required for version 'v3'. 'aes' is supported.",
	"irmc_snmp_security":   "SNMP security name required for version 'v3'. Optional. Deprecated.",
}

// SNMP holds the options of [irmc] that count for nodes which say nothing (snmp_version, snmp_port, snmp_community, snmp_security).
type SNMP struct {
	Version   string
	Port      int
	Community string
	Security  string
}

// checkSNMP checks what a node says of SNMP, for interfaces that upstream has speak it.
func checkSNMP(n *store.Node, cfg SNMP) error {
	if n.PowerInterface != "irmc" && n.InspectInterface != "irmc" {
		return nil
	}
	info := n.DriverInfo
	version := choice(info, "irmc_snmp_version", strings.ToLower(cfg.Version))
	if !slices.Contains([]string{"v1", "v2c", "v3"}, version) {
		return store.Errorf(store.InvalidParameterValue, "Value '%s' is not supported for 'irmc_snmp_version'.",
			store.PythonText(info["irmc_snmp_version"]))
	}
	if _, err := drivers.NetworkPort(info, "irmc_snmp_port", cfg.Port); err != nil {
		return err
	}
	if version == "v3" {
		return checkSNMPv3(info, cfg)
	}
	switch community := info["irmc_snmp_community"].(type) {
	case nil, string:
		return nil
	default:
		if falsy(community) {
			return nil
		}
		return store.Errorf(store.InvalidParameterValue, "Value '%s' is not a string for 'irmc_snmp_community'", store.PythonText(community))
	}
}

// falsy tells that Python takes a value for false.
func falsy(value any) bool {
	return slices.Contains([]string{"0", "0.0", "False", "[]", "{}"}, store.PythonText(value))
}

func checkSNMPv3(info store.Dict, cfg SNMP) error {
	security, given := info["irmc_snmp_security"]
	if !given && cfg.Security != "" {
		security = cfg.Security
	}
	user, hasUser := info["irmc_snmp_user"]
	var missing []any
	switch text, isText := security.(string); {
	case hasUser:
	case security == nil || isText && text == "":
		missing = append(missing, "irmc_snmp_user")
	case !isText:
		return store.Errorf(store.InvalidParameterValue, "Value '%s' is not a string for 'irmc_snmp_security.", store.PythonText(security))
	default:
		user = text
	}
	passwords := []string{"irmc_snmp_auth_password", "irmc_snmp_priv_password"}
	for _, key := range passwords {
		if _, given := info[key]; !given {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		return store.Errorf(store.MissingParameterValue, "The following required SNMP parameters are missing: %s", store.PythonRepr(missing))
	}
	if _, isText := user.(string); !isText {
		return store.Errorf(store.InvalidParameterValue, "Value '%s' is not a string for 'irmc_snmp_user'.", store.PythonText(user))
	}
	return checkSNMPKeys(info, passwords)
}

// shortestKey is how many characters a key of SNMPv3 has at least.
const shortestKey = 8

// snmpProtocols are the values of the keys that name protocols.
var snmpProtocols = []struct {
	key    string
	values []any
}{
	{"irmc_snmp_auth_proto", []any{"sha", "sha256", "sha384", "sha512"}},
	{"irmc_snmp_priv_proto", []any{"aes"}},
}

// checkSNMPKeys checks passwords, which no error shows, and protocols.
func checkSNMPKeys(info store.Dict, passwords []string) error {
	for _, key := range passwords {
		password, isText := info[key].(string)
		if !isText {
			return store.Errorf(store.InvalidParameterValue, "Value *** is not a string for %s.", key)
		}
		if utf8.RuneCountInString(password) < shortestKey {
			return store.Errorf(store.InvalidParameterValue, "%s is too short. (8+ chars required)", key)
		}
	}
	for _, protocol := range snmpProtocols {
		value, given := info[protocol.key]
		if text, isText := value.(string); given && (!isText || !slices.Contains(protocol.values, any(text))) {
			return store.Errorf(store.InvalidParameterValue, "Invalid value %s given for driver info parameter %s, the valid values are %s.",
				store.PythonText(value), protocol.key, store.PythonRepr(protocol.values))
		}
	}
	return nil
}
