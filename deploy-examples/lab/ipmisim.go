package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const ipmiSim = "/usr/bin/ipmi_sim"

// IPMISim is a BMC by OpenIPMI's ipmi_sim: IPMI 1.5 and 2.0 on UDP, for one machine that consists of three files. Behind it, at
// address 0x72, is a second controller, of another manufacturer.
type IPMISim struct {
	*Service
	// Address and Port are where it answers. Username and Password are those of an administrator.
	Address, Username, Password string
	Port                        int

	dir string
}

// The account of an administrator.
const (
	ipmiUser     = "admin"
	ipmiPassword = "sim-S3cret!"
)

// ipmiTemperature is the record of a temperature sensor named "CPU Temp" (IPMI 2.0, table 43-1), which reads 42 degrees.
const ipmiTemperature = "0x00 0x00 0x51 0x01 0x33 " +
	"0x20 0x00 0x00 0x03 0x01 0x7f 0x68 0x01 0x01 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x01 0x00 " +
	"0x00 0x01 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0xff 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 " +
	"0xc8 0x43 0x50 0x55 0x20 0x54 0x65 0x6d 0x70"

// StartIPMISim starts a BMC. console is the TCP address of the machine's serial console, which the BMC connects to; "" for none.
func (l *Lab) StartIPMISim(name, console string) (*IPMISim, error) {
	if err := need("ipmi", ipmiSim); err != nil {
		return nil, err
	}
	dir, err := l.folder(name)
	if err != nil {
		return nil, err
	}
	numbers, err := l.ports.reserve(1)
	if err != nil {
		return nil, err
	}
	sim := &IPMISim{Address: "127.0.0.1", Port: numbers[0], Username: ipmiUser, Password: ipmiPassword, dir: dir}
	sol := ""
	if console != "" {
		sol = fmt.Sprintf("  sol \"tcp:%s\" 115200\n", console)
	}
	for file, text := range map[string]string{
		"lan.conf": fmt.Sprintf(`name "%s"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %d
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "%s/machine"
%s  user 2 true "%s" "%s" admin 10 none md2 md5 straight
`, name, sim.Port, dir, sol, ipmiUser, ipmiPassword),
		"bmc.emu": `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sensor_add 0x20 0 0 0x01 0x01
sensor_set_event_support 0x20 0 0 disable scanning per-state 000000000000000 000000000000000 000000000000000 000000000000000
sensor_set_value 0x20 0 0 42 0
main_sdr_add 0x20 ` + ipmiTemperature + `
mc_enable 0x20
mc_add 0x72 0 no-device-sdrs 0x23 9 8 0x9f 0x2a7c 0xf03
mc_enable 0x72
`,
		// What happens to the machine: each call is a line of the file calls; power and boot hold its state. Told to shut down it does
		// so at once.
		"machine": fmt.Sprintf(`#!/bin/sh
cd %s || exit 1
echo "$*" >>calls
verb=$1
shift
case $verb in
get) for what; do echo "$what:$(cat "$what" 2>/dev/null || echo 0)"; done ;;
set) while [ $# -gt 0 ]; do
  echo "$2" >"$1"
  if [ "$1" = shutdown ]; then echo 0 >power; fi
  shift 2
done ;;
esac
`, dir),
		"power": "0\n", "boot": "default\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755); err != nil {
			return nil, fmt.Errorf("writing the files of %s: %w", name, err)
		}
	}
	sim.Service, err = l.StartService(Command{Name: name, Path: ipmiSim, Env: cleanEnv(dir), Args: []string{"-n",
		"-c", filepath.Join(dir, "lan.conf"), "-f", filepath.Join(dir, "bmc.emu"), "-s", dir}, Ready: answersPresence(sim.Port)})
	if err != nil {
		return nil, err
	}
	return sim, nil
}

// State is one of the machine's files: power, which is 0 or 1, or boot.
func (s *IPMISim) State(file string) (string, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, file))
	return strings.TrimSpace(string(text)), err
}

// Calls are what the BMC did to the machine, such as "set power 1".
func (s *IPMISim) Calls() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "calls"))
	return strings.Split(strings.TrimSpace(string(text)), "\n"), err
}

// answersPresence is a readiness check: a BMC answers a presence ping (DSP0136, chapter 3).
func answersPresence(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := new(net.Dialer).DialContext(ctx, "udp", loopback(port))
		if err != nil {
			return err
		}
		defer connection.Close()
		if err := connection.SetDeadline(time.Now().Add(pollInterval)); err != nil {
			return err
		}
		if _, err := connection.Write([]byte{6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 0, 0, 0}); err != nil {
			return err
		}
		_, err = connection.Read(make([]byte, 64))
		return err
	}
}
