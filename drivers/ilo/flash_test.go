package ilo_test

import (
	"context"
	"crypto/md5" //nolint:gosec // what ironic has users give checksums of
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ilo"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

const updateAt = "/redfish/v1/UpdateService"

// folder holds the files that are served to BMCs: those of the test under their hrefs.
type folder struct {
	dir    string
	files  map[string]string
	staged []string
}

func (f *folder) Stage(_ context.Context, node, name, href string, check func(string) error) (string, error) {
	file := filepath.Join(f.dir, name)
	if err := os.WriteFile(file, []byte(f.files[href]), 0o600); err != nil {
		return "", err
	}
	if err := check(file); err != nil {
		return "", err
	}
	f.staged = append(f.staged, name)
	return "http://192.0.2.1:8182/" + node + "/" + name, nil
}

func (f *folder) Withdraw(string) error {
	f.staged = nil
	return nil
}

// updating is a machine whose iLO 5 updates firmware.
func updating(t *testing.T, tr *redfishtest.Tree, cfg ilo.Config, files map[string]string) (*drivers.Task, *ilo.Management5, *folder) {
	t.Helper()
	f := &folder{dir: t.TempDir(), files: files}
	common := redfish.DefaultConfig()
	common.Updates.Files = f
	x, _ := task(t, tr, cfg)
	x.Node.ProvisionState, x.Node.CleanStep = store.Cleaning, store.Dict{"step": "update_firmware"}
	m := ilo.NewManagement5(redfishtest.ClientWith(t, common), cfg)
	x.Hardware.Management = m
	tr.Set(updateAt, redfishtest.Object{"Oem": redfishtest.Object{"Hpe": redfishtest.Object{"State": "Idle"}}, "Actions": redfishtest.Object{
		"#UpdateService.SimpleUpdate": redfishtest.Object{"target": updateAt + "/Actions/UpdateService.SimpleUpdate/"}}})
	return x, m, f
}

func takes(suffix string) func(*redfishtest.Tree, string, string, redfishtest.Object) (int, redfishtest.Object, bool) {
	return func(_ *redfishtest.Tree, _, path string, _ redfishtest.Object) (int, redfishtest.Object, bool) {
		return 200, redfishtest.Object{}, strings.HasSuffix(strings.TrimRight(path, "/"), suffix)
	}
}

func firmwareFile(href, content, component string) map[string]any {
	sum := md5.Sum([]byte(content)) //nolint:gosec // as above
	return map[string]any{"url": href, "checksum": hex.EncodeToString(sum[:]), "component": component}
}

func state(tr *redfishtest.Tree, state string) {
	tr.Set(updateAt, redfishtest.Object{"Oem": redfishtest.Object{"Hpe": redfishtest.Object{"State": state}}})
}

func asked(name string) string {
	return `POST ` + updateAt + `/Actions/UpdateService.SimpleUpdate/ {"ImageURI":"http://192.0.2.1:8182/node-1/` + name + `"}`
}

func poll(t *testing.T, m drivers.Polled, x *drivers.Task, want bool) {
	t.Helper()
	if done, err := m.Poll(t.Context(), x); done != want || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
}

func twoImages() (map[string]string, store.Dict) {
	files := map[string]string{"http://files/ilo5.bin": "one", "file:///srv/bios.flash": "two"}
	return files, store.Dict{"firmware_update_mode": "ilo", "firmware_images": []any{firmwareFile("http://files/ilo5.bin", "one", "ilo"),
		firmwareFile("file:///srv/bios.flash", "two", "BIOS")}}
}

func TestFirmwareIsUpdated(t *testing.T) {
	tr := redfishtest.Open(t, hardware, takes("SimpleUpdate"))
	files, args := twoImages()
	cfg := config()
	cfg.FlashTimeout = time.Hour
	x, m, served := updating(t, tr, cfg, files)
	outcome, err := run(t, m, x, drivers.CleanStep, "update_firmware", args)
	if outcome != drivers.Waiting || err != nil || !m.UnderWay(x.Node) || !x.Node.DriverInternalInfo.Bool("cleaning_polling", false) {
		t.Fatalf("%v, %v, %v", outcome, err, x.Node.DriverInternalInfo)
	}
	wantChanges(t, tr, asked("0-ilo5.bin"))
	poll(t, m, x, false)
	state(tr, "Writing")
	poll(t, m, x, false)
	wantChanges(t, tr)
	state(tr, "Complete")
	poll(t, m, x, false)
	wantChanges(t, tr, asked("1-bios.flash"))
	// What the first file has left is no sign of the second.
	poll(t, m, x, false)
	for _, s := range []string{"Updating", "Idle"} {
		state(tr, s)
		poll(t, m, x, s == "Idle")
	}
	wantChanges(t, tr)
	if m.UnderWay(x.Node) || len(served.staged) > 0 {
		t.Errorf("%v, %q is served", x.Node.DriverInternalInfo, served.staged)
	}
}

// A worker that died before it could note that the iLO was asked looks whether it was.
func TestFirmwareIsAskedForOnce(t *testing.T) {
	for reached, want := range map[bool][]string{false: {asked("0-ilo5.bin")}, true: nil} {
		tr := redfishtest.Open(t, hardware, takes("SimpleUpdate"))
		files, args := twoImages()
		cfg := config()
		cfg.FlashTimeout = time.Hour
		x, m, _ := updating(t, tr, cfg, files)
		if _, err := run(t, m, x, drivers.CleanStep, "update_firmware", args); err != nil {
			t.Fatal(err)
		}
		tr.Changes()
		before := x.Node.DriverInternalInfo.Dict("ironmaster_ilo_firmware").Clone()
		before["asked"] = false
		x.Node.DriverInternalInfo = store.Dict{"ironmaster_ilo_firmware": map[string]any(before)}
		if reached {
			state(tr, "Uploading")
		}
		for _, s := range m.Steps(drivers.CleanStep) {
			if s.Name != "update_firmware" {
				continue
			}
			if outcome, err := s.Resume(t.Context(), x, args); outcome != drivers.Waiting || err != nil {
				t.Fatalf("%v, %v", outcome, err)
			}
		}
		poll(t, m, x, false)
		wantChanges(t, tr, want...)
	}
}

func TestFirmwareThatFails(t *testing.T) {
	for failed, want := range map[string]string{"Error": "Unable to update firmware", "Idle": "iLO firmware update has failed."} {
		tr := redfishtest.Open(t, hardware, takes("SimpleUpdate"))
		files, args := twoImages()
		x, m, served := updating(t, tr, config(), files)
		if _, err := run(t, m, x, drivers.CleanStep, "update_firmware", args); err != nil {
			t.Fatal(err)
		}
		state(tr, failed)
		_, err := m.Poll(t.Context(), x)
		if err == nil || !strings.HasPrefix(err.Error(), "Step update_firmware failed on node node-1 with error: ") || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v", err)
		}
		if m.UnderWay(x.Node) || len(served.staged) > 0 {
			t.Errorf("%v, %q is served", x.Node.DriverInternalInfo, served.staged)
		}
	}
}

func TestFirmwareIsRefused(t *testing.T) {
	tr := redfishtest.Open(t, hardware, nil)
	files, _ := twoImages()
	x, m, served := updating(t, tr, config(), files)
	whole := func(change func(map[string]any)) store.Dict {
		one := firmwareFile("http://files/ilo5.bin", "one", "ilo")
		change(one)
		return store.Dict{"firmware_update_mode": "ilo", "firmware_images": []any{one}}
	}
	for _, c := range []struct {
		args store.Dict
		want string
	}{
		{store.Dict{"firmware_update_mode": "sum"}, "Invalid firmware update mode 'sum' provided for node: node-1. 'ilo' is the only supported"},
		{store.Dict{"firmware_update_mode": "ilo", "firmware_images": []any{}}, "Firmware images cannot be an empty list or None."},
		{whole(func(d map[string]any) { delete(d, "component") }), "Failed to clean node node-1: Firmware image info: {"},
		{whole(func(d map[string]any) { d["component"] = "disk" }),
			"Failed to clean node node-1: Component 'disk' for firmware update is not supported in 'ilo' based firmware update."},
		{whole(func(d map[string]any) { d["url"] = "ftp://u:secret@files/a.bin" }),
			"Failed to clean node node-1: This method does not support URL scheme ftp. Invalid URL ftp://u:xxxxx@files/a.bin."},
		{whole(func(d map[string]any) { d["url"] = "http://files/a.scexe" }),
			"Failed to clean node node-1: Firmware file extracting as part of manual cleaning failed, error: Unexpected compact firmware file type: a.scexe"},
		{whole(func(d map[string]any) { d["checksum"] = "abc" }),
			"Failed to clean node node-1: Validation of image href http://files/ilo5.bin failed, reason: Error verifying image checksum."},
	} {
		_, err := run(t, m, x, drivers.CleanStep, "update_firmware", c.args)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
		if m.UnderWay(x.Node) || len(served.staged) > 0 {
			t.Errorf("%v, %q is served", x.Node.DriverInternalInfo, served.staged)
		}
	}
	wantChanges(t, tr)
}

// agent notes the steps that it is sent.
type agent struct {
	drivers.Deploy
	drivers.Agent
	sent []string
}

func (*agent) Steps(drivers.StepKind) []drivers.Step              { return nil }
func (*agent) Properties() map[string]string                      { return nil }
func (*agent) Validate(context.Context, *drivers.Task) error      { return nil }
func (a *agent) RebootAgent(context.Context, *drivers.Task) error { return nil }
func (a *agent) note(how string, kind drivers.StepKind, s store.Dict) {
	a.sent = append(a.sent, fmt.Sprint(how, " ", kind, " ", s["step"]))
}

func (a *agent) ExecuteStep(_ context.Context, _ *drivers.Task, kind drivers.StepKind, s store.Dict) (drivers.Outcome, error) {
	a.note("execute", kind, s)
	return drivers.Waiting, nil
}

func (a *agent) ResumeStep(_ context.Context, _ *drivers.Task, kind drivers.StepKind, s store.Dict) (drivers.Outcome, error) {
	a.note("resume", kind, s)
	return drivers.Waiting, nil
}

func TestSmartUpdateManager(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], machine)
	x, _ := task(t, tr, config())
	a := &agent{}
	x.Hardware.Deploy = a
	x.Node.CleanStep = store.Dict{"step": "update_firmware_sum"}
	args := store.Dict{"url": "http://files/spp.iso", "checksum": "abc", "components": []any{"cp1.rpm"}}
	m := x.Hardware.Management
	outcome, err := run(t, m, x, drivers.CleanStep, "update_firmware_sum", args)
	if outcome != drivers.Waiting || err != nil {
		t.Fatalf("%v, %v", outcome, err)
	}
	wantChanges(t, tr, insert("iLO 5")+` {"Image":"http://files/spp.iso"}`)
	for _, s := range m.Steps(drivers.CleanStep) {
		if s.Name == "update_firmware_sum" {
			if _, err := s.Resume(t.Context(), x, args); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantChanges(t, tr)
	if got := strings.Join(a.sent, ", "); got != "execute clean update_firmware_sum, resume clean update_firmware_sum" {
		t.Errorf("the agent was told %s", got)
	}
	for _, c := range []struct {
		args store.Dict
		kind store.Kind
		want string
	}{
		{store.Dict{"url": "http://u:secret@files/spp.iso"}, store.MissingParameterValue, "{'url': 'http://u:xxxxx@files/spp.iso'} is missing the required checksum"},
		{store.Dict{"url": "http://f/s.iso", "checksum": "a", "components": []any{"a.zip", "b.exe"}}, store.InvalidParameterValue, "The component files 'a.zip'"},
		{store.Dict{"url": "swift://c/s.iso", "checksum": "a"}, store.InvalidParameterValue, "http or https"},
	} {
		_, err := run(t, m, x, drivers.CleanStep, "update_firmware_sum", c.args)
		redfishtest.WantError(t, err, c.kind, c.want)
	}
	wantChanges(t, tr)
}
