package redfish

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"

	"github.com/stmcginnis/gofish/schemas"
)

// controller is a Storage resource: a RAID controller with its drives and volumes.
type controller struct {
	id string
	// raid is false of one that says it makes no arrays.
	raid    bool
	volumes string // the collection, "" where there is none
	drives  []*schemas.Drive
	// applyTimes are when the controller says that it may do what it is asked.
	applyTimes []string
	// named tells that the resource tells of a controller.
	named bool
	// name is that controller's, path that of its own resource where it has one, levels how many kinds of arrays it names.
	name, path string
	levels     int
}

// controllers reads the storage of a system. Its error is *missing when the system has none.
func (s *system) controllers() ([]*controller, error) {
	collection, err := linked(s.ODataID, s.RawData, "Storage")
	if err != nil {
		return nil, err
	}
	paths, err := s.members(collection)
	if err != nil {
		return nil, err
	}
	var all []*controller
	for _, path := range paths {
		c, err := s.controller(path)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (s *system) controller(path string) (*controller, error) {
	storage, err := schemas.GetObject[schemas.Storage](s.api, path)
	if err != nil {
		return nil, err
	}
	c := &controller{id: storage.ID, raid: true}
	if err := s.readRAIDTypes(c, storage); err != nil {
		return nil, err
	}
	if err := s.readDrives(c, storage); err != nil {
		return nil, err
	}
	var none *missing
	if c.volumes, err = linked(path, storage.RawData, "Volumes"); err != nil && !errors.As(err, &none) {
		return nil, err
	}
	return c, nil
}

// readDrives reads the drives in the order in which the resource names them, by which disks are chosen.
func (s *system) readDrives(c *controller, storage *schemas.Storage) (err error) {
	if c.drives, err = storage.Drives(); err != nil {
		return single(err)
	}
	var named struct{ Drives []rawLink }
	if err := json.Unmarshal(storage.RawData, &named); err != nil {
		return err
	}
	place := func(d *schemas.Drive) int {
		return slices.IndexFunc(named.Drives, func(l rawLink) bool { return l.Path == d.ODataID })
	}
	slices.SortStableFunc(c.drives, func(a, b *schemas.Drive) int { return cmp.Compare(place(a), place(b)) })
	return nil
}

// readRAIDTypes looks whether the first controller of a storage makes arrays: newer services have a resource for it.
func (s *system) readRAIDTypes(c *controller, storage *schemas.Storage) error {
	type one struct {
		Name               string
		SupportedRAIDTypes *[]string
	}
	var embedded struct {
		StorageControllers []one
		Controllers        rawLink
	}
	if err := json.Unmarshal(storage.RawData, &embedded); err != nil {
		return err
	}
	if embedded.Controllers.Path != "" {
		paths, err := s.members(embedded.Controllers.Path)
		if err != nil {
			return err
		}
		if len(paths) > 0 {
			var first one
			if err := s.Read(paths[0], &first); err != nil {
				return err
			}
			embedded.StorageControllers, c.path = []one{first}, paths[0]
		}
	}
	if len(embedded.StorageControllers) > 0 {
		first := embedded.StorageControllers[0]
		c.named, c.name, c.raid = true, first.Name, true
		if types := first.SupportedRAIDTypes; types != nil {
			c.levels = len(*types)
			c.raid = c.levels > 0
		}
	}
	return nil
}

// arrays are the volumes of a controller, and when it would change them.
func (s *system) arrays(c *controller) ([]array, error) {
	if c.volumes == "" {
		return nil, nil
	}
	var collection struct {
		Support struct{ SupportedValues []string } `json:"@Redfish.OperationApplyTimeSupport"`
	}
	if err := s.Read(c.volumes, &collection); err != nil {
		return nil, err
	}
	c.applyTimes = collection.Support.SupportedValues
	paths, err := s.members(c.volumes)
	if err != nil {
		return nil, err
	}
	var all []array
	for _, path := range paths {
		a := array{path: path}
		if err := s.Read(path, &a); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// array is a Volume resource.
type array struct {
	path          string
	ID            string `json:"Id"`
	Name          string
	RAIDType      string
	CapacityBytes int64
	Links         struct{ Drives []rawLink }
}

// on tells whether the array is made of exactly these drives.
func (a array) on(paths []string) bool {
	var own []string
	for _, d := range a.Links.Drives {
		own = append(own, d.Path)
	}
	slices.Sort(own)
	return len(own) > 0 && slices.Equal(own, slices.Sorted(slices.Values(paths)))
}

// applyImmediately is the apply time of changes that are made at once.
const applyImmediately = "Immediate"

// applyTime is when a controller is asked to change its volumes: at once where it can, "" when it does not say.
func (c *controller) applyTime() string {
	for _, when := range []string{applyImmediately, "OnReset"} {
		if slices.Contains(c.applyTimes, when) {
			return when
		}
	}
	return ""
}
