package room

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"strings"
)

const (
	vendorHPE = "hpe"
	// biosBootMode is the BIOS setting with the boot mode, Uefi or LegacyBios.
	biosBootMode = "BootMode"
	hpePattern   = rootPath + "/systems/{system}/bios"
	hpeSystem    = rootPath + "/Systems/1"
)

// hpeFace is an iLO. Generation 4 has HPE's part below Oem.Hp, the BIOS settings beside everything else in their resource, and
// virtual media by actions of its own alone.
func hpeFace(generation int) *face {
	f := &face{
		vendor: vendorHPE, driver: "ilo5", keys: "ilo_", manufacturer: "HPE", model: "ProLiant DL325 Gen10 Plus", controller: "iLO 5", firmware: "iLO 5 v2.46",
		systemID: "1", managerID: "1", chassisID: "1", modeInBIOS: true,
		media: map[string]string{mediaFloppy: "1", mediaCD: "2"},
		settings: map[string]any{biosBootMode: "Uefi", "UefiOptimizedBoot": "Enabled", "UrlBootFile": "", "PreBootNetwork": "Auto",
			"Dhcpv4": "Enabled", "CustomPostMessage": ""},
	}
	key, prefix, action := "Hpe", "Hpe", "HpeComputerSystemExt"
	if generation == 4 {
		key, prefix, action = "Hp", "Hp", "ComputerSystemExt"
		f.driver, f.keysByPatch = "ilo", true
		f.model, f.controller, f.firmware = "ProLiant BL460c Gen9", "iLO 4", "iLO 4 v2.55"
	}
	f.system = func(b *bmc, s *state, resource document) {
		oem := document{
			"@odata.type": "#" + prefix + "ComputerSystemExt." + prefix + "ComputerSystemExt",
			"PostState":   hpePostState(s),
			"Bios":        document{"UefiClass": 2},
			"Actions": document{"#" + prefix + "ComputerSystemExt.PowerButton": document{
				"PushType@Redfish.AllowableValues": []string{"Press", "PressAndHold"},
				"target":                           fmt.Sprintf("%s/Actions/Oem/%s/%s.PowerButton", hpeSystem, key, action)}},
		}
		resource["Bios"] = link(rootPath + "/systems/1/bios/")
		if generation == 4 {
			resource["Bios"] = document{"Current": document{"VersionString": "I36 v2.40 (02/17/2017)"}}
			delete(resource, "SecureBoot")
			oem["links"] = document{"BIOS": href(rootPath + "/systems/1/bios/"), "SecureBoot": href(hpeSystem + "/SecureBoot/")}
			resource["links"] = document{"ManagedBy": []document{href(managersPath + "/1/")}}
			delete(resource, "Links")
		}
		resource["Oem"] = document{key: oem}
	}
	f.medium = func(self string, resource document) {
		base := "#" + prefix + "iLOVirtualMedia."
		resource["Oem"] = document{key: document{"Actions": document{
			base + "InsertVirtualMedia": document{"target": self + "/Actions/Oem/" + key + "/" + base[1:] + "InsertVirtualMedia/"},
			base + "EjectVirtualMedia":  document{"target": self + "/Actions/Oem/" + key + "/" + base[1:] + "EjectVirtualMedia/"},
		}}}
		if generation == 4 {
			delete(resource, "Actions")
		}
	}
	return f
}

func href(path string) document { return document{"href": path} }

// hpePostState is how far the power-on self test is.
func hpePostState(s *state) string {
	switch {
	case !s.powered:
		return "PowerOff"
	case s.booted == BootNothing:
		return "InPost"
	}
	return "FinishedPost"
}

var hpeRoutes = buildHPERoutes()

func buildHPERoutes() []route {
	routes := []route{
		{path: hpePattern, vendor: vendorHPE, get: hpeBIOS},
		{path: hpePattern + "/settings", vendor: vendorHPE, get: hpePendingBIOS, patch: hpePatchBIOS},
		{path: hpePattern + "/baseconfigs", vendor: vendorHPE, get: hpeDefaults},
		{path: hpePattern + "/boot", vendor: vendorHPE, get: hpeBootOrder},
	}
	for _, key := range []string{"Hp", "Hpe"} {
		media := managersPath + "/{manager}/VirtualMedia/{media}/Actions/Oem/" + key + "/" + key + "iLOVirtualMedia."
		routes = append(routes,
			route{path: media + "InsertVirtualMedia", vendor: vendorHPE, post: hpeInsert},
			route{path: media + "EjectVirtualMedia", vendor: vendorHPE, post: ejectMedia})
	}
	for _, name := range []string{"Hp/ComputerSystemExt", "Hpe/HpeComputerSystemExt"} {
		routes = append(routes, route{path: systemPattern + "/Actions/Oem/" + name + ".PowerButton", vendor: vendorHPE, post: hpePowerButton})
	}
	return routes
}

// hpeInsert takes an image and nothing else: an iLO 4 refuses what the standard has beside it.
func hpeInsert(b *bmc, w http.ResponseWriter, r *http.Request, body document) *redfishError {
	if failure := onlyProperties(body, "Image"); failure != nil {
		return failure
	}
	return insertMedia(b, w, r, body)
}

func hpePowerButton(b *bmc, w http.ResponseWriter, _ *http.Request, body document) *redfishError {
	powered := b.m.view().powered
	switch body["PushType"] {
	case "Press":
		change, _ := resetOf("PushPowerButton", powered)
		return b.switchPower(w, change)
	case "PressAndHold":
		if !powered {
			return errSystemState()
		}
		return b.switchPower(w, powerOff)
	}
	return errActionValue("PowerButton", "PushType", body["PushType"])
}

// hpeSettings puts BIOS settings where the generation has them.
func (b *bmc) hpeSettings(r *http.Request, name string, settings map[string]any) document {
	resource := document{"@odata.id": r.URL.Path, "@odata.type": "#Bios.v1_0_4.Bios", "Id": path.Base(r.URL.Path), "Name": name}
	if b.face.controller == "iLO 4" {
		maps.Copy(resource, settings)
	} else {
		resource["Attributes"] = settings
	}
	return resource
}

func hpeBIOS(b *bmc, r *http.Request) document {
	at := strings.TrimSuffix(r.URL.Path, "/")
	resource := b.hpeSettings(r, "BIOS Current Settings", b.m.view().bios)
	if b.face.controller == "iLO 4" {
		resource["links"] = document{"Settings": href(at + "/settings/"), "BaseConfigs": href(at + "/baseconfigs/"), "Boot": href(at + "/boot/")}
		return resource
	}
	resource["@Redfish.Settings"] = document{"SettingsObject": link(at + "/settings/"),
		"Messages": []document{{"MessageId": "Base.1.0.Success"}}}
	resource["Oem"] = document{"Hpe": document{"Links": document{"BaseConfigs": link(at + "/baseconfigs/"), "Boot": link(at + "/boot/")}}}
	return resource
}

func hpePendingBIOS(b *bmc, r *http.Request) document {
	s := b.m.view()
	settings := maps.Clone(s.bios)
	maps.Copy(settings, s.biosPending)
	return b.hpeSettings(r, "BIOS Pending Settings", settings)
}

func hpePatchBIOS(b *bmc, r *http.Request, body document) *redfishError {
	if b.face.controller == "iLO 4" {
		body = document{"Attributes": body}
	}
	return patchBios(b, r, body)
}

func hpeDefaults(b *bmc, r *http.Request) document {
	defaults := maps.Clone(b.face.settings)
	maps.Copy(defaults, newState(nil).bios)
	return document{"@odata.id": r.URL.Path, "BaseConfigs": []document{{"default": defaults}}}
}

func hpeBootOrder(_ *bmc, r *http.Request) document {
	return document{
		"@odata.id": r.URL.Path,
		"BootSources": []document{
			{"StructuredBootString": "HD.EmbSATA.1.2", "BootString": "Embedded SATA Port 1 HDD : Room disk"},
			{"StructuredBootString": "NIC.LOM.1.1.IPv4", "BootString": "Embedded LOM 1 Port 1 : Room NIC (PXE IPv4)"},
		},
		"PersistentBootConfigOrder": []string{"HD.EmbSATA.1.2", "NIC.LOM.1.1.IPv4"},
	}
}
