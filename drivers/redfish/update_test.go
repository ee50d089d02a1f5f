package redfish_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

const (
	updateAt     = "/redfish/v1/UpdateService"
	managerAt    = "/redfish/v1/Managers/1"
	chassisAt    = "/redfish/v1/Chassis/1"
	simpleUpdate = "POST " + updateAt + "/Actions/UpdateService.SimpleUpdate "
)

// firmwareBMC begins a task for each update.
type firmwareBMC struct {
	*redfishtest.Tree
	tasks int
}

func newFirmwareBMC(t *testing.T) *firmwareBMC {
	t.Helper()
	b := &firmwareBMC{}
	b.Tree = redfishtest.Serve(t, map[string]object{
		"/redfish/v1": {"@odata.id": "/redfish/v1", "RedfishVersion": "1.6.0", "Systems": link("/redfish/v1/Systems"),
			"Tasks": link("/redfish/v1/TaskService"), "UpdateService": link(updateAt),
			"Links": object{"Sessions": link("/redfish/v1/SessionService/Sessions")}},
		"/redfish/v1/Systems":     {"Members": []any{link(systemAt)}},
		"/redfish/v1/TaskService": {"Tasks": link(tasksAt)},
		tasksAt:                   {"Members": []any{link(tasksAt + "/old")}},
		tasksAt + "/old":          {"TaskState": "Completed", "TaskStatus": "OK"},
		systemAt: {"@odata.id": systemAt, "Id": "1", "BiosVersion": "1.0", "Links": object{"Chassis": []any{link(chassisAt)},
			"ManagedBy": []any{link(managerAt)}}},
		managerAt:                      {"@odata.id": managerAt, "Id": "1", "FirmwareVersion": "7.0", "Model": "Room"},
		chassisAt:                      {"@odata.id": chassisAt, "Id": "1", "NetworkAdapters": link(chassisAt + "/NetworkAdapters")},
		chassisAt + "/NetworkAdapters": {"Members": []any{link(chassisAt + "/NetworkAdapters/1")}},
		chassisAt + "/NetworkAdapters/1": {"Id": "1", "Manufacturer": "Maker", "SerialNumber": "S1", "Controllers": []any{
			object{}, object{"FirmwarePackageVersion": "3.0"}, object{"FirmwarePackageVersion": "3.1"}}},
		updateAt: {"@odata.id": updateAt, "Actions": object{"#UpdateService.SimpleUpdate": object{
			"target": updateAt + "/Actions/UpdateService.SimpleUpdate"}}},
	}, func(tr *redfishtest.Tree, method, path string, _ object) (int, object, bool) {
		if method != http.MethodPost || !strings.HasSuffix(path, ".SimpleUpdate") {
			return 0, nil, false
		}
		b.tasks++
		at := fmt.Sprintf("%s/%d", tasksAt, b.tasks)
		tr.Merge(at, object{"TaskState": "Pending", "TaskStatus": "OK"})
		tr.Merge(tasksAt, object{"Members": []any{link(tasksAt + "/old"), link(at)}})
		return http.StatusAccepted, object{"Location": "https://other" + at}, true
	})
	return b
}

func (b *firmwareBMC) end(n int, state, status string, messages ...any) {
	b.Set(fmt.Sprintf("%s/%d", tasksAt, n), object{"TaskState": state, "TaskStatus": status, "Messages": messages})
}

// staged is redfish.FirmwareFiles in memory.
type staged struct {
	dir  string
	left map[string]string
}

func (s *staged) Stage(_ context.Context, node, name, href string, check func(string) error) (string, error) {
	file := filepath.Join(s.dir, name)
	if err := os.WriteFile(file, []byte("firmware"), 0o600); err != nil {
		return "", err
	}
	if err := check(file); err != nil {
		return "", err
	}
	s.left[node] = href
	return "http://worker/" + name, nil
}

func (s *staged) Withdraw(node string) error {
	delete(s.left, node)
	return nil
}

// updateTask is a node that is being cleaned, behind a BMC.
func updateTask(t *testing.T, b *firmwareBMC, cfg redfish.UpdateConfig) (*drivers.Task, *worker, *staged, drivers.Step) {
	t.Helper()
	files := &staged{t.TempDir(), map[string]string{}}
	all := redfish.DefaultConfig()
	all.Updates = cfg
	all.Updates.Files = files
	client := redfishtest.ClientWith(t, all)
	x, w := task(client, b.URL)
	x.Node.DriverInfo["redfish_username"], x.Node.DriverInfo["redfish_verify_ca"] = redfishtest.User, false
	x.Hardware.Deploy = fake.NewDeploy(fake.Config{})
	x.Node.CleanStep = store.Dict{"interface": "management", "step": "update_firmware"}
	return x, w, files, stepOf(t, x.Hardware.Management, drivers.CleanStep, "update_firmware")
}

func images(all ...map[string]any) store.Dict {
	var list []any
	for _, one := range all {
		list = append(list, one)
	}
	return store.Dict{"firmware_images": list}
}

// poll is how the conductor asks on.
func poll(t *testing.T, x *drivers.Task) (bool, error) {
	t.Helper()
	polled := x.Hardware.Management.(drivers.Polled)
	if !polled.UnderWay(x.Node) {
		t.Fatal("nothing is under way")
	}
	return polled.Poll(t.Context(), x)
}

func TestFirmwareIsUpdatedFileByFile(t *testing.T) {
	b := newFirmwareBMC(t)
	x, w, files, step := updateTask(t, b, redfish.UpdateConfig{Source: "http"})
	if !step.RequiresRamdisk || step.Abortable || step.Priority != 0 {
		t.Errorf("%+v", step)
	}
	outcome, err := step.Run(t.Context(), x, images(map[string]any{"url": "http://files/bios.bin", "checksum": "x"},
		map[string]any{"url": "http://files/bmc.bin?x=1", "checksum": "6f9a4b1fd0d1d4d0d4c4", "source": "local", "wait": json.Number("60")}))
	info := x.Node.DriverInternalInfo
	if err != nil || outcome != drivers.Waiting || !slices.Equal(w.power, []string{store.Reboot}) ||
		!info.Bool("cleaning_polling", false) || !info.Bool("cleaning_reboot", false) || !info.Bool("skip_current_clean_step", false) {
		t.Fatalf("%v, %v, power %v, %v", outcome, err, w.power, info)
	}
	want := `[{"checksum":"x","task_monitor":"` + tasksAt + `/1","url":"http://files/bios.bin"},` +
		`{"checksum":"6f9a4b1fd0d1d4d0d4c4","source":"local","url":"http://files/bmc.bin?x=1","wait":60}]`
	if got, _ := json.Marshal(info["firmware_updates"]); string(got) != want {
		t.Errorf("firmware_updates %s", got)
	}
	if got := b.Changes(); !slices.Equal(got, []string{simpleUpdate + `{"ImageURI":"http://files/bios.bin","TransferProtocol":"HTTP"}`}) {
		t.Errorf("sent %q", got)
	}
	if done, err := poll(t, x); done || err != nil || len(b.Changes()) != 0 {
		t.Errorf("while it is pending: %v, %v", done, err)
	}
	b.end(1, "Completed", "OK")
	_, err = poll(t, x)
	var failure *drivers.StepFailure
	if !asFailure(err, &failure) || !strings.Contains(failure.Text, "bmc.bin checksums do not match. Expected: 6f9a4b1fd0d1d4d0d4c4, calculated: ") {
		t.Fatalf("a wrong checksum: %v", err)
	}
	if info["firmware_updates"] != nil || len(files.left) != 0 {
		t.Errorf("left %v, %v", info, files.left)
	}
}

func asFailure(err error, into **drivers.StepFailure) bool {
	f, ok := err.(*drivers.StepFailure) //nolint:errorlint // as the conductor is given it
	*into = f
	return ok
}

func TestFirmwareUpdatesEnd(t *testing.T) {
	for _, c := range []struct {
		name, state, status string
		messages            []any
		gone                bool
		fails               string
	}{
		{name: "well", state: "Completed", status: "Warning"},
		{name: "forgotten", gone: true},
		{name: "badly", state: "Exception", status: "Critical", messages: []any{object{"Message": "Wrong file"}, object{"MessageId": "Update.1"}},
			fails: "Firmware update failed for node node-1, firmware http://files/bios.bin. Error: Wrong file,  Update.1"},
	} {
		b := newFirmwareBMC(t)
		x, _, _, step := updateTask(t, b, redfish.UpdateConfig{Source: "http"})
		if _, err := step.Run(t.Context(), x, images(map[string]any{"url": "http://files/bios.bin", "checksum": "x"})); err != nil {
			t.Fatal(err)
		}
		if b.end(1, c.state, c.status, c.messages...); c.gone {
			b.Remove(tasksAt + "/1")
		}
		done, err := poll(t, x)
		var failure *drivers.StepFailure
		if done != (c.fails == "") || asFailure(err, &failure) != (c.fails != "") || failure != nil && failure.Text != c.fails {
			t.Errorf("%s: %v, %v", c.name, done, err)
		}
		if len(x.Node.DriverInternalInfo.List("firmware_updates")) != 0 {
			t.Errorf("%s: left %v", c.name, x.Node.DriverInternalInfo)
		}
	}
}

// What a worker asked for before it died is looked up, not asked for again, and the machine reboots for it when it has not, but not while the
// BMC is at it.
func TestFirmwareUpdatesGoOn(t *testing.T) {
	args := images(map[string]any{"url": "http://files/bios.bin", "checksum": "x"})
	for _, c := range []struct {
		name string
		// asked tells that the BMC took the update, noted that the row knows its task, and due that it does not know of the reboot.
		asked, noted, due bool
		state             string
		posts             int
		// reboots is how often the machine has rebooted when the step was resumed, and when it was polled.
		reboots, polled int
	}{
		{name: "not begun", posts: 1, reboots: 1, polled: 1},
		{name: "before it was asked", posts: 1, state: "intent", polled: 1},
		{name: "asked", asked: true, state: "Pending", polled: 1},
		{name: "asked and at it", asked: true, state: "Running"},
		{name: "asked and over", asked: true, state: "Completed", polled: 1},
		{name: "noted", asked: true, noted: true, due: true, state: "Pending", polled: 1},
		{name: "noted and forgotten", asked: true, noted: true, due: true, polled: 1},
		{name: "rebooted", asked: true, noted: true, state: "Pending"},
		{name: "rebooted and at it", asked: true, noted: true, state: "Running"},
	} {
		b := newFirmwareBMC(t)
		x, w, _, step := updateTask(t, b, redfish.UpdateConfig{Source: "http"})
		info := x.Node.DriverInternalInfo
		if c.asked {
			if _, err := step.Run(t.Context(), x, args); err != nil {
				t.Fatal(err)
			}
			if b.end(1, c.state, "OK"); c.state == "" {
				b.Remove(tasksAt + "/1")
			}
			b.Changes()
		}
		switch {
		case c.due:
			info["firmware_updates"].([]any)[0].(map[string]any)["ironmaster_reboot"] = true
		case c.state != "" && !c.noted:
			info["firmware_updates"] = []any{map[string]any{"url": "http://files/bios.bin", "checksum": "x"}}
			info["ironmaster_firmware_tasks"] = []any{tasksAt + "/old"}
		}
		w.power = nil
		outcome, err := step.Resume(t.Context(), x, args)
		if sent := b.Changes(); err != nil || outcome != drivers.Waiting || len(sent) != c.posts || len(w.power) != c.reboots {
			t.Errorf("%s: %v, %v, sent %q, power %v", c.name, outcome, err, sent, w.power)
		}
		if got := x.Hardware.Management.(drivers.Polled); !got.UnderWay(x.Node) || info["ironmaster_firmware_tasks"] != nil ||
			info.List("firmware_updates")[0].(map[string]any)["task_monitor"] != tasksAt+"/1" {
			t.Errorf("%s: %v", c.name, info)
		}
		if done, err := poll(t, x); done || err != nil || len(w.power) != c.polled {
			t.Errorf("%s: polled %v, %v, power %v", c.name, done, err, w.power)
		}
	}
}

func TestFirmwareArgumentsAreChecked(t *testing.T) {
	for _, c := range []struct {
		name string
		args store.Dict
		kind store.Kind
		says string
	}{
		{"no checksum", images(map[string]any{"url": "http://f"}), store.InvalidParameterValue,
			"Invalid firmware update [{'url': 'http://f'}]. Errors: 'checksum' is a required property\n\n" +
				"Failed validating 'required' in schema['items']:\n    {'additionalProperties': False,\n"},
		{"no list", store.Dict{"firmware_images": "x"}, store.InvalidParameterValue, "On instance:\n    'x'"},
		{"nothing", images(), "", "list index out of range"},
		{"a password", images(map[string]any{"url": "http://user:s3cret@f"}), store.InvalidParameterValue,
			"Invalid firmware update [{'url': 'http://user:xxxxx@f'}]. Errors: 'checksum' is a required property\n\n"},
		{"a password in a bad URL", images(map[string]any{"url": "http://user:s3%cret@f"}), store.InvalidParameterValue,
			"Invalid firmware update [{'url': '***@f'}]. Errors: "},
		{"no scheme", images(map[string]any{"url": "ftp://f/x", "checksum": "x"}), store.InvalidParameterValue, "ftp is not supported for ftp://f/x."},
		{"Swift", images(map[string]any{"url": "swift://c/x", "checksum": "x"}), store.InvalidParameterValue, "Swift"},
		{"a wrong checksum", images(map[string]any{"url": "file:///x", "checksum": "x"}), store.RedfishError, "checksums do not match"},
	} {
		b := newFirmwareBMC(t)
		x, w, files, step := updateTask(t, b, redfish.UpdateConfig{Source: "http", Services: true})
		_, err := step.Run(t.Context(), x, c.args)
		redfishtest.WantError(t, err, c.kind, c.says)
		if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "s3%cret") {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(b.Changes()) != 0 || len(w.power) != 0 || len(files.left) != 0 || len(x.Node.DriverInternalInfo) != 0 {
			t.Errorf("%s: changed %v, %v, %v", c.name, w.power, files.left, x.Node.DriverInternalInfo)
		}
	}
}
