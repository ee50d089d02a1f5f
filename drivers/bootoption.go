package drivers

import (
	"cmp"

	"github.com/ironmaster/ironmaster/store"
)

// BootOption is how an instance boots.
type BootOption string

// The ways to boot an instance, in ironic's words.
const (
	// BootLocal: from the disk that was written.
	BootLocal BootOption = "local"
	// BootRamdisk: from a ramdisk or an ISO, each time that the machine starts.
	BootRamdisk BootOption = "ramdisk"
	// BootKickstart: from an installer, until that has written the disk.
	BootKickstart BootOption = "kickstart"
)

// InstanceBoot tells how a node's instance boots, which depends on its deploy interface alone.
func InstanceBoot(n *store.Node) BootOption {
	switch cmp.Or(n.InstanceInfo.String("deploy_interface"), n.DeployInterface) {
	case "anaconda":
		return BootKickstart
	case "ramdisk":
		return BootRamdisk
	}
	return BootLocal
}

// NeedsAgent tells whether an agent has to be able to boot on a node: for a rescue, its deployment or the cleaning that follows it.
func NeedsAgent(t *Task) bool {
	if InstanceBoot(t.Node) != BootRamdisk || RescueMode(t.Node) {
		return true
	}
	if own := t.Node.AutomatedClean; own != nil {
		return *own
	}
	return t.AutomatedClean
}
