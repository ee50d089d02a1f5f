package room

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// face is how a vendor's BMC shows a machine: names, paths, and what it has beside the standard. What a face adds is taken from
// recordings of real ones (drivers/ilo/testdata and its like).
type face struct {
	// vendor is what the routes of one vendor are marked with.
	vendor string
	// driver is the hardware type for such machines, keys what the keys of its driver_info begin with.
	driver, keys string
	// manufacturer and model are the machine's, controller and firmware the BMC's.
	manufacturer, model, controller, firmware string
	// systemID is empty when each machine has one of its own.
	systemID, managerID, chassisID string
	// media are the names of the virtual drives where they differ from the room's.
	media map[string]string
	// modeInBIOS tells that the boot mode is a BIOS setting; the boot override only shows it.
	modeInBIOS bool
	// keysByPatch tells that the keys of secure boot are reset by properties, for want of an action.
	keysByPatch bool
	// physicalCD tells that the Cd of the boot override is the machine's own drive, and the virtual one chosen otherwise.
	physicalCD bool
	// settings are BIOS settings that the machine is delivered with.
	settings map[string]any
	// system, manager and medium change the resources of the standard, where not nil.
	system  func(b *bmc, s *state, resource document)
	manager func(b *bmc, resource document)
	medium  func(self string, resource document)
}

var plainFace = &face{manufacturer: "Ironmaster", model: "Room machine", controller: "Room BMC", firmware: "1.0.0",
	managerID: "BMC", chassisID: "1", driver: "redfish", keys: "redfish_"}

// faces are those that a BMC can have, by the name in Config.BMC.
var faces = map[string]*face{"": plainFace, "hpe": hpeFace(5), "hpe-ilo4": hpeFace(4), "dell": dellFace(),
	"fujitsu": fujitsuFace()}

func (c *Config) faceOf(machine string) *face {
	name, own := c.BMCOf[machine]
	if !own {
		name = c.BMC
	}
	return faces[name]
}

// driverInfo is what a node says of a BMC in the words of its hardware type.
func (f *face) driverInfo(info Info) map[string]any {
	own := map[string]any{f.keys + "username": info.Username, f.keys + "password": info.Password, f.keys + "verify_ca": info.CAFile}
	switch f.keys {
	case "ilo_":
		at := strings.TrimPrefix(info.Address, "https://")
		own["ilo_address"], own["client_port"], _ = strings.Cut(at, ":")
	case "irmc_":
		own["irmc_address"] = strings.TrimPrefix(info.Address, "https://")
	default:
		own[f.keys+"address"], own[f.keys+"system_id"] = info.Address, info.SystemID
	}
	return own
}

func (c *Config) checkFaces() error {
	for _, name := range append(slices.Collect(maps.Values(c.BMCOf)), c.BMC) {
		if faces[name] == nil {
			known := slices.DeleteFunc(slices.Sorted(maps.Keys(faces)), func(n string) bool { return n == "" })
			return fmt.Errorf("no BMC has the face %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// mediaID is what the BMC calls one of the room's virtual drives, mediaName the way back.
func (f *face) mediaID(name string) string {
	if id, ok := f.media[name]; ok {
		return id
	}
	return name
}

func (f *face) mediaName(id string) string {
	for name, own := range f.media {
		if own == id {
			return name
		}
	}
	if len(f.media) > 0 {
		return ""
	}
	return id
}
