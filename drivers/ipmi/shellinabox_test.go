package ipmi_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/store"
)

// The web console leads from a browser through Debian's shellinaboxd, ipmitool and the BMC to the machine's serial port and back.
func TestWebConsole(t *testing.T) {
	l := lab.NewForTest(t, lab.Options{})
	sim, err := l.StartIPMISim("bmc", echoingMachine(t))
	if err != nil {
		t.Fatal(err)
	}
	ports, err := l.ReservePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := quick(ipmi.TransportAuto)
	dir := t.TempDir()
	cfg.Console.PIDDir, cfg.Console.TempDir = filepath.Join(dir, "pids"), dir
	cfg.Console.Ports = []ipmi.PortRange{{First: ports[0], Stop: ports[0] + 1}}
	b := newBench(cfg, sim)
	console := ipmi.NewWebConsole(b.client)
	// The second start takes the place of the first one.
	for range 2 {
		if err := console.StartConsole(t.Context(), b.Task); err != nil {
			t.Fatalf("%v\n%s", err, b.log)
		}
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = console.StopConsole(context.Background(), b.Task)
		}
	}()
	access, err := console.ConsoleAccess(t.Context(), b.Task)
	if want := fmt.Sprintf("http://127.0.0.1:%d", ports[0]); err != nil || access.Type != "shellinabox" || access.URL != want {
		t.Fatalf("%+v, %v, want %s", access, err, want)
	}
	user := &webUser{t: t, page: access.URL + "/"}
	user.await("SOL Session operational")
	user.send("hello\r\n")
	user.await("you typed hello")
	for _, line := range processes(t) {
		if strings.Contains(line, sim.Password) {
			t.Errorf("the password is among the arguments of %s", line)
		}
	}
	// That it ends does not depend on what is known of the BMC.
	b.Node.DriverInfo = store.Dict{}
	if err := console.StopConsole(t.Context(), b.Task); err != nil {
		t.Fatal(err)
	}
	stopped = true
	if _, err := http.Get(access.URL); err == nil {
		t.Error("somebody still listens")
	}
	if left, _ := os.ReadDir(cfg.Console.PIDDir); len(left) != 0 || b.Node.DriverInternalInfo["allocated_ipmi_terminal_port"] != nil {
		t.Errorf("left behind: %v, %v", left, b.Node.DriverInternalInfo)
	}
	if _, err := os.Stat(filepath.Join(dir, b.Node.UUID+".pw")); err == nil {
		t.Error("the password file is left")
	}
}

// webUser is shellinabox's page in a browser.
type webUser struct {
	t             *testing.T
	page, session string
	said          string
}

func (u *webUser) ask(form url.Values) string {
	u.t.Helper()
	form.Set("width", "80")
	form.Set("height", "25")
	if u.session != "" {
		form.Set("session", u.session)
	}
	ctx, cancel := context.WithTimeout(u.t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.page, strings.NewReader(form.Encode()))
	if err != nil {
		u.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		u.t.Fatalf("asking the page: %v, read %q", err, u.said)
	}
	defer response.Body.Close()
	var answer struct{ Session, Data string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil && form.Get("keys") == "" {
		u.t.Fatalf("reading the page: %v, read %q", err, u.said)
	}
	if answer.Session != "" {
		u.session = answer.Session
	}
	return answer.Data
}

func (u *webUser) await(want string) {
	u.t.Helper()
	for !strings.Contains(u.said, want) {
		u.said += u.ask(url.Values{})
	}
}

func (u *webUser) send(text string) {
	u.t.Helper()
	u.ask(url.Values{"keys": {strings.ToUpper(hex.EncodeToString([]byte(text)))}})
}

func TestWebConsoleFailures(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho no such option >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for terminal, want := range map[string]string{
		broken: "Console subprocess failed to start. Timeout or error while waiting for console subprocess to start for node: " +
			"0d4a1f6e-0000-4000-8000-000000000001.\nCommand: " + broken + " -c /certificates -p 10000 --background=" +
			filepath.Join(dir, "0d4a1f6e-0000-4000-8000-000000000001.pid") + " -s ",
		filepath.Join(dir, "absent"): "Console subprocess failed to start. fork/exec " + filepath.Join(dir, "absent") +
			": no such file or directory\nCommand: " + filepath.Join(dir, "absent") + " -c",
	} {
		cfg := quick(ipmi.TransportAuto)
		cfg.Console.PIDDir, cfg.Console.TempDir, cfg.Console.Terminal, cfg.Console.CertDir = dir, dir, terminal, "/certificates"
		b := newBench(cfg, startBMC(t, ""))
		b.Node.DriverInfo["ipmi_terminal_port"] = 10000
		console := ipmi.NewWebConsole(b.client)
		err := console.StartConsole(t.Context(), b.Task)
		if store.KindOf(err) != store.ConsoleSubprocessFailed || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if terminal == broken && !strings.HasSuffix(fmt.Sprint(err), "Exit code: 3.\nStdout: b''\nStderr: b'no such option'") {
			t.Errorf("the end is not told: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, b.Node.UUID+".pw")); err == nil {
			t.Error("the password file is left")
		}
		access, err := console.ConsoleAccess(t.Context(), b.Task)
		if err != nil || access.URL != "https://127.0.0.1:10000" {
			t.Errorf("%+v, %v", access, err)
		}
	}
}
