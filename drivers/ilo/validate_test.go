package ilo_test

import (
	"testing"

	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// What is missing is told in ironic's order: the iLO, the ramdisk, the image.
func TestWhatTheBootInterfacesCheck(t *testing.T) {
	const lacking = "Error validating iLO boot for deploy. Some parameters were missing in node's driver_info. Missing are: "
	for name, boot := range map[string]media{"ilo-virtual-media": virtualMedia, "ilo-uefi-https": uefiHTTPS} {
		t.Run(name, func(t *testing.T) {
			tr := redfishtest.Open(t, trees["iLO 5"], machine)
			x, _ := deployment(t, tr, boot, "https://192.0.2.1:8182")
			info := x.Node.DriverInfo
			wantRefusal := func(text string) {
				t.Helper()
				redfishtest.WantError(t, x.Hardware.Boot.Validate(t.Context(), x), store.MissingParameterValue, text)
			}
			delete(x.Node.InstanceInfo, "image_source")
			wantRefusal("Cannot validate image information for node node-1 because one or more parameters are missing from its instance_info and " +
				"insufficient information is present to boot from a remote volume. Missing are: ['image_source']")
			delete(info, "bootloader")
			wantRefusal(lacking + "['bootloader']")
			delete(info, "deploy_ramdisk")
			wantRefusal(lacking + "['deploy_kernel', 'deploy_ramdisk', 'bootloader']")
			x.Node.DeployInterface = "ramdisk"
			x.Node.InstanceInfo["boot_iso"] = "https://images/instance.iso"
			if err := x.Hardware.Boot.Validate(t.Context(), x); err != nil {
				t.Errorf("an instance that is an ISO: %v", err)
			}
			delete(x.Node.InstanceInfo, "boot_iso")
			delete(info, "ilo_address")
			wantRefusal("The following required iLO parameters are missing from the node's driver_info: ['ilo_address']")
		})
	}
}

func TestAVolumeThatIsNotThere(t *testing.T) {
	tr := redfishtest.Open(t, trees["iLO 5"], machine)
	x, _ := task(t, tr, config())
	redfishtest.WantError(t, x.Hardware.Management.SetBootDevice(t.Context(), x, "iscsiboot", false), store.IloOperationError,
		"Setting iscsiboot as boot device failed, error: No UEFI iSCSI bootable device found on system.")
}
