package ilo_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ilo"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

const (
	pxeOnce    = `PATCH /redfish/v1/Systems/1/ {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}}`
	diskAlways = `PATCH /redfish/v1/Systems/1/ {"Boot":{"BootSourceOverrideEnabled":"Continuous","BootSourceOverrideTarget":"Hdd"}}`
)

// overNetwork returns a task of a deployment with ilo-pxe or ilo-ipxe, and the folder in which its files lie.
func overNetwork(t *testing.T, tr *redfishtest.Tree, name string) (x *drivers.Task, w *redfishtest.Worker, files string) {
	t.Helper()
	boots, tftp, http := redfishtest.NetworkBoot(t)
	x, w = task(t, tr, config())
	boot, root := boots.PXE, tftp
	if name == "ilo-ipxe" {
		boot, root = boots.IPXE, http
	}
	x.Hardware.Boot = ilo.NewNetworkBoot(redfishtest.Client(t), config(), boot)
	x.Node.ProvisionState = store.Deploying
	x.Node.DriverInfo["deploy_kernel"], x.Node.DriverInfo["deploy_ramdisk"] = "kernel", "ramdisk"
	return x, w, filepath.Join(root, x.Node.UUID)
}

func TestNetworkBoot(t *testing.T) {
	for _, name := range []string{"ilo-pxe", "ilo-ipxe"} {
		each(t, func(t *testing.T, tr *redfishtest.Tree, _ *drivers.Task, generation string) {
			x, w, files := overNetwork(t, tr, name)
			boot := x.Hardware.Boot
			if generation == "iLO 4" {
				// The recorded machine has secure boot enabled for its next start, and has not started with it.
				tr.Set("/redfish/v1/Systems/1/SecureBoot", redfishtest.Object{"SecureBootEnable": false})
			}
			if err := boot.Validate(t.Context(), x); err != nil {
				t.Fatal(err)
			}
			if err := boot.PrepareRamdisk(t.Context(), x, map[string]string{"ipa-api-url": "http://api"}); err != nil {
				t.Fatal(err)
			}
			wantChanges(t, tr, pxeOnce)
			if !slices.Equal(w.Power, []string{store.PowerOff}) || x.Node.DriverInternalInfo["deploy_boot_mode"] != "uefi" {
				t.Errorf("power %q, %v", w.Power, x.Node.DriverInternalInfo)
			}
			if text, err := os.ReadFile(filepath.Join(files, "config")); err != nil || !strings.Contains(string(text), "ipa-api-url=http://api") {
				t.Errorf("the configuration is %q, %v", text, err)
			}
			if err := boot.PrepareInstance(t.Context(), x); err != nil {
				t.Fatal(err)
			}
			wantChanges(t, tr, diskAlways)
			if _, err := os.Stat(files); !os.IsNotExist(err) {
				t.Errorf("the node's files are left: %v", err)
			}
			if err := boot.CleanUpInstance(t.Context(), x); err != nil {
				t.Fatal(err)
			}
			wantChanges(t, tr)
			if !slices.Equal(w.Power, []string{store.PowerOff, store.PowerOff}) {
				t.Errorf("power %q", w.Power)
			}
		})
	}
}

func TestNetworkBootSetsTheBootMode(t *testing.T) {
	for _, generation := range []string{"iLO 4", "iLO 5"} {
		t.Run(generation, func(t *testing.T) {
			tr := redfishtest.Open(t, trees[generation], machine)
			x, _, _ := overNetwork(t, tr, "ilo-pxe")
			x.Node.Properties["capabilities"] = "boot_mode:bios"
			if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
				t.Fatal(err)
			}
			wantChanges(t, tr, settings(generation)+attributes(generation, `{"BootMode":"LegacyBios"}`), pxeOnce)
		})
	}
}

func TestNetworkBootSwitchesSecureBootOff(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], machine)
	tr.Set("/redfish/v1/Systems/1/SecureBoot", redfishtest.Object{"SecureBootEnable": true, "SecureBootCurrentBoot": "Enabled"})
	x, _, _ := overNetwork(t, tr, "ilo-ipxe")
	x.Node.InstanceInfo["capabilities"] = store.Dict{"secure_boot": "true"}
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tr, `PATCH /redfish/v1/Systems/1/SecureBoot/ {"SecureBootEnable":false}`, pxeOnce)
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tr, `PATCH /redfish/v1/Systems/1/SecureBoot/ {"SecureBootEnable":true}`, diskAlways)
}

// A machine whose agent boots anew in the midst of cleaning was prepared when cleaning began.
func TestNetworkBootAnew(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], machine)
	x, w, _ := overNetwork(t, tr, "ilo-pxe")
	x.Node.ProvisionState = store.CleanWait
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, tr, pxeOnce)
	if len(w.Power) > 0 {
		t.Errorf("power %q", w.Power)
	}
}
