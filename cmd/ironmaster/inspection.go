package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/drivers/inspector"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// addInspection builds the inspect interfaces that a release of ironic has.
func (h *hardware) addInspection(s *config.Settings, release messaging.Release, agentCfg agent.Config, keep inspection.Store,
	parts *catalog.Parts) error {
	if s.Inventory.DataBackend == "swift" {
		return errors.New("[inventory]data_backend: this build does not keep inventories in Swift; it has database and none")
	}
	cfg, err := inspectionConfig(s.Inspector, release)
	if err != nil {
		return err
	}
	outOfBand := redfish.InspectConfig{Texts: release < messaging.V22_1, Inventory: release >= messaging.V22_1,
		Stored: storesInventory(s), SplitFailure: release < messaging.V2024_2, Serial: release >= messaging.V34_0}
	if release >= messaging.V2025_2 {
		if h.rules != nil {
			outOfBand.Rules = h.rules
		}
		if outOfBand.Hooks, err = inspection.NewHooks(s.Redfish.InspectionHooks, cfg, keep); err != nil {
			return fmt.Errorf("[redfish]inspection_hooks: %w", err)
		}
	}
	parts.RedfishInspect = redfish.NewInspect(h.redfish, outOfBand, keep)
	vendorInterfaces(parts.Vendors).add(vendorInspection(h.redfish, s, release, outOfBand, keep))
	boot := agent.InspectConfig{KernelParameters: kernelParameters(s.Inspector.ExtraKernelParams),
		PreCreatePorts: s.Inspector.PreCreatePorts, PowerOff: s.Inspector.PowerOff, CleansUp: release >= messaging.V2025_1,
		ForceDHCP: s.Inspector.ForceDHCP}
	if release <= messaging.V2025_2 {
		if err := h.addInspector(s, release, agentCfg, boot, keep, parts); err != nil {
			return err
		}
	}
	if release < messaging.V22_1 {
		return nil
	}
	hooks, err := inspection.NewHooks(s.Inspector.Hooks, cfg, keep)
	if err != nil {
		return fmt.Errorf("[inspector]hooks: %w", err)
	}
	boot.RequireManagedBoot = s.Inspector.RequireManagedBoot == nil || *s.Inspector.RequireManagedBoot
	parts.AgentInspect = agent.NewInspect(agentCfg, boot, hooks, keep)
	return nil
}

// addInspector builds the inspect interface inspector.
func (h *hardware) addInspector(s *config.Settings, release messaging.Release, agentCfg agent.Config, boot agent.InspectConfig,
	keep inspection.Store, parts *catalog.Parts) (err error) {
	c := inspector.Config{ServiceConfig: serviceConfig("inspector", s.Inspector.Auth, s.Inspector.ServiceType),
		Callback: s.Inspector.Callback, NotFound: "NotFoundException"}
	if c.AuthType == "" && s.Default.AuthStrategy != "keystone" {
		c.AuthType = keystone.AuthNone
	}
	if release < messaging.V2024_1 {
		c.NotFound = "ResourceNotFound"
	}
	if h.inspector, err = inspector.New(c); err != nil {
		return fmt.Errorf("[inspector]: %w", err)
	}
	boot.RequireManagedBoot = s.Inspector.RequireManagedBoot != nil && *s.Inspector.RequireManagedBoot
	parts.Inspector = agent.NewInspector(agentCfg, boot, h.inspector, keep, release >= messaging.V22_1)
	return nil
}

func storesInventory(s *config.Settings) bool { return s.Inventory.DataBackend == "database" }

// inspectionConfig is what hooks go by.
func inspectionConfig(i config.Inspector, release messaging.Release) (inspection.Config, error) {
	c := inspection.Config{AddPorts: i.AddPorts, KeepPorts: i.KeepPorts, UpdatePXEEnabled: i.UpdatePXEEnabled,
		Accelerators:        inspection.KnownAccelerators(release >= messaging.V2025_2),
		ExtraHardwareStrict: i.ExtraHardwareStrict, PartitioningSpacing: i.PartitioningSpacing,
		Differences: inspection.Differences{CPUs: release >= messaging.V2026_1, LocalGBText: release < messaging.V2026_1,
			SwitchInfo: release >= messaging.V2025_2, AcceleratorsGo: release >= messaging.V2025_2,
			ClientIDs: release >= messaging.V33_0}}
	if release >= messaging.V38_0 {
		c.Differences.MostLLDPCards = 64
	}
	// The file of ironic's package lists what the build knows by itself.
	if !strings.HasSuffix(i.KnownAccelerators, "/ironic/drivers/modules/inspector/hooks/known_accelerators.yaml") {
		text, err := os.ReadFile(i.KnownAccelerators)
		if err != nil {
			return c, fmt.Errorf("[inspector]known_accelerators: %w", err)
		}
		if c.Accelerators, err = inspection.ParseAccelerators(text); err != nil {
			return c, fmt.Errorf("[inspector]known_accelerators: %s: %w", i.KnownAccelerators, err)
		}
	}
	for _, p := range i.CPUCapabilities {
		c.CPUCapabilities = append(c.CPUCapabilities, inspection.CPUCapability{Flag: p.Name, Name: p.Value})
	}
	for _, text := range i.PhysicalNetworks {
		n, err := inspection.ParsePhysicalNetwork(text)
		if err != nil {
			return c, fmt.Errorf("[inspector]physical_network_cidr_map: %w", err)
		}
		c.PhysicalNetworks = append(c.PhysicalNetworks, n)
	}
	for _, text := range i.PCIDeviceAlias {
		var alias inspection.PCIAlias
		if err := json.Unmarshal([]byte(text), &alias); err != nil || alias.VendorID == "" || alias.ProductID == "" || alias.Name == "" {
			return c, fmt.Errorf("[inspector]pci_device_alias: %q is no object with vendor_id, product_id and name", text)
		}
		c.PCIAliases = append(c.PCIAliases, alias)
	}
	return c, nil
}

// kernelParameters reads a command line. A parameter without a value has an empty one.
func kernelParameters(line string) map[string]string {
	all := map[string]string{}
	for word := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(word, "=")
		all[key] = value
	}
	return all
}
