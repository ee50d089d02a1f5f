package snmp

import (
	"fmt"
	"strings"
)

// enterprises is the root of vendors' objects.
const enterprises = ".1.3.6.1.4.1."

// pdu is a family of power strips: where an outlet's state is read and set, and what the values mean
// (ironic/drivers/modules/snmp.py, which follows the vendors' MIBs).
type pdu struct {
	// system is the beginning of the sysObjectID by which snmp_driver auto knows it; "" for those that it does not look for.
	system string
	// status, setOn and setOff are objects below enterprises, %d being the outlet.
	status, setOn, setOff string
	on, off               int
	// isOn and isOff are the values of status that count as on and as off.
	isOn, isOff []int
}

// simple is a power strip with one object for an outlet's state, to be read and set.
func simple(system, object string, on, off int) pdu {
	return pdu{system: system, status: object, setOn: object, setOff: object, on: on, off: off, isOn: []int{on}, isOff: []int{off}}
}

// switched is one whose state is read at one object and set at another.
func switched(status, action string, on, off int, isOn, isOff []int) pdu {
	return pdu{status: status, setOn: action, setOff: action, on: on, off: off, isOn: isOn, isOff: isOff}
}

// pdus are the families by the names that snmp_driver takes.
var pdus = map[string]pdu{
	"apc":                  simple("318.1.1.4", "318.1.1.4.4.2.1.3.%d", 1, 2),
	"apc_masterswitch":     simple("318.1.1.4", "318.1.1.4.4.2.1.3.%d", 1, 2),
	"apc_masterswitchplus": simple("318.1.1.6", "318.1.1.6.5.1.1.5.%d", 1, 3),
	"apc_rackpdu":          simple("318.1.1.12", "318.1.1.12.3.3.1.1.4.%d", 1, 2),
	"aten":                 simple("21317", "21317.1.3.2.2.2.2.%d.0", 2, 1),
	"cyberpower":           simple("3808", "3808.1.1.3.3.3.1.1.4.%d", 1, 2),
	"teltronix":            simple("23620", "23620.1.2.2.1.4.%d", 2, 1),
	"baytech_mrp27":        simple("", "4779.1.3.5.3.1.3.1.%d", 1, 0),
	// Ironic has Eaton's objects for on and off the other way round than the MIB, whose outletControlOffCmd is 3; so here.
	"eatonpower": {system: "534", status: "534.6.6.7.6.6.1.2.%d", setOn: "534.6.6.7.6.6.1.3.%d", setOff: "534.6.6.7.6.6.1.4.%d",
		isOn: []int{1, 2}, isOff: []int{0, 3}},
	"servertech_sentry3": switched("1718.3.2.3.1.5.1.1.%d", "1718.3.2.3.1.11.1.1.%d", 1, 2, []int{1, 2}, []int{0, 3}),
	"servertech_sentry4": switched("1718.4.1.8.5.1.1.1.1.%d", "1718.4.1.8.5.1.2.1.1.%d", 1, 2, []int{11, 8, 3}, []int{10, 9}),
	"raritan_pdu2":       switched("13742.6.4.1.2.1.3.1.%d", "13742.6.4.1.2.1.2.1.%d", 1, 0, []int{7}, []int{8}),
	"vertivgeist_pdu":    switched("21239.5.2.3.5.1.4.%d", "21239.5.2.3.5.1.6.%d", 2, 4, []int{1, 3}, []int{2, 4}),
}

// auto is the name of the family that the power strip itself tells.
const auto = "auto"

func object(template string, outlet int) string { return enterprises + fmt.Sprintf(template, outlet) }

// familyOf finds the family whose system is the longest beginning of a sysObjectID.
func familyOf(sysObjectID string) (pdu, bool) {
	id := "." + strings.TrimPrefix(sysObjectID, ".") + "."
	var best pdu
	for _, p := range pdus {
		if p.system != "" && strings.HasPrefix(id, enterprises+p.system+".") && len(p.system) > len(best.system) {
			best = p
		}
	}
	return best, best.system != ""
}
