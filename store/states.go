package store

import "slices"

// Provision states as nodes.provision_state holds them (ironic/common/states.py, reference/states.md §1).
const (
	Enroll       = "enroll"
	Verifying    = "verifying"
	Manageable   = "manageable"
	Available    = "available"
	Deploying    = "deploying"
	DeployWait   = "wait call-back"
	DeployFail   = "deploy failed"
	DeployHold   = "deploy hold"
	Active       = "active"
	Deleting     = "deleting"
	ErrorState   = "error"
	Cleaning     = "cleaning"
	CleanWait    = "clean wait"
	CleanFail    = "clean failed"
	CleanHold    = "clean hold"
	Inspecting   = "inspecting"
	InspectWait  = "inspect wait"
	InspectFail  = "inspect failed"
	Adopting     = "adopting"
	AdoptFail    = "adopt failed"
	Rescuing     = "rescuing"
	RescueWait   = "rescue wait"
	Rescue       = "rescue"
	RescueFail   = "rescue failed"
	Unrescuing   = "unrescuing"
	UnrescueFail = "unrescue failed"
	Servicing    = "servicing"
	ServiceWait  = "service wait"
	ServiceFail  = "service failed"
	ServiceHold  = "service hold"
)

// Power states. The first two are stored in nodes.power_state; the others are requests.
const (
	PowerOn      = "power on"
	PowerOff     = "power off"
	Reboot       = "rebooting"
	SoftReboot   = "soft rebooting"
	SoftPowerOff = "soft power off"
	// PowerError is what a driver answers when the BMC names no usable state.
	PowerError = "error"
)

// Faults that put a node into maintenance by themselves.
const (
	FaultPower = "power failure"
	FaultClean = "clean failure"
	// FaultService is that of a node whose servicing failed in a step.
	FaultService = "service failure"
	// FaultRescueAbort is that of a node which an aborted rescue could not leave in order.
	FaultRescueAbort = "rescue abort failure"
)

// Boot devices of the ironic API.
const (
	BootDevicePXE   = "pxe"
	BootDeviceDisk  = "disk"
	BootDeviceCDROM = "cdrom"
	BootDeviceBIOS  = "bios"
	BootDeviceSafe  = "safe"
	// BootDeviceUEFIHTTP is the network by HTTP, known since ironic 25.0.
	BootDeviceUEFIHTTP = "uefihttp"
)

// Boot modes.
const (
	BootModeUEFI = "uefi"
	BootModeBIOS = "bios"
)

var stableStates = []string{Enroll, Manageable, Available, Active, ErrorState, Rescue}

var unstableStates = []string{Deploying, DeployWait, Cleaning, CleanWait, Verifying, Deleting, Inspecting, InspectWait,
	Adopting, Rescuing, RescueWait, Unrescuing, Servicing, ServiceWait}

// StuckStates are those that only a running worker can leave; a node found in one without a reservation is stuck.
func StuckStates() []string {
	return []string{Deploying, Cleaning, Verifying, Inspecting, Adopting, Rescuing, Unrescuing, Deleting, Servicing}
}

// Stable reports whether users may leave a node in the provision state.
func Stable(state string) bool { return slices.Contains(stableStates, state) }

// Unstable reports whether work is going on in the provision state. Failed and hold states are neither stable nor
// unstable, which decides the status of provision_set notifications.
func Unstable(state string) bool { return slices.Contains(unstableStates, state) }

// FailedState reports whether the provision state is one of the failures, in which a power action keeps last_error.
func FailedState(state string) bool {
	switch state {
	case DeployFail, CleanFail, InspectFail, AdoptFail, RescueFail, UnrescueFail, ServiceFail:
		return true
	}
	return false
}
