package irmc_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/irmc"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func config() irmc.Config {
	return irmc.Config{Port: 443, Timeout: 5 * time.Second, AuthMethod: "basic", SensorMethod: "ipmitool", BootMode: "uefi",
		SNMP: irmc.SNMP{Version: "v2c", Port: 161}}
}

func deployment(t *testing.T, tr *redfishtest.Tree) *drivers.Task {
	t.Helper()
	at, err := url.Parse(tr.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := redfishtest.Client(t)
	node := &store.Node{UUID: "node-1", Driver: "irmc", ProvisionState: store.Deploying,
		DriverInfo: store.Dict{"irmc_address": at.Host, "irmc_username": redfishtest.User, "irmc_password": redfishtest.Password,
			"irmc_verify_ca": false, "deploy_kernel": "kernel", "deploy_ramdisk": "ramdisk", "bootloader": "esp"},
		Properties: store.Dict{}, InstanceInfo: store.Dict{"image_source": "http://images/disk"}, DriverInternalInfo: store.Dict{}}
	return &drivers.Task{Node: node, Worker: redfishtest.NewWorker(), Log: zerolog.Nop(), Hardware: &drivers.Hardware{Network: noop.NewNetwork(),
		Storage: noop.NewStorage(),
		Power:   irmc.NewPower(client, config()), Management: irmc.NewManagement(client, config()),
		Boot: irmc.NewVirtualMedia(client, config(), redfish.VirtualMediaConfig{DefaultBootMode: "uefi"}, redfishtest.ISOs(t),
			redfishtest.Publisher("http://192.0.2.1:8182")),
	}}
}

func wantChanges(t *testing.T, tr *redfishtest.Tree, want ...string) {
	t.Helper()
	if got := strings.Join(tr.Changes(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("sent\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestDeployment(t *testing.T) {
	tr := redfishtest.Open(t, "testdata/irmc-s5.json", nil)
	x := deployment(t, tr)
	if err := x.Hardware.Boot.Validate(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tr,
		`POST /redfish/v1/Managers/iRMC/VirtualMedia/0/Actions/VirtualMedia.InsertMedia {"Image":"http://192.0.2.1:8182/secret/boot.iso"}`,
		`PATCH /redfish/v1/Systems/0 {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Cd"}}`)
	if err := x.Hardware.Power.Reboot(t.Context(), x, 0); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tr, `POST /redfish/v1/Systems/0/Actions/ComputerSystem.Reset {"ResetType":"On"}`)
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tr, `POST /redfish/v1/Managers/iRMC/VirtualMedia/0/Actions/VirtualMedia.EjectMedia {}`,
		`PATCH /redfish/v1/Systems/0 {"Boot":{"BootSourceOverrideEnabled":"Continuous","BootSourceOverrideTarget":"Hdd"}}`)
}

// irmc-pxe and pxe are one. An iRMC does not tell its boot mode.
func TestDeploymentOverNetwork(t *testing.T) {
	tr := redfishtest.Open(t, "testdata/irmc-s5.json", nil)
	x := deployment(t, tr)
	boots, tftp, _ := redfishtest.NetworkBoot(t)
	x.Hardware.Boot = boots.PXE
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tr, `PATCH /redfish/v1/Systems/0 {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}}`)
	if _, err := os.Stat(filepath.Join(tftp, x.Node.UUID, "config")); err != nil {
		t.Error(err)
	}
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tr, `PATCH /redfish/v1/Systems/0 {"Boot":{"BootSourceOverrideEnabled":"Continuous","BootSourceOverrideTarget":"Hdd"}}`)
}

func TestVerification(t *testing.T) {
	x := deployment(t, redfishtest.Open(t, "testdata/irmc-s5.json", nil))
	steps := x.Hardware.Management.Steps(drivers.VerifyStep)
	if len(steps) != 1 || steps[0].Priority != 10 {
		t.Fatalf("steps %+v", steps)
	}
	if _, err := steps[0].Run(t.Context(), x, nil); err != nil || x.Node.DriverInternalInfo["irmc_fw_version"] != "iRMC S5/3.37P" {
		t.Errorf("%v, %v", err, x.Node.DriverInternalInfo)
	}
	_, err := x.Hardware.Management.BootMode(t.Context(), x)
	if store.KindOf(err) != store.UnsupportedDriverExtension {
		t.Errorf("got %v", err)
	}
}

func TestVerificationOfANodeThatLacksKeys(t *testing.T) {
	x := deployment(t, redfishtest.Open(t, "testdata/irmc-s5.json", nil))
	delete(x.Node.DriverInfo, "irmc_username")
	_, err := x.Hardware.Management.Steps(drivers.VerifyStep)[0].Run(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.IRMCOperationError, "iRMC configuration validation failed. Reason: Missing the following iRMC "+
		"parameters in node's driver_info: ['irmc_username'].")
}

func TestLEDsAreRefused(t *testing.T) {
	x := deployment(t, redfishtest.Open(t, "testdata/irmc-s5.json", nil))
	m := x.Hardware.Management
	_, supported := m.SupportedIndicators(t.Context(), x, "")
	_, state := m.IndicatorState(t.Context(), x, "system", "0")
	for extension, err := range map[string]error{"get_supported_indicators": supported, "get_indicator_state": state,
		"set_indicator_state": m.SetIndicatorState(t.Context(), x, "system", "0", "ON")} {
		redfishtest.WantError(t, err, store.UnsupportedDriverExtension, "Driver irmc does not support "+extension+" (disabled or not implemented).")
	}
}

// The image counts first, then the ramdisk, and the iRMC only where it is what makes the machine boot a volume.
func TestWhatTheBootInterfaceChecks(t *testing.T) {
	x := deployment(t, redfishtest.Open(t, "testdata/irmc-s5.json", nil))
	boot, info := x.Hardware.Boot, x.Node.DriverInfo
	delete(info, "irmc_address")
	if err := boot.Validate(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	delete(info, "deploy_kernel")
	redfishtest.WantError(t, boot.Validate(t.Context(), x), store.MissingParameterValue, "Error validating iRMC virtual media for deploy. Some "+
		"parameters were missing in node's driver_info. Missing are: ['deploy_iso']")
	info["irmc_deploy_iso"] = "http://images/ramdisk.iso"
	if err := boot.Validate(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	delete(x.Node.InstanceInfo, "image_source")
	redfishtest.WantError(t, boot.Validate(t.Context(), x), store.MissingParameterValue, "Cannot validate image information for node node-1 because "+
		"one or more parameters are missing from its instance_info and insufficient information is present to boot from a remote volume. "+
		"Missing are: ['image_source']")
	x.Hardware.Storage = elsewhere{}
	redfishtest.WantError(t, boot.Validate(t.Context(), x), store.MissingParameterValue,
		"Missing the following iRMC parameters in node's driver_info: ['irmc_address'].")
	if all := boot.Properties(); !strings.Contains(all["kernel_append_params"], "[irmc]/kernel_append_params") ||
		!strings.Contains(all["force_persistent_boot_device"], "persistency of boot order") {
		t.Errorf("properties %v", all)
	}
}

// elsewhere is storage outside the machine, which no image is written to.
type elsewhere struct{ *noop.Storage }

func (elsewhere) ShouldWriteImage(context.Context, *drivers.Task) (bool, error) { return false, nil }

func TestTheFirmwareVersionIsCached(t *testing.T) {
	tr := redfishtest.Open(t, "testdata/irmc-s5.json", nil)
	x := deployment(t, tr)
	p := irmc.NewPassthru(redfishtest.Client(t), config())
	method := p.NodeMethods()["cache_irmc_firmware_version"]
	if err := p.ValidateMethod(t.Context(), x, "cache_irmc_firmware_version", nil); err != nil || method.Sync {
		t.Fatal(err)
	}
	if _, err := method.Run(t.Context(), x, nil); err != nil || x.Node.DriverInternalInfo["irmc_fw_version"] != "iRMC S5/3.37P" {
		t.Errorf("%v, %v", err, x.Node.DriverInternalInfo)
	}
	x.Node.DriverInfo["irmc_password"] = "wrong"
	_, err := method.Run(t.Context(), x, nil)
	if store.KindOf(err) != store.IRMCOperationError || !strings.HasPrefix(err.Error(), "iRMC caching firmware version failed. Reason: ") {
		t.Errorf("got %v", err)
	}
	delete(x.Node.DriverInfo, "irmc_password")
	if err := p.ValidateMethod(t.Context(), x, "cache_irmc_firmware_version", nil); store.KindOf(err) != store.MissingParameterValue {
		t.Errorf("got %v", err)
	}
}

// More seconds than fit are not a time in the past.
func TestATimeoutOfAnyLength(t *testing.T) {
	x := deployment(t, redfishtest.Open(t, "testdata/irmc-s5.json", nil))
	x.Node.DriverInfo["irmc_client_timeout"] = json.Number("9223372037")
	if state, err := x.Hardware.Power.PowerState(t.Context(), x); err != nil || state == "" {
		t.Errorf("got %q, %v", state, err)
	}
}

// v3 is a node that speaks SNMPv3, with something else.
func v3(with store.Dict) func(store.Dict) {
	return func(d store.Dict) {
		d["irmc_snmp_version"], d["irmc_snmp_user"] = "v3", "user"
		d["irmc_snmp_auth_password"], d["irmc_snmp_priv_password"] = "12345678", "12345678"
		maps.Copy(d, with)
	}
}

func TestRefusals(t *testing.T) {
	x := deployment(t, redfishtest.Open(t, "testdata/irmc-s5.json", nil))
	x.Node.DriverInfo["irmc_password"] = "wrong"
	_, err := x.Hardware.Power.PowerState(t.Context(), x)
	if store.KindOf(err) != store.IRMCOperationError || !strings.HasPrefix(err.Error(), "iRMC get_power_state failed. Reason: ") {
		t.Errorf("got %v", err)
	}
	for _, c := range []struct {
		change func(store.Dict)
		want   string
	}{
		{func(d store.Dict) { delete(d, "irmc_username") }, "Missing the following iRMC parameters in node's driver_info: ['irmc_username']."},
		{func(d store.Dict) { d["irmc_port"] = 8080 },
			"The following errors were encountered while parsing driver_info:\nValue '8080' is not supported for 'irmc_port'."},
		{func(d store.Dict) { d["irmc_auth_method"] = "none"; d["irmc_client_timeout"] = "soon" },
			"The following errors were encountered while parsing driver_info:\nValue 'none' is not supported for 'irmc_auth_method'.\n" +
				"Value 'soon' is not an integer for 'irmc_client_timeout'"},
		{func(d store.Dict) { d["irmc_sensor_method"] = "guess" },
			"The following errors were encountered while parsing driver_info:\nValue 'guess' is not supported for 'irmc_sensor_method'."},
		{func(d store.Dict) { d["irmc_client_timeout"] = "60" },
			"The following errors were encountered while parsing driver_info:\nValue '60' is not an integer for 'irmc_client_timeout'"},
		{func(d store.Dict) { d["irmc_client_timeout"] = json.Number("1.5") },
			"The following errors were encountered while parsing driver_info:\nValue '1.5' is not an integer for 'irmc_client_timeout'"},
		{func(d store.Dict) { d["irmc_port"] = "many" }, `irmc_port "many" is not a valid port.`},
		{func(d store.Dict) { d["irmc_snmp_version"] = "v9" }, "Value 'v9' is not supported for 'irmc_snmp_version'."},
		{func(d store.Dict) { d["irmc_snmp_port"] = 70000 }, `irmc_snmp_port "70000" is not a valid port.`},
		{func(d store.Dict) { d["irmc_snmp_community"] = 7 }, "Value '7' is not a string for 'irmc_snmp_community'"},
		{func(d store.Dict) { d["irmc_snmp_version"] = "V3" }, "The following required SNMP parameters are missing: ['irmc_snmp_user', " +
			"'irmc_snmp_auth_password', 'irmc_snmp_priv_password']"},
		{v3(store.Dict{"irmc_snmp_priv_password": "secret"}), "irmc_snmp_priv_password is too short. (8+ chars required)"},
		{v3(store.Dict{"irmc_snmp_auth_password": 12345678}), "Value *** is not a string for irmc_snmp_auth_password."},
		{v3(store.Dict{"irmc_snmp_user": 1}), "Value '1' is not a string for 'irmc_snmp_user'."},
		{v3(store.Dict{"irmc_snmp_auth_proto": "md5"}), "Invalid value md5 given for driver info parameter irmc_snmp_auth_proto, the valid " +
			"values are ['sha', 'sha256', 'sha384', 'sha512']."},
		{func(d store.Dict) { d["irmc_snmp_version"], d["irmc_snmp_security"] = "v3", 7 },
			"Value '7' is not a string for 'irmc_snmp_security."},
		{func(d store.Dict) { d["irmc_address"] = "a b" },
			"Invalid iRMC address set in driver_info/irmc_address on node node-1: it should be an IP address or a host name"},
	} {
		info := store.Dict{"irmc_address": "192.0.2.7", "irmc_username": "u", "irmc_password": "p"}
		c.change(info)
		err := x.Hardware.Power.Validate(t.Context(), &drivers.Task{Node: &store.Node{UUID: "node-1", PowerInterface: "irmc", DriverInfo: info}})
		if err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}
