package ipmi

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Sensors reads all sensors, by type and name. The attributes are those that ipmitool shows, which consumers of the
// notifications know.
func (m *Management) Sensors(ctx context.Context, t *drivers.Task) (drivers.SensorData, error) {
	r, err := m.ask(ctx, t, command{words: "sdr -v"})
	if store.KindOf(err) == store.IPMIFailure {
		return nil, store.Errorf(store.FailedToGetSensorData, "Failed to get sensor data for node %s. Error: %w", t.Node.UUID, err)
	}
	if err != nil {
		return nil, err
	}
	return parseSensors(t.Node.UUID, r.text)
}

// sensorTypes are the attributes that name a sensor's type.
var sensorTypes = []string{"Sensor Type (Analog)", "Sensor Type (Discrete)", "Sensor Type (Threshold)"}

// parseSensors reads ipmitool's records: paragraphs of "name : value". Sensors without a reading are left out.
func parseSensors(node, text string) (drivers.SensorData, error) {
	data := drivers.SensorData{}
	if text == "" {
		return data, nil
	}
	unreadable := func(what string) error {
		const most = 500
		if len(what) > most {
			what = strings.ToValidUTF8(what[:most], "") + "..."
		}
		return store.Errorf(store.FailedToParseSensorData, "Failed to parse sensor data for node %s. Error: parse ipmi sensor data "+
			"failed, %s", node, what)
	}
	for record := range strings.SplitSeq(text, "\n\n") {
		sensor := store.Dict{}
		for line := range strings.SplitSeq(record, "\n") {
			// What begins with << is debugging.
			name, value, found := strings.Cut(line, ":")
			if !found || strings.HasPrefix(line, "<<") || strings.Contains(value, ":") {
				continue
			}
			sensor[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		if len(sensor) == 0 {
			continue
		}
		kind := ""
		for _, attribute := range sensorTypes {
			if value := sensor.String(attribute); value != "" && kind == "" {
				kind, _, _ = strings.Cut(value, " ")
			}
		}
		if kind == "" {
			return nil, unreadable("unknown sensor type data: " + record)
		}
		if _, reads := sensor["Sensor Reading"]; !reads {
			continue
		}
		if data[kind] == nil {
			data[kind] = store.Dict{}
		}
		data[kind][sensor.String("Sensor ID")] = sensor
	}
	if len(data) == 0 {
		return nil, unreadable("get nothing with input data: " + text)
	}
	return data, nil
}
