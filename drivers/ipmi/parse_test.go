package ipmi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// The texts are those of ironic/drivers/modules/ipmitool.py.
func TestDriverInfo(t *testing.T) {
	for name, c := range map[string]struct {
		info store.Dict
		kind store.Kind
		text string
	}{
		"nothing": {store.Dict{"ipmi_address": nil}, store.MissingParameterValue,
			"Missing the following IPMI credentials in node's driver_info: ['ipmi_address']."},
		"version": {store.Dict{"ipmi_protocol_version": "3.0"}, store.InvalidParameterValue,
			"Invalid IPMI protocol version value 3.0, the valid value can be one of 2.0, 1.5"},
		"port":        {store.Dict{"ipmi_port": 70000}, store.InvalidParameterValue, `ipmi_port "70000" is not a valid port.`},
		"port a list": {store.Dict{"ipmi_port": []any{"a", nil}}, store.InvalidParameterValue, `ipmi_port "['a', None]" is not a valid port.`},
		"version null": {store.Dict{"ipmi_protocol_version": nil}, store.InvalidParameterValue,
			"Invalid IPMI protocol version value None, the valid value can be one of 2.0, 1.5"},
		"address zero": {store.Dict{"ipmi_address": json.Number("0")}, store.MissingParameterValue,
			"Missing the following IPMI credentials in node's driver_info: ['ipmi_address']."},
		"terminal port": {store.Dict{"ipmi_terminal_port": "x"}, store.InvalidParameterValue, `ipmi_terminal_port "x" is not a valid port.`},
		"bridging": {store.Dict{"ipmi_bridging": "triple"}, store.InvalidParameterValue,
			"Invalid value for ipmi_bridging: triple, the valid value can be one of: ['single', 'dual', 'no']"},
		"half a bridge": {store.Dict{"ipmi_bridging": "dual", "ipmi_target_channel": 0, "ipmi_transit_address": "0x20"},
			store.MissingParameterValue, "['ipmi_target_address', 'ipmi_transit_channel'] not provided"},
		"privilege": {store.Dict{"ipmi_priv_level": "ROOT"}, store.InvalidParameterValue,
			"Invalid privilege level value:ROOT, the valid value can be one of ADMINISTRATOR, CALLBACK, OPERATOR, USER"},
		"odd key": {store.Dict{"ipmi_hex_kg_key": "abc"}, store.InvalidParameterValue, "Number of ipmi_hex_kg_key characters is not even"},
		"odd, in more bytes": {store.Dict{"ipmi_hex_kg_key": "é"}, store.InvalidParameterValue,
			"Number of ipmi_hex_kg_key characters is not even"},
		"suite":     {store.Dict{"ipmi_cipher_suite": "best"}, store.InvalidParameterValue, "Invalid cipher suite best, expected a number"},
		"1.5 suite": {store.Dict{"ipmi_cipher_suite": 3, "ipmi_protocol_version": "1.5"}, store.InvalidParameterValue, "Cipher suites cannot be used with IPMI 1.5"},
	} {
		info := store.Dict{"ipmi_address": "192.0.2.1"}
		for k, v := range c.info {
			info[k] = v
		}
		if _, err := parseDriverInfo(&store.Node{UUID: "n"}, info); store.KindOf(err) != c.kind || err.Error() != c.text {
			t.Errorf("%s: %v, want %s", name, err, c.text)
		}
	}
}

// ironic takes zero for a port, and Python what follows the point of a number off.
func TestOddPorts(t *testing.T) {
	for _, port := range []any{json.Number("0"), false, " 623 ", json.Number("623.5")} {
		if _, err := parseDriverInfo(&store.Node{}, store.Dict{"ipmi_address": "192.0.2.1", "ipmi_port": port}); err != nil {
			t.Errorf("%v: %v", port, err)
		}
	}
}

// A Kg key that is none passes, and whoever speaks to the BMC gets ipmitool's refusal.
func TestKeyThatIsNone(t *testing.T) {
	to, err := parseDriverInfo(&store.Node{UUID: "n"}, store.Dict{"ipmi_address": "127.0.0.1", "ipmi_hex_kg_key": "zz"})
	if err != nil {
		t.Fatal(err)
	}
	if speaks(to, command{messages: make([]message, 1)}) {
		t.Error("the library would speak without the key")
	}
	args, _ := (&ipmitool{}).arguments(to)
	if got := strings.Join(args, " "); got != "-I lanplus -H 127.0.0.1 -L ADMINISTRATOR -y zz" {
		t.Error(got)
	}
}

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{"192.0.2.1": true, "2001:db8::1": true, "bmc-7.example.org": true, "bmc_7": false,
		"-oProxy": false, "a b": false} {
		if err := checkAddress(target{address: address, node: "n"}, true); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := checkAddress(target{address: "-I"}, false); err == nil {
		t.Error("an option of ipmitool was taken for an address")
	}
}

// The order is that of ironic's own command lines; no secret is among the arguments.
func TestArgumentsOfIpmitool(t *testing.T) {
	to, err := parseDriverInfo(&store.Node{UUID: "n"}, store.Dict{"ipmi_address": "192.0.2.1", "ipmi_port": 624,
		"ipmi_username": "u", "ipmi_password": "hidden", "ipmi_priv_level": "OPERATOR", "ipmi_cipher_suite": 17,
		"ipmi_hex_kg_key": "6b6579" + strings.Repeat("00", 17), "ipmi_bridging": "dual", "ipmi_local_address": "0x20",
		"ipmi_transit_channel": "0", "ipmi_transit_address": "0x82", "ipmi_target_channel": "7", "ipmi_target_address": "0x72"})
	if err != nil {
		t.Fatal(err)
	}
	args, env := (&ipmitool{Config{Verbose: true}}).arguments(to)
	want := "-I lanplus -H 192.0.2.1 -L OPERATOR -p 624 -U u -K -C 17 -m 0x20 -B 0 -T 0x82 -b 7 -t 0x72 -v"
	if got := strings.Join(args, " "); got != want || strings.Join(env, " ") != "IPMI_KGKEY=key" {
		t.Errorf("got  %s %v\nwant %s", got, env, want)
	}
	c := DefaultConfig()
	c.ToolRetries = true
	for _, one := range []struct {
		cfg  Config
		want string
	}{{DefaultConfig(), "-R 1 -N 5"}, {c, "-R 7 -N 5"}} {
		if got := strings.Join((&ipmitool{one.cfg}).timing(), " "); got != one.want {
			t.Errorf("timing %s, want %s", got, one.want)
		}
	}
}

func TestBootFlagsForUEFI(t *testing.T) {
	n := &store.Node{Properties: store.Dict{}}
	for _, c := range []struct {
		vendor, device string
		persistent     bool
		want           string
	}{
		{"", "pxe", false, "0x00 0x08 0x05 0xa0 0x04 0x00 0x00 0x00"}, {"", "disk", true, "0x00 0x08 0x05 0xe0 0x08 0x00 0x00 0x00"},
		{"Supermicro", "disk", true, "0x00 0x08 0x05 0xe0 0x24 0x00 0x00 0x00"}, {"", "safe", false, "0x00 0x08 0x05 0xa0 0x0c 0x00 0x00 0x00"},
	} {
		n.Properties["vendor"] = c.vendor
		if got := uefiBootFlags(n, c.device, c.persistent); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.vendor, c.device, got, c.want)
		}
	}
}

func TestBootFlagsRead(t *testing.T) {
	for _, c := range []struct {
		data       []byte
		text       string
		device     string
		persistent bool
	}{
		{[]byte{1, 5, 0xc0, 0x04, 0, 0, 0}, "   - Options apply to all future boots\n   - Boot Device Selector : Force PXE\n", "pxe", true},
		{[]byte{1, 5, 0x80, 0x08, 0, 0, 0}, "   - Options apply to only next boot\n   - Boot Device Selector : Force Boot from default Hard-Drive\n", "disk", false},
		{[]byte{1, 5, 0x80, 0x0c, 0, 0, 0}, "   - Boot Device Selector : Force Boot from default Hard-Drive, request Safe-Mode\n", "safe", false},
		{[]byte{1, 5, 0x80, 0x14, 0, 0, 0}, "   - Boot Device Selector : Force Boot from CD/DVD\n", "cdrom", false},
		{[]byte{1, 5, 0x80, 0x18, 0, 0, 0}, "   - Boot Device Selector : Force Boot into BIOS Setup\n", "bios", false},
		{[]byte{1, 5, 0, 0, 0, 0, 0}, "   - Boot Device Selector : No override\n", "", false},
		{[]byte{1}, "nonsense", "", false},
	} {
		if got := bootFlags(c.data); got.Device != c.device || *got.Persistent != c.persistent {
			t.Errorf("%x: %s %v", c.data, got.Device, *got.Persistent)
		}
		if got := bootFlagsText(c.text); got.Device != c.device || *got.Persistent != c.persistent {
			t.Errorf("%s: %s %v", c.text, got.Device, *got.Persistent)
		}
	}
}

func TestUnreadableSensors(t *testing.T) {
	for text, want := range map[string]string{
		"Sensor ID : x\nSensor Reading : 1\n":     "unknown sensor type data",
		"Sensor ID : x\nSensor Type (Analog) : a": "get nothing with input data",
	} {
		if _, err := parseSensors("n", text); store.KindOf(err) != store.FailedToParseSensorData || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add("Sensor ID              : CPU Temp (0x0)\n Entity ID             : 3.1 (Processor)\n Sensor Type (Threshold)  : Temperature (0x01)\n"+
		" Sensor Reading        : 42 (+/- 0) degrees C\n\n", []byte{1, 5, 0x80, 4})
	f.Add("   - Boot Device Selector : Force PXE\n", []byte{})
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		if d := bootFlags(data); d.Persistent == nil {
			t.Error("no answer")
		}
		bootFlagsText(text)
		if sensors, err := parseSensors("n", text); err == nil && text != "" && len(sensors) == 0 {
			t.Error("neither sensors nor an error")
		}
		if c, err := rawCommand(text); err == nil && strings.ContainsAny(c.words, "\n\x00-;") {
			t.Errorf("raw bytes %q became %q", text, c.words)
		}
	})
}
