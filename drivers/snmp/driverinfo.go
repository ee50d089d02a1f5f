package snmp

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gosnmp/gosnmp"

	"github.com/ironmaster/ironmaster/store"
)

var authProtocols = map[string]gosnmp.SnmpV3AuthProtocol{"none": gosnmp.NoAuth, "md5": gosnmp.MD5, "sha": gosnmp.SHA,
	"sha224": gosnmp.SHA224, "sha256": gosnmp.SHA256, "sha384": gosnmp.SHA384, "sha512": gosnmp.SHA512}

// privProtocols lack 3des, which the library does not have. The forms without blmt are Reeder's, as pysnmp has them.
var privProtocols = map[string]gosnmp.SnmpV3PrivProtocol{"none": gosnmp.NoPriv, "des": gosnmp.DES, "aes": gosnmp.AES,
	"aes192": gosnmp.AES192C, "aes256": gosnmp.AES256C, "aes192blmt": gosnmp.AES192, "aes256blmt": gosnmp.AES256}

// What errors name is in ironic's order.
var (
	authNames = []string{"md5", "sha", "none", "sha224", "sha256", "sha384", "sha512"}
	privNames = []string{"des", "aes", "aes192", "aes256", "none", "aes192blmt", "aes256blmt"}
)

// properties are the driver_info keys, in ironic's words.
var properties = map[string]string{
	"snmp_driver":  "PDU manufacturer driver.  Required.",
	"snmp_address": "PDU IPv4 address or hostname.  Required.",
	"snmp_outlet":  "PDU power outlet index (1-based).  Required.",
	"snmp_version": "SNMP protocol version: 1, 2c or 3  (optional, default 1).",
	"snmp_port":    "SNMP port, default 161.",
	"snmp_community": "SNMP community name to use for read and/or write class SNMP commands unless `snmp_community_read` and/or " +
		"`snmp_community_write` properties are present in which case the latter takes over. Applicable only to versions 1 and 2c.",
	"snmp_community_read": "SNMP community name to use for read class SNMP commands. Takes precedence over the `snmp_community` " +
		"property. Applicable only to versions 1 and 2c.",
	"snmp_community_write": "SNMP community name to use for write class SNMP commands. Takes precedence over the `snmp_community` " +
		"property. Applicable only to versions 1 and 2c.",
	"snmp_user": "SNMPv3 User-based Security Model (USM) username. Required for version 3.",
	"snmp_auth_protocol": "SNMPv3 message authentication protocol ID. Known values are: " + pythonList(authProtocols) + ". Default is " +
		"'none' unless 'snmp_auth_key' is provided. In the latter case 'md5' is the default.",
	"snmp_auth_key": "SNMPv3 message authentication key. Must be 8+ characters long. Required when message authentication is used. " +
		"This key is used by the 'snmp_auth_protocol' algorithm.",
	"snmp_priv_protocol": "SNMPv3 message privacy (encryption) protocol ID. Known values are: " + pythonList(privProtocols) + ". Using " +
		"message privacy requires using message authentication. Default is 'none' unless 'snmp_priv_key' is provided. In the latter " +
		"case 'des' is the default.",
	"snmp_priv_key": "SNMPv3 message authentication key. Must be 8+ characters long. Required when message authentication is used. " +
		"This key is used by the 'snmp_priv_protocol' algorithm.",
	"snmp_context_engine_id": "SNMPv3 context engine ID. Default is the value of authoritative engine ID.",
	"snmp_context_name":      "SNMPv3 context name. Default is an empty string ('').",
	"snmp_security": "SNMPv3 User-based Security Model (USM) username. Required for version 3. This property is deprecated, please use " +
		"`snmp_user` instead.",
}

func pythonList[V any](m map[string]V) string {
	return "['" + strings.Join(slices.Sorted(maps.Keys(m)), "', '") + "']"
}

// target is where and how a node's outlet is reached, from driver_info.
type target struct {
	family  string
	outlet  int
	address string
	port    uint16
	version gosnmp.SnmpVersion
	// The communities of versions 1 and 2c.
	read, write string
	// What version 3 takes.
	user                   string
	auth                   gosnmp.SnmpV3AuthProtocol
	priv                   gosnmp.SnmpV3PrivProtocol
	authKey, privKey       string
	contextName, contextID string
}

func (t target) key() string { return fmt.Sprintf("%s:%d", t.address, t.port) }

const defaultPort = 161

// parseDriverInfo reads driver_info with the checks and texts of ironic (ironic/drivers/modules/snmp.py).
func parseDriverInfo(n *store.Node) (target, error) {
	info := n.DriverInfo
	var missing []string
	for _, key := range []string{"snmp_driver", "snmp_address", "snmp_outlet"} {
		if !store.PythonTrue(info[key]) {
			missing = append(missing, "'"+key+"'")
		}
	}
	if missing != nil {
		return target{}, store.Errorf(store.MissingParameterValue,
			"SNMP driver requires the following parameters to be set in node's driver_info: [%s].", strings.Join(missing, ", "))
	}
	t := target{family: store.PythonText(info["snmp_driver"]), address: store.PythonText(info["snmp_address"]), port: defaultPort}
	if _, known := pdus[t.family]; !known && t.family != auto {
		return target{}, store.Errorf(store.InvalidParameterValue, "SNMPPowerDriver: unknown driver: '%s'", t.family)
	}
	version, known := "1", false
	if value, given := info["snmp_version"]; given {
		// ironic knows versions as texts alone: the number 1 is none.
		if version, known = value.(string); !known {
			version = store.PythonText(value)
		}
	} else {
		known = true
	}
	versions := map[string]gosnmp.SnmpVersion{"1": gosnmp.Version1, "2c": gosnmp.Version2c, "3": gosnmp.Version3}
	if known {
		t.version, known = versions[version]
	}
	if !known {
		return target{}, store.Errorf(store.InvalidParameterValue, "SNMPPowerDriver: unknown SNMP version: '%s'", version)
	}
	if value, given := info["snmp_port"]; given {
		port, ok, err := info.Int("snmp_port")
		switch {
		case !ok || err != nil || port < 0 || port > 65535:
			return target{}, store.Errorf(store.InvalidParameterValue, `snmp_port "%s" is not a valid port.`, store.PythonText(value))
		case port == 0:
			return target{}, store.Errorf(store.InvalidParameterValue, "SNMPPowerDriver: SNMP UDP port out of range: 0")
		}
		t.port = uint16(port)
	}
	if err := t.parseAccess(n, version); err != nil {
		return target{}, err
	}
	outlet, _, err := info.Int("snmp_outlet")
	if err != nil || outlet < 0 || outlet > 1<<31-1 {
		return target{}, store.Errorf(store.InvalidParameterValue, "SNMPPowerDriver: PDU power outlet index is not an integer: %s",
			store.PythonText(info["snmp_outlet"]))
	}
	t.outlet = int(outlet)
	return t, nil
}

func (t *target) parseAccess(n *store.Node, version string) error {
	info := n.DriverInfo
	if t.version == gosnmp.Version3 {
		return t.parseUser(n)
	}
	read, write := info["snmp_community_read"], info["snmp_community_write"]
	if read == nil {
		read = info["snmp_community"]
	}
	if write == nil {
		write = info["snmp_community"]
	}
	if !store.PythonTrue(read) || !store.PythonTrue(write) {
		return store.Errorf(store.MissingParameterValue, "SNMP driver requires `snmp_community` or "+
			"`snmp_community_read`/`snmp_community_write` properties to be set for version %s.", version)
	}
	t.read, t.write = store.PythonText(read), store.PythonText(write)
	return nil
}

// parseUser reads what version 3 takes. A protocol without a key, or a key without a protocol, is completed or refused as in ironic.
func (t *target) parseUser(n *store.Node) error {
	info := n.DriverInfo
	has := func(key string) bool { _, given := info[key]; return given }
	if !has("snmp_user") && !has("snmp_security") {
		return store.Errorf(store.MissingParameterValue, "SNMP driver requires `driver_info/snmp_user` to be set in node %s "+
			"configuration for SNMP version 3.", n.UUID)
	}
	if t.user = info.String("snmp_user"); !has("snmp_user") {
		t.user = info.String("snmp_security")
	}
	var known bool
	if t.auth, known = authProtocols[info.String("snmp_auth_protocol")]; !known && has("snmp_auth_protocol") {
		return store.Errorf(store.InvalidParameterValue, "SNMPPowerDriver: unknown SNMPv3 authentication protocol "+
			"`driver_info/snmp_auth_protocol` %s in node %s configuration, known protocols are: %s", info.String("snmp_auth_protocol"),
			n.UUID, strings.Join(authNames, ", "))
	}
	if t.priv, known = privProtocols[info.String("snmp_priv_protocol")]; !known && has("snmp_priv_protocol") {
		return store.Errorf(store.InvalidParameterValue, "SNMPPowerDriver: unknown SNMPv3 privacy protocol "+
			"`driver_info/snmp_priv_protocol` %s in node %s configuration, known protocols are: %s", info.String("snmp_priv_protocol"),
			n.UUID, strings.Join(privNames, ", "))
	}
	t.authKey, t.privKey = info.String("snmp_auth_key"), info.String("snmp_priv_key")
	const shortest = 8
	switch {
	case has("snmp_auth_key") && len(t.authKey) < shortest:
		return store.Errorf(store.InvalidParameterValue, "SNMPPowerDriver: short SNMPv3 authentication key `driver_info/snmp_auth_key` "+
			"in node %s configuration (8+ chars required)", n.UUID)
	case has("snmp_priv_key") && len(t.privKey) < shortest:
		return store.Errorf(store.InvalidParameterValue, "SNMPPowerDriver: short SNMPv3 privacy key `driver_info/snmp_priv_key` node %s "+
			"configuration (8+ chars required)", n.UUID)
	}
	auth, priv := has("snmp_auth_protocol") || has("snmp_auth_key"), has("snmp_priv_protocol") || has("snmp_priv_key")
	if !has("snmp_auth_protocol") {
		t.auth = gosnmp.NoAuth
		if has("snmp_auth_key") {
			t.auth = gosnmp.MD5
		}
	}
	if !has("snmp_priv_protocol") {
		t.priv = gosnmp.NoPriv
		if has("snmp_priv_key") {
			t.priv = gosnmp.DES
		}
	}
	switch {
	case priv && !auth:
		return store.Errorf(store.MissingParameterValue, "SNMPPowerDriver: SNMPv3 privacy requires authentication. Please add "+
			"`driver_info/auth_protocol` property to node %s configuration.", n.UUID)
	case auth && !has("snmp_auth_key"):
		return store.Errorf(store.MissingParameterValue, "SNMPPowerDriver: missing SNMPv3 authentication key while "+
			"`driver_info/snmp_auth_protocol` is present. Please add `driver_info/snmp_auth_key` to node %s configuration.", n.UUID)
	case priv && !has("snmp_priv_key"):
		return store.Errorf(store.MissingParameterValue, "SNMPPowerDriver: missing SNMPv3 privacy key while "+
			"`driver_info/snmp_priv_protocol` is present. Please add `driver_info/snmp_priv_key` to node %s configuration.", n.UUID)
	}
	t.contextName = info.String("snmp_context_name")
	if id := info.String("snmp_context_engine_id"); id != "" {
		engine, err := hex.DecodeString(strings.TrimPrefix(id, "0x"))
		if err != nil {
			return store.Errorf(store.InvalidParameterValue, "SNMPPowerDriver: `driver_info/snmp_context_engine_id` of node %s is not "+
				"hexadecimal", n.UUID)
		}
		t.contextID = string(engine)
	}
	return nil
}
