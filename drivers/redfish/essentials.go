package redfish

import "github.com/stmcginnis/gofish/schemas"

// Essentials are what the BMC tells of the whole machine, for the inspect interfaces of vendors whose inspection is another one.
type Essentials struct {
	// MemoryMB and Threads are 0 where the BMC does not tell; Architecture is ironic's name, "" for one that it does not know.
	MemoryMB, Threads int64
	Architecture      string
	// Cards are the addresses of the network cards that are healthy and enabled.
	Cards []string
	// LargestDisk is the size in bytes of the largest volume, or else of the largest drive; 0 without any.
	LargestDisk int64
	// Drives are all that the storage shows.
	Drives []*schemas.Drive
}

// Essentials reads them.
func (s *system) Essentials() (Essentials, error) {
	var f findings
	if err := s.findSize(&f); err != nil {
		return Essentials{}, err
	}
	if err := s.findCards(&f); err != nil {
		return Essentials{}, err
	}
	e := Essentials{MemoryMB: f.memoryMB, Threads: f.threads, Architecture: architectures[f.architecture], Cards: f.enabledCards()}
	var err error
	e.LargestDisk, err = s.largestDisk(&e.Drives)
	return e, err
}

// largestDisk adds the drives to all on its way.
func (s *system) largestDisk(all *[]*schemas.Drive) (int64, error) {
	stores, err := s.Storage()
	if err := s.unlessRefused("storage", err); err != nil {
		return 0, err
	}
	var volume, drive int64
	for _, one := range stores {
		volumes, err := one.Volumes()
		if err := s.unlessRefused("volumes", err); err != nil {
			return 0, err
		}
		for _, v := range volumes {
			if v.CapacityBytes != nil {
				volume = max(volume, int64(*v.CapacityBytes))
			}
		}
		drives, err := one.Drives()
		if err := s.unlessRefused("drives", err); err != nil {
			return 0, err
		}
		*all = append(*all, drives...)
		for _, d := range drives {
			if d.CapacityBytes != nil {
				drive = max(drive, int64(*d.CapacityBytes))
			}
		}
	}
	if volume > 0 {
		return volume, nil
	}
	simple, err := s.SimpleStorage()
	if err := s.unlessRefused("simple storage", err); err != nil {
		return 0, err
	}
	for _, one := range simple {
		for _, d := range one.Devices {
			if d.CapacityBytes != nil {
				drive = max(drive, int64(*d.CapacityBytes))
			}
		}
	}
	return drive, nil
}

// Members are the paths of a collection's members.
func (s *system) Members(collection string) ([]string, error) { return s.members(collection) }
