package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// TestMain lets this program play QEMU when it is started under that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == program {
		if err := playQEMU(); err != nil {
			fmt.Fprintln(os.Stderr, "qemu-system-x86_64:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// playQEMU notes its arguments and what the monitor is told, agrees to all of it, and ends as a guest would that is told to
// shut down.
func playQEMU() error {
	dir := os.Getenv("FAKE_QEMU")
	if why := os.Getenv("FAKE_QEMU_FAILS"); why != "" {
		return fmt.Errorf("%s", why)
	}
	conn, err := net.FileConn(os.NewFile(monitorFD, "monitor"))
	if err != nil {
		return err
	}
	journal, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	fmt.Fprintln(journal, strings.Join(os.Args[1:], " "))
	fmt.Fprint(conn, hello)
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		var command struct {
			Execute   string          `json:"execute"`
			ID        int             `json:"id"`
			Arguments json.RawMessage `json:"arguments"`
		}
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			return err
		}
		fmt.Fprintln(journal, command.Execute, string(command.Arguments))
		fmt.Fprintf(conn, `{"return": {}, "id": %d}`+"\n", command.ID)
		if command.Execute == "system_powerdown" {
			return nil
		}
	}
	return nil
}

// newMachine returns a machine that this program plays QEMU for, and a function that reads what QEMU was told.
func newMachine(t *testing.T, cfg Config) (*Machine, func() []string) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, program))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("FAKE_QEMU", dir)
	cfg.Dir, cfg.Accel, cfg.Log = dir, TCG, zerolog.Nop()
	m, err := New(cfg, room.Info{Name: "machine-0000", SystemID: "/redfish/v1/Systems/8f1d", Disk: "/room/a,b.raw", MemoryMB: 2048,
		MACs: []string{"52:54:00:00:00:01"}})
	if err != nil {
		t.Fatal(err)
	}
	return m, func() []string {
		text, err := os.ReadFile(filepath.Join(dir, "journal"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
}

func powerOn(t *testing.T, m *Machine, plan room.BootPlan) room.Running {
	t.Helper()
	running, err := m.PowerOn(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Cut)
	return running
}

func TestOneLifeOfAMachine(t *testing.T) {
	m, told := newMachine(t, Config{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "an ISO") }))
	t.Cleanup(web.Close)
	if err := m.Insert(t.Context(), "Cd", web.URL+"/boot.iso"); err != nil {
		t.Fatal(err)
	}
	running := powerOn(t, m, room.BootPlan{Source: room.SourceCD, Next: room.SourceDisk, Mode: room.ModeLegacy})
	if text, err := os.ReadFile(m.medium); err != nil || string(text) != "an ISO" {
		t.Errorf("in the drive is %q (%v)", text, err)
	}
	if err := m.Insert(t.Context(), "Cd", ""); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(m.dir, "*.iso")); err != nil || len(left) != 0 {
		t.Errorf("left after ejecting: %v (%v)", left, err)
	}
	if err := running.PressButton(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-running.Off():
	case <-time.After(time.Minute):
		t.Fatal("the operating system switched off, and the machine has power")
	}
	got := told()
	if !strings.Contains(got[0], "id=cd0,bootindex=0") || !strings.Contains(got[0], "id=disk0,drive=disk,serial=machine-0000,bootindex=1") {
		t.Errorf("QEMU's arguments: %s", got[0])
	}
	var commands []string
	for _, line := range got[1:] {
		commands = append(commands, strings.Fields(line)[0])
	}
	want := []string{"qmp_capabilities", "blockdev-change-medium", "cont", "qom-set", "eject", "system_powerdown"}
	if !slices.Equal(commands, want) {
		t.Errorf("QEMU was told %v, want %v", commands, want)
	}
	if set := got[4]; set != `qom-set {"path":"/machine/peripheral/cd0","property":"bootindex","value":2}` {
		t.Errorf("the boot after the next restart: %s", set)
	}
}

func TestPowerIsCut(t *testing.T) {
	m, _ := newMachine(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	running, err := m.PowerOn(ctx, room.BootPlan{Source: room.SourceDisk, Next: room.SourceDisk, Mode: room.ModeLegacy})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-running.Off():
	case <-time.After(time.Minute):
		t.Error("the room is closed, and the machine has power")
	}
	running.Cut()
	// An image for a machine without power waits in its drive.
	if err := m.Insert(t.Context(), "Cd", ""); err != nil {
		t.Error(err)
	}
}

func TestNetworks(t *testing.T) {
	plan := room.BootPlan{Source: room.SourceNetwork, Next: room.SourceNetwork, Mode: room.ModeLegacy}
	for _, test := range []struct {
		bridge string
		want   []string
	}{
		{"", []string{"-netdev user,id=net0 ", "mac=52:54:00:00:00:01,bootindex=0"}},
		{"br7", []string{"-netdev tap,id=net0,downscript=no,script=", "/machine-0000/plug "}},
	} {
		m, told := newMachine(t, Config{Bridge: test.bridge})
		powerOn(t, m, plan)
		for _, want := range test.want {
			if got := told()[0]; !strings.Contains(got, want) {
				t.Errorf("bridge %q: no %q in %s", test.bridge, want, got)
			}
		}
	}
}

func TestQEMUThatDoesNotStart(t *testing.T) {
	m, _ := newMachine(t, Config{})
	t.Setenv("FAKE_QEMU_FAILS", "Could not access KVM kernel module")
	_, err := m.PowerOn(t.Context(), room.BootPlan{Source: room.SourceDisk, Next: room.SourceDisk, Mode: room.ModeLegacy})
	if err == nil || !strings.Contains(err.Error(), "machine-0000") || !strings.Contains(err.Error(), "Could not access KVM") {
		t.Errorf("error %v, want one that names the machine and says what QEMU said", err)
	}
}

func TestInsertNeedsTheImage(t *testing.T) {
	m, _ := newMachine(t, Config{})
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	err := m.Insert(t.Context(), "Cd", web.URL+"/secret/boot.iso")
	if err == nil || !strings.Contains(err.Error(), "404") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v, want the answer without the URL", err)
	}
	if m.medium != "" {
		t.Errorf("the drive holds %s", m.medium)
	}
}

func TestQEMUThatIsNotThere(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := New(Config{Dir: t.TempDir(), Accel: TCG}, room.Info{Name: "m"})
	if err == nil || !strings.Contains(err.Error(), "install qemu-system-x86") {
		t.Errorf("error %v, want one that says what to install", err)
	}
}

func TestUnknownAccelerator(t *testing.T) {
	if _, err := New(Config{Dir: t.TempDir(), Accel: "hvf"}, room.Info{Name: "m"}); err == nil || !strings.Contains(err.Error(), "hvf") {
		t.Errorf("error %v", err)
	}
}
