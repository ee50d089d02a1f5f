package room

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
)

const (
	vendorDell = "dell"
	dellOEM    = managersPath + "/{manager}/Oem/Dell"
)

// dellFace is an iDRAC 9: the boot override's Cd is the machine's own drive, and the virtual one is chosen by importing a setting.
func dellFace() *face {
	return &face{
		vendor: vendorDell, driver: "idrac", keys: "redfish_", manufacturer: "Dell Inc.", model: "PowerEdge R640",
		controller: "14G Monolithic", firmware: "5.10.50.00", systemID: "System.Embedded.1", managerID: "iDRAC.Embedded.1",
		chassisID: "System.Embedded.1", media: map[string]string{mediaCD: "CD", mediaFloppy: "RemovableDisk"}, physicalCD: true,
		manager: func(b *bmc, resource document) {
			self := b.managerSelf()
			resource["Actions"].(document)["Oem"] = document{
				"#OemManager.ImportSystemConfiguration": document{"target": self + "/Actions/Oem/EID_674_Manager.ImportSystemConfiguration"},
				"#OemManager.ExportSystemConfiguration": document{"target": self + "/Actions/Oem/EID_674_Manager.ExportSystemConfiguration"}}
			resource["Links"].(document)["Oem"] = document{"Dell": document{
				"DellJobService":       link(self + "/Oem/Dell/DellJobService"),
				"DellLCService":        link(self + "/Oem/Dell/DellLCService"),
				"DelliDRACCardService": link(self + "/Oem/Dell/DelliDRACCardService"),
			}}
		},
		system: func(b *bmc, _ *state, resource document) {
			resource["Links"].(document)["Oem"] = document{"Dell": document{
				"DellRaidService": link(b.systemPath() + "/Oem/Dell/DellRaidService")}}
		},
	}
}

const (
	dellRAID   = systemPattern + "/Oem/Dell/DellRaidService"
	dellStatus = "DellLCService.GetRemoteServicesAPIStatus"
	dellForget = "DellRaidService.ClearForeignConfig"
)

var dellRoutes = []route{
	{path: managersPath + "/{manager}/Actions/Oem/EID_674_Manager.ExportSystemConfiguration", vendor: vendorDell, post: dellExport},
	{path: dellOEM + "/DellLCService", vendor: vendorDell, get: dellService("DellLCService", dellStatus)},
	{path: dellOEM + "/DellLCService/Actions/" + dellStatus, vendor: vendorDell,
		post: func(_ *bmc, w http.ResponseWriter, _ *http.Request, _ document) *redfishError {
			return answer(w, document{"LCStatus": "Ready", "RTStatus": "Ready"})
		}},
	{path: dellRAID, vendor: vendorDell, get: dellService("DellRaidService", dellForget)},
	{path: dellRAID + "/Actions/" + dellForget, vendor: vendorDell,
		post: func(_ *bmc, _ http.ResponseWriter, _ *http.Request, _ document) *redfishError {
			return &redfishError{http.StatusBadRequest, "STOR018", "No foreign drives detected.", nil}
		}},
	{path: managersPath + "/{manager}/Actions/Oem/EID_674_Manager.ImportSystemConfiguration", vendor: vendorDell, post: dellImport},
	{path: dellOEM + "/DellJobService", vendor: vendorDell, get: dellService("DellJobService", "DellJobService.DeleteJobQueue")},
	{path: dellOEM + "/DellJobService/Actions/DellJobService.DeleteJobQueue", vendor: vendorDell, post: dellDeleteJobs},
	{path: dellOEM + "/DelliDRACCardService", vendor: vendorDell, get: dellService("DelliDRACCardService", "DelliDRACCardService.iDRACReset")},
	{path: dellOEM + "/DelliDRACCardService/Actions/DelliDRACCardService.iDRACReset", vendor: vendorDell,
		post: func(b *bmc, w http.ResponseWriter, r *http.Request, _ document) *redfishError {
			return resetManager(b, w, r, document{})
		}},
}

// dellService is one of Dell's services, with one action.
func dellService(id, action string) func(*bmc, *http.Request) document {
	return func(_ *bmc, r *http.Request) document {
		return document{"@odata.id": r.URL.Path, "Id": id, "Actions": document{"#" + action: document{
			"target": r.URL.Path + "/Actions/" + action}}}
	}
}

func answer(w http.ResponseWriter, body document) *redfishError {
	text, err := json.Marshal(body)
	if err != nil {
		return &redfishError{http.StatusInternalServerError, "InternalError", err.Error(), nil}
	}
	sendJSON(w, http.StatusOK, text)
	return nil
}

// dellExport tells of each network card that the machine boots from it.
func dellExport(b *bmc, w http.ResponseWriter, _ *http.Request, _ document) *redfishError {
	var cards []document
	for _, mac := range b.m.info.MACs {
		cards = append(cards, document{"FQDD": nicID(mac), "Attributes": []document{{"Name": "LegacyBootProto", "Value": "PXE"}}})
	}
	return answer(w, document{"SystemConfiguration": document{"Model": b.face.model, "Components": cards}})
}

func dellDeleteJobs(_ *bmc, w http.ResponseWriter, _ *http.Request, body document) *redfishError {
	if id, ok := body["JobID"].(string); !ok || id == "" {
		return errActionMissing("DellJobService.DeleteJobQueue", "JobID")
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// dellProfile is a server configuration profile, as far as the room knows what it sets.
type dellProfile struct {
	Components []struct {
		FQDD       string `xml:"FQDD,attr"`
		Attributes []struct {
			Name  string `xml:"Name,attr"`
			Value string `xml:",chardata"`
		} `xml:"Attribute"`
	} `xml:"Component"`
}

// dellImport sets what the machine boots from, and answers as a job that goes on does. A profile in JSON waits for the next start.
func dellImport(b *bmc, w http.ResponseWriter, _ *http.Request, body document) *redfishError {
	const action = "EID_674_Manager.ImportSystemConfiguration"
	text, _ := body["ImportBuffer"].(string)
	if strings.HasPrefix(text, "{") {
		return b.importSettings(w, action, text)
	}
	var profile dellProfile
	if err := xml.Unmarshal([]byte(text), &profile); err != nil {
		return errActionValue(action, "ImportBuffer", text)
	}
	once := "Continuous"
	device := ""
	for _, component := range profile.Components {
		for _, attribute := range component.Attributes {
			switch attribute.Name {
			case "ServerBoot.1#BootOnce":
				if attribute.Value == "Enabled" {
					once = "Once"
				}
			case "ServerBoot.1#FirstBootDevice":
				device = attribute.Value
			}
		}
	}
	number := 0
	b.m.change(func(s *state) {
		s.virtualBoot = ""
		if device == "VCD-DVD" {
			s.virtualBoot = once
		}
		number = s.starts
	})
	w.Header().Set("Location", tasksPath+"/JID_"+strconv.Itoa(100000+number))
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// importSettings sets the machine up by a profile at its next start.
func (b *bmc) importSettings(w http.ResponseWriter, action, text string) *redfishError {
	var profile struct {
		SystemConfiguration struct {
			Components []struct {
				Attributes []struct {
					Name  string
					Value any
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &profile); err != nil {
		return errActionValue(action, "ImportBuffer", text)
	}
	return b.atStart(w, jobImport, func(s *state) {
		s.imports++
		for _, component := range profile.SystemConfiguration.Components {
			for _, attribute := range component.Attributes {
				s.bios[attribute.Name] = attribute.Value
			}
		}
	})
}

// The modes of Dell's RAID controllers: one shows the drives as they are, the other makes arrays.
const (
	controllerHBA  = "HBA"
	controllerRAID = "RAID"
)

const controllersPattern = systemPattern + "/Storage/1/Controllers"

func (b *bmc) controllersPath() string { return b.systemPath() + "/Storage/1/Controllers" }

var dellControllerRoutes = []route{
	{path: controllersPattern, vendor: vendorDell, get: func(b *bmc, r *http.Request) document {
		return collection(r.URL.Path, "StorageController", "Controllers", b.controllersPath()+"/RAID.Integrated.1-1")
	}},
	{path: controllersPattern + "/RAID.Integrated.1-1", vendor: vendorDell, later: dellMode, get: func(b *bmc, r *http.Request) document {
		return document{"@odata.id": r.URL.Path, "@odata.type": "#StorageController.v1_6_0.StorageController", "Id": "RAID.Integrated.1-1",
			"Name": "PERC H755 Front", "SupportedRAIDTypes": []string{"RAID0"}, "Oem": document{"Dell": document{
				"DellStorageController": document{"ControllerMode": b.m.view().controllerMode}}}}
	}},
}

// dellMode changes the mode of a controller at the next start.
func dellMode(b *bmc, w http.ResponseWriter, _ *http.Request, body document) *redfishError {
	mode := controllerMode(body)
	if mode != controllerHBA && mode != controllerRAID {
		return errPropertyType("ControllerMode", mode)
	}
	return b.atStart(w, jobRAID, func(s *state) { s.controllerMode = mode })
}

// controllerMode is the mode in a change of a controller, "" where there is none.
func controllerMode(body document) string {
	text, err := json.Marshal(body)
	var wanted struct {
		Oem struct {
			Dell struct {
				DellStorageController struct{ ControllerMode string }
			}
		}
	}
	if err != nil || json.Unmarshal(text, &wanted) != nil {
		return ""
	}
	return wanted.Oem.Dell.DellStorageController.ControllerMode
}
