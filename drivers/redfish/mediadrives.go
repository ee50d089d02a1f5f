package redfish

import (
	"context"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// deviceTypes are Redfish's words for the devices of users. A drive that takes DVDs alone is good for CDs.
var deviceTypes = map[string][]schemas.VirtualMediaType{
	drivers.MediaCDROM:  {schemas.CDVirtualMediaType, schemas.DVDVirtualMediaType},
	drivers.MediaFloppy: {schemas.FloppyVirtualMediaType},
	drivers.MediaDisk:   {schemas.USBStickVirtualMediaType},
}

func (d *drive) isFor(device string) bool {
	for _, kind := range deviceTypes[device] {
		if d.takes(kind) {
			return true
		}
	}
	return false
}

// VirtualMedia lists the BMC's virtual drives.
func (m *Management) VirtualMedia(ctx context.Context, t *drivers.Task) (all []drivers.MediaDrive, err error) {
	err = m.on(ctx, t, "", func(s *system) error {
		drives, err := s.drives()
		if err != nil {
			return err
		}
		for _, d := range drives {
			one := drivers.MediaDrive{Inserted: d.occupied(), Image: d.Image, Types: []string{}}
			for _, kind := range d.MediaTypes {
				one.Types = append(one.Types, string(kind))
			}
			all = append(all, one)
		}
		if len(drives) == 0 {
			return noDrive()
		}
		return nil
	})
	return all, err
}

func noDrive() error {
	return store.Errorf(store.InvalidParameterValue, "No suitable virtual media device found")
}

// AttachMedia puts an image into the first free drive for a device that takes it: some BMCs have drives for their own use, which refuse.
func (m *Management) AttachMedia(ctx context.Context, t *drivers.Task, device, url string) error {
	return m.on(ctx, t, "", func(s *system) error {
		drives, err := s.drives()
		if err != nil {
			return err
		}
		refused := noDrive()
		for _, d := range drives {
			switch {
			case !d.isFor(device):
				continue
			case d.occupied() && d.Image == url:
				return nil
			case d.occupied():
				continue
			}
			err := s.insertInto(d, url)
			if err == nil {
				return nil
			}
			if store.KindOf(err) != store.RedfishError {
				return err
			}
			refused = store.Errorf(store.InvalidParameterValue, "All virtual media mount attempts failed. Most recent error: %w", err)
		}
		return refused
	})
}

// DetachMedia empties the drives for a device.
func (m *Management) DetachMedia(ctx context.Context, t *drivers.Task, device string) error {
	return m.on(ctx, t, "", func(s *system) error {
		_, err := s.ejectAllBut("", func(d *drive) bool { return device == "" || d.isFor(device) })
		return err
	})
}

var _ drivers.MediaDrives = (*Management)(nil)
