package ipmi_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ilo"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// The iLO's account opens a session on the serial port, at the node's own port.
func TestConsoleOfAnILO(t *testing.T) {
	serial, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer serial.Close()
	l := lab.NewForTest(t, lab.Options{})
	sim, err := l.StartIPMISim("bmc", serial.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ports, err := l.ReservePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	cfg, dir := quick(ipmi.TransportAuto), t.TempDir()
	cfg.Console.PIDDir, cfg.Console.TempDir = filepath.Join(dir, "pids"), dir
	b := newBench(cfg, sim)
	console := ilo.NewConsole(redfishtest.Client(t), b.client, ilo.Config{Port: 443})
	// An iLO listens at 623; ipmi_sim has cipher suite 3 alone.
	b.Node.DriverInfo = store.Dict{"ilo_address": sim.Address, "ilo_username": sim.Username, "ilo_password": sim.Password,
		"console_port": ports[0], "ipmi_port": sim.Port, "ipmi_cipher_suite": 3}
	if err := console.Validate(t.Context(), b.Task); err != nil {
		t.Fatal(err)
	}
	if err := console.StartConsole(t.Context(), b.Task); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := console.StopConsole(context.Background(), b.Task); err != nil {
			t.Error(err)
		}
	}()
	access, err := console.ConsoleAccess(t.Context(), b.Task)
	if want := (drivers.ConsoleAccess{Type: "socat", URL: fmt.Sprintf("tcp://127.0.0.1:%d", ports[0])}); err != nil || access != want {
		t.Fatalf("%+v, %v, want %+v", access, err, want)
	}
	user, err := net.Dial("tcp", strings.TrimPrefix(access.URL, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	awaitLine(t, user, bufio.NewReader(user), "SOL Session operational")
}
