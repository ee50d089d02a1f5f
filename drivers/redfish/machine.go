package redfish

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Machine is what VirtualMedia asks of the hardware that boots an ISO. Each vendor's hardware type has its own; what all do alike,
// making, serving and remembering the ISO, is VirtualMedia's. Each of its methods may be called again at any time.
type Machine interface {
	// Validate checks how the node names its BMC, without asking it.
	Validate(ctx context.Context, t *drivers.Task) error
	// Fit refuses a machine that cannot boot this way.
	Fit(ctx context.Context, t *drivers.Task) error
	// Loaded tells whether the machine has an ISO.
	Loaded(ctx context.Context, t *drivers.Task) (bool, error)
	// Ready prepares a machine that is off for a ramdisk: above all its boot mode. The ISO is made after it, for the mode that the
	// machine then has.
	Ready(ctx context.Context, t *drivers.Task) error
	// Load shows the machine the ISO behind a URL, and makes it boot from there once, or from now on.
	Load(ctx context.Context, t *drivers.Task, url string, persistent bool) error
	// Unload takes the ISO away. That there is none is no error.
	Unload(ctx context.Context, t *drivers.Task) error
	// ReadyInstance sets the machine to the modes that its instance wants.
	ReadyInstance(ctx context.Context, t *drivers.Task) error
	// AttachStick shows the machine the image behind a URL as a USB stick; InvalidParameterValue tells that it has no place for one.
	AttachStick(ctx context.Context, t *drivers.Task, url string) error
	// DetachStick takes it away. That there is none is no error.
	DetachStick(ctx context.Context, t *drivers.Task) error
	// BootDisk makes a machine without an ISO boot from its disk from now on, as its instance wants it.
	BootDisk(ctx context.Context, t *drivers.Task) error
	// Release undoes what BootDisk did for one instance alone.
	Release(ctx context.Context, t *drivers.Task) error
}

// Standard is the Machine that does as the Redfish standard says, and as sushy and ironic do.
type Standard struct {
	bmcs *BMCs
	// bootMode is [deploy]default_boot_mode.
	bootMode string
	// refuse tells whether a system cannot boot from virtual media through the standard; nil refuses none.
	refuse func(*system) error
}

// NewStandard returns a Machine behind BMCs. bootMode is [deploy]default_boot_mode.
func NewStandard(b *BMCs, bootMode string) *Standard { return &Standard{bmcs: b, bootMode: bootMode} }

// Validate checks driver_info.
func (m *Standard) Validate(_ context.Context, t *drivers.Task) error { return m.bmcs.Validate(t.Node) }

// Fit refuses old iDRACs.
func (m *Standard) Fit(ctx context.Context, t *drivers.Task) error {
	if m.refuse == nil {
		return nil
	}
	return m.bmcs.Do(ctx, t, "Checking virtual media", m.refuse)
}

// Loaded looks into the CD and DVD drives.
func (m *Standard) Loaded(ctx context.Context, t *drivers.Task) (loaded bool, err error) {
	err = m.bmcs.Do(ctx, t, "Reading virtual media", func(s *System) error {
		drives, err := s.drives()
		loaded = slices.ContainsFunc(drives, func(d *drive) bool { return d.optical() && d.occupied() })
		return err
	})
	return loaded, err
}

// Ready sets the boot mode that is asked for.
func (m *Standard) Ready(ctx context.Context, t *drivers.Task) error {
	return drivers.SyncBootMode(ctx, t, m.bootMode)
}

// Load inserts the ISO and sets the boot device.
func (m *Standard) Load(ctx context.Context, t *drivers.Task, url string, persistent bool) error {
	if err := m.Insert(ctx, t, url); err != nil {
		return err
	}
	return drivers.SetBootDevice(ctx, t, store.BootDeviceCDROM, persistent)
}

// Insert puts the ISO into a CD drive, or else a DVD drive, and empties the others.
func (m *Standard) Insert(ctx context.Context, t *drivers.Task, url string) error {
	err := m.bmcs.Do(ctx, t, "Inserting virtual media CDROM", func(s *System) error { return s.insert(url) })
	// gofail: var isoInserted struct{}
	return err
}

// Unload empties the CD and DVD drives.
func (m *Standard) Unload(ctx context.Context, t *drivers.Task) error {
	return m.bmcs.Do(ctx, t, "Eject virtual media cdrom", func(s *System) error {
		_, err := s.ejectAllBut("", (*drive).optical)
		return err
	})
}

// AttachStick inserts the image.
func (m *Standard) AttachStick(ctx context.Context, t *drivers.Task, url string) error {
	return m.bmcs.Do(ctx, t, "Inserting virtual media USBSTICK", func(s *System) error { return s.insertStick(url) })
}

// DetachStick ejects what is in the drives for sticks.
func (m *Standard) DetachStick(ctx context.Context, t *drivers.Task) error {
	return m.bmcs.Do(ctx, t, "Eject virtual media usbstick", func(s *System) error {
		_, err := s.ejectAllBut("", (*drive).stick)
		return err
	})
}

// ReadyInstance sets boot mode and secure boot.
func (m *Standard) ReadyInstance(ctx context.Context, t *drivers.Task) error {
	if err := drivers.SyncBootMode(ctx, t, m.bootMode); err != nil {
		return err
	}
	return drivers.SetSecureBootIfWanted(ctx, t, true)
}

// BootDisk sets boot mode, secure boot and boot device.
func (m *Standard) BootDisk(ctx context.Context, t *drivers.Task) error {
	if err := m.ReadyInstance(ctx, t); err != nil {
		return err
	}
	return drivers.SetBootDevice(ctx, t, store.BootDeviceDisk, true)
}

// Release switches secure boot off for an instance that had asked for it.
func (m *Standard) Release(ctx context.Context, t *drivers.Task) error {
	return drivers.SetSecureBootIfWanted(ctx, t, false)
}

var _ Machine = (*Standard)(nil)
