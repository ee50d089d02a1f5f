package idrac_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/idrac"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	idrac9  = "testdata/idrac9.json"
	idrac10 = "testdata/idrac10-r660.json"
	task1   = "/redfish/v1/TaskService/Tasks/JID_257309938313"
	manager = "/redfish/v1/Managers/iDRAC.Embedded.1"
	system  = "/redfish/v1/Systems/System.Embedded.1"
)

// machine does what a recorded tree cannot. refusals are message ids that imports are refused with first.
func machine(refusals ...string) func(*redfishtest.Tree, string, string, redfishtest.Object) (int, redfishtest.Object, bool) {
	return func(tr *redfishtest.Tree, _, path string, _ redfishtest.Object) (int, redfishtest.Object, bool) {
		switch {
		case !strings.HasSuffix(path, "ImportSystemConfiguration"):
			done := strings.HasSuffix(path, "DeleteJobQueue") || strings.HasSuffix(path, "iDRACReset")
			return 200, redfishtest.Object{}, done
		case len(refusals) > 0:
			refusal := redfishtest.Refusal(refusals[0])
			refusals = refusals[1:]
			return 400, refusal, true
		}
		return 202, redfishtest.Object{"Location": task1}, true
	}
}

func deployment(t *testing.T, tr *redfishtest.Tree) *drivers.Task {
	t.Helper()
	cfg := idrac.DefaultConfig()
	cfg.Interval, cfg.TaskPoll, cfg.TaskTimeout, cfg.ResetPause = time.Millisecond, time.Millisecond, 5*time.Second, 0
	client := redfishtest.Client(t)
	node := &store.Node{UUID: "node-1", Driver: "idrac", ProvisionState: store.Deploying,
		DriverInfo: store.Dict{"redfish_address": tr.URL, "redfish_username": redfishtest.User, "redfish_password": redfishtest.Password,
			"redfish_verify_ca": false, "deploy_kernel": "kernel", "deploy_ramdisk": "ramdisk", "bootloader": "esp"},
		Properties: store.Dict{"vendor": "Dell Inc.", "capabilities": "boot_mode:uefi"}, InstanceInfo: store.Dict{},
		DriverInternalInfo: store.Dict{}}
	return &drivers.Task{Node: node, Worker: redfishtest.NewWorker(), Log: zerolog.Nop(), Hardware: &drivers.Hardware{Network: noop.NewNetwork(),
		Power: redfish.NewPower(client), Management: idrac.NewManagement(client, cfg),
		Boot: idrac.NewVirtualMedia(client, cfg, redfish.VirtualMediaConfig{DefaultBootMode: "uefi"}, redfishtest.ISOs(t),
			redfishtest.Publisher("http://192.0.2.1:8182")),
	}}
}

const (
	inserted = "POST " + manager + "/VirtualMedia/CD/Actions/VirtualMedia.InsertMedia " + `{"Image":"http://192.0.2.1:8182/secret/boot.iso"}`
	imported = "POST " + manager + `/Actions/Oem/EID_674_Manager.ImportSystemConfiguration {"ImportBuffer":"` +
		`\u003cSystemConfiguration\u003e\u003cComponent FQDD=\"iDRAC.Embedded.1\"\u003e` +
		`\u003cAttribute Name=\"ServerBoot.1#BootOnce\"\u003eEnabled\u003c/Attribute\u003e` +
		`\u003cAttribute Name=\"ServerBoot.1#FirstBootDevice\"\u003eVCD-DVD\u003c/Attribute\u003e` +
		`\u003c/Component\u003e\u003c/SystemConfiguration\u003e","ShareParameters":{"Target":"ALL"}}`
)

func wantChanges(t *testing.T, tr *redfishtest.Tree, want ...string) {
	t.Helper()
	if got := strings.Join(tr.Changes(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("sent\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestVirtualMediaOfAnIDRAC9(t *testing.T) {
	for name, c := range map[string]struct {
		refusals []string
		want     []string
	}{
		"at once":          {nil, []string{inserted, imported}},
		"a job runs":       {[]string{"IDRAC.2.8.RAC0679", "IDRAC.2.8.RAC0679"}, []string{inserted, imported, imported, imported}},
		"settings pending": {[]string{"IDRAC.2.8.LC068"}, []string{inserted, imported, `POST ` + system + `/Actions/ComputerSystem.Reset {"ResetType":"ForceOff"}`, imported}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := redfishtest.Open(t, idrac9, machine(c.refusals...))
			tr.Set(task1, redfishtest.Object{"TaskState": "Completed", "TaskStatus": "OK"})
			x := deployment(t, tr)
			if err := x.Hardware.Boot.Validate(t.Context(), x); err != nil {
				t.Fatal(err)
			}
			if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
				t.Fatal(err)
			}
			wantChanges(t, tr, c.want...)
			if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
				t.Fatal(err)
			}
			wantChanges(t, tr, "POST "+manager+"/VirtualMedia/CD/Actions/VirtualMedia.EjectMedia {}",
				"PATCH "+system+` {"Boot":{"BootSourceOverrideEnabled":"Continuous","BootSourceOverrideTarget":"Hdd"}}`)
		})
	}
}

func TestAnImportThatFails(t *testing.T) {
	tr := redfishtest.Open(t, idrac9, machine())
	tr.Set(task1, redfishtest.Object{"TaskState": "Exception", "Messages": []any{redfishtest.Object{"Message": "Unable to set BootOnce."}}})
	x := deployment(t, tr)
	err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil)
	if store.KindOf(err) != store.RedfishError || !strings.Contains(err.Error(), "all managers failed: set virtual boot device") ||
		!strings.Contains(err.Error(), "Unable to set BootOnce.") {
		t.Errorf("got %v", err)
	}
}

// An iDRAC 10 lacks the import, and boots from the first of its drives alone.
func TestVirtualMediaOfAnIDRAC10(t *testing.T) {
	tr := redfishtest.Open(t, idrac10, machine())
	x := deployment(t, tr)
	x.Node.Properties["capabilities"] = "boot_mode:bios"
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tr,
		"POST "+system+`/VirtualMedia/1/Actions/VirtualMedia.InsertMedia {"Image":"http://192.0.2.1:8182/secret/boot.iso"}`,
		"PATCH "+system+` {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Cd"}}`)
}

// The plain interface refuses an iDRAC with firmware 3.
func TestTheRedfishInterfaceRefusesOldIDRACs(t *testing.T) {
	tr := redfishtest.Open(t, idrac9, machine())
	x := deployment(t, tr)
	plain := redfish.NewVirtualMedia(redfishtest.Client(t), redfish.VirtualMediaConfig{DefaultBootMode: "uefi"}, redfishtest.ISOs(t),
		redfishtest.Publisher("http://192.0.2.1:8182"))
	err := plain.PrepareRamdisk(t.Context(), x, nil)
	if store.KindOf(err) != store.InvalidParameterValue || !strings.Contains(err.Error(), "use idrac-redfish-virtual-media instead") {
		t.Errorf("got %v", err)
	}
}

func TestSteps(t *testing.T) {
	const cleared = "POST /redfish/v1/Dell/Managers/iDRAC.Embedded.1/DellJobService/Actions/DellJobService.DeleteJobQueue " +
		`{"JobID":"JID_CLEARALL"}`
	const reset = "POST /redfish/v1/Dell/Managers/iDRAC.Embedded.1/DelliDRACCardService/Actions/DelliDRACCardService.iDRACReset " +
		`{"Force":"Graceful"}`
	want := map[string][]string{"clear_job_queue": {cleared}, "reset_idrac": {reset}, "known_good_state": {reset, cleared}}
	for _, kind := range []drivers.StepKind{drivers.CleanStep, drivers.VerifyStep} {
		tr := redfishtest.Open(t, idrac9, machine())
		x := deployment(t, tr)
		found := 0
		for _, s := range x.Hardware.Management.Steps(kind) {
			sent, own := want[s.Name]
			if !own {
				continue
			}
			found++
			if s.RequiresRamdisk || s.Priority != 0 {
				t.Errorf("step %+v", s)
			}
			if outcome, err := s.Run(t.Context(), x, nil); outcome != drivers.Done || err != nil {
				t.Errorf("%s: %v, %v", s.Name, outcome, err)
			}
			wantChanges(t, tr, sent...)
		}
		if found != len(want) {
			t.Errorf("%d of %d %s steps", found, len(want), kind)
		}
	}
}

// A verification goes on where the iDRAC cannot; a cleaning does not.
func TestStepsThatTheIDRACLacks(t *testing.T) {
	tr := redfishtest.Open(t, idrac10, machine())
	x := deployment(t, tr)
	for _, s := range x.Hardware.Management.Steps(drivers.CleanStep) {
		if s.Name != "clear_job_queue" {
			continue
		}
		x.Node.ProvisionState = store.Verifying
		if _, err := s.Run(t.Context(), x, nil); err != nil {
			t.Error(err)
		}
		x.Node.ProvisionState = store.Cleaning
		if _, err := s.Run(t.Context(), x, nil); store.KindOf(err) != store.RedfishError ||
			!strings.Contains(err.Error(), "Oem/Dell/DellJobService is missing") {
			t.Errorf("got %v", err)
		}
	}
}
