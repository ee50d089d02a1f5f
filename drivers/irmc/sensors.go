package irmc

import (
	"context"
	"maps"
	"net"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/store"
)

// NewSensing reads the sensors of iRMCs as those of BMCs that speak IPMI, with the iRMC's address and account.
func NewSensing(c *ipmi.Client) drivers.Sensing { return ipmi.NewManagementOf(c, inIPMIWords) }

// inIPMIWords is a node's driver_info as the hardware type ipmi has it. ironic writes these keys into the node, password and all.
func inIPMIWords(n *store.Node) store.Dict {
	info := store.Dict{}
	maps.Copy(info, n.DriverInfo)
	for to, from := range map[string]string{"ipmi_username": "irmc_username", "ipmi_password": "irmc_password"} {
		if value, given := info[from]; given {
			info[to] = value
		}
	}
	// What may stand behind the address is the port of Redfish.
	info["ipmi_address"] = n.DriverInfo.String("irmc_address")
	if host, _, err := net.SplitHostPort(n.DriverInfo.String("irmc_address")); err == nil {
		info["ipmi_address"] = host
	}
	return info
}

// Sensors reads all sensors, as irmc_sensor_method has it.
func (m *Management) Sensors(ctx context.Context, t *drivers.Task) (drivers.SensorData, error) {
	if choice(t.Node.DriverInfo, "irmc_sensor_method", m.cfg.SensorMethod) == "scci" {
		return m.reportedSensors(ctx, t)
	}
	return m.cfg.Sensing.Sensors(ctx, t)
}

// sensorReport is the part of an iRMC's report that tells of sensors.
type sensorReport struct {
	Records struct {
		Each []sensorRecord `xml:",any"`
	} `xml:"System>SensorDataRecords"`
}

type sensorRecord struct {
	Decoded struct {
		Sensor struct {
			TypeName, Type, BaseUnitName *string
			Thresholds                   struct {
				Each []struct{ Normalized *string } `xml:",any"`
			}
		}
		Entity struct{ Name, ID *string }
	} `xml:"Data>Decoded"`
}

// reportedSensors are those of the report.
func (m *Management) reportedSensors(ctx context.Context, t *drivers.Task) (drivers.SensorData, error) {
	r, closeREST, err := openREST(t.Node, m.cfg)
	if err != nil {
		return nil, noSensors(t.Node, err)
	}
	defer closeREST()
	var report sensorReport
	if err := r.report(ctx, &report); err != nil {
		return nil, noSensors(t.Node, err)
	}
	return report.sensors(), nil
}

func noSensors(n *store.Node, err error) error {
	return store.Errorf(store.FailedToGetSensorData, "Failed to get sensor data for node %s. Error: %w", n.UUID, err)
}

// sensors are the records by type and entity. Those that do not tell both are left out.
func (r sensorReport) sensors() drivers.SensorData {
	data := drivers.SensorData{}
	for _, one := range r.Records.Each {
		s, e := one.Decoded.Sensor, one.Decoded.Entity
		if s.TypeName == nil || s.Type == nil || e.Name == nil || e.ID == nil {
			continue
		}
		reading, units := "None", "None"
		for _, threshold := range s.Thresholds.Each {
			if threshold.Normalized != nil {
				reading = *threshold.Normalized
				break
			}
		}
		if s.BaseUnitName != nil {
			units = *s.BaseUnitName
		}
		kind, id := *s.TypeName+" ("+*s.Type+")", *e.Name+" ("+*e.ID+")"
		if data[kind] == nil {
			data[kind] = store.Dict{}
		}
		data[kind][id] = store.Dict{"Sensor Reading": reading + " " + units, "Sensor ID": id, "Units": units}
	}
	return data
}
