package drivers

import "context"

// The devices that users see a virtual drive as (ironic/common/boot_devices.py, VMEDIA_DEVICES).
const (
	MediaDisk   = "disk"
	MediaCDROM  = "cdrom"
	MediaFloppy = "floppy"
)

// MediaDevices are all of them, in ironic's order.
var MediaDevices = []string{MediaDisk, MediaCDROM, MediaFloppy}

// MediaDrives is a management interface that gives users the virtual drives of a BMC. Ironic has it since 24.0.
type MediaDrives interface {
	// VirtualMedia lists the drives.
	VirtualMedia(ctx context.Context, t *Task) ([]MediaDrive, error)
	// AttachMedia puts the image behind a URL into a free drive for a device. Attaching it twice does no harm.
	AttachMedia(ctx context.Context, t *Task, device, url string) error
	// DetachMedia empties the drives for a device, "" stands for all.
	DetachMedia(ctx context.Context, t *Task, device string) error
}

// MediaDrive is a virtual drive and what is in it.
type MediaDrive struct {
	Types    []string // as Redfish names them: CD, DVD, Floppy, USBStick
	Inserted bool
	// Image is a URL, which may be a secret.
	Image string
}
