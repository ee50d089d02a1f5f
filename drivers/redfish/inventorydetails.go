package redfish

import (
	"encoding/json"
	"errors"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/store"
)

// details are what an inventory tells of a machine's parts since 34.0.
type details struct {
	controllers, functions []any
	neighbours             store.Dict
}

// tell adds them to what hooks work on.
func (d details) tell(inventory, pluginData store.Dict) {
	if len(d.controllers) > 0 {
		inventory["storage_controllers"] = d.controllers
	}
	if len(d.functions) > 0 {
		inventory["pci_devices"] = d.functions
	}
	if len(d.neighbours) > 0 {
		pluginData["parsed_lldp"] = d.neighbours
	}
}

// describedDrive is a Drive as the inventory tells of it. What the BMC does not tell is nil.
type describedDrive struct {
	ID           *string `json:"Id"`
	Name         *string
	Capacity     *json.Number `json:"CapacityBytes"`
	MediaType    *string
	SerialNumber *string
	Manufacturer *string
	Model        *string
	Revision     *string
	Protocol     *string
	Status       *describedStatus
}

type describedStatus struct{ Health, State, HealthRollup *string }

// dict is nil for a status without any word.
func (s *describedStatus) dict() any {
	all := map[string]any{}
	for key, word := range map[string]*string{"health": s.Health, "state": s.State, "health_rollup": s.HealthRollup} {
		if word != nil {
			all[key] = *word
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// disk is the drive among the inventory's disks.
func (d describedDrive) disk() store.Dict {
	one := store.Dict{"name": wordOrNil(d.Name), "size": numberOrNil(d.Capacity), "vendor": wordOrNil(d.Manufacturer), "model": wordOrNil(d.Model),
		"serial": wordOrNil(d.SerialNumber)}
	if d.MediaType != nil && *d.MediaType != "" {
		one["rotational"] = *d.MediaType == string(schemas.HDDMediaType)
	}
	return one
}

// part is the drive below its controller.
func (d describedDrive) part() map[string]any {
	one := map[string]any{"name": wordOrNil(d.Name), "size": numberOrNil(d.Capacity), "id": wordOrNil(d.ID), "media_type": wordOrNil(d.MediaType),
		"serial_number": wordOrNil(d.SerialNumber), "manufacturer": wordOrNil(d.Manufacturer), "model": wordOrNil(d.Model), "revision": wordOrNil(d.Revision)}
	if d.Protocol != nil {
		one["protocol"] = *d.Protocol
	}
	if d.Status != nil {
		one["status"] = d.Status.dict()
	}
	return one
}

func wordOrNil(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

func numberOrNil(n *json.Number) any {
	if n == nil {
		return nil
	}
	return *n
}

// describeDrives reads drives anew from the answers that told of them.
func describeDrives(drives []*schemas.Drive) []describedDrive {
	var all []describedDrive
	for _, d := range drives {
		var one describedDrive
		if json.Unmarshal(d.RawData, &one) == nil {
			all = append(all, one)
		}
	}
	return all
}

// describeStorage is a Storage resource with its controllers and drives.
func describeStorage(s *schemas.Storage, drives []describedDrive) map[string]any {
	var raw struct {
		Name               *string
		StorageControllers []struct {
			MemberID  *string `json:"MemberId"`
			Name      *string
			RAIDTypes []string     `json:"SupportedRAIDTypes"`
			Speed     *json.Number `json:"SpeedGbps"`
			Protocols []string     `json:"SupportedControllerProtocols"`
			Devices   []string     `json:"SupportedDeviceProtocols"`
			Status    *describedStatus
		}
	}
	_ = json.Unmarshal(s.RawData, &raw) // A BMC that writes its controllers otherwise tells nothing of them.
	controllers, parts := []any{}, []any{}
	for _, c := range raw.StorageControllers {
		one := map[string]any{"member_id": wordOrNil(c.MemberID), "name": wordOrNil(c.Name), "raid_types": asList(c.RAIDTypes), "speed_gbps": numberOrNil(c.Speed),
			"controller_protocols": asList(c.Protocols), "device_protocols": asList(c.Devices)}
		if c.Status != nil {
			one["status"] = c.Status.dict()
		}
		controllers = append(controllers, one)
	}
	for _, d := range drives {
		parts = append(parts, d.part())
	}
	return map[string]any{"id": s.ID, "name": wordOrNil(raw.Name), "storage_controllers": controllers, "drives": parts}
}

// unlessUntold is unlessRefused for what no inspection must fail by: what a BMC tells in a way of its own is not told, either.
func (s *system) unlessUntold(what string, err error) error {
	var odd *notRedfish
	if errors.As(err, &odd) {
		s.task.Log.Warn().Str("reason", s.session.explain(err)).Msg("The BMC does not tell of the machine's " + what + " as Redfish has it")
		return nil
	}
	return s.unlessRefused(what, err)
}

// findFunctions reads the functions of the PCI devices. A BMC that does not tell of some leaves them out.
func (s *system) findFunctions(d *details) error {
	devices, err := s.pciDevices()
	if err != nil {
		return err
	}
	for _, at := range devices {
		functions, err := s.membersBehind(at, "PCIeFunctions")
		if err := s.unlessUntold("PCI devices", err); err != nil {
			return err
		}
		for _, at := range functions {
			var raw struct {
				Class           *string `json:"DeviceClass"`
				Device          *string `json:"DeviceId"`
				Vendor          *string `json:"VendorId"`
				Subsystem       *string `json:"SubsystemId"`
				SubsystemVendor *string `json:"SubsystemVendorId"`
				Revision        *string `json:"RevisionId"`
			}
			if err := s.Read(at, &raw); err != nil {
				if err := s.unlessUntold("PCI functions", err); err != nil {
					return err
				}
				continue
			}
			one := map[string]any{}
			for key, value := range map[string]*string{"class": raw.Class, "product_id": raw.Device, "vendor_id": raw.Vendor,
				"subsystem_id": raw.Subsystem, "subsystem_vendor_id": raw.SubsystemVendor, "revision": raw.Revision} {
				if value != nil {
					one[key] = *value
				}
			}
			if len(one) > 0 {
				d.functions = append(d.functions, one)
			}
		}
	}
	return nil
}

// pciDevices are the paths of the devices, which some systems list themselves and others in a collection.
func (s *system) pciDevices() ([]string, error) {
	var listed struct{ PCIeDevices []rawLink }
	if json.Unmarshal(s.RawData, &listed) == nil {
		var paths []string
		for _, one := range listed.PCIeDevices {
			if one.Path != "" {
				paths = append(paths, one.Path)
			}
		}
		return paths, nil
	}
	at, err := linked(s.ODataID, s.RawData, "PCIeDevices")
	if err != nil {
		return nil, nil //nolint:nilerr // A system that names none has none.
	}
	paths, err := s.members(at)
	return paths, s.unlessUntold("PCI devices", err)
}

// membersBehind are the paths in the collection that a property of a resource leads to; none without it.
func (s *system) membersBehind(at, property string) ([]string, error) {
	var resource json.RawMessage
	if err := s.Read(at, &resource); err != nil {
		return nil, err
	}
	collection, err := linked(at, resource, property)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.members(collection)
}

// findNeighbours reads what the ports of network cards have heard of the switches that they hang on.
func (s *system) findNeighbours(d *details) error {
	var links struct {
		Links struct{ Chassis []rawLink }
	}
	if err := json.Unmarshal(s.RawData, &links); err != nil {
		return s.unlessUntold("chassis", &notRedfish{"GET", s.ODataID, err.Error()})
	}
	d.neighbours = store.Dict{}
	for _, chassis := range links.Links.Chassis {
		adapters, err := s.membersBehind(chassis.Path, "NetworkAdapters")
		if err := s.unlessUntold("network adapters", err); err != nil {
			return err
		}
		for _, adapter := range adapters {
			ports, err := s.membersBehind(adapter, "Ports")
			if err := s.unlessUntold("ports of network adapters", err); err != nil {
				return err
			}
			for _, at := range ports {
				if err := s.hear(at, d.neighbours); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// hear adds what a port has heard.
func (s *system) hear(at string, all store.Dict) error {
	var port struct {
		ID       string `json:"Id"`
		Ethernet struct {
			LLDP struct {
				Chassis     string      `json:"ChassisId"`
				Port        string      `json:"PortId"`
				Name        string      `json:"SystemName"`
				Description string      `json:"SystemDescription"`
				VLAN        json.Number `json:"ManagementVlanId"`
			} `json:"LLDPReceive"`
		}
	}
	if err := s.Read(at, &port); err != nil {
		return s.unlessUntold("ports of network adapters", err)
	}
	heard := map[string]any{}
	for key, value := range map[string]string{"switch_chassis_id": port.Ethernet.LLDP.Chassis, "switch_port_id": port.Ethernet.LLDP.Port,
		"switch_system_name": port.Ethernet.LLDP.Name, "switch_system_description": port.Ethernet.LLDP.Description} {
		if value != "" {
			heard[key] = value
		}
	}
	if vlan := port.Ethernet.LLDP.VLAN; vlan != "" && vlan != "0" {
		heard["switch_vlan_id"] = vlan
	}
	if port.ID != "" && len(heard) > 0 {
		all[port.ID] = heard
	}
	return nil
}
