// Package irmc drives Fujitsu's machines, the hardware type irmc, over the Redfish service of the iRMC: drivers/redfish does the work, and
// here are the words of ironic for it. Upstream speaks SCCI, SNMP and IPMI with an iRMC, and Redfish with those that have IPMI
// switched off.
package irmc

import (
	"context"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Config holds the options of [irmc], and those of other groups that count here.
type Config struct {
	// Port, Timeout, AuthMethod and SensorMethod count for nodes that say nothing ([irmc]port, client_timeout, auth_method,
	// sensor_method).
	Port                     int
	Timeout                  time.Duration
	AuthMethod, SensorMethod string
	// VerifyCA is [DEFAULT]webserver_verify_ca, for nodes that say nothing about irmc_verify_ca.
	VerifyCA redfish.Verify
	// BootMode is [deploy]default_boot_mode.
	BootMode string
	// SNMP holds what nodes are checked against.
	SNMP SNMP
	// Sensing reads sensors by IPMI.
	Sensing drivers.Sensing
	// SessionPause is the pause between two looks at a session of eLCM that is waited for; 0 is that of upstream.
	SessionPause time.Duration
}

// Interfaces returns every interface of the hardware type by its name. settings is where BIOS settings are kept; media, isos and publisher are those of redfish-virtual-media, with
// the kernel parameters of [irmc].
func Interfaces(c *redfish.Client, cfg Config, settings Settings, media redfish.VirtualMediaConfig, isos *bootiso.Builder,
	publisher redfish.Publisher) map[drivers.InterfaceType]map[string]drivers.Interface {
	return map[drivers.InterfaceType]map[string]drivers.Interface{
		drivers.TypeBIOS:       {"irmc": NewBIOS(cfg, settings)},
		drivers.TypeBoot:       {"irmc-virtual-media": NewVirtualMedia(c, cfg, media, isos, publisher)},
		drivers.TypeManagement: {"irmc": NewManagement(c, cfg)},
		drivers.TypePower:      {"irmc": NewPower(c, cfg)},
		drivers.TypeVendor:     {"irmc": NewPassthru(c, cfg)},
	}
}

// bmcs reaches iRMCs through the sessions of c.
func bmcs(c *redfish.Client, cfg Config, failed func(operation, reason string) error) *redfish.BMCs {
	return c.Of(redfish.Vendor{Failed: failed, Access: func(n *store.Node) (redfish.Access, error) { return access(n, cfg) }})
}

// operationFailed is ironic's IRMCOperationError.
func operationFailed(operation, reason string) error {
	return store.Errorf(store.IRMCOperationError, "iRMC %s failed. Reason: %s", operation, reason)
}

// Power is the power interface irmc.
type Power struct{ *redfish.Power }

// NewPower returns the power interface irmc.
func NewPower(c *redfish.Client, cfg Config) *Power {
	return &Power{redfish.NewPowerOf(bmcs(c, cfg, operationFailed))}
}

// Properties describes how a node names its iRMC.
func (*Power) Properties() map[string]string { return properties() }

// Management is the management interface irmc. As upstream's it leaves the boot mode and LEDs alone.
type Management struct {
	*redfish.Management
	bmcs *redfish.BMCs
	cfg  Config
}

// NewManagement returns the management interface irmc. What fails is a RedfishError, as upstream's is when it speaks Redfish.
func NewManagement(c *redfish.Client, cfg Config) *Management {
	b := bmcs(c, cfg, nil)
	return &Management{redfish.NewManagementOf(b, cfg.BootMode), b, cfg}
}

// Properties describes how a node names its iRMC.
func (*Management) Properties() map[string]string { return properties() }

// BootMode refuses.
func (*Management) BootMode(_ context.Context, t *drivers.Task) (string, error) {
	return "", drivers.Unsupported(t, "get_boot_mode")
}

// SetBootMode refuses.
func (*Management) SetBootMode(_ context.Context, t *drivers.Task, _ string) error {
	return drivers.Unsupported(t, "set_boot_mode")
}

// SupportedIndicators refuses.
func (*Management) SupportedIndicators(_ context.Context, t *drivers.Task, _ string) (map[string]map[string]drivers.Indicator, error) {
	return nil, drivers.Unsupported(t, "get_supported_indicators")
}

// IndicatorState refuses.
func (*Management) IndicatorState(_ context.Context, t *drivers.Task, _, _ string) (string, error) {
	return "", drivers.Unsupported(t, "get_indicator_state")
}

// SetIndicatorState refuses.
func (*Management) SetIndicatorState(_ context.Context, t *drivers.Task, _, _, _ string) error {
	return drivers.Unsupported(t, "set_indicator_state")
}

// Steps offers, in verification, the look at the iRMC that upstream begins with.
func (m *Management) Steps(kind drivers.StepKind) []drivers.Step {
	if kind != drivers.VerifyStep {
		return nil
	}
	return []drivers.Step{{Interface: drivers.TypeManagement, Name: "verify_http_https_connection_and_fw_version", Priority: 10,
		Run: func(ctx context.Context, t *drivers.Task, _ store.Dict) (drivers.Outcome, error) {
			if err := m.bmcs.Validate(t.Node); err != nil {
				return drivers.Done, operationFailed("configuration validation", err.Error())
			}
			return drivers.Done, noteFirmware(ctx, t, m.bmcs, "establishing connection to REST API")
		}}}
}

// VirtualMedia is the boot interface irmc-virtual-media: the iRMC takes the ISO over HTTP from the worker, and not from a share in the
// network.
type VirtualMedia struct {
	*redfish.VirtualMedia
	bmcs *redfish.BMCs
}

// NewVirtualMedia returns the boot interface irmc-virtual-media.
func NewVirtualMedia(c *redfish.Client, cfg Config, media redfish.VirtualMediaConfig, isos *bootiso.Builder,
	publisher redfish.Publisher) *VirtualMedia {
	media.Vendor, media.Name = "irmc", "iRMC virtual media for %s"
	media.AsksForISO = true
	b := bmcs(c, cfg, operationFailed)
	return &VirtualMedia{redfish.NewMedia(redfish.NewStandard(b, media.DefaultBootMode), media, isos, publisher), b}
}

// Validate checks the image that is written, and then the ramdisk. A node that writes none boots a volume, with the help of its iRMC.
func (v *VirtualMedia) Validate(ctx context.Context, t *drivers.Task) error {
	writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t)
	if err != nil {
		return err
	}
	if !writes {
		return v.bmcs.Validate(t.Node)
	}
	if err := v.ValidateInstance(ctx, t); err != nil {
		return err
	}
	return v.ValidateRamdisk(t.Node)
}

// Capabilities are ironic's: no instance runs from an ISO.
func (*VirtualMedia) Capabilities() []string {
	return []string{drivers.CanBootISCSI, "fibre_channel_volume_boot"}
}

// Properties describes how a node names its iRMC, the ISO that it may bring, and what upstream boots volumes by.
func (*VirtualMedia) Properties() map[string]string {
	all := properties()
	all[drivers.KeyBootPersistency] = drivers.DescribeBootPersistency
	all[drivers.KeyKernelParams] = drivers.DescribeKernelParams("irmc")
	all["deploy_iso"] = "Deployment ISO image file name. Required."
	all["irmc_pci_physical_ids"] = "Physical IDs of PCI cards. A dictionary of pairs of resource UUID and its physical ID like " +
		"'<UUID>:<Physical ID>,...'. The resources are Ports and Volume connectors. The Physical ID consists of card type, slot No, and port No. " +
		"The format is {LAN|FC|CNA}<slot-No>-<Port-No>. This parameter is necessary for booting a node from a remote volume. Optional."
	all["irmc_storage_network_size"] = "Size of the network for iSCSI storage network. This is the size of the IPv4 subnet mask that the " +
		"storage network is configured to utilize, in a range between 1 and 31 inclusive. This is necessary for booting a node from a remote " +
		"iSCSI volume. Optional."
	return all
}

var (
	_ drivers.Power      = (*Power)(nil)
	_ drivers.Controlled = (*Power)(nil)
	_ drivers.Management = (*Management)(nil)
	_ drivers.Sensing    = (*Management)(nil)
	_ drivers.Boot       = (*VirtualMedia)(nil)
)
