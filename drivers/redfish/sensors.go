package redfish

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// SensorScope says which sensors are read, in which ironic's releases differ.
type SensorScope int

const (
	// SimpleSensors are those of all chassis, and of drives in SimpleStorage.
	SimpleSensors SensorScope = iota
	// StorageSensors have the drives of Storage instead, as ironic 24.0 does.
	StorageSensors
	// MachineSensors are those of the first chassis, and of drives in SimpleStorage, or else Storage; they tell what machine it is, as
	// ironic 35.0 does.
	MachineSensors
)

// The types of sensors.
const (
	fanSensors         = "Fan"
	temperatureSensors = "Temperature"
	powerSensors       = "Power"
	driveSensors       = "Drive"
	machineSensors     = "Extra"
)

// Sensors reads the sensors of the system's chassis and drives, by type and name, with the attributes that ironic gives them
// (get_sensors_data). What of them a BMC does not tell is left out.
func (m *Management) Sensors(ctx context.Context, t *drivers.Task) (data drivers.SensorData, err error) {
	err = m.on(ctx, t, "", func(s *system) error {
		r := sensorReader{system: s, data: drivers.SensorData{}}
		if err := r.read(m.bmcs.client.cfg.Sensors); err != nil {
			if unreachable(err) || ctx.Err() != nil {
				return err
			}
			return store.Errorf(store.FailedToGetSensorData, "Failed to get sensor data for node %s. Error: %s", t.Node.UUID,
				s.session.explain(err))
		}
		data = r.data
		return nil
	})
	return data, err
}

// sensorReader reads the sensors of one system.
type sensorReader struct {
	*system
	data drivers.SensorData
}

func (r *sensorReader) read(scope SensorScope) error {
	own, err := asResource(r.ODataID, r.RawData)
	if err != nil {
		return err
	}
	chassis, err := r.chassis(own, scope)
	if err != nil {
		return err
	}
	for _, c := range chassis {
		if err := r.readChassis(c); err != nil {
			return err
		}
	}
	if scope == MachineSensors {
		r.data[machineSensors] = store.Dict{"Manufacturer": own.properties["Manufacturer"], "Model": own.properties["Model"],
			"UUID": own.properties["UUID"]}
	}
	drives, err := r.driveData(own, scope)
	return r.add(driveSensors, drives, err)
}

// add puts sensors to the others of their type, which is there, as with ironic, also when err says that they could not be read. It
// fails when nobody waits for the answer any more.
func (r *sensorReader) add(kind string, sensors store.Dict, err error) error {
	if r.data[kind] == nil {
		r.data[kind] = store.Dict{}
	}
	if err == nil {
		maps.Copy(r.data[kind], sensors)
		return nil
	}
	if r.ctx.Err() != nil {
		return err
	}
	r.task.Log.Debug().Str("type", kind).Str("reason", r.session.explain(err)).Msg("sensors cannot be read")
	return nil
}

// chassis are those that the system is in.
func (r *sensorReader) chassis(own resource, scope SensorScope) ([]resource, error) {
	paths, err := own.links("Links", "Chassis")
	if err == nil && scope == MachineSensors {
		paths = paths[:1]
	}
	var all []resource
	for _, at := range paths {
		one, failed := r.resource(at)
		if failed == nil {
			_, failed = one.id()
		}
		if err = failed; err != nil {
			break
		}
		all = append(all, one)
	}
	if err != nil && scope == MachineSensors {
		all = nil
		for _, kind := range []string{fanSensors, temperatureSensors, powerSensors} {
			if err := r.add(kind, nil, err); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	return all, err
}

func (r *sensorReader) readChassis(chassis resource) error {
	id, err := chassis.id()
	if err != nil {
		return err
	}
	thermal, failed := r.below(chassis, "Thermal")
	for _, kind := range []string{fanSensors, temperatureSensors} {
		sensors, err := store.Dict(nil), failed
		if err == nil {
			sensors, err = thermal.sensors(thermalSensors[kind], func(sensor any) string { return text(sensor) + "@" + id })
		}
		if err := r.add(kind, sensors, err); err != nil {
			return err
		}
	}
	sensors, err := r.supplies(chassis, id)
	return r.add(powerSensors, sensors, err)
}

func (r *sensorReader) supplies(chassis resource, id string) (store.Dict, error) {
	power, err := r.below(chassis, "Power")
	if err != nil {
		return nil, err
	}
	powerID, err := power.id()
	if err != nil {
		return nil, err
	}
	return power.sensors(powerSupplies, func(sensor any) string { return text(sensor) + ":" + powerID + "@" + id })
}

func (r *sensorReader) driveData(own resource, scope SensorScope) (store.Dict, error) {
	id, err := own.id()
	if err != nil {
		return nil, err
	}
	switch scope {
	case SimpleSensors:
		return r.devices(own, id, simpleDevices, false)
	case StorageSensors:
		return r.storageDrives(own, id, false)
	}
	id = path.Base(r.ODataID)
	sensors, err := r.devices(own, id, modelledDevices, true)
	if isMissing(err) {
		sensors, err = r.storageDrives(own, id, true)
	}
	for _, one := range sensors {
		// Some BMCs tell how such a drive is and nothing else.
		if sensor := one.(store.Dict); sensor["state"] == nil && sensor["health"] != nil {
			sensor["state"] = "Enabled"
		}
	}
	return sensors, err
}

// devices are the drives of SimpleStorage, which tells of them itself. One that is gone spoils all, or is left out.
func (r *sensorReader) devices(own resource, systemID string, which sensorList, leaveOut bool) (store.Dict, error) {
	stores, err := r.stores(own, "SimpleStorage", leaveOut)
	if err != nil {
		return nil, err
	}
	found := store.Dict{}
	for _, one := range stores {
		id, err := one.id()
		if err != nil {
			return nil, err
		}
		sensors, err := one.sensors(which, func(sensor any) string { return text(sensor) + ":" + id + "@" + systemID })
		if err != nil {
			return nil, err
		}
		maps.Copy(found, sensors)
	}
	return found, nil
}

// storageDrives are the drives of Storage, which names them. A storage that cannot be read spoils all, or is left out.
func (r *sensorReader) storageDrives(own resource, systemID string, leaveOut bool) (store.Dict, error) {
	stores, err := r.stores(own, "Storage", leaveOut)
	if err != nil {
		return nil, err
	}
	found := store.Dict{}
	for _, one := range stores {
		sensors, err := r.drivesOf(one, systemID)
		switch {
		case err == nil:
			maps.Copy(found, sensors)
		case !leaveOut:
			return nil, err
		default:
			if err := r.add(driveSensors, nil, err); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func (r *sensorReader) drivesOf(storage resource, systemID string) (store.Dict, error) {
	id, err := storage.id()
	if err != nil {
		return nil, err
	}
	if len(storage.list("Drives")) == 0 {
		return nil, nil
	}
	paths, err := storage.links("Drives")
	if err != nil {
		return nil, err
	}
	sensors := store.Dict{}
	for _, at := range paths {
		drive, err := r.resource(at)
		if err != nil {
			return nil, err
		}
		sensor, err := driveAttributes.of(drive.path, "", drive.properties)
		if err != nil {
			return nil, err
		}
		sensors[text(drive.properties["Name"])+":"+id+"@"+systemID] = sensor
	}
	return sensors, nil
}

// stores are the members of one of the system's collections. One that is gone is an error, or left out.
func (r *sensorReader) stores(own resource, collection string, leaveOut bool) ([]resource, error) {
	at, err := own.link(collection)
	if err != nil {
		return nil, err
	}
	paths, err := r.members(at)
	if err != nil {
		return nil, err
	}
	var all []resource
	for _, at := range paths {
		one, err := r.resource(at)
		if leaveOut && statusOf(err) == http.StatusNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// below reads the resource that a property leads to.
func (r *sensorReader) below(from resource, property string) (resource, error) {
	at, err := from.link(property)
	if err != nil {
		return resource{}, err
	}
	return r.resource(at)
}

func (r *sensorReader) resource(at string) (resource, error) {
	var raw json.RawMessage
	if err := r.Read(at, &raw); err != nil {
		return resource{}, err
	}
	return asResource(at, raw)
}

// asResource reads an object and keeps its numbers as they are written.
func asResource(at string, raw []byte) (resource, error) {
	one := resource{path: at}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&one.properties); err != nil {
		return one, &notRedfish{http.MethodGet, at, fmt.Sprintf("it is no resource: %s", err)}
	}
	return one, nil
}
