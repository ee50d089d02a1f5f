package room

import "context"

// Computer is what stands behind a BMC: the simulated machine of this package, or another kind, such as the virtual machines
// of the package qemu.
type Computer interface {
	// PowerOn puts power on the computer. The end of ctx cuts it again.
	PowerOn(ctx context.Context, plan BootPlan) (Running, error)
	// Insert puts the image at a URL into a virtual drive, or empties the drive when the URL is empty. The power is on or off.
	Insert(ctx context.Context, drive, url string) error
}

// Running is one time between power on and power off.
type Running interface {
	// Off is closed when the power is off: it was cut, or the operating system switched it off.
	Off() <-chan struct{}
	// Cut takes the power away, and returns when it is off.
	Cut()
	// PressButton asks the operating system to shut down (ACPI). Whether it does is up to it.
	PressButton(ctx context.Context) error
	// Interrupt raises a non-maskable interrupt.
	Interrupt(ctx context.Context) error
}

// The sources of a boot (Redfish ComputerSystem, BootSource).
const (
	SourceDisk    = "Hdd"
	SourceCD      = "Cd"
	SourceNetwork = "Pxe"
	// SourceHTTP is a boot over HTTP, which UEFI knows and a BIOS does not.
	SourceHTTP = "UefiHttp"
)

// The modes of a boot (Redfish ComputerSystem, BootSourceOverrideMode).
const (
	ModeUEFI   = "UEFI"
	ModeLegacy = "Legacy"
)

// BootPlan is what the firmware decided at power on.
type BootPlan struct {
	// Source is where the firmware looks first, Next where it does so when the operating system restarts the machine.
	Source, Next string
	// Mode is ModeUEFI or ModeLegacy.
	Mode string
	// Image is the URL in the virtual CD drive, empty when there is none.
	Image string
}
