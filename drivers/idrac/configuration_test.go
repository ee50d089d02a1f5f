package idrac_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/idrac"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// molds keeps molds in memory, by URL.
type molds map[string]string

func (m molds) Get(_ context.Context, _ *drivers.Task, url string) (json.RawMessage, error) {
	if m[url] == "" {
		return nil, nil
	}
	return json.RawMessage(m[url]), nil
}

func (m molds) Put(_ context.Context, _ *drivers.Task, url string, document any) error {
	text, err := json.Marshal(document)
	m[url] = string(text)
	return err
}

// cloned is a machine that is being cleaned, whose iDRAC exports what is recorded.
func cloned(t *testing.T, kept molds) (*redfishtest.Tree, *drivers.Task, *redfishtest.Worker, *idrac.Management) {
	t.Helper()
	recorded, err := os.ReadFile("testdata/export-idrac.json")
	if err != nil {
		t.Fatal(err)
	}
	var profile object
	if err := json.Unmarshal(recorded, &profile); err != nil {
		t.Fatal(err)
	}
	tr := redfishtest.Open(t, idrac9, func(_ *redfishtest.Tree, _, path string, _ object) (int, object, bool) {
		switch {
		case path == exportAction:
			return 200, profile, true
		case strings.HasSuffix(path, "ImportSystemConfiguration"):
			return 202, object{"Location": task1}, true
		}
		return 0, nil, false
	})
	tr.Set("/redfish/v1/TaskService", object{"Tasks": linkTo(tasksAt)})
	tr.Set(tasksAt, object{"Members": []any{}})
	cfg := idrac.DefaultConfig()
	cfg.Molds, cfg.TaskPoll = kept, time.Millisecond
	x := deployment(t, tr)
	w := redfishtest.NewWorker()
	m := idrac.NewManagement(redfishtest.Client(t), cfg)
	x.Worker, x.Hardware.Management, x.Hardware.Deploy = w, m, fake.NewDeploy(fake.Config{})
	x.Node.ProvisionState, x.Node.CleanStep = store.Cleaning, store.Dict{"interface": "management", "step": "x"}
	return tr, x, w, m
}

func managementStep(t *testing.T, m *idrac.Management, kind drivers.StepKind, name string) drivers.Step {
	t.Helper()
	for _, s := range m.Steps(kind) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no step %s", name)
	return drivers.Step{}
}

const golden = `{"oem":{"interface":"idrac-redfish","data":{"SystemConfiguration":{"Model": "PowerEdge R640"}}}}`

func TestExportOfAConfiguration(t *testing.T) {
	kept := molds{}
	_, x, _, m := cloned(t, kept)
	step := managementStep(t, m, drivers.CleanStep, "export_configuration")
	outcome, err := step.Run(t.Context(), x, store.Dict{"export_configuration_location": "http://molds/one"})
	if err != nil || outcome != drivers.Done || step.RequiresRamdisk {
		t.Fatalf("%v, %v", outcome, err)
	}
	text := kept["http://molds/one"]
	for _, part := range []string{`"interface":"idrac-redfish"`, `"Info.1#Product"`, `"IPv6.1#Address2"`, `"ServiceTag":"ABC1234"`} {
		if !strings.Contains(text, part) {
			t.Errorf("the mold lacks %s", part)
		}
	}
	for _, part := range []string{"IPv4.1#Enable", "IPv4.1#DHCPEnable", "IPv6.1#AutoConfig"} {
		if strings.Contains(text, part) {
			t.Errorf("the mold has %s", part)
		}
	}
}

func TestImportOfAConfiguration(t *testing.T) {
	kept := molds{"http://molds/golden": golden}
	tr, x, w, m := cloned(t, kept)
	step := managementStep(t, m, drivers.CleanStep, "import_export_configuration")
	args := store.Dict{"import_configuration_location": "http://molds/golden", "export_configuration_location": "http://molds/after"}
	outcome, err := step.Run(t.Context(), x, args)
	info := x.Node.DriverInternalInfo
	if err != nil || outcome != drivers.Waiting || !slices.Equal(w.Power, []string{store.Reboot}) || info["import_task_monitor_url"] != task1 ||
		info["export_configuration_location"] != "http://molds/after" || !info.Bool("cleaning_polling", false) || !m.UnderWay(x.Node) {
		t.Fatalf("%v, %v, power %v, %v", outcome, err, w.Power, info)
	}
	wantChanges(t, tr, "POST "+manager+`/Actions/Oem/EID_674_Manager.ImportSystemConfiguration `+
		`{"ImportBuffer":"{\"SystemConfiguration\":{\"Model\":\"PowerEdge R640\"}}","ShareParameters":{"Target":"ALL"},"ShutdownType":"NoReboot"}`)
	if done, err := m.Poll(t.Context(), x); done || err != nil {
		t.Errorf("while it waits: %v, %v", done, err)
	}
	if outcome, err := step.Resume(t.Context(), x, args); err != nil || outcome != drivers.Waiting || len(w.Power) != 2 || len(tr.Changes()) != 0 {
		t.Errorf("resumed: %v, %v, power %v", outcome, err, w.Power)
	}
	tr.Set(task1, object{"TaskState": "Completed", "Messages": []any{object{"Message": "Done.", "MessageId": "IDRAC.2.5.SYS053"}}})
	done, err := m.Poll(t.Context(), x)
	if !done || err != nil || m.UnderWay(x.Node) || kept["http://molds/after"] == "" || info["export_configuration_location"] != nil {
		t.Errorf("%v, %v, %v", done, err, info)
	}
}

// A worker died between the iDRAC's taking the import and its row's knowing. One that the iDRAC is at is not broken off by a reboot.
func TestAnImportThatNoRowKnows(t *testing.T) {
	for state, reboots := range map[string]int{"Starting": 1, "Running": 0} {
		tr, x, w, m := cloned(t, molds{})
		tr.Set(tasksAt+"/JID_1", object{"TaskState": "Running", "Oem": object{"Dell": object{"JobType": "RAIDConfiguration"}}})
		tr.Set(tasksAt+"/JID_2", object{"TaskState": state, "Oem": object{"Dell": object{"JobType": "ImportConfiguration"}}})
		tr.Set(tasksAt, object{"Members": []any{linkTo(tasksAt + "/JID_1"), linkTo(tasksAt + "/JID_2")}})
		outcome, err := managementStep(t, m, drivers.CleanStep, "import_configuration").Resume(t.Context(), x,
			store.Dict{"import_configuration_location": "http://molds/golden"})
		if err != nil || outcome != drivers.Waiting || len(w.Power) != reboots || len(tr.Changes()) != 0 ||
			x.Node.DriverInternalInfo["import_task_monitor_url"] != tasksAt+"/JID_2" {
			t.Errorf("%s: %v, %v, power %v, %v", state, outcome, err, w.Power, x.Node.DriverInternalInfo)
		}
	}
}

func TestImportsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		task object
		want string
	}{
		"all of it": {object{"TaskState": "Exception", "Messages": []any{object{"Message": "No.", "Severity": "Critical"}, object{"Message": "Fine."}}}, "'No.'."},
		"a part": {object{"TaskState": "Completed", "Messages": []any{object{"Message": "Completed with errors.", "MessageId": "IDRAC.2.5.SYS055"}}},
			"'Completed with errors.'."},
		"nobody knows": {nil, "it got deleted by iDRAC"},
	} {
		t.Run(name, func(t *testing.T) {
			tr, x, _, m := cloned(t, molds{"http://molds/golden": golden})
			if _, err := managementStep(t, m, drivers.CleanStep, "import_configuration").Run(t.Context(), x,
				store.Dict{"import_configuration_location": "http://molds/golden"}); err != nil {
				t.Fatal(err)
			}
			if tr.Set(task1, c.task); c.task == nil {
				tr.Remove(task1)
			}
			_, err := m.Poll(t.Context(), x)
			var failure *drivers.StepFailure
			if !errors.As(err, &failure) || !strings.HasPrefix(failure.Text, "Failed import configuration task: "+task1+". Message: ") ||
				!strings.Contains(failure.Text, c.want) || m.UnderWay(x.Node) {
				t.Errorf("%v, %v", err, x.Node.DriverInternalInfo)
			}
		})
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	tr, x, _, m := cloned(t, molds{"http://molds/other": `{"oem":{"interface":"idrac-wsman","data":{"a":1}}}`,
		"http://molds/empty": `{"oem":{"interface":"idrac-redfish","data":{}}}`, "http://molds/nothing": `{}`,
		"http://molds/more": `{"data":{"Password":"s3cret"},"oem":{"interface":"idrac-redfish","data":{"Password":"s3cret"}}}`,
		"http://molds/list": `{"oem":{"interface":"idrac-redfish","data":[{"Password":"s3cret"}]}}`})
	step := managementStep(t, m, drivers.DeployStep, "import_configuration")
	for where, want := range map[string]struct {
		kind store.Kind
		text string
	}{
		"":                   {store.MissingParameterValue, "import_configuration_location missing"},
		"http://molds/none":  {store.DracOperationError, "DRAC operation failed. Reason: No configuration found for node node-1 by name http://molds/none"},
		"http://molds/other": {store.InvalidParameterValue, "Invalid configuration mold: 'idrac-redfish' was expected"},
		"http://molds/empty": {store.InvalidParameterValue, "Invalid configuration mold: {} does not have enough properties"},
		"http://molds/nothing": {store.DracOperationError,
			"DRAC operation failed. Reason: No configuration found for node node-1 by name http://molds/nothing"},
		"http://molds/more": {store.InvalidParameterValue, "Invalid configuration mold: Additional properties are not allowed ('data' was unexpected)"},
		"http://molds/list": {store.InvalidParameterValue, "Invalid configuration mold: ['***'] is not of type 'object'"},
	} {
		_, err := step.Run(t.Context(), x, store.Dict{"import_configuration_location": where})
		redfishtest.WantError(t, err, want.kind, want.text)
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", where, err)
		}
	}
	_, err := managementStep(t, m, drivers.CleanStep, "export_configuration").Run(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.MissingParameterValue, "export_configuration_location missing")
	wantChanges(t, tr)
}
