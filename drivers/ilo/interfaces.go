package ilo

import (
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/redfish"
)

// Interfaces returns every interface of HPE's hardware types by its name. media, isos and publisher are those of
// redfish-virtual-media, with the kernel parameters of [ilo].
func Interfaces(c *redfish.Client, cfg Config, media redfish.VirtualMediaConfig, isos *bootiso.Builder,
	publisher redfish.Publisher) map[drivers.InterfaceType]map[string]drivers.Interface {
	return map[drivers.InterfaceType]map[string]drivers.Interface{
		drivers.TypeBoot:       {"ilo-virtual-media": NewVirtualMedia(c, cfg, media, isos, publisher)},
		drivers.TypeManagement: {"ilo": NewManagement(c, cfg), "ilo5": NewManagement5(c, cfg)},
		drivers.TypePower:      {"ilo": NewPower(c, cfg)},
	}
}
