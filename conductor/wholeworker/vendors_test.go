package wholeworker

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// vendorCase is a machine with the BMC of a vendor, and the boot interface that suits it.
type vendorCase struct{ face, boot, mode string }

// vendorCases are those on every release, and formerCases those of hardware types that ironic had up to 35.0.
var (
	vendorCases = []vendorCase{{"dell", "idrac-redfish-virtual-media", "bios"}}
	formerCases = []vendorCase{
		{"hpe", "ilo-virtual-media", "uefi"},
		{"hpe", "ilo-virtual-media", "bios"},
		{"hpe-ilo4", "ilo-virtual-media", "uefi"},
		{"fujitsu", "irmc-virtual-media", "uefi"},
	}
)

// TestVendors takes machines with vendors' BMCs through their whole life, with the hardware types of the vendors.
func TestVendors(t *testing.T) {
	cases := slices.Clone(vendorCases)
	w := start(t, setup{database: "sqlite", own: func(w *world) options {
		enabled := map[string]string{"enabled_hardware_types": "redfish,idrac",
			"enabled_boot_interfaces":  "redfish-virtual-media,idrac-redfish-virtual-media",
			"enabled_power_interfaces": "redfish,idrac-redfish", "enabled_management_interfaces": "redfish,idrac-redfish"}
		version, err := w.lab.IronicVersion()
		must(t, err)
		if version <= "35.0" {
			cases = append(cases, formerCases...)
			enabled["enabled_hardware_types"] += ",ilo,ilo5,irmc"
			enabled["enabled_boot_interfaces"] += ",ilo-virtual-media,irmc-virtual-media"
			enabled["enabled_power_interfaces"] += ",ilo,irmc"
			enabled["enabled_management_interfaces"] += ",ilo,ilo5,irmc"
		}
		return options{"DEFAULT": enabled, "ilo": {"power_wait": "1"}}
	}})
	faces := map[string]string{}
	for i, c := range cases {
		faces[fmt.Sprintf("machine-%04d", i)] = c.face
	}
	machines := w.openRoom(t, room.Config{Seed: 3, Count: len(cases), BMCOf: faces}).Machines()
	img := makeImage(t, w.wares, 12, 1)
	web := startWebServer(t)
	t.Run("machines", func(t *testing.T) {
		for i, c := range cases {
			t.Run(c.face+" "+c.mode, func(t *testing.T) {
				t.Parallel()
				l := life{w: w, machine: machines[i], image: img, source: sources[1]}
				l.instance = l.source.instance(t, w, web, img)
				info := machines[i].Info()
				own := map[string]any{"driver": info.Driver, "boot_interface": c.boot, "driver_info": maps.Clone(info.DriverInfo)}
				own["properties"] = map[string]any{"capabilities": "boot_mode:" + c.mode, "cpu_arch": info.CPUArch}
				l.own = own
				l.run(t)
			})
		}
	})
	w.checkNothingHeld(t)
}
