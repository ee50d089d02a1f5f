package ilo_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/ilo"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// media makes a boot interface.
type media func(*redfish.Client, ilo.Config, redfish.VirtualMediaConfig, *bootiso.Builder, redfish.Publisher) drivers.Boot

// deployment returns a task of a deployment, with a boot interface.
func deployment(t *testing.T, tr *redfishtest.Tree, make media, base string) (*drivers.Task, *redfishtest.Worker) {
	t.Helper()
	x, w := task(t, tr, config())
	x.Node.ProvisionState = store.Deploying
	x.Node.DriverInfo["deploy_kernel"], x.Node.DriverInfo["deploy_ramdisk"] = "kernel", "ramdisk"
	x.Node.DriverInfo["bootloader"] = "esp"
	x.Node.InstanceInfo["image_source"] = "https://images/disk"
	x.Hardware.Boot = make(redfishtest.Client(t), config(), redfish.VirtualMediaConfig{DefaultBootMode: "uefi"},
		redfishtest.ISOs(t), redfishtest.Publisher(base))
	return x, w
}

func virtualMedia(c *redfish.Client, cfg ilo.Config, media redfish.VirtualMediaConfig, b *bootiso.Builder, p redfish.Publisher) drivers.Boot {
	return ilo.NewVirtualMedia(c, cfg, media, b, p)
}

func uefiHTTPS(c *redfish.Client, cfg ilo.Config, media redfish.VirtualMediaConfig, b *bootiso.Builder, p redfish.Publisher) drivers.Boot {
	return ilo.NewHTTPS(c, cfg, media, b, p)
}

// insert and eject are the requests by which a generation changes the CD drive, as recorded.
func insert(generation string) string {
	if generation == "iLO 4" {
		return `POST /redfish/v1/Managers/1/VirtualMedia/2/Actions/Oem/Hp/HpiLOVirtualMedia.InsertVirtualMedia/`
	}
	return `POST /redfish/v1/Managers/1/VirtualMedia/2/Actions/VirtualMedia.InsertMedia`
}

func eject(generation string) string {
	return strings.ReplaceAll(insert(generation), "Insert", "Eject")
}

func TestVirtualMedia(t *testing.T) {
	each(t, func(t *testing.T, tr *redfishtest.Tree, _ *drivers.Task, generation string) {
		x, w := deployment(t, tr, virtualMedia, "http://192.0.2.1:8182")
		boot := x.Hardware.Boot
		if err := boot.Validate(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		once := `PATCH /redfish/v1/Systems/1/ {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Cd"}}`
		if generation == "iLO 4" {
			// The recorded machine has secure boot enabled for its next start, and has not started with it.
			tr.Set("/redfish/v1/Systems/1/SecureBoot", redfishtest.Object{"SecureBootEnable": false})
		}
		if err := boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
			t.Fatal(err)
		}
		wantChanges(t, tr, insert(generation)+` {"Image":"http://192.0.2.1:8182/secret/boot.iso"}`, once)
		if !slices.Equal(w.Power, []string{store.PowerOff}) || x.Node.DriverInternalInfo["deploy_boot_mode"] != "uefi" {
			t.Errorf("power %q, %v", w.Power, x.Node.DriverInternalInfo)
		}
		// What is inserted stays.
		if err := boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
			t.Fatal(err)
		}
		wantChanges(t, tr, once)
		if err := boot.PrepareInstance(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		wantChanges(t, tr, eject(generation)+` {}`,
			`PATCH /redfish/v1/Systems/1/ {"Boot":{"BootSourceOverrideEnabled":"Continuous","BootSourceOverrideTarget":"Hdd"}}`)
	})
}

// A machine with secure boot starts no ramdisk of ours; an iLO takes no change of the boot mode beside it.
func TestVirtualMediaSwitchesSecureBootOff(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], machine)
	tr.Set("/redfish/v1/Systems/1/SecureBoot", redfishtest.Object{"SecureBootEnable": true, "SecureBootCurrentBoot": "Enabled"})
	x, _ := deployment(t, tr, virtualMedia, "http://192.0.2.1:8182")
	x.Node.InstanceInfo["capabilities"] = store.Dict{"secure_boot": "true"}
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	if got := tr.Changes(); got[0] != `PATCH /redfish/v1/Systems/1/SecureBoot/ {"SecureBootEnable":false}` || len(got) != 3 {
		t.Errorf("sent %q", got)
	}
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if got := tr.Changes(); got[len(got)-1] != `PATCH /redfish/v1/Systems/1/SecureBoot/ {"SecureBootEnable":true}` {
		t.Errorf("sent %q", got)
	}
}

func TestBootOverHTTPS(t *testing.T) {
	for _, generation := range []string{"iLO 5", "iLO 6", "iLO 7"} {
		t.Run(generation, func(t *testing.T) {
			tr := redfishtest.Open(t, trees[generation], machine)
			x, _ := deployment(t, tr, uefiHTTPS, "https://192.0.2.1:8182")
			if err := x.Hardware.Boot.Validate(t.Context(), x); err != nil {
				t.Fatal(err)
			}
			if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
				t.Fatal(err)
			}
			wantChanges(t, tr,
				settings(generation)+`{"Attributes":{"Dhcpv4":"Enabled","PreBootNetwork":"Auto","UrlBootFile":"https://192.0.2.1:8182/secret/boot.iso"}}`,
				`PATCH /redfish/v1/Systems/1/ {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"UefiHttp"}}`)
		})
	}
}

func TestBootOverHTTPSIsRefused(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], machine)
	x, _ := deployment(t, tr, uefiHTTPS, "http://192.0.2.1:8182")
	redfishtest.WantError(t, x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil), store.IloOperationNotSupported, "A secure URL is expected")
	x.Node.InstanceInfo["image_source"] = "http://images/disk"
	redfishtest.WantError(t, x.Hardware.Boot.Validate(t.Context(), x), store.InvalidParameterValue,
		"Insecure URLs are provided for ['http://images/disk']")
	tr.Set("/redfish/v1/systems/1/bios", redfishtest.Object{"Attributes": redfishtest.Object{"BootMode": "LegacyBios"}})
	redfishtest.WantError(t, x.Hardware.Boot.Validate(t.Context(), x), store.InvalidParameterValue, "required to be in 'UEFI' boot mode")
}

// run carries out a step by its name.
func run(t *testing.T, i drivers.Interface, x *drivers.Task, kind drivers.StepKind, name string, args store.Dict) (drivers.Outcome, error) {
	t.Helper()
	return step(t, i, kind, name).Run(t.Context(), x, args)
}

func step(t *testing.T, i drivers.Interface, kind drivers.StepKind, name string) drivers.Step {
	t.Helper()
	steps := i.Steps(kind)
	at := slices.IndexFunc(steps, func(s drivers.Step) bool { return s.Name == name })
	if at < 0 {
		t.Fatalf("there is no step %s", name)
	}
	return steps[at]
}

func TestCleanSteps(t *testing.T) {
	each(t, func(t *testing.T, tr *redfishtest.Tree, x *drivers.Task, generation string) {
		m := x.Hardware.Management
		x.Node.CleanStep = store.Dict{"step": "x"}
		for name, want := range map[string]string{
			"reset_secure_boot_keys_to_default": `{"ResetKeysType":"ResetAllKeysToDefault"}`,
			"clear_secure_boot_keys":            `{"ResetKeysType":"DeleteAllKeys"}`,
		} {
			if outcome, err := run(t, m, x, drivers.CleanStep, name, nil); outcome != drivers.Done || err != nil {
				t.Errorf("%s: %v, %v", name, outcome, err)
			}
			want = "POST /redfish/v1/Systems/1/SecureBoot/Actions/SecureBoot.ResetKeys " + want
			if generation == "iLO 4" {
				property := map[string]string{"clear_secure_boot_keys": "ResetAllKeys", "reset_secure_boot_keys_to_default": "ResetToDefaultKeys"}
				want = `PATCH /redfish/v1/Systems/1/SecureBoot/ {"` + property[name] + `":true}`
			}
			wantChanges(t, tr, want)
		}
		if _, err := run(t, m, x, drivers.CleanStep, "reset_bios_to_default", nil); err != nil {
			t.Fatal(err)
		}
		if got := tr.Changes(); len(got) != 1 || !strings.HasPrefix(got[0], settings(generation)) || len(got[0]) < 1000 {
			t.Errorf("resetting the BIOS sent %.300q", got)
		}
	})
}

func TestResetCredential(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], machine)
	x, _ := task(t, tr, config())
	m := x.Hardware.Management
	// Without a new password nothing happens.
	if _, err := run(t, m, x, drivers.CleanStep, "reset_ilo_credential", nil); err != nil || len(tr.Changes()) > 0 {
		t.Error(err)
	}
	tr.Set("/redfish/v1/AccountService/Accounts/1", redfishtest.Object{"UserName": redfishtest.User})
	x.Node.DriverInfo["ilo_change_password"] = "another-pass"
	if _, err := run(t, m, x, drivers.CleanStep, "reset_ilo_credential", nil); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tr, `PATCH /redfish/v1/AccountService/Accounts/1 {"Password":"another-pass"}`)
	if _, given := x.Node.DriverInfo["ilo_change_password"]; given || x.Node.DriverInfo["ilo_password"] != "another-pass" {
		t.Errorf("driver_info is %v", x.Node.DriverInfo)
	}
	// A worker that died before it wrote the password down finds it good.
	x.Node.DriverInfo["ilo_password"], x.Node.DriverInfo["ilo_change_password"] = "old-pass", redfishtest.Password
	for _, s := range m.Steps(drivers.CleanStep) {
		if s.Name != "reset_ilo_credential" {
			continue
		}
		if _, err := s.Resume(t.Context(), x, nil); err != nil || x.Node.DriverInfo["ilo_password"] != redfishtest.Password {
			t.Errorf("%v, driver_info %v", err, x.Node.DriverInfo)
		}
	}
	wantChanges(t, tr)
}

func TestResetILO(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], func(tr *redfishtest.Tree, method, path string, body redfishtest.Object) (int, redfishtest.Object, bool) {
		return 200, redfishtest.Object{}, strings.HasSuffix(path, "Manager.Reset")
	})
	x, _ := task(t, tr, config())
	if _, err := run(t, x.Hardware.Management, x, drivers.CleanStep, "reset_ilo", nil); err != nil {
		t.Fatal(err)
	}
	if got := tr.Changes(); len(got) != 1 || !strings.Contains(got[0], "/redfish/v1/Managers/1/Actions/Manager.Reset") {
		t.Errorf("sent %q", got)
	}
}

// stored is a table of BIOS settings.
type stored map[string]string

func (s stored) ReplaceBIOSSettings(_ context.Context, _ int64, settings map[string]string) error {
	clear(s)
	for name, value := range settings {
		s[name] = value
	}
	return nil
}

func TestBIOSSettings(t *testing.T) {
	each(t, func(t *testing.T, tr *redfishtest.Tree, x *drivers.Task, generation string) {
		table := stored{}
		client := redfishtest.Client(t)
		b := ilo.NewBIOS(client, config(), table)
		if err := b.CacheSettings(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		if len(table) < 50 || table["AdminName"] != "" || table["ProcVirtualization"] == "None" {
			t.Errorf("%d settings", len(table))
		}
		x.Node.CleanStep = store.Dict{"step": "apply_configuration"}
		args := store.Dict{"settings": []any{map[string]any{"name": "AdminName", "value": "me"}}}
		w := x.Worker.(*redfishtest.Worker)
		outcome, err := run(t, b, x, drivers.CleanStep, "apply_configuration", args)
		if outcome != drivers.Waiting || err != nil || !slices.Equal(w.Power, []string{store.Reboot}) {
			t.Fatalf("%v, %v, power %q", outcome, err, w.Power)
		}
		wantChanges(t, tr, settings(generation)+attributes(generation, `{"AdminName":"me"}`))
		info := x.Node.DriverInternalInfo
		if !info.Bool("cleaning_reboot", false) || info.Bool("skip_current_clean_step", true) {
			t.Errorf("driver_internal_info is %v", info)
		}
		// The worker died about then: whether the machine has restarted nobody knows.
		resume := step(t, b, drivers.CleanStep, "apply_configuration").Resume
		outcome, err = resume(t.Context(), x, args)
		if outcome != drivers.Waiting || err != nil || !slices.Equal(w.Power, []string{store.Reboot, store.Reboot}) {
			t.Fatalf("%v, %v, power %q", outcome, err, w.Power)
		}
		wantChanges(t, tr)
		// The machine has restarted and its agent is back.
		delete(info, "cleaning_reboot")
		at := "/redfish/v1/systems/1/bios"
		if generation == "iLO 4" {
			tr.Set(at, redfishtest.Object{"AdminName": "me"})
		} else {
			tr.Set(at, redfishtest.Object{"Attributes": redfishtest.Object{"AdminName": "me"}})
		}
		outcome, err = resume(t.Context(), x, args)
		if outcome != drivers.Done || err != nil || table["AdminName"] != "me" || info.Bool("apply_bios", false) {
			t.Errorf("%v, %v, AdminName %q, %v", outcome, err, table["AdminName"], info)
		}
		wantChanges(t, tr)
	})
}

func TestDriverInfo(t *testing.T) {
	p := ilo.NewPower(nil, ilo.Config{Port: 443, Timeout: time.Minute})
	full := func(change func(store.Dict)) *drivers.Task {
		info := store.Dict{"ilo_address": "192.0.2.7", "ilo_username": "u", "ilo_password": "p"}
		change(info)
		return &drivers.Task{Node: &store.Node{UUID: "node-1", DriverInfo: info}}
	}
	for _, c := range []struct {
		change func(store.Dict)
		want   string
	}{
		{func(d store.Dict) { delete(d, "ilo_username"); delete(d, "ilo_password") },
			"The following required iLO parameters are missing from the node's driver_info: ['ilo_username', 'ilo_password']"},
		{func(d store.Dict) { d["client_port"] = "many" }, `client_port "many" is not a valid port.`},
		{func(d store.Dict) { d["client_port"] = 70000 },
			`client_port "70000" is not a valid port.`},
		{func(d store.Dict) { d["client_timeout"] = "soon" },
			"The following iLO parameters from the node's driver_info should be integers: ['client_timeout']"},
		{func(d store.Dict) { d["ca_file"] = "/none" }, `ca_file "/none" is not found.`},
		{func(d store.Dict) { d["ilo_verify_ca"] = "perhaps" }, `Invalid value type set in driver_info/ilo_verify_ca on node node-1. ` +
			`The value should be a Boolean or the path to a file/directory, not "perhaps"`},
		{func(d store.Dict) { d["console_port"] = -1 },
			`console_port "-1" is not a valid port.`},
		{func(d store.Dict) { d["snmp_auth_user"] = "u" }, "The following required SNMP parameters are missing from the node's " +
			"driver_info: ['snmp_auth_prot_password', 'snmp_auth_priv_password']"},
		{func(d store.Dict) { d["ilo_address"] = "user:secret@host" },
			"Invalid iLO address set in driver_info/ilo_address on node node-1: it should be an IP address or a host name"},
	} {
		if err := p.Validate(t.Context(), full(c.change)); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
	for address, want := range map[string]string{"192.0.2.7": "https://192.0.2.7", "2001:db8::1": "https://[2001:db8::1]",
		"ilo.example.org:8443": "https://ilo.example.org:8443"} {
		if got := p.Controller(full(func(d store.Dict) { d["ilo_address"] = address }).Node); got != want {
			t.Errorf("%s is reached at %s, not %s", address, got, want)
		}
	}
}
