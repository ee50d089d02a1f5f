package redfish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// clockBMC is a BMC with a clock, which stands still unless it is set; stuck ones are not set either.
func clockBMC(t *testing.T, shown string, stuck bool) (*drivers.Task, *redfishtest.Tree) {
	t.Helper()
	resources := serviceTree(object{"Links": object{"ManagedBy": []any{link(managerAt)}}})
	resources[managerAt] = object{"@odata.id": managerAt, "Id": "m", "DateTime": shown, "DateTimeLocalOffset": "+02:00"}
	tr := redfishtest.Serve(t, resources, func(_ *redfishtest.Tree, method, path string, _ object) (int, object, bool) {
		return 200, object{}, stuck && method == "PATCH" && path == managerAt
	})
	cfg := redfish.DefaultConfig()
	cfg.Clock = redfish.ClockConfig{Steps: true, Verified: true}
	x, _ := task(redfishtest.ClientWith(t, cfg), tr.URL)
	x.Node.DriverInfo["redfish_username"], x.Node.DriverInfo["redfish_verify_ca"] = redfishtest.User, false
	return x, tr
}

func TestSetBMCClock(t *testing.T) {
	for _, c := range []struct {
		name, shown string
		stuck       bool
		args        store.Dict
		sent        string
		failure     string
	}{
		{"seconds", "2020-01-01T00:00:00+00:00", false, store.Dict{"target_datetime": "2026-11-26T09:00:00.5Z"},
			`{"DateTime":"2026-11-26T09:00:00+00:00"}`, ""},
		{"fractions and an offset", "2020-01-01T00:00:00.25+02:00", false,
			store.Dict{"target_datetime": "2026-11-26T09:00:00+01:00", "datetime_local_offset": "+01:00"},
			`{"DateTime":"2026-11-26T09:00:00.000000+01:00","DateTimeLocalOffset":"+01:00"}`, ""},
		{"now", "2020-01-01T00:00:00Z", false, nil, `{"DateTime":"` + time.Now().UTC().Format("2006-01-02T"), ""},
		{"in vain", "2020-01-01T00:00:00Z", true, nil, `{"DateTime":`,
			"Redfish exception occurred. Error: Redfish exception occurred. Error: BMC clock update failed: mismatch after setting datetime"},
		{"no time", "2020-01-01T00:00:00Z", false, store.Dict{"target_datetime": "noon"}, "", `target_datetime: "noon" is no time of ISO 8601`},
		{"no clock", "", false, nil, "", "the BMC shows no clock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, tr := clockBMC(t, c.shown, c.stuck)
			step := stepOf(t, x.Hardware.Management, drivers.CleanStep, "set_bmc_clock")
			outcome, err := step.Run(t.Context(), x, c.args)
			if c.failure != "" {
				redfishtest.WantError(t, err, store.RedfishError, c.failure)
			} else if err != nil || outcome != drivers.Done {
				t.Errorf("%v, %v", outcome, err)
			}
			sent := strings.Join(tr.Changes(), "\n")
			if c.sent == "" && sent != "" || c.sent != "" && !strings.HasPrefix(sent, "PATCH "+managerAt+" "+c.sent) {
				t.Errorf("sent %s", sent)
			}
		})
	}
}

func TestVerifyBMCClock(t *testing.T) {
	for _, c := range []struct {
		name, shown string
		stuck       bool
		sets        bool
		failure     string
	}{
		{"right", "", false, false, ""},
		{"wrong", "2020-01-01T00:00:00+00:00", false, true, ""},
		{"wrong for good", "2020-01-01T00:00:00+00:00", true, true, "Failed to verify node node-1: BMC clock verify step failed: " +
			"Redfish exception occurred. Error: BMC clock still incorrect after update"},
		{"unreadable", "yesterday", false, false, "BMC clock verify step failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			shown := c.shown
			if shown == "" {
				shown = time.Now().UTC().Format("2006-01-02T15:04:05.000000") + "Z"
			}
			x, tr := clockBMC(t, shown, c.stuck)
			step := stepOf(t, x.Hardware.Management, drivers.VerifyStep, "verify_bmc_clock")
			_, err := step.Run(t.Context(), x, nil)
			if c.failure != "" {
				redfishtest.WantError(t, err, store.NodeVerifyFailure, c.failure)
			} else if err != nil {
				t.Error(err)
			}
			if sent := tr.Changes(); (len(sent) == 1) != c.sets || c.sets && !strings.Contains(sent[0], `"DateTimeLocalOffset":"+00:00"`) {
				t.Errorf("sent %q", sent)
			}
		})
	}
	x, tr := clockBMC(t, "2020-01-01T00:00:00Z", false)
	off := redfish.NewManagement(redfishtest.Client(t), "uefi")
	if steps := off.Steps(drivers.VerifyStep); len(steps) != 0 {
		t.Errorf("releases without the step offer %v", steps)
	}
	cfg := redfish.DefaultConfig()
	cfg.Clock.Steps = true
	idle := stepOf(t, redfish.NewManagement(redfishtest.ClientWith(t, cfg), "uefi"), drivers.VerifyStep, "verify_bmc_clock")
	if _, err := idle.Run(t.Context(), x, nil); err != nil || len(tr.Changes()) != 0 || idle.Priority != 1 {
		t.Errorf("a verification that is switched off: %v", err)
	}
}
