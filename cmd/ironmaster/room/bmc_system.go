package room

import (
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

const (
	systemsPath   = rootPath + "/Systems"
	systemPattern = systemsPath + "/{system}"
)

var systemRoutes = []route{
	{path: systemsPath, get: func(b *bmc, _ *http.Request) document {
		return collection(systemsPath, "ComputerSystem", "Computer Systems", b.systemPath())
	}},
	{path: systemPattern, get: system, patch: patchSystem},
	{path: systemPattern + "/Actions/ComputerSystem.Reset", post: resetSystem},
	{path: systemPattern + "/Bios", get: bios},
	{path: systemPattern + "/Bios/Settings", get: biosSettings, patch: patchBios},
	{path: systemPattern + "/SecureBoot", get: secureBoot, patch: patchSecureBoot},
	{path: systemPattern + "/SecureBoot/Actions/SecureBoot.ResetKeys", post: resetKeys},
	{path: systemPattern + "/EthernetInterfaces", get: ethernetInterfaces},
	{path: systemPattern + "/EthernetInterfaces/{nic}", get: ethernetInterface},
	{path: systemPattern + "/Processors", get: func(b *bmc, r *http.Request) document {
		return collection(r.URL.Path, "Processor", "Processors", b.systemPath()+"/Processors/CPU1")
	}},
	{path: systemPattern + "/Processors/CPU1", get: processor},
	{path: systemPattern + "/Memory", get: func(b *bmc, r *http.Request) document {
		return collection(r.URL.Path, "Memory", "Memory", b.systemPath()+"/Memory/DIMM1")
	}},
	{path: systemPattern + "/Memory/DIMM1", get: memory},
	{path: systemPattern + "/Storage", get: func(b *bmc, r *http.Request) document {
		return collection(r.URL.Path, "Storage", "Storage", b.systemPath()+"/Storage/1")
	}},
	{path: systemPattern + "/Storage/1", get: storage},
	{path: systemPattern + "/Storage/1/Drives/1", get: drive, patch: patchDrive},
}

var (
	overrideTargets = []string{"None", SourceNetwork, SourceHTTP, SourceCD, SourceDisk}
	overrideEnabled = []string{"Disabled", "Once", "Continuous"}
	overrideModes   = []string{ModeUEFI, ModeLegacy}
)

func (b *bmc) systemPath() string { return b.m.info.SystemID }
func (b *bmc) systemID() string   { return path.Base(b.m.info.SystemID) }

func system(b *bmc, _ *http.Request) document {
	s, self := b.m.view(), b.systemPath()
	power := "Off"
	if s.powered {
		power = "On"
	}
	kinds := slices.Sorted(maps.Keys(resetTypes))
	kinds = append(kinds, "PushPowerButton")
	resource := document{
		"@odata.id":    self,
		"@odata.type":  "#ComputerSystem.v1_13_0.ComputerSystem",
		"Id":           b.systemID(),
		"Name":         b.m.info.Name,
		"UUID":         b.m.uuid,
		"SystemType":   "Physical",
		"Manufacturer": b.face.manufacturer,
		"Model":        b.face.model,
		"SerialNumber": b.m.info.Name,
		"Status":       healthy(),
		"PowerState":   power,
		"BiosVersion":  s.biosVersion(),
		"Boot": document{
			"BootSourceOverrideEnabled":                         s.override.Enabled,
			"BootSourceOverrideEnabled@Redfish.AllowableValues": overrideEnabled,
			"BootSourceOverrideTarget":                          s.override.Target,
			"BootSourceOverrideTarget@Redfish.AllowableValues":  overrideTargets,
			"BootSourceOverrideMode":                            s.override.Mode,
			"BootSourceOverrideMode@Redfish.AllowableValues":    overrideModes,
		},
		"ProcessorSummary":   document{"Count": 1, "Model": "Room CPU", "Status": healthy()},
		"MemorySummary":      document{"TotalSystemMemoryGiB": float64(b.m.info.MemoryMB) / 1024, "Status": healthy()},
		"Bios":               link(self + "/Bios"),
		"SecureBoot":         link(self + "/SecureBoot"),
		"EthernetInterfaces": link(self + "/EthernetInterfaces"),
		"Processors":         link(self + "/Processors"),
		"Memory":             link(self + "/Memory"),
		"Storage":            link(self + "/Storage"),
		"Links":              document{"Chassis": links(b.chassisSelf()), "ManagedBy": links(b.managerSelf())},
		"Actions": document{"#ComputerSystem.Reset": document{
			"target":                            self + "/Actions/ComputerSystem.Reset",
			"ResetType@Redfish.AllowableValues": kinds,
		}},
	}
	if b.m.traits.systemMedia {
		resource["VirtualMedia"] = link(self + "/VirtualMedia")
	}
	if b.face.system != nil {
		b.face.system(b, &s, resource)
	}
	return s.lampProperties(indicatorSystem, resource)
}

func healthy() document { return document{"State": "Enabled", "Health": "OK"} }

// patchSystem changes the boot override and the indicator. All of the request is checked before any of it happens.
func patchSystem(b *bmc, _ *http.Request, body document) *redfishError {
	if failure := onlyProperties(body, "Boot", "IndicatorLED", "LocationIndicatorActive"); failure != nil {
		return failure
	}
	var failure *redfishError
	b.m.change(func(s *state) {
		override := s.override
		if failure = b.mergeOverride(&override, body["Boot"]); failure != nil {
			return
		}
		if failure = s.setIndicator(indicatorSystem, body); failure == nil {
			s.override = override
		}
	})
	return failure
}

func (b *bmc) mergeOverride(override *bootOverride, value any) *redfishError {
	if value == nil {
		return nil
	}
	boot, ok := value.(document)
	if !ok {
		return errPropertyType("Boot", value)
	}
	for name, value := range boot {
		var field *string
		var allowed []string
		switch name {
		case "BootSourceOverrideTarget":
			field, allowed = &override.Target, overrideTargets
		case "BootSourceOverrideEnabled":
			field, allowed = &override.Enabled, overrideEnabled
		case "BootSourceOverrideMode":
			field, allowed = &override.Mode, overrideModes
		default:
			if strings.Contains(name, "@") {
				continue
			}
			return errPropertyUnknown(name)
		}
		if name == "BootSourceOverrideMode" && b.face.modeInBIOS {
			return errPropertyUnknown(name)
		}
		text, ok := value.(string)
		if !ok {
			return errPropertyType(name, value)
		}
		if !slices.Contains(allowed, text) {
			return errPropertyValue(name, value)
		}
		*field = text
	}
	return nil
}

// resetSystem queues a power change. As on a real BMC the answer comes before the change.
func resetSystem(b *bmc, w http.ResponseWriter, _ *http.Request, body document) *redfishError {
	const action = "ComputerSystem.Reset"
	value, given := body["ResetType"]
	if !given {
		return errActionMissing(action, "ResetType")
	}
	kind, _ := value.(string)
	powered := b.m.view().powered
	change, known := resetOf(kind, powered)
	if !known {
		return errActionValue(action, "ResetType", value)
	}
	if b.face.vendor == vendorHPE && (change == powerOn && powered || change == powerOff && !powered) {
		return errSystemState()
	}
	return b.switchPower(w, change)
}

// switchPower queues a power change and answers.
func (b *bmc) switchPower(w http.ResponseWriter, change powerChange) *redfishError {
	if !b.m.faults.powerStuck() {
		if err := b.m.request(change); err != nil {
			return errUnavailable()
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func bios(b *bmc, r *http.Request) document {
	return document{
		"@odata.id":   r.URL.Path,
		"@odata.type": "#Bios.v1_1_0.Bios",
		"Id":          "Bios",
		"Name":        "BIOS",
		"Attributes":  b.m.view().bios,
		"@Redfish.Settings": document{
			"@odata.type":    "#Settings.v1_3_0.Settings",
			"SettingsObject": link(b.systemPath() + "/Bios/Settings"),
		},
	}
}

func biosSettings(b *bmc, r *http.Request) document {
	s := b.m.view()
	attributes := maps.Clone(s.bios)
	maps.Copy(attributes, s.biosPending)
	return document{
		"@odata.id":   r.URL.Path,
		"@odata.type": "#Bios.v1_1_0.Bios",
		"Id":          "Settings",
		"Name":        "BIOS settings for the next boot",
		"Attributes":  attributes,
	}
}

// patchBios keeps attributes for the next power on.
func patchBios(b *bmc, _ *http.Request, body document) *redfishError {
	if failure := onlyProperties(body, "Attributes", "@Redfish.SettingsApplyTime"); failure != nil {
		return failure
	}
	attributes, ok := body["Attributes"].(document)
	if !ok {
		return errPropertyType("Attributes", body["Attributes"])
	}
	var failure *redfishError
	b.m.change(func(s *state) {
		for name := range attributes {
			if _, exists := s.bios[name]; !exists {
				failure = errPropertyUnknown(name)
				return
			}
		}
		if s.biosPending == nil {
			s.biosPending = map[string]any{}
		}
		maps.Copy(s.biosPending, attributes)
	})
	return failure
}

func secureBoot(b *bmc, r *http.Request) document {
	s := b.m.view()
	current := "Disabled"
	if s.secureBootCurrent {
		current = "Enabled"
	}
	resource := document{
		"@odata.id":             r.URL.Path,
		"@odata.type":           "#SecureBoot.v1_1_0.SecureBoot",
		"Id":                    "SecureBoot",
		"Name":                  "UEFI Secure Boot",
		"SecureBootEnable":      s.secureBoot,
		"SecureBootCurrentBoot": current,
		"SecureBootMode":        "UserMode",
		"Actions": document{"#SecureBoot.ResetKeys": document{
			"target":                                strings.TrimSuffix(r.URL.Path, "/") + "/Actions/SecureBoot.ResetKeys",
			"ResetKeysType@Redfish.AllowableValues": keyResets}},
	}
	if b.face.keysByPatch {
		delete(resource, "Actions")
	}
	return resource
}

var keyResets = []string{"ResetAllKeysToDefault", "DeleteAllKeys", "DeletePK"}

// resetKeys has no effect that a machine of the room would notice.
func resetKeys(_ *bmc, w http.ResponseWriter, _ *http.Request, body document) *redfishError {
	kind, _ := body["ResetKeysType"].(string)
	if !slices.Contains(keyResets, kind) {
		return errActionValue("SecureBoot.ResetKeys", "ResetKeysType", body["ResetKeysType"])
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func patchSecureBoot(b *bmc, _ *http.Request, body document) *redfishError {
	if b.face.keysByPatch && onlyProperties(body, "ResetAllKeys", "ResetToDefaultKeys") == nil {
		return nil
	}
	if failure := onlyProperties(body, "SecureBootEnable"); failure != nil {
		return failure
	}
	enable, ok := body["SecureBootEnable"].(bool)
	if !ok {
		return errPropertyType("SecureBootEnable", body["SecureBootEnable"])
	}
	b.m.change(func(s *state) { s.secureBoot = enable })
	return nil
}
