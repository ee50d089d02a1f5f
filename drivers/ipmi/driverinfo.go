package ipmi

import (
	"encoding/hex"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ironmaster/ironmaster/store"
)

// properties are the driver_info keys of every IPMI interface, in ironic's words.
var properties = map[string]string{
	"ipmi_address":         "IP address or hostname of the node. Required.",
	"ipmi_password":        "password. Optional.",
	"ipmi_hex_kg_key":      "Kg key for IPMIv2 authentication. The key is expected in hexadecimal format. Optional.",
	"ipmi_port":            "remote IPMI RMCP port. Optional.",
	"ipmi_priv_level":      "privilege level; default is ADMINISTRATOR. One of ADMINISTRATOR, CALLBACK, OPERATOR, USER. Optional.",
	"ipmi_username":        "username; default is NULL user. Optional.",
	"ipmi_bridging":        `bridging_type; default is "no". One of "single", "dual", "no". Optional.`,
	"ipmi_transit_channel": `transit channel for bridged request. Required only if ipmi_bridging is set to "dual".`,
	"ipmi_transit_address": `transit address for bridged request. Required only if ipmi_bridging is set to "dual".`,
	"ipmi_target_channel":  `destination channel for bridged request. Required only if ipmi_bridging is set to "single" or "dual".`,
	"ipmi_target_address":  `destination address for bridged request. Required only if ipmi_bridging is set to "single" or "dual".`,
	"ipmi_local_address": `local IPMB address for bridged requests. Used only if ipmi_bridging is set to "single" or "dual". ` +
		"Optional.",
	"ipmi_protocol_version": `the version of the IPMI protocol; default is "2.0". One of "1.5", "2.0". Optional.`,
	"ipmi_force_boot_device": "Whether Ironic should specify the boot device to the BMC each time the server is turned on, eg. " +
		"because the BMC is not capable of remembering the selected boot device across power cycles; default value is False. " +
		"Optional.",
	"ipmi_disable_boot_timeout": "By default ironic will send a raw IPMI command to disable the 60 second timeout for booting. " +
		"Setting this option to False will NOT send that command on this node. The [ipmi]disable_boot_timeout will be used if " +
		"this option is not set. Optional.",
	"ipmi_cipher_suite": "The number of a cipher suite to use. Only 3 (AES-128 with SHA1) or 17 (AES-128 with SHA256) should " +
		"ever be used; 17 is preferred. The default value depends on the ipmitool version, some recent versions have switched " +
		"from 3 to 17.",
}

// terminalPort is the property that consoles have besides.
const (
	keyTerminalPort     = "ipmi_terminal_port"
	terminalPort        = "node's UDP port to connect to. Only required for console access."
	keyAllocatedPort    = "allocated_ipmi_terminal_port"
	keyBootDevice       = "persistent_boot_device"
	keyBootPersistently = "is_next_boot_persistent"
)

// target is where and how a node's BMC is reached, from driver_info.
type target struct {
	node               string
	address            string
	port               int // 0 stands for 623
	username, password string
	kg                 []byte
	noKG               string // a Kg key that is not hexadecimal, which ipmitool refuses
	privilege          string
	version            string // 2.0 or 1.5
	cipherSuite        string // "" stands for none given
	bridge             []bridgeOption
	terminalPort       int // 0 stands for none
	forceBootDevice    bool
}

// bridgeOption is one of ipmitool's options for requests that the BMC hands on to another controller.
type bridgeOption struct{ flag, value string }

const defaultPort = 623

// key names the BMC. Nodes with one key share a line.
func (t target) key() string {
	port := t.port
	if port == 0 {
		port = defaultPort
	}
	return net.JoinHostPort(t.address, strconv.Itoa(port))
}

var privileges = []string{"ADMINISTRATOR", "CALLBACK", "OPERATOR", "USER"}

// parseDriverInfo reads a node's driver_info with the checks and texts of ironic (ironic/drivers/modules/ipmitool.py).
func parseDriverInfo(n *store.Node, info store.Dict) (target, error) {
	t := target{node: n.UUID, address: store.PythonText(info["ipmi_address"]), username: info.String("ipmi_username"),
		password: info.String("ipmi_password"), privilege: "ADMINISTRATOR", version: "2.0",
		forceBootDevice: info.Bool("ipmi_force_boot_device", false)}
	if !store.PythonTrue(info["ipmi_address"]) {
		return target{}, store.Errorf(store.MissingParameterValue,
			"Missing the following IPMI credentials in node's driver_info: ['ipmi_address'].")
	}
	if given(info, "ipmi_protocol_version") {
		t.version = store.PythonText(info["ipmi_protocol_version"])
	}
	if t.version != "2.0" && t.version != "1.5" {
		return target{}, store.Errorf(store.InvalidParameterValue,
			"Invalid IPMI protocol version value %s, the valid value can be one of 2.0, 1.5", t.version)
	}
	for _, p := range []struct {
		into  *int
		name  string
		value any
	}{
		{&t.terminalPort, keyTerminalPort, firstTrue(info[keyTerminalPort], n.DriverInternalInfo[keyAllocatedPort])},
		{&t.port, "ipmi_port", info["ipmi_port"]},
	} {
		var err error
		if *p.into, err = parsePort(p.name, p.value); err != nil {
			return target{}, err
		}
	}
	var err error
	if t.bridge, err = parseBridging(info); err != nil {
		return target{}, err
	}
	if given(info, "ipmi_priv_level") {
		t.privilege = store.PythonText(info["ipmi_priv_level"])
	}
	if !slices.Contains(privileges, t.privilege) {
		return target{}, store.Errorf(store.InvalidParameterValue,
			"Invalid privilege level value:%s, the valid value can be one of %s", t.privilege, strings.Join(privileges, ", "))
	}
	if t.kg, t.noKG, err = parseKey(info.String("ipmi_hex_kg_key")); err != nil {
		return target{}, err
	}
	t.cipherSuite, err = parseCipherSuite(info, t.version)
	return t, err
}

func given(info store.Dict, key string) bool {
	_, ok := info[key]
	return ok
}

func firstTrue(values ...any) any {
	for _, v := range values {
		if store.PythonTrue(v) {
			return v
		}
	}
	return values[len(values)-1]
}

// parsePort reads a port as oslo.utils does, which takes 0 for one; ipmitool is then told none.
func parsePort(name string, value any) (int, error) {
	if value == nil {
		return 0, nil
	}
	n, _, err := store.Dict{"v": value}.Int("v")
	if err != nil || n < 0 || n > 65535 {
		return 0, store.Errorf(store.InvalidParameterValue, `%s "%s" is not a valid port.`, name, store.PythonText(value))
	}
	return int(n), nil
}

// bridgings are the kinds of bridging with the keys that each needs, in ironic's order.
var bridgings = map[string][]string{
	"single": {"ipmi_target_channel", "ipmi_target_address"},
	"dual":   {"ipmi_target_channel", "ipmi_target_address", "ipmi_transit_channel", "ipmi_transit_address"},
}

func parseBridging(info store.Dict) ([]bridgeOption, error) {
	kind := "no"
	if given(info, "ipmi_bridging") {
		kind = store.PythonText(info["ipmi_bridging"])
	}
	if kind == "no" {
		return nil, nil
	}
	needed, known := bridgings[kind]
	if !known {
		return nil, store.Errorf(store.InvalidParameterValue, "Invalid value for ipmi_bridging: %s, the valid value can be one "+
			"of: ['single', 'dual', 'no']", kind)
	}
	var missing []string
	for _, name := range needed {
		if info[name] == nil {
			missing = append(missing, "'"+name+"'")
		}
	}
	if missing != nil {
		return nil, store.Errorf(store.MissingParameterValue, "[%s] not provided", strings.Join(missing, ", "))
	}
	var options []bridgeOption
	for _, o := range []struct{ name, flag string }{{"ipmi_local_address", "-m"}, {"ipmi_transit_channel", "-B"},
		{"ipmi_transit_address", "-T"}, {"ipmi_target_channel", "-b"}, {"ipmi_target_address", "-t"}} {
		if info[o.name] != nil && (o.flag == "-m" || slices.Contains(needed, o.name)) {
			options = append(options, bridgeOption{o.flag, store.PythonText(info[o.name])})
		}
	}
	return options, nil
}

// parseKey reads the Kg key. What is not hexadecimal is none, and is left to ipmitool to refuse, as ironic does: such a node can be
// enrolled, and whatever is asked of its BMC fails.
func parseKey(text string) (key []byte, none string, err error) {
	if utf8.RuneCountInString(text)%2 != 0 {
		return nil, "", store.Errorf(store.InvalidParameterValue, "Number of ipmi_hex_kg_key characters is not even")
	}
	if key, err = hex.DecodeString(text); err != nil {
		return nil, text, nil
	}
	return key, "", nil
}

func parseCipherSuite(info store.Dict, version string) (string, error) {
	if info["ipmi_cipher_suite"] == nil {
		return "", nil
	}
	n, _, err := info.Int("ipmi_cipher_suite")
	if err != nil {
		return "", store.Errorf(store.InvalidParameterValue, "Invalid cipher suite %s, expected a number",
			store.PythonText(info["ipmi_cipher_suite"]))
	}
	if version == "1.5" {
		return "", store.Errorf(store.InvalidParameterValue, "Cipher suites cannot be used with IPMI 1.5")
	}
	return strconv.FormatInt(n, 10), nil
}

var hostname = regexp.MustCompile(`^[a-z0-9]([a-z0-9\-]{0,61}[a-z0-9])?(\.[a-z0-9\-_]{0,62}[a-z0-9])*\.?$`)

// checkAddress refuses what is neither an IP address nor a host name, and what ipmitool would take for an option.
func checkAddress(t target, names bool) error {
	if _, err := netip.ParseAddr(t.address); err == nil {
		return nil
	}
	if names && (len(t.address) > 255 || !hostname.MatchString(strings.ToLower(t.address))) || strings.HasPrefix(t.address, "-") {
		return store.Errorf(store.InvalidParameterValue,
			`Invalid IPMI address "%s" for node %s. Must be a valid IP address or hostname.`, t.address, t.node)
	}
	return nil
}
