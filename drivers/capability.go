package drivers

import "slices"

// Capable is an interface of a node that tells the others what it can do beside what its type demands.
type Capable interface {
	// Capabilities are ironic's words for it.
	Capabilities() []string
}

// What boot interfaces can do.
const (
	// CanBootRamdisk: the instance may be a ramdisk, or an ISO.
	CanBootRamdisk = "ramdisk_boot"
	// CanBootRamdiskWithDrive: and such an instance may have a config drive.
	CanBootRamdiskWithDrive = "ramdisk_boot_configdrive"
	CanBootISCSI            = "iscsi_volume_boot"
	CanBootIPXE             = "ipxe_boot"
	CanBootPXE              = "pxe_boot"
)

// Can tells whether an interface has a capability.
func Can(i Interface, capability string) bool {
	c, ok := i.(Capable)
	return ok && slices.Contains(c.Capabilities(), capability)
}
