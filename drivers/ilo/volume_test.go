package ilo_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

const (
	iscsiAt    = "/redfish/v1/systems/1/bios/oem/hpe/iscsi/"
	mappingsAt = "/redfish/v1/systems/1/bios/oem/hpe/mappings/"
	cardMAC    = "84:16:0C:39:A1:E2"
	cardPath   = "PciRoot(0x1)/Pci(0x1,0x3)/Pci(0x0,0x0)"
	iscsiBoot  = `PATCH /redfish/v1/Systems/1/ {"Boot":{"BootSourceOverrideEnabled":"Continuous","BootSourceOverrideTarget":"UefiTarget"}}`
)

// refusedSecret is a CHAP secret that the machine does not take.
const refusedSecret = "too-short"

// rows are the node's ports and volumes.
type rows struct {
	*redfishtest.Worker
	ports   []*store.Port
	volumes []*store.VolumeTarget
}

func (r *rows) Ports(context.Context, *drivers.Task) ([]*store.Port, error) { return r.ports, nil }

func (r *rows) VolumeTargets(context.Context, *drivers.Task) ([]*store.VolumeTarget, error) {
	return r.volumes, nil
}

// withVolume is a deployment onto a machine whose instance is on a volume.
func withVolume(t *testing.T, overPXE bool) (*redfishtest.Tree, *drivers.Task, *rows) {
	t.Helper()
	tr := redfishtest.Open(t, trees["iLO 5"], func(tr *redfishtest.Tree, method, path string, body redfishtest.Object) (int, redfishtest.Object, bool) {
		if strings.Contains(fmt.Sprint(body), refusedSecret) {
			return quoting(tr, method, path, body)
		}
		return machine(tr, method, path, body)
	})
	tr.Set("/redfish/v1/Systems/1/EthernetInterfaces", redfishtest.Object{"Members": []any{redfishtest.Object{
		"@odata.id": "/redfish/v1/Systems/1/EthernetInterfaces/5"}}})
	tr.Set("/redfish/v1/Systems/1/EthernetInterfaces/5", redfishtest.Object{"MACAddress": cardMAC, "UefiDevicePath": cardPath})
	tr.Set("/redfish/v1/Systems/1/bios", redfishtest.Object{"Attributes": redfishtest.Object{"BootMode": "Uefi"}})
	// The settings of the next start are the same.
	tr.Set("/redfish/v1/systems/1/bios/settings", redfishtest.Object{"Attributes": redfishtest.Object{"BootMode": "Uefi"}})
	tr.Set("/redfish/v1/Systems/1", redfishtest.Object{"EthernetInterfaces": redfishtest.Object{
		"@odata.id": "/redfish/v1/Systems/1/EthernetInterfaces"}, "Boot": redfishtest.Object{
		"UefiTargetBootSourceOverride@Redfish.AllowableValues": []any{"HD(1)", "PciRoot(0x0)/iSCSI(iqn.2024-01.org.example:disk)"}}})
	tr.Set(iscsiAt, redfishtest.Object{"@Redfish.Settings": redfishtest.Object{"SettingsObject": redfishtest.Object{"@odata.id": iscsiAt + "settings/"}}})
	tr.Set(iscsiAt+"settings/", redfishtest.Object{"iSCSISources": []any{}})
	tr.Set(mappingsAt, redfishtest.Object{"BiosPciSettingsMappings": []any{redfishtest.Object{"Subinstances": []any{
		redfishtest.Object{"CorrelatableID": cardPath, "Associations": []any{"NicBoot3", []any{"PreBootNetwork"}}},
		redfishtest.Object{"CorrelatableID": "another", "Associations": []any{"NicBoot1"}}}}}})
	make := virtualMedia
	x, w := deployment(t, tr, make, "http://192.0.2.1:8182")
	if overPXE {
		over, ow, _ := overNetwork(t, tr, "ilo-pxe")
		x, w = over, ow
	}
	kind, index := "iscsi", int64(0)
	all := &rows{Worker: w, ports: []*store.Port{{Address: strings.ToLower(cardMAC)}}, volumes: []*store.VolumeTarget{{UUID: "volume-1", VolumeType: &kind,
		BootIndex: &index, Properties: store.Dict{"target_portal": "192.0.2.9:3260", "target_iqn": "iqn.2024-01.org.example:disk", "target_lun": 1,
			"auth_username": "user", "auth_password": "s3cret"}}}}
	x.Worker = all
	x.Node.DriverInternalInfo["boot_from_volume"] = "volume-1"
	return tr, x, all
}

func TestBootFromVolume(t *testing.T) {
	for _, overPXE := range []bool{false, true} {
		tr, x, w := withVolume(t, overPXE)
		if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		got := tr.Changes()
		want := `PATCH ` + iscsiAt + `settings/ {"iSCSISources":[{"iSCSIAttemptInstance":1,"iSCSIAttemptName":"NicBoot3","iSCSIAuthenticationMethod":"Chap",` +
			`"iSCSIChapSecret":"s3cret","iSCSIChapUsername":"user","iSCSIConnection":"Enabled","iSCSILUN":1,"iSCSINicSource":"NicBoot3",` +
			`"iSCSITargetInfoViaDHCP":false,"iSCSITargetIpAddress":"192.0.2.9","iSCSITargetName":"iqn.2024-01.org.example:disk","iSCSITargetTcpPort":3260}]}`
		if !slices.Contains(got, want) || got[len(got)-1] != iscsiBoot || !x.Node.DriverInternalInfo.Bool("ilo_uefi_iscsi_boot", false) {
			t.Errorf("sent\n%s\n%v", strings.Join(got, "\n"), x.Node.DriverInternalInfo)
		}
		if err := x.Hardware.Boot.CleanUpInstance(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		got = tr.Changes()
		want = `PATCH ` + iscsiAt + `settings/ {"iSCSISources":[{"iSCSIAttemptInstance":1,"iSCSIAttemptName":"NicBoot3","iSCSIConnection":"Disabled",` +
			`"iSCSINicSource":"NicBoot3"}]}`
		if !slices.Contains(got, want) || x.Node.DriverInternalInfo.Bool("ilo_uefi_iscsi_boot", false) {
			t.Errorf("sent\n%s\n%v", strings.Join(got, "\n"), x.Node.DriverInternalInfo)
		}
		// Without ports each card that the settings know gets the volume.
		w.ports = nil
		if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(tr.Changes(), "\n"); !strings.Contains(got, `"NicBoot1"`) || !strings.Contains(got, `"iSCSIAttemptInstance":2`) {
			t.Errorf("sent\n%s", got)
		}
	}
}

func TestTheSecretOfAVolumeDoesNotShow(t *testing.T) {
	_, x, w := withVolume(t, false)
	w.volumes[0].Properties["auth_password"] = refusedSecret
	err := x.Hardware.Boot.PrepareInstance(t.Context(), x)
	redfishtest.WantError(t, err, store.IloOperationError, "Setting of target IQN iqn.2024-01.org.example:disk for node node-1 failed", "Secret:***")
	if strings.Contains(err.Error(), refusedSecret) {
		t.Errorf("the secret is in %v", err)
	}
}

func TestBootFromVolumeIsRefused(t *testing.T) {
	tr, x, w := withVolume(t, false)
	w.ports = []*store.Port{{Address: "52:54:00:00:00:01"}}
	redfishtest.WantError(t, x.Hardware.Boot.PrepareInstance(t.Context(), x), store.IloOperationError,
		"Setting of target IQN iqn.2024-01.org.example:disk for node node-1 failed", "Given macs: ['52:54:00:00:00:01'] not found in the system")
	delete(w.volumes[0].Properties, "target_lun")
	redfishtest.WantError(t, x.Hardware.Boot.PrepareInstance(t.Context(), x), store.MissingParameterValue,
		"Failed to get iSCSI target info for node node-1. Error: 'target_lun'")
	for _, at := range []string{"/redfish/v1/Systems/1/bios", "/redfish/v1/systems/1/bios/settings"} {
		tr.Set(at, redfishtest.Object{"Attributes": redfishtest.Object{"BootMode": "LegacyBios"}})
	}
	x.Node.Properties["capabilities"] = "boot_mode:bios"
	redfishtest.WantError(t, x.Hardware.Boot.PrepareInstance(t.Context(), x), store.InstanceDeployFailure,
		"Virtual media can not boot volume in BIOS boot mode.")
}
