package snmp_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/snmp"
	"github.com/ironmaster/ironmaster/store"
)

// pduScript is what snmpd asks for the vendors' objects: integers in files named after them. Reading at one object what was set at
// another is in the file links: "set read value-set value-read".
const pduScript = `#!/bin/sh
cd %s || exit 1
case $1 in
-s)
	[ -f "$2" ] || grep -q "^$2 " links || { echo not-writable; exit; }
	echo "$4" >"$2"
	while read -r set read value shown; do
		if [ "$2" = "$set" ] && [ "$4" = "$value" ]; then echo "$shown" >"$read"; fi
	done <links
	;;
-g) if [ -f "$2" ]; then printf '%%s\ninteger\n%%s\n' "$2" "$(cat "$2")"; fi ;;
esac
`

const (
	authKey = "authenticate-me"
	privKey = "encrypt-me-too"
)

// startPDU starts Debian's snmpd as a power strip whose sysObjectID and objects are given, and returns its port.
func startPDU(t *testing.T, sysObjectID, links string, objects map[string]int) int {
	t.Helper()
	l := lab.NewForTest(t, lab.Options{})
	dir := filepath.Join(l.Dir, "pdu")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ports, err := l.ReservePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"pdu": fmt.Sprintf(pduScript, dir), "links": links,
		"snmpd.conf": fmt.Sprintf("agentaddress udp:127.0.0.1:%d\nrocommunity reader\nrwcommunity writer\n"+
			"createUser operator SHA %s AES %s\nrwuser operator priv\nsysobjectid %s\npass .1.3.6.1.4.1 %s/pdu\n",
			ports[0], authKey, privKey, sysObjectID, dir),
	}
	for oid, value := range objects {
		files[oid] = strconv.Itoa(value)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_, err = l.StartService(lab.Command{Name: "snmpd", Path: "/usr/sbin/snmpd",
		Args: []string{"-f", "-Lo", "-C", "-c", filepath.Join(dir, "snmpd.conf"), "-I", "-smux"},
		Env:  []string{"PATH=/usr/bin:/bin", "SNMP_PERSISTENT_DIR=" + dir},
		Ready: func(ctx context.Context) error {
			return answers(ctx, ports[0])
		}})
	if err != nil {
		t.Fatal(err)
	}
	return ports[0]
}

// answers asks for the engine of the agent, which every SNMPv3 agent tells (RFC 3414, section 4).
func answers(ctx context.Context, port int) error {
	c, err := new(net.Dialer).DialContext(ctx, "udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	defer c.Close()
	// GET sysUpTime.0 with community "reader", SNMPv1.
	request := append([]byte{0x30, 0x27, 2, 1, 0, 4, 6}, "reader"...)
	request = append(request, 0xa0, 0x1a, 2, 2, 0x12, 0x34, 2, 1, 0, 2, 1, 0, 0x30, 0x0e, 0x30, 0x0c, 6, 8, 0x2b, 6, 1, 2, 1, 1, 3, 0, 5, 0)
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := c.Write(request); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 256))
	return err
}

func quick() snmp.Config {
	c := snmp.DefaultConfig()
	c.Poll, c.PowerTimeout = 10*time.Millisecond, time.Minute
	return c
}

func task(port int, info store.Dict) *drivers.Task {
	n := &store.Node{UUID: "n", Driver: "snmp", DriverInfo: store.Dict{"snmp_address": "127.0.0.1", "snmp_port": port,
		"snmp_version": "2c", "snmp_community_read": "reader", "snmp_community_write": "writer", "snmp_outlet": 3}}
	for k, v := range info {
		n.DriverInfo[k] = v
	}
	return &drivers.Task{Node: n, Log: zerolog.Nop()}
}

// Every family is switched at its vendor's objects. Outlets begin switched off.
func TestFamilies(t *testing.T) {
	const e = ".1.3.6.1.4.1."
	for family, c := range map[string]struct {
		read   string
		off    int
		links  string
		system string // the sysObjectID, where it matters
	}{
		"apc":                  {read: "318.1.1.4.4.2.1.3.3", off: 2},
		"apc_masterswitch":     {read: "318.1.1.4.4.2.1.3.3", off: 2},
		"apc_masterswitchplus": {read: "318.1.1.6.5.1.1.5.3", off: 3},
		"apc_rackpdu":          {read: "318.1.1.12.3.3.1.1.4.3", off: 2},
		"aten":                 {read: "21317.1.3.2.2.2.2.3.0", off: 1},
		"cyberpower":           {read: "3808.1.1.3.3.3.1.1.4.3", off: 2},
		"teltronix":            {read: "23620.1.2.2.1.4.3", off: 1},
		"baytech_mrp27":        {read: "4779.1.3.5.3.1.3.1.3", off: 0},
		"eatonpower": {read: "534.6.6.7.6.6.1.2.3", off: 0, links: e + "534.6.6.7.6.6.1.3.3 " + e + "534.6.6.7.6.6.1.2.3 0 1\n" +
			e + "534.6.6.7.6.6.1.4.3 " + e + "534.6.6.7.6.6.1.2.3 0 0\n"},
		"servertech_sentry3": {read: "1718.3.2.3.1.5.1.1.3", off: 0, links: e + "1718.3.2.3.1.11.1.1.3 " + e + "1718.3.2.3.1.5.1.1.3 1 1\n" +
			e + "1718.3.2.3.1.11.1.1.3 " + e + "1718.3.2.3.1.5.1.1.3 2 0\n"},
		"servertech_sentry4": {read: "1718.4.1.8.5.1.1.1.1.3", off: 10, links: e + "1718.4.1.8.5.1.2.1.1.3 " + e + "1718.4.1.8.5.1.1.1.1.3 1 11\n" +
			e + "1718.4.1.8.5.1.2.1.1.3 " + e + "1718.4.1.8.5.1.1.1.1.3 2 10\n"},
		"raritan_pdu2": {read: "13742.6.4.1.2.1.3.1.3", off: 8, links: e + "13742.6.4.1.2.1.2.1.3 " + e + "13742.6.4.1.2.1.3.1.3 1 7\n" +
			e + "13742.6.4.1.2.1.2.1.3 " + e + "13742.6.4.1.2.1.3.1.3 0 8\n"},
		"vertivgeist_pdu": {read: "21239.5.2.3.5.1.4.3", off: 2, links: e + "21239.5.2.3.5.1.6.3 " + e + "21239.5.2.3.5.1.4.3 2 1\n" +
			e + "21239.5.2.3.5.1.6.3 " + e + "21239.5.2.3.5.1.4.3 4 2\n"},
		"auto": {read: "318.1.1.12.3.3.1.1.4.3", off: 2, system: e + "318.1.1.12.3.9"},
	} {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			system := c.system
			if system == "" {
				system = e + "9999.1"
			}
			p := snmp.NewPower(quick(), zerolog.Nop())
			x := task(startPDU(t, system, c.links, map[string]int{e + c.read: c.off}), store.Dict{"snmp_driver": family})
			is := func(want string) {
				t.Helper()
				if got, err := p.PowerState(t.Context(), x); err != nil || got != want {
					t.Fatalf("%q, %v, want %q", got, err, want)
				}
			}
			is(store.PowerOff)
			for _, state := range []string{store.PowerOn, store.PowerOff} {
				if err := p.SetPowerState(t.Context(), x, state, 0); err != nil {
					t.Fatal(err)
				}
				is(state)
			}
			if err := p.Reboot(t.Context(), x, 0); err != nil {
				t.Fatal(err)
			}
			is(store.PowerOn)
		})
	}
}

// Versions 1, 2c and 3 with authentication and encryption work; who may not is told so.
func TestVersionsAndRights(t *testing.T) {
	const outlet = ".1.3.6.1.4.1.318.1.1.4.4.2.1.3.3"
	port := startPDU(t, ".1.3.6.1.4.1.9999", "", map[string]int{outlet: 2})
	cfg := quick()
	cfg.Timeout, cfg.Retries = 500*time.Millisecond, 3
	user := func(more store.Dict) store.Dict {
		d := store.Dict{"snmp_version": "3", "snmp_user": "operator", "snmp_auth_protocol": "sha", "snmp_auth_key": authKey,
			"snmp_priv_protocol": "aes", "snmp_priv_key": privKey}
		for k, v := range more {
			d[k] = v
		}
		return d
	}
	for name, c := range map[string]struct {
		info  store.Dict
		works bool
	}{
		"1":                   {store.Dict{"snmp_version": "1"}, true},
		"2c":                  {store.Dict{"snmp_version": "2c"}, true},
		"3":                   {user(nil), true},
		"wrong community":     {store.Dict{"snmp_community_read": "nobody"}, false},
		"no right to write":   {store.Dict{"snmp_community_write": "reader"}, false},
		"wrong key":           {user(store.Dict{"snmp_auth_key": "another-key-altogether"}), false},
		"not encrypted":       {store.Dict{"snmp_version": "3", "snmp_user": "operator", "snmp_auth_protocol": "sha", "snmp_auth_key": authKey}, false},
		"no outlet there":     {store.Dict{"snmp_outlet": 77}, false},
		"auto, unknown maker": {store.Dict{"snmp_driver": "auto"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			info := store.Dict{"snmp_driver": "apc"}
			for k, v := range c.info {
				info[k] = v
			}
			p := snmp.NewPower(cfg, zerolog.Nop())
			err := p.SetPowerState(t.Context(), task(port, info), store.PowerOn, 0)
			if c.works != (err == nil) {
				t.Fatalf("%v", err)
			}
			if err != nil && (store.KindOf(err) != store.SNMPFailure && store.KindOf(err) != store.InvalidParameterValue ||
				strings.Contains(err.Error(), authKey)) {
				t.Errorf("%v", err)
			}
		})
	}
}

// An outlet that does not do what it is told is a power failure; a power strip that is away an SNMP failure.
func TestFailures(t *testing.T) {
	const read, set = ".1.3.6.1.4.1.13742.6.4.1.2.1.3.1.3", ".1.3.6.1.4.1.13742.6.4.1.2.1.2.1.3"
	port := startPDU(t, ".1.3.6.1.4.1.9999", "", map[string]int{read: 8, set: 0})
	stuck := quick()
	stuck.PowerTimeout = 300 * time.Millisecond
	p := snmp.NewPower(stuck, zerolog.Nop())
	x := task(port, store.Dict{"snmp_driver": "raritan_pdu2"})
	err := p.SetPowerState(t.Context(), x, store.PowerOn, 0)
	if store.KindOf(err) != store.PowerStateFailure || err.Error() != "Failed to set node power state to power on." {
		t.Errorf("a stuck outlet: %v", err)
	}
	if err := p.SetPowerState(t.Context(), x, store.SoftPowerOff, 0); store.KindOf(err) != store.InvalidParameterValue {
		t.Errorf("softly: %v", err)
	}
	away := quick()
	away.Timeout, away.Retries = 20*time.Millisecond, 0
	p = snmp.NewPower(away, zerolog.Nop())
	x.Node.DriverInfo["snmp_port"] = 9
	if _, err := p.PowerState(t.Context(), x); store.KindOf(err) != store.SNMPFailure || !strings.HasPrefix(err.Error(), "SNMP operation 'GET' failed: ") {
		t.Errorf("a power strip that is away: %v", err)
	}
}

// The texts are those of ironic/drivers/modules/snmp.py.
func TestDriverInfo(t *testing.T) {
	p := snmp.NewPower(snmp.DefaultConfig(), zerolog.Nop())
	for want, info := range map[string]store.Dict{
		"SNMP driver requires the following parameters to be set in node's driver_info: ['snmp_driver', 'snmp_outlet'].": {"snmp_outlet": nil},
		"SNMPPowerDriver: unknown driver: 'acme'":                          {"snmp_driver": "acme"},
		"SNMPPowerDriver: unknown SNMP version: '4'":                       {"snmp_driver": "apc", "snmp_version": "4"},
		`snmp_port "70000" is not a valid port.`:                           {"snmp_driver": "apc", "snmp_port": 70000},
		"SNMPPowerDriver: PDU power outlet index is not an integer: three": {"snmp_driver": "apc", "snmp_outlet": "three"},
		"SNMP driver requires `snmp_community` or `snmp_community_read`/`snmp_community_write` properties to be set for version 2c.": {
			"snmp_driver": "apc", "snmp_community_write": nil},
		"SNMP driver requires `driver_info/snmp_user` to be set in node n configuration for SNMP version 3.": {"snmp_driver": "apc", "snmp_version": "3"},
		"SNMPPowerDriver: short SNMPv3 authentication key `driver_info/snmp_auth_key` in node n configuration (8+ chars required)": {
			"snmp_driver": "apc", "snmp_version": "3", "snmp_user": "u", "snmp_auth_key": "short"},
		"SNMPPowerDriver: SNMPv3 privacy requires authentication. Please add `driver_info/auth_protocol` property to node n configuration.": {
			"snmp_driver": "apc", "snmp_version": "3", "snmp_user": "u", "snmp_priv_key": "long-enough"},
	} {
		err := p.Validate(t.Context(), task(161, info))
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
