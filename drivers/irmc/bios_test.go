package irmc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/irmc"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// elcm is eLCM as python-scciclient speaks to it (scciclient/irmc/elcm.py): nobody has recorded one.
type elcm struct {
	profiles map[string]string
	// made is the profile that a session which reads makes.
	made string
	// statuses are those of the running session, one for each look; the last one stays.
	statuses []string
	asked    []string
}

func (e *elcm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const profiles, sessions = "/rest/v1/Oem/eLCM/ProfileManagement/", "/sessionInformation/17/"
	body, _ := io.ReadAll(r.Body)
	profile, isProfile := strings.CutPrefix(r.URL.Path, profiles)
	e.asked = append(e.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	answer := func(status int, text string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "Key: value\r\n\r\n"+text)
	}
	started := `{"Session": {"Id": 17, "Status": "activated"}}`
	switch {
	case isProfile && profile == "version":
		answer(200, `{"Server": {"@Version": "1.01", "SystemConfig": {"BiosConfig": {"@Version": "1.02"}}}}`)
	case isProfile && profile == "get":
		e.profiles["BiosConfig"] = e.made
		answer(202, started)
	case isProfile && profile == "set":
		answer(202, started)
	case isProfile && e.profiles[profile] != "":
		answer(200, e.profiles[profile])
	case r.URL.Path == sessions+"status":
		status := e.statuses[0]
		if len(e.statuses) > 1 {
			e.statuses = e.statuses[1:]
		}
		answer(200, fmt.Sprintf(`{"Session": {"Id": 17, "Status": %q}}`, status))
	case r.URL.Path == sessions+"log":
		answer(200, `{"Session":{"Id":17,"Log":"the BIOS refused"}}`)
	case r.URL.Path == sessions+"remove":
		answer(200, "{}")
	default:
		answer(404, "{}")
	}
}

// stored are the settings in the database.
type stored map[string]string

func (s stored) ReplaceBIOSSettings(_ context.Context, _ int64, settings map[string]string) error {
	clear(s)
	for name, value := range settings {
		s[name] = value
	}
	return nil
}

const biosProfile = `{"Server": {"SystemConfig": {"BiosConfig": {"CpuConfig": {"HyperThreadingEnabled": true, "ActiveProcessorCores": 0},
	"BootConfig": {"PxeBootOptionRetry": "Disabled", "Unknown": 1}}}}}`

func biosTask(t *testing.T, e *elcm) (*drivers.Task, *irmc.BIOS, stored) {
	t.Helper()
	cfg, table := config(), stored{}
	cfg.SessionPause = time.Millisecond
	x := withREST(t, e.ServeHTTP)
	x.Node.ProvisionState, x.Node.CleanStep = store.Cleaning, store.Dict{"step": "apply_configuration"}
	return x, irmc.NewBIOS(cfg, table), table
}

func TestBIOSSettingsAreCached(t *testing.T) {
	for _, there := range []bool{true, false} {
		e := &elcm{profiles: map[string]string{}, made: biosProfile, statuses: []string{"activated", "running", "terminated regularly"}}
		if there {
			e.profiles["BiosConfig"] = biosProfile
		}
		x, b, table := biosTask(t, e)
		if err := b.CacheSettings(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(table); got != "map[cpu_active_processor_cores:0 hyper_threading_enabled:True pxe_boot_option_retry:Disabled]" {
			t.Errorf("settings %s", got)
		}
		if there != (len(e.asked) == 1) {
			t.Errorf("asked\n%s", strings.Join(e.asked, "\n"))
		}
		if made := "POST /rest/v1/Oem/eLCM/ProfileManagement/get?PARAM_PATH=Server%2FSystemConfig%2FBiosConfig"; !there && !slices.Contains(e.asked, made) {
			t.Errorf("asked\n%s", strings.Join(e.asked, "\n"))
		}
	}
}

func TestBIOSSettingsAreApplied(t *testing.T) {
	e := &elcm{profiles: map[string]string{"BiosConfig": biosProfile}, statuses: []string{"running", "terminated regularly"}}
	x, b, table := biosTask(t, e)
	step := b.Steps(drivers.CleanStep)[0]
	args := store.Dict{"settings": []any{map[string]any{"name": "hyper_threading_enabled", "value": "False"},
		map[string]any{"name": "cpu_active_processor_cores", "value": 4}}}
	if outcome, err := step.Run(t.Context(), x, args); outcome != drivers.Waiting || err != nil || !b.UnderWay(x.Node) {
		t.Fatalf("%v, %v", outcome, err)
	}
	_, sent, _ := strings.Cut(e.asked[1], "/set ")
	var got any
	if err := json.Unmarshal([]byte(sent), &got); err != nil || fmt.Sprint(got) != "map[Server:map[@Version:1.01 SystemConfig:map[BiosConfig:map["+
		"@Processing:execute @Version:1.02 CpuConfig:map[ActiveProcessorCores:4 HyperThreadingEnabled:false]]]]]" {
		t.Errorf("sent %s, %v", sent, err)
	}
	// Who goes on after a crash waits for the same session.
	if outcome, err := step.Resume(t.Context(), x, args); outcome != drivers.Waiting || err != nil || len(e.asked) != 2 {
		t.Fatalf("%v, %v, asked %q", outcome, err, e.asked)
	}
	if done, err := b.Poll(t.Context(), x); done || err != nil || !b.UnderWay(x.Node) {
		t.Fatalf("%v, %v", done, err)
	}
	w := x.Worker.(*redfishtest.Worker)
	x.Worker = stuck{w}
	if done, err := b.Poll(t.Context(), x); done || err == nil || !b.UnderWay(x.Node) {
		t.Fatalf("the machine was not restarted: %v, %v", done, err)
	}
	x.Worker = w
	if done, err := b.Poll(t.Context(), x); done || err != nil || b.UnderWay(x.Node) || !slices.Equal(w.Power, []string{store.Reboot}) {
		t.Fatalf("%v, %v, power %q", done, err, w.Power)
	}
	info := x.Node.DriverInternalInfo
	if info.Bool("cleaning_polling", false) || !info.Bool("cleaning_reboot", false) || !info.Bool("skip_current_clean_step", false) || len(table) == 0 {
		t.Errorf("%v, settings %v", info, table)
	}
	if !slices.Contains(e.asked, "DELETE /sessionInformation/17/remove") {
		t.Errorf("asked\n%s", strings.Join(e.asked, "\n"))
	}
}

// stuck is the worker of a machine that does not restart.
type stuck struct{ *redfishtest.Worker }

func (stuck) SetPower(context.Context, *drivers.Task, string) error {
	return errors.New("the machine is stuck")
}

func TestBIOSSettingsThatAreRefused(t *testing.T) {
	e := &elcm{profiles: map[string]string{}, statuses: []string{"terminated with errors"}}
	x, b, _ := biosTask(t, e)
	run := func(name string) error {
		_, err := b.Steps(drivers.CleanStep)[0].Run(t.Context(), x, store.Dict{"settings": []any{map[string]any{"name": name, "value": 1}}})
		return err
	}
	redfishtest.WantError(t, run("colour"), store.IRMCOperationError,
		"iRMC Apply BIOS configuration failed. Reason: Invalid BIOS setting: {'name': 'colour', 'value': 1}")
	if len(e.asked) > 0 {
		t.Errorf("asked %q", e.asked)
	}
	if err := run("memory_mode"); err != nil {
		t.Fatal(err)
	}
	_, err := b.Poll(t.Context(), x)
	want := `iRMC Apply BIOS configuration failed. Reason: Failed to RESTORE_BIOS config. Session log is "{"Session":{"Id":17,"Log":"the BIOS refused"}}".`
	if err == nil || err.Error() != want || b.UnderWay(x.Node) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	redfishtest.WantError(t, b.CacheSettings(t.Context(), x), store.IRMCOperationError, "iRMC Cache BIOS settings failed. Reason: Failed to BACKUP_BIOS config.")
	delete(x.Node.DriverInfo, "irmc_username")
	redfishtest.WantError(t, b.Validate(t.Context(), x), store.MissingParameterValue, "['irmc_username']")
}
