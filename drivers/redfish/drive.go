package redfish

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// drive is a VirtualMedia resource: a drive that the BMC shows to the machine.
type drive struct{ *schemas.VirtualMedia }

func (d *drive) takes(kind schemas.VirtualMediaType) bool { return slices.Contains(d.MediaTypes, kind) }

func (d *drive) optical() bool {
	return d.takes(schemas.CDVirtualMediaType) || d.takes(schemas.DVDVirtualMediaType)
}

func (d *drive) stick() bool { return d.takes(schemas.USBStickVirtualMediaType) }

// occupied believes Inserted where there is one; some BMCs only show the Image.
func (d *drive) occupied() bool {
	if d.Inserted != nil {
		return *d.Inserted
	}
	return d.Image != ""
}

// drives lists the virtual drives of a system. Newer services have them at the system, older ones at its manager.
func (s *system) drives() ([]*drive, error) {
	// In the order of their names: an iDRAC 10 boots from the first one alone.
	ordered := func(some []*schemas.VirtualMedia) []*schemas.VirtualMedia {
		slices.SortFunc(some, func(a, b *schemas.VirtualMedia) int { return strings.Compare(a.ODataID, b.ODataID) })
		return some
	}
	found, err := s.VirtualMedia()
	if err != nil {
		return nil, single(err)
	}
	ordered(found)
	managers, err := s.managers()
	if err != nil {
		return nil, err
	}
	for _, m := range managers {
		more, err := m.VirtualMedia()
		if err != nil {
			return nil, single(err)
		}
		found = append(found, ordered(more)...)
	}
	drives := make([]*drive, 0, len(found))
	for _, one := range found {
		// The same drives may be shown at both places.
		if !slices.ContainsFunc(drives, func(d *drive) bool { return d.ODataID == one.ODataID }) {
			drives = append(drives, &drive{one})
		}
	}
	return drives, nil
}

// managers are the BMCs of a system: those that it names, in its order, or else all of the service. iLO 4 names them in a way of its own,
// which reads as a link to nowhere.
func (s *system) managers() ([]*schemas.Manager, error) {
	var named struct {
		Links struct{ ManagedBy []schemas.Link }
	}
	if err := json.Unmarshal(s.RawData, &named); err != nil {
		return nil, err
	}
	links := named.Links.ManagedBy
	if len(links) == 0 || slices.ContainsFunc(links, func(l schemas.Link) bool { return l == "" }) {
		managers, err := s.api.Service.Managers()
		slices.SortFunc(managers, func(a, b *schemas.Manager) int { return cmp.Compare(a.ODataID, b.ODataID) })
		return managers, single(err)
	}
	var managers []*schemas.Manager
	for _, link := range links {
		manager, err := schemas.GetObject[schemas.Manager](s.api, link.String())
		if err != nil {
			return nil, err
		}
		managers = append(managers, manager)
	}
	return managers, nil
}

// insert puts the image behind url into a CD drive, or else a DVD drive, and nothing else into any.
func (s *system) insert(url string) error {
	return s.insertAs(url, (*drive).optical, schemas.CDVirtualMediaType, schemas.DVDVirtualMediaType)
}

// insertStick puts the image behind url into a drive for USB sticks.
func (s *system) insertStick(url string) error {
	return s.insertAs(url, (*drive).stick, schemas.USBStickVirtualMediaType)
}

func (s *system) insertAs(url string, fits func(*drive) bool, kinds ...schemas.VirtualMediaType) error {
	drives, err := s.ejectAllBut(url, fits)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		for _, d := range drives {
			if !d.takes(kind) {
				continue
			}
			if d.occupied() && d.Image == url {
				s.task.Log.Debug().Str("drive", d.ID).Msg("the image is inserted already")
				return nil
			}
			if d.occupied() {
				continue
			}
			return s.insertInto(d, url)
		}
	}
	return store.Errorf(store.InvalidParameterValue, "No suitable virtual media device found")
}

// ejectAllBut empties the drives of a kind, apart from one that holds the image to keep.
func (s *system) ejectAllBut(url string, fits func(*drive) bool) ([]*drive, error) {
	drives, err := s.drives()
	if err != nil {
		return nil, err
	}
	for _, d := range drives {
		if !fits(d) || !d.occupied() || url != "" && d.Image == url {
			continue
		}
		if err := d.eject(); err != nil {
			return nil, s.told(err, "Ejecting virtual media failed for node "+s.task.Node.UUID+". Error: ", d.Image)
		}
		s.task.Log.Info().Str("drive", d.ID).Msg("virtual media ejected")
		empty := false
		d.Inserted, d.Image = &empty, ""
	}
	return drives, nil
}

// eject uses the action, the vendor's own where there is none or it is refused (HPE), or a PATCH (Lenovo).
func (d *drive) eject() error {
	var err error
	if d.SupportsMediaEject {
		if _, err = d.EjectMedia(); !d.refused(err) {
			return err
		}
	}
	if own := d.vendorAction("EjectVirtualMedia"); own != "" {
		d.DisableEtagMatch(true)
		return d.Post(own, struct{}{})
	}
	if d.SupportsMediaEject {
		return err
	}
	return patch(d, map[string]any{"Image": nil, "Inserted": false})
}

// refused tells that a drive did not take an action, as old iLOs do not take the standard's.
func (d *drive) refused(err error) bool {
	status := statusOf(err)
	return status >= 400 && status < 500 && status != http.StatusUnauthorized && status != http.StatusForbidden
}

// vendorAction is the target of an action that a vendor had before the standard did, such as HPE's
// #HpeiLOVirtualMedia.InsertVirtualMedia; "" where there is none.
func (d *drive) vendorAction(name string) string {
	var vendors map[string]struct {
		Actions map[string]struct {
			Target string `json:"target"`
		}
	}
	if json.Unmarshal(d.OEM, &vendors) != nil {
		return ""
	}
	for _, vendor := range vendors {
		for action, one := range vendor.Actions {
			if strings.HasSuffix(action, "."+name) {
				return one.Target
			}
		}
	}
	return ""
}

// insertInto inserts, again after a while when the BMC is still busy with the ejection before, as Dell's are.
func (s *system) insertInto(d *drive, url string) error {
	for attempt := 1; ; attempt++ {
		err := d.insert(url)
		switch {
		case err == nil:
			s.task.Log.Info().Str("drive", d.ID).Msg("virtual media inserted")
			return nil
		case statusOf(err) < http.StatusInternalServerError || attempt >= s.session.cfg.InsertAttempts:
			return s.told(err, "Inserting virtual media failed for node "+s.task.Node.UUID+". Error: ", url)
		}
		if err := drivers.Pause(s.ctx, s.session.cfg.InsertInterval); err != nil {
			return err
		}
	}
}

// insert sends what BMCs agree on. Inserted and WriteProtected are true by default; Supermicro's refuse them in the action,
// Lenovo's need them in the PATCH. A BMC that asks for the protocol gets it.
func (d *drive) insert(url string) error {
	var err error
	if d.SupportsMediaInsert {
		if err = d.insertStandard(url); !d.refused(err) {
			return err
		}
	}
	if own := d.vendorAction("InsertVirtualMedia"); own != "" {
		d.DisableEtagMatch(true)
		return d.Post(own, map[string]string{"Image": url})
	}
	if d.SupportsMediaInsert {
		return err
	}
	return patch(d, map[string]any{"Image": url, "Inserted": true, "WriteProtected": true})
}

func (d *drive) insertStandard(url string) error {
	parameters := &schemas.VirtualMediaInsertMediaParameters{Image: url}
	_, err := d.InsertMedia(parameters)
	if statusOf(err) != http.StatusBadRequest || !strings.Contains(err.Error(), "TransferProtocolType") {
		return err
	}
	protocol := schemas.HTTPTransferProtocolType
	if strings.HasPrefix(strings.ToLower(url), "https:") {
		protocol = schemas.HTTPSTransferProtocolType
	}
	parameters.TransferProtocolType = &protocol
	_, err = d.InsertMedia(parameters)
	return err
}

// refuseOldDell refuses iDRACs that cannot boot from virtual media through the standard alone.
func (s *system) refuseOldDell() error {
	vendor := s.task.Node.Properties.String("vendor")
	if !slices.Contains(strings.Fields(vendor), "Dell") {
		return nil
	}
	managers, err := s.managers()
	if err != nil {
		return err
	}
	version := "unknown"
	for _, m := range managers {
		if m.ManagerType != schemas.BMCManagerType {
			continue
		}
		version = m.FirmwareVersion
		major, _, _ := strings.Cut(version, ".")
		if n, err := strconv.Atoi(major); err == nil && n >= 6 {
			return nil
		}
		break
	}
	return store.Errorf(store.InvalidParameterValue, "The redfish-virtual-media boot interface is not suitable for node %s "+
		"with vendor %s and BMC version %s, upgrade to 6.00.00.00 or newer or use idrac-redfish-virtual-media instead",
		s.task.Node.UUID, vendor, version)
}
