package room

import (
	"net/http"
	"slices"
)

const chassisPath = rootPath + "/Chassis"

func (b *bmc) chassisSelf() string { return chassisPath + "/" + b.face.chassisID }

// The lamps of a machine.
const (
	indicatorSystem  = "system"
	indicatorChassis = "chassis"
	indicatorDrive   = "drive"
)

var indicatorStates = []string{"Off", "Lit", "Blinking"}

var chassisRoutes = []route{
	{path: chassisPath, get: func(b *bmc, _ *http.Request) document {
		return collection(chassisPath, "Chassis", "Chassis", b.chassisSelf())
	}},
	{path: chassisPath + "/{chassis}", get: chassis, patch: patchChassis},
}

func chassis(b *bmc, _ *http.Request) document {
	s := b.m.view()
	power := "Off"
	if s.powered {
		power = "On"
	}
	return s.lampProperties(indicatorChassis, document{
		"@odata.id":    b.chassisSelf(),
		"@odata.type":  "#Chassis.v1_14_0.Chassis",
		"Id":           b.face.chassisID,
		"Name":         "Chassis of " + b.m.info.Name,
		"ChassisType":  "RackMount",
		"Manufacturer": b.face.manufacturer,
		"Model":        b.face.model,
		"SerialNumber": b.m.info.Name,
		"PowerState":   power,
		"Status":       healthy(),
		"Links": document{
			"ComputerSystems": links(b.systemPath()),
			"ManagedBy":       links(b.managerSelf()),
			"Drives":          links(b.systemPath() + "/Storage/1/Drives/1"),
		},
	})
}

func patchChassis(b *bmc, _ *http.Request, body document) *redfishError {
	return patchIndicator(b, indicatorChassis, body)
}

// lampProperties are the two ways in which Redfish shows a lamp, the older with three states and the newer with two.
func (s *state) lampProperties(lamp string, resource document) document {
	resource["IndicatorLED"] = s.indicators[lamp]
	resource["LocationIndicatorActive"] = s.indicators[lamp] == "Blinking"
	return resource
}

func patchIndicator(b *bmc, lamp string, body document) *redfishError {
	if failure := onlyProperties(body, "IndicatorLED", "LocationIndicatorActive"); failure != nil {
		return failure
	}
	var failure *redfishError
	b.m.change(func(s *state) { failure = s.setIndicator(lamp, body) })
	return failure
}

// setIndicator sets a lamp when the request speaks of it.
func (s *state) setIndicator(lamp string, body document) *redfishError {
	if value, given := body["LocationIndicatorActive"]; given {
		active, ok := value.(bool)
		if !ok {
			return errPropertyType("LocationIndicatorActive", value)
		}
		s.indicators[lamp] = "Off"
		if active {
			s.indicators[lamp] = "Blinking"
		}
	}
	value, given := body["IndicatorLED"]
	if !given {
		return nil
	}
	text, ok := value.(string)
	if !ok {
		return errPropertyType("IndicatorLED", value)
	}
	if !slices.Contains(indicatorStates, text) {
		return errPropertyValue("IndicatorLED", value)
	}
	s.indicators[lamp] = text
	return nil
}
