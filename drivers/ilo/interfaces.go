package ilo

import (
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/redfish"
)

// Interfaces returns the interfaces of HPE's hardware types by their names, but for NetworkBoot and Console, which stand on those of
// others. settings is where BIOS settings are kept; media, isos and publisher are those of
// redfish-virtual-media, with the kernel parameters of [ilo].
func Interfaces(c *redfish.Client, cfg Config, settings Settings, media redfish.VirtualMediaConfig, isos *bootiso.Builder,
	publisher redfish.Publisher) map[drivers.InterfaceType]map[string]drivers.Interface {
	virtual := NewVirtualMedia(c, cfg, media, isos, publisher)
	return map[drivers.InterfaceType]map[string]drivers.Interface{
		drivers.TypeBIOS: {"ilo": NewBIOS(c, cfg, settings)},
		drivers.TypeBoot: {"ilo-virtual-media": virtual,
			"ilo-uefi-https": NewHTTPS(c, cfg, media, isos, publisher)},
		drivers.TypeManagement: {"ilo": NewManagement(c, cfg), "ilo5": NewManagement5(c, cfg)},
		drivers.TypePower:      {"ilo": NewPower(c, cfg)},
		drivers.TypeRAID:       {"ilo5": NewRAID(c, cfg)},
		drivers.TypeVendor:     {"ilo": NewPassthru(c, cfg, virtual)},
	}
}
