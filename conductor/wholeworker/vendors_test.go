package wholeworker

import (
	"fmt"
	"maps"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// vendorCases are machines with the BMC of a vendor, by the boot interface that suits it.
var vendorCases = []struct{ face, boot, mode string }{
	{"hpe", "ilo-virtual-media", "uefi"},
	{"hpe", "ilo-virtual-media", "bios"},
	{"hpe-ilo4", "ilo-virtual-media", "uefi"},
	{"dell", "idrac-redfish-virtual-media", "bios"},
	{"fujitsu", "irmc-virtual-media", "uefi"},
}

// TestVendors takes machines with vendors' BMCs through their whole life, with the hardware types of the vendors.
func TestVendors(t *testing.T) {
	w := start(t, setup{database: "sqlite", extra: options{
		"DEFAULT": {"enabled_hardware_types": "redfish,ilo,ilo5,idrac,irmc",
			"enabled_boot_interfaces":  "redfish-virtual-media,ilo-virtual-media,idrac-redfish-virtual-media,irmc-virtual-media",
			"enabled_power_interfaces": "redfish,ilo,idrac-redfish,irmc", "enabled_management_interfaces": "redfish,ilo,ilo5,idrac-redfish,irmc"},
		"ilo": {"power_wait": "1"},
	}})
	faces := map[string]string{}
	for i, c := range vendorCases {
		faces[fmt.Sprintf("machine-%04d", i)] = c.face
	}
	machines := w.openRoom(t, room.Config{Seed: 3, Count: len(vendorCases), BMCOf: faces}).Machines()
	img := makeImage(t, w.wares, 12, 1)
	web := startWebServer(t)
	t.Run("machines", func(t *testing.T) {
		for i, c := range vendorCases {
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
