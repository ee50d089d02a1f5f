package redfish_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// overHTTP returns a task of a deployment by redfish-https.
func overHTTP(t *testing.T, b *bmc) (*drivers.Task, *worker, *publisher) {
	t.Helper()
	cfg := quick()
	cfg.BootsHTTP = true
	c, p := open(t, cfg), newPublisher(t)
	x, w := task(c, b.url)
	x.Hardware.Boot = redfish.NewHTTPS(c, mediaConfig(), isos(t), p)
	x.Node.ProvisionState = store.Deploying
	x.Node.DriverInfo["deploy_kernel"], x.Node.DriverInfo["deploy_ramdisk"] = "kernel", "ramdisk"
	return x, w, p
}

func bootOf(b *bmc) object { return b.system["Boot"].(object) }

func TestHTTPSBootsTheRamdisk(t *testing.T) {
	b := newBMC(t)
	x, w, p := overHTTP(t, b)
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	url := p.url + "/node-1/boot.iso"
	want := `PATCH /redfish/v1/Systems/1 {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"UefiHttp",` +
		`"HttpBootUri":"` + url + `"}}`
	if sent := b.changes(); !slices.Equal(sent, []string{want}) {
		t.Errorf("sent %q, want %q", sent, want)
	}
	token := x.Node.DriverInternalInfo.String("agent_secret_token")
	if text := p.text(t, "node-1"); token == "" || !strings.Contains(text, "boot_method=vmedia ipa-agent-token="+token) {
		t.Error("the ISO does not tell the agent its token")
	}
	if _, left := x.Node.DriverInternalInfo["redfish_uefi_http_url"]; left || !slices.Equal(w.power, []string{store.PowerOff}) {
		t.Errorf("driver_internal_info %v, power %v", x.Node.DriverInternalInfo, w.power)
	}

	// A worker that comes after serves the same ISO again.
	again, other, q := overHTTP(t, b)
	other.journal = w.journal
	if err := again.Hardware.Boot.(interface {
		Resume(context.Context, *drivers.Task) error
	}).Resume(t.Context(), again); err != nil {
		t.Error(err)
	}
	if !strings.Contains(q.text(t, "node-1"), "ipa-agent-token="+token) {
		t.Error("after a restart the ISO does not tell the agent its token")
	}

	// The instance boots from its disk, and the BMC forgets the URL.
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if boot := bootOf(b); boot["BootSourceOverrideTarget"] != "Hdd" || boot["BootSourceOverrideEnabled"] != "Continuous" || boot["HttpBootUri"] != nil {
		t.Errorf("the boot override of the instance: %v", boot)
	}
	if p.isos["node-1"] != nil {
		t.Error("the ISO is served still")
	}
}

// A machine that was killed between the saving of the URL and the BMC's hearing of it begins anew.
func TestHTTPSIsLoadedAnew(t *testing.T) {
	b := newBMC(t)
	x, _, p := overHTTP(t, b)
	x.Node.DriverInternalInfo["redfish_uefi_http_url"] = "http://lost.example/boot.iso"
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	if boot := bootOf(b); boot["HttpBootUri"] != p.url+"/node-1/boot.iso" {
		t.Errorf("the BMC has %v", boot)
	}
}

// Who knows the URL may fetch the ISO, and the agent's token with it.
func TestHTTPSKeepsItsURL(t *testing.T) {
	b := newBMC(t)
	x, _, p := overHTTP(t, b)
	b.refuse = func(_ string, body object) (int, string) { return 400, fmt.Sprint("the BMC does not take ", body) }
	err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil)
	redfishtest.WantError(t, err, store.RedfishError, "Redfish set boot device failed for node node-1. Error: ", "the BMC does not take map[", "***")
	if strings.Contains(err.Error(), p.url) {
		t.Errorf("the URL is in %v", err)
	}
}

func TestHTTPSValidate(t *testing.T) {
	for _, c := range []struct {
		name    string
		allowed []any
		info    store.Dict
		kind    store.Kind
		text    string
	}{
		{"allowed", []any{"Pxe", "UefiHttp"}, nil, "", ""},
		{"not told", nil, nil, "", ""},
		{"not allowed", []any{"Pxe", "Cd"}, nil, store.UnsupportedHardwareFeature,
			"Node node-1 hardware does not support feature UefiHttp boot, which is required based upon the requested configuration."},
		{"no images", []any{"UefiHttp"}, store.Dict{"deploy_ramdisk": ""}, store.MissingParameterValue, "'deploy_ramdisk'"},
		{"no such BMC", nil, store.Dict{"redfish_address": "ftp://bmc"}, store.RedfishConnectionError,
			"Redfish connection failed for node node-1: Unable to connect to ftp://bmc/redfish/v1/. Error: No connection adapters were " +
				"found for 'ftp://bmc/redfish/v1/'"},
	} {
		b := newBMC(t)
		if c.allowed != nil {
			bootOf(b)["BootSourceOverrideTarget@Redfish.AllowableValues"] = c.allowed
		}
		x, _, _ := overHTTP(t, b)
		for key, value := range c.info {
			x.Node.DriverInfo[key] = value
		}
		err := x.Hardware.Boot.Validate(t.Context(), x)
		if c.kind == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		t.Run(c.name, func(t *testing.T) { redfishtest.WantError(t, err, c.kind, c.text) })
	}
}

// An instance on a ramdisk boots from its ISO each time.
func TestHTTPSBootsAnInstance(t *testing.T) {
	b := newBMC(t)
	x, _, _ := overHTTP(t, b)
	x.Node.DeployInterface = "ramdisk"
	x.Node.InstanceInfo["boot_iso"] = "http://images.example/live.iso"
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	boot := bootOf(b)
	if boot["BootSourceOverrideTarget"] != "UefiHttp" || boot["BootSourceOverrideEnabled"] != "Continuous" ||
		!strings.HasSuffix(boot["HttpBootUri"].(string), "/boot.iso") {
		t.Errorf("the boot override of the instance: %v", boot)
	}
	if drivers.Can(x.Hardware.Boot, drivers.CanBootRamdiskWithDrive) || !drivers.Can(x.Hardware.Boot, drivers.CanBootRamdisk) {
		t.Error("the interface claims what it can't do, or not what it can")
	}
}
