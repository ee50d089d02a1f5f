package redfish

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// RAIDVendor is what the raid interface of a vendor does beyond that of redfish. Nil parts do nothing.
type RAIDVendor struct {
	// Convert makes drives fit for arrays, which may make them smaller. It may be asked again for drives that are fit already.
	Convert func(ctx context.Context, t *drivers.Task, s *System, drives []RAIDDrive) error
}

// NewRAIDOf returns the raid interface of a vendor whose nodes name their BMCs as redfish has it.
func NewRAIDOf(c *Client, v RAIDVendor) *RAID {
	r := NewRAID(c)
	r.vendor = v
	return r
}

// RAIDController is a Storage resource as the packages of vendors see it.
type RAIDController struct {
	ID, Name string
	// Path is that of the controller's own resource, "" where the BMC has none.
	Path string
	// RAID tells that the BMC names levels which it makes.
	RAID bool
}

// RAIDControllers are those of the system that have a controller at all.
func (s *system) RAIDControllers() ([]RAIDController, error) {
	all, err := s.controllers()
	if err != nil {
		return nil, err
	}
	var named []RAIDController
	for _, c := range all {
		if c.named {
			named = append(named, c.shown())
		}
	}
	return named, nil
}

func (c *controller) shown() RAIDController {
	return RAIDController{ID: c.id, Name: c.name, Path: c.path, RAID: c.levels > 0}
}

// RAIDDrive is a drive that an array is to be made of.
type RAIDDrive struct {
	ID         string
	Controller RAIDController
	// Raw tells that the drive is shown to the machine as it is.
	Raw bool
}

// convert lets the vendor's part make the drives of volumes fit, and fits the volumes into what the drives then have.
//
// Crash window: what was planned for the drives as they were could not be planned again for converted ones. The row knows the plan before.
func (r *RAID) convert(s *system, work raidWork) (raidWork, error) {
	if r.vendor.Convert == nil {
		return work, nil
	}
	controllers, err := s.controllers()
	if err != nil {
		return work, s.told(err, "")
	}
	var drives []RAIDDrive
	for _, c := range controllers {
		for _, d := range c.drives {
			if !work.takes(d.ID) {
				continue
			}
			raw, err := s.isRaw(d.RawData)
			if err != nil {
				return work, s.told(err, "")
			}
			drives = append(drives, RAIDDrive{ID: d.ID, Controller: c.shown(), Raw: raw})
		}
	}
	if slices.ContainsFunc(drives, func(d RAIDDrive) bool { return d.Raw }) {
		pending, err := work.pending()
		if err != nil {
			return work, err
		}
		s.task.Node.DriverInternalInfo[keyPlan] = pending
		if err := s.task.Worker.Save(s.ctx, s.task); err != nil {
			return work, err
		}
	}
	if err := r.vendor.Convert(s.ctx, s.task, s, drives); err != nil {
		return work, err
	}
	disks, err := s.physicalDisks()
	if err != nil {
		return work, s.told(err, "")
	}
	return work.shrunk(disks)
}

// keyPlan holds the volumes of a step whose drives are being converted, until they were asked for.
const keyPlan = "ironmaster_raid_plan"

// begun is the work of a step that was begun before: as it was planned then, or else planned now.
func begun(ctx context.Context, t *drivers.Task, s *system, args store.Dict, do change) (raidWork, error) {
	plan := t.Node.DriverInternalInfo.Dict(keyPlan)
	if len(plan) == 0 {
		return do(ctx, t, s, args)
	}
	work := raidWork{Operation: operationCreate}
	return work, work.readPending(map[string]any(plan))
}

func (w raidWork) takes(drive string) bool {
	for _, volumes := range w.Pending {
		if slices.ContainsFunc(volumes, func(v volume) bool { return slices.Contains(v.Disks, drive) }) {
			return true
		}
	}
	return false
}

// isRaw tells whether a drive is shown to the machine as it is: its volume is no array.
func (s *system) isRaw(text []byte) (bool, error) {
	var drive struct{ Links struct{ Volumes []rawLink } }
	if err := json.Unmarshal(text, &drive); err != nil || len(drive.Links.Volumes) == 0 {
		return false, err
	}
	var first struct {
		VolumeType string
		RAIDType   *string
	}
	if err := s.Read(drive.Links.Volumes[0].Path, &first); err != nil {
		return false, err
	}
	return first.VolumeType == "RawDevice" || first.RAIDType == nil || *first.RAIDType == "", nil
}

// shrunk are the volumes as they fit onto disks that have become smaller.
func (w raidWork) shrunk(disks []physicalDisk) (raidWork, error) {
	left := space{}
	for _, d := range disks {
		left[d.Path] = d.Capacity
	}
	for _, name := range w.sortedControllers() {
		volumes := slices.Clone(w.Pending[name])
		for i, v := range volumes {
			own := slices.DeleteFunc(slices.Clone(disks), func(d physicalDisk) bool { return !slices.Contains(v.Disks, d.ID) })
			largest, untouched := v, space{}
			for _, d := range own {
				untouched[d.Path] = left[d.Path]
			}
			largest.Max = true
			if err := fitOn(&largest, own, untouched); err != nil {
				return w, err
			}
			volumes[i].Size = min(v.Size, largest.Size)
			if err := fitOn(&volumes[i], own, left); err != nil {
				return w, err
			}
		}
		w.Pending[name] = volumes
	}
	return w, nil
}
