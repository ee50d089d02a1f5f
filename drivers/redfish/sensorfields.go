package redfish

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// malformed is a property whose value is of the wrong kind, in sushy's words.
type malformed struct {
	attribute, resource string
	value               any
}

func (e *malformed) Error() string {
	return fmt.Sprintf("The attribute %s is malformed in the resource %s: %s", e.attribute, e.resource, shorten(text(e.value)))
}

// attribute is what a sensor tells, and the property that it is read from.
type attribute struct {
	name, property string
	// read is nil where any value will do; ok is false for one of the wrong kind.
	read func(any) (value any, ok bool)
}

type attributes []attribute

// sensorList is a property of a resource in which each object is a sensor.
type sensorList struct {
	property   string
	attributes attributes
	// naming is the property that names a sensor. It has to be there where named is set.
	naming string
	named  bool
	// sized leaves sensors without a capacity out: they are backplanes and such.
	sized bool
}

// The attributes and their order are those of ironic; the properties are in the schemas Thermal, Power, SimpleStorage and Drive.
var (
	thermalSensors = map[string]sensorList{
		fanSensors: {property: "Fans", naming: "MemberId", named: true, attributes: attributes{
			{"identity", "MemberId", nil}, {"max_reading_range", "MaxReadingRange", whole}, {"min_reading_range", "MinReadingRange", whole},
			{"reading", "Reading", whole}, {"reading_units", "ReadingUnits", oneOf("RPM", "Percent")},
			{"serial_number", "SerialNumber", nil}, {"physical_context", "PhysicalContext", nil}}},
		temperatureSensors: {property: "Temperatures", naming: "MemberId", named: true, attributes: attributes{
			{"identity", "MemberId", nil}, {"max_reading_range_temp", "MaxReadingRangeTemp", nil},
			{"min_reading_range_temp", "MinReadingRangeTemp", nil}, {"reading_celsius", "ReadingCelsius", nil},
			{"physical_context", "PhysicalContext", nil}, {"sensor_number", "SensorNumber", whole}}},
	}
	powerSupplies = sensorList{property: "PowerSupplies", naming: "MemberId", attributes: attributes{
		{"power_capacity_watts", "PowerCapacityWatts", whole}, {"line_input_voltage", "LineInputVoltage", whole},
		{"last_power_output_watts", "LastPowerOutputWatts", whole}, {"serial_number", "SerialNumber", nil}}}
	// sushy learned late that a device has a model.
	simpleDevices = sensorList{property: "Devices", naming: "Name", named: true, attributes: attributes{
		{"name", "Name", nil}, {"capacity_bytes", "CapacityBytes", whole}}}
	driveAttributes = attributes{{"name", "Name", nil}, {"model", "Model", nil}, {"capacity_bytes", "CapacityBytes", whole}}
	modelledDevices = sensorList{property: "Devices", naming: "Name", named: true, sized: true, attributes: driveAttributes}

	statusAttributes = attributes{
		{"state", "State", oneOf("Enabled", "Disabled", "StandbyOffline", "StandbySpare", "InTest", "Starting", "Absent",
			"UnavailableOffline", "Deferring", "Quiesced", "Updating", "Qualified")},
		{"health", "Health", oneOf("OK", "Warning", "Critical")}}
)

// of reads the attributes of an object, and its Status where it has one. within is where in the resource the object is.
func (as attributes) of(resource, within string, object map[string]any) (store.Dict, error) {
	sensor := store.Dict{}
	if err := as.into(sensor, resource, within, object); err != nil {
		return nil, err
	}
	switch status := object["Status"].(type) {
	case nil:
	case map[string]any:
		return sensor, statusAttributes.into(sensor, resource, within+"Status/", status)
	default:
		return nil, &malformed{within + "Status", resource, status}
	}
	return sensor, nil
}

func (as attributes) into(sensor store.Dict, resource, within string, object map[string]any) error {
	for _, a := range as {
		value, ok := object[a.property], true
		if a.read != nil && value != nil {
			value, ok = a.read(value)
		}
		if !ok {
			return &malformed{within + a.property, resource, object[a.property]}
		}
		sensor[a.name] = value
	}
	return nil
}

// resource is what a BMC tells at a path.
type resource struct {
	path       string
	properties map[string]any
}

// sensors reads a list; name makes a sensor's name unique.
func (r resource) sensors(which sensorList, name func(sensor any) string) (store.Dict, error) {
	if value := r.properties[which.property]; value != nil && r.list(which.property) == nil {
		return nil, &malformed{which.property, r.path, value}
	}
	all := store.Dict{}
	for _, one := range r.list(which.property) {
		object, ok := one.(map[string]any)
		if !ok {
			return nil, &malformed{which.property, r.path, one}
		}
		naming, there := object[which.naming]
		if which.named && !there {
			return nil, &missing{which.property + "/" + which.naming, r.path}
		}
		sensor, err := which.attributes.of(r.path, which.property+"/", object)
		if err != nil {
			return nil, err
		}
		if which.sized && empty(sensor["capacity_bytes"]) {
			continue
		}
		all[name(naming)] = sensor
	}
	return all, nil
}

func (r resource) list(property string) []any {
	list, _ := r.properties[property].([]any)
	return list
}

// id is the resource's Id.
func (r resource) id() (string, error) {
	id, there := r.properties["Id"]
	if !there {
		return "", &missing{"Id", r.path}
	}
	return text(id), nil
}

// link is where a property leads to.
func (r resource) link(property string) (string, error) {
	if at := linkTarget(r.properties[property]); at != "" {
		return at, nil
	}
	return "", &missing{property, r.path}
}

// links is where a list leads to. It is missing when it is empty, as for sushy.
func (r resource) links(property ...string) ([]string, error) {
	object := r.properties
	last := len(property) - 1
	for _, p := range property[:last] {
		object, _ = object[p].(map[string]any)
	}
	list, _ := object[property[last]].([]any)
	name := strings.Join(property, "/")
	if len(list) == 0 {
		return nil, &missing{name, r.path}
	}
	var paths []string
	for i, one := range list {
		at := linkTarget(one)
		if at == "" {
			return nil, &missing{fmt.Sprintf("%s[%d]/@odata.id", name, i), r.path}
		}
		paths = append(paths, at)
	}
	return paths, nil
}

func linkTarget(link any) string {
	object, _ := link.(map[string]any)
	at, _ := object["@odata.id"].(string)
	return at
}

// oneOf reads a value that the schema lists. Any other is as good as none.
func oneOf(known ...string) func(any) (any, bool) {
	return func(value any) (any, bool) {
		if word, ok := value.(string); ok && slices.Contains(known, word) {
			return word, true
		}
		return nil, true
	}
}

// whole reads a number without its fraction, also from a text, as Python's int does.
func whole(value any) (any, bool) {
	switch v := value.(type) {
	case bool:
		if v {
			return json.Number("1"), true
		}
		return json.Number("0"), true
	case string:
		return integer(strings.TrimSpace(v))
	case json.Number:
		if n, ok := integer(v.String()); ok {
			return n, true
		}
		float, err := v.Float64()
		if err != nil || math.IsInf(float, 0) {
			return nil, false
		}
		n, _ := big.NewFloat(float).Int(nil)
		return json.Number(n.String()), true
	}
	return nil, false
}

// integer is what ironic's consumers get as one, however large.
func integer(text string) (any, bool) {
	// Python refuses to read more digits, and so much is no reading.
	const longest = 4300
	if len(text) > longest {
		return nil, false
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil, false
	}
	return json.Number(n.String()), true
}

func empty(capacity any) bool { return capacity == nil || capacity == json.Number("0") }

// text is a value as a part of a name, as Python writes it.
func text(value any) string {
	switch v := value.(type) {
	case nil:
		return "None"
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	}
	return fmt.Sprint(value)
}
