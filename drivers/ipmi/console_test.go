package ipmi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
)

var consoleURL = regexp.MustCompile(`^tcp://(127\.0\.0\.1:\d+)$`)

// The console leads from a TCP connection through socat, ipmitool and the BMC to the machine's serial port and back.
func TestConsole(t *testing.T) {
	for _, env := range []bool{false, true} {
		t.Run(fmt.Sprintf("password in environment %v", env), func(t *testing.T) {
			t.Parallel()
			serial := echoingMachine(t)
			l := lab.NewForTest(t, lab.Options{})
			sim, err := l.StartIPMISim("bmc", serial)
			if err != nil {
				t.Fatal(err)
			}
			ports, err := l.ReservePorts(1)
			if err != nil {
				t.Fatal(err)
			}
			cfg := quick(ipmi.TransportAuto)
			cfg.PasswordInEnv = env
			dir := t.TempDir()
			cfg.Console.PIDDir, cfg.Console.TempDir = filepath.Join(dir, "pids"), dir
			cfg.Console.Ports = []ipmi.PortRange{{First: ports[0], Stop: ports[0] + 1}}
			b := newBench(cfg, sim)
			if err := b.console.StartConsole(t.Context(), b.Task); err != nil {
				t.Fatalf("%v\n%s", err, b.log)
			}
			stopped := false
			defer func() {
				if !stopped {
					_ = b.console.StopConsole(context.Background(), b.Task)
				}
			}()
			access, err := b.console.ConsoleAccess(t.Context(), b.Task)
			at := consoleURL.FindStringSubmatch(access.URL)
			if err != nil || access.Type != "socat" || at == nil {
				t.Fatalf("%+v, %v", access, err)
			}
			user, err := net.Dial("tcp", at[1])
			if err != nil {
				t.Fatal(err)
			}
			defer user.Close()
			said := bufio.NewReader(io.LimitReader(user, 1<<16))
			awaitLine(t, user, said, "SOL Session operational")
			fmt.Fprintf(user, "hello\r\n")
			awaitLine(t, user, said, "you typed hello")

			for _, path := range processes(t) {
				if strings.Contains(path, sim.Password) {
					t.Errorf("the password is among the arguments of %s", path)
				}
			}
			pid := readPID(t, filepath.Join(cfg.Console.PIDDir, b.Node.UUID+".pid"))
			// Starting it again takes the place of the first one.
			if err := b.console.StartConsole(t.Context(), b.Task); err != nil {
				t.Fatal(err)
			}
			if again := readPID(t, filepath.Join(cfg.Console.PIDDir, b.Node.UUID+".pid")); again == pid {
				t.Error("the first console goes on")
			}
			if err := b.console.StopConsole(t.Context(), b.Task); err != nil {
				t.Fatal(err)
			}
			stopped = true
			if _, err := net.Dial("tcp", at[1]); err == nil {
				t.Error("somebody still listens")
			}
			if left, _ := os.ReadDir(cfg.Console.PIDDir); len(left) != 0 || b.Node.DriverInternalInfo["allocated_ipmi_terminal_port"] != nil {
				t.Errorf("left behind: %v, %v", left, b.Node.DriverInternalInfo)
			}
			if _, err := os.Stat(filepath.Join(dir, b.Node.UUID+".pw")); err == nil {
				t.Error("the password file is left")
			}
		})
	}
}

// echoingMachine is a machine's serial port: it repeats each line.
func echoingMachine(t *testing.T) (address string) {
	t.Helper()
	serial, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { serial.Close() })
	go func() {
		for {
			machine, err := serial.Accept()
			if err != nil {
				return
			}
			go func() {
				defer machine.Close()
				lines := bufio.NewScanner(machine)
				for lines.Scan() {
					fmt.Fprintf(machine, "you typed %s\r\n", strings.TrimSpace(lines.Text()))
				}
			}()
		}
	}()
	return serial.Addr().String()
}

// awaitLine reads until a line holds a text.
func awaitLine(t *testing.T, user net.Conn, said *bufio.Reader, want string) {
	t.Helper()
	if err := user.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for {
		c, err := said.ReadByte()
		if err != nil {
			t.Fatalf("waiting for %q: %v, read %q", want, err, all.String())
		}
		if all.WriteByte(c); strings.Contains(all.String(), want) {
			return
		}
	}
}

func readPID(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// processes are the command lines of all processes.
func processes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		// A process may end meanwhile.
		if text, err := os.ReadFile(f); err == nil {
			all = append(all, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return all
}
