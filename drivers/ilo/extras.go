package ilo

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
)

// extras are what an iLO tells of its machine beyond the standard.
type extras struct {
	capabilities map[string]string
	// security are the parameters of the security dashboard, which machines of Gen10 and newer have; nil without one.
	security map[string]any
	// largestDisk is that which the storage of HPE's own knows, in bytes.
	largestDisk int64
}

// readExtras reads what there is. What an iLO lacks is left out.
func (i *Inspect) readExtras(s *redfish.System, t *drivers.Task) (extras, error) {
	e := extras{capabilities: map[string]string{"server_model": s.Model}}
	for _, part := range []struct {
		what string
		read func(*redfish.System, *extras) error
	}{
		{"the firmware of the iLO", readVersions}, {"PCI devices", readDevices}, {"BIOS settings", readSettings},
		{"secure boot", readSecurity}, {"the storage of HPE's own", readSmartStorage},
		{"the security dashboard", readDashboard},
	} {
		err := part.read(s, &e)
		var none *noFirmware
		var absent *lacking
		status := redfish.Refused(err)
		if status != 0 && status != http.StatusUnauthorized || errors.As(err, &none) || errors.As(err, &absent) {
			t.Log.Info().Str("reason", s.Explain(err)).Msg("The iLO does not tell of " + part.what)
			err = nil
		}
		if err != nil {
			return e, err
		}
	}
	for name, value := range e.capabilities {
		if value == "" {
			delete(e.capabilities, name)
		}
	}
	return e, nil
}

func readVersions(s *redfish.System, e *extras) error {
	e.capabilities["rom_firmware_version"] = readExtension(s).Bios.Current.VersionString
	manager, err := bmcOf(s)
	if err == nil {
		e.capabilities["ilo_firmware_version"] = manager.FirmwareVersion
	}
	return err
}

// The PCI class of display controllers, and the subclasses of those that count as GPUs.
const classDisplay = 3

var gpuSubclasses = []int{0, 1, 2, 128}

func readDevices(s *redfish.System, e *extras) error {
	path := readExtension(s).Links["PCIDevices"].path()
	if path == "" {
		return nil
	}
	members, err := s.Members(path)
	if err != nil {
		return err
	}
	gpus, fastest := 0, 0
	for _, member := range members {
		var device struct {
			Name                    string
			ClassCode, SubclassCode int
		}
		if err := s.Read(member, &device); err != nil {
			return err
		}
		if device.ClassCode == classDisplay && slices.Contains(gpuSubclasses, device.SubclassCode) {
			gpus++
		}
		fastest = max(fastest, gigabits(device.Name))
	}
	e.capabilities["pci_gpu_devices"], e.capabilities["nic_capacity"] = fmt.Sprint(gpus), fmt.Sprintf("%dGb", fastest)
	return nil
}

// gigabits is the speed that stands in a network card's name, such as "25Gb"; 0 where none does.
func gigabits(name string) int {
	for word := range strings.FieldsSeq(name) {
		if !strings.Contains(word, "Gb") {
			continue
		}
		n := 0
		for _, digit := range strings.Trim(word, "Gb") {
			if digit < '0' || digit > '9' || n > 1_000_000 {
				return 0
			}
			n = 10*n + int(digit-'0')
		}
		return n
	}
	return 0
}

func readSettings(s *redfish.System, e *extras) error {
	f, err := readFirmware(s)
	if err != nil {
		return err
	}
	for setting, capability := range map[string]string{"Sriov": "sriov_enabled", "ProcVirtualization": "cpu_vt"} {
		if f.attributes[setting] == "Enabled" {
			e.capabilities[capability] = yes
		}
	}
	return nil
}

// yes is the value of capabilities that a machine has or lacks.
const yes = "true"

func readSecurity(s *redfish.System, e *extras) error {
	_, path, err := readSecureBoot(s)
	if err == nil && path != "" {
		e.capabilities["secure_boot"] = yes
	}
	return err
}

// noteDrives tells of drives that the standard's storage shows.
func (e *extras) noteDrives(drives []*schemas.Drive) {
	for _, d := range drives {
		e.note(string(d.MediaType))
		if d.MediaType == schemas.SSDMediaType && d.Protocol == schemas.NVMeProtocol {
			e.capabilities["has_nvme_ssd"] = yes
		}
	}
}

func (e *extras) note(media string) {
	switch media {
	case "SSD":
		e.capabilities["has_ssd"] = yes
	case "HDD":
		e.capabilities["has_rotational"] = yes
	}
}

// readSmartStorage reads what machines of Gen9 and Gen10 have beside the standard's storage.
func readSmartStorage(s *redfish.System, e *extras) error {
	path := readExtension(s).Links["SmartStorage"].path()
	if path == "" {
		return nil
	}
	var storage struct{ Links map[string]hpLink }
	if err := s.Read(path, &storage); err != nil {
		return err
	}
	controllers, err := membersAt(s, storage.Links["ArrayControllers"])
	if err != nil {
		return err
	}
	if len(controllers) > 0 {
		e.capabilities["hardware_supports_raid"] = yes
	}
	var logical, physical int64
	for _, controller := range controllers {
		var c struct{ Links map[string]hpLink }
		if err := s.Read(controller, &c); err != nil {
			return err
		}
		largest, err := readSmartDrives(s, c.Links["LogicalDrives"], func(d smartDrive) {
			if d.Raid != "" && !strings.HasSuffix(d.Raid, "ADM") {
				e.capabilities["logical_raid_level_"+d.Raid] = yes
			}
		})
		if err != nil {
			return err
		}
		logical = max(logical, largest)
		if largest, err = readSmartDrives(s, c.Links["PhysicalDrives"], func(d smartDrive) { e.note(d.MediaType) }); err != nil {
			return err
		}
		physical = max(physical, largest)
	}
	if e.largestDisk = logical; logical == 0 {
		e.largestDisk = physical
	}
	return nil
}

type smartDrive struct {
	CapacityMiB     int64
	Raid, MediaType string
}

// readSmartDrives reads a collection of drives. It returns the size of the largest, in bytes.
func readSmartDrives(s *redfish.System, at hpLink, note func(smartDrive)) (largest int64, err error) {
	drives, err := membersAt(s, at)
	if err != nil {
		return 0, err
	}
	for _, path := range drives {
		var d smartDrive
		if err := s.Read(path, &d); err != nil {
			return 0, err
		}
		note(d)
		largest = max(largest, d.CapacityMiB<<20)
	}
	return largest, nil
}

func membersAt(s *redfish.System, at hpLink) ([]string, error) {
	if at.path() == "" {
		return nil, nil
	}
	return s.Members(at.path())
}

// dashboardCapabilities are the parameters of the security dashboard that are capabilities, too.
var dashboardCapabilities = map[string]string{"Last Firmware Scan Result": "last_firmware_scan_result",
	"Security Override Switch": "security_override_switch"}

func readDashboard(s *redfish.System, e *extras) error {
	board, err := securityDashboard(s)
	if err != nil {
		return err
	}
	members, err := membersAt(s, board.SecurityParameters)
	if err != nil {
		return err
	}
	e.capabilities["overall_security_status"] = board.OverallSecurityStatus
	e.security = map[string]any{}
	for _, path := range members {
		var p struct {
			Name, SecurityStatus, Description, RecommendedAction string
			State                                                any
			Ignore                                               bool
		}
		if err := s.Read(path, &p); err != nil {
			return err
		}
		told := map[string]any{"security_status": p.SecurityStatus, "state": p.State, "ignore": p.Ignore}
		if p.Description != "" {
			told["description"] = p.Description
		}
		if p.RecommendedAction != "" {
			told["recommended_action"] = p.RecommendedAction
		}
		e.security[p.Name] = told
		if capability := dashboardCapabilities[p.Name]; capability != "" {
			e.capabilities[capability] = p.SecurityStatus
		}
	}
	return nil
}

// dashboard is what an iLO says of how safely it is set up.
type dashboard struct {
	OverallSecurityStatus string
	SecurityParameters    hpLink
}

// securityAt is the security service of an iLO.
const securityAt = "/redfish/v1/Managers/1/SecurityService/"

// securityDashboard reads the dashboard. Its error is *lacking where there is none.
func securityDashboard(s *redfish.System) (board dashboard, err error) {
	var service struct{ Links map[string]hpLink }
	err = s.Read(securityAt, &service)
	path := service.Links["SecurityDashboard"].path()
	if redfish.Refused(err) == http.StatusNotFound || err == nil && path == "" {
		return board, &lacking{"the iLO has no security dashboard"}
	}
	if err == nil {
		err = s.Read(path, &board)
	}
	return board, err
}
