package redfish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

const (
	sensedSystem = "/redfish/v1/Systems/437XR1138R2"
	sensedBox    = "/redfish/v1/Chassis/1U"
)

// sensed reads the sensors of a tree. Its log has what it said.
func sensed(t *testing.T, tr *redfishtest.Tree, scope redfish.SensorScope) (data drivers.SensorData, log string, err error) {
	t.Helper()
	cfg := redfish.DefaultConfig()
	cfg.Sensors = scope
	var said bytes.Buffer
	x := &drivers.Task{Worker: redfishtest.NewWorker(), Log: zerolog.New(&said), Node: &store.Node{UUID: "node-1", Driver: "redfish",
		DriverInfo: store.Dict{"redfish_address": tr.URL, "redfish_username": redfishtest.User,
			"redfish_password": redfishtest.Password, "redfish_verify_ca": false}}}
	data, err = redfish.NewManagement(redfishtest.ClientWith(t, cfg), "uefi").Sensors(t.Context(), x)
	return data, said.String(), err
}

// asSent is what consumers get.
func asSent(t *testing.T, data any) (sent map[string]map[string]any) {
	t.Helper()
	text, err := json.Marshal(data)
	if err == nil {
		err = json.Unmarshal(text, &sent)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

// TestSensorsAsIronicReadsThem holds what is read against what ironic and sushy of these releases read of the same answers. One of the
// two chassis has no Thermal.
func TestSensorsAsIronicReadsThem(t *testing.T) {
	text, err := os.ReadFile("testdata/sensors_read.json")
	if err != nil {
		t.Fatal(err)
	}
	var upstream map[string]map[string]map[string]any
	if err := json.Unmarshal(text, &upstream); err != nil {
		t.Fatal(err)
	}
	for release, scope := range map[string]redfish.SensorScope{"21.4": redfish.SimpleSensors, "29.0": redfish.StorageSensors,
		"39.0": redfish.MachineSensors, "39.0 without SimpleStorage": redfish.MachineSensors} {
		tr := redfishtest.Open(t, "testdata/sensors.json", nil)
		if strings.HasSuffix(release, "without SimpleStorage") {
			tr.Set(sensedSystem, redfishtest.Object{"SimpleStorage": nil})
		}
		data, _, err := sensed(t, tr, scope)
		if err != nil {
			t.Errorf("%s: %v", release, err)
			continue
		}
		got := asSent(t, data)
		if want := upstream[release]; len(want) == 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%v\nwant\n%v", release, got, want)
		}
	}
}

func TestSensorsThatCannotBeReadAreLeftOut(t *testing.T) {
	list := func(property string, one redfishtest.Object) redfishtest.Object {
		return redfishtest.Object{property: []any{one}}
	}
	for _, c := range []struct {
		name   string
		change func(tr *redfishtest.Tree)
		// empty are the types that have no sensors then.
		empty []string
		said  string
	}{
		{"no Thermal at all", func(tr *redfishtest.Tree) { tr.Remove(sensedBox + "/Thermal") }, []string{"Fan", "Temperature"}, sensedBox + "/Thermal"},
		{"lists of nothing", func(tr *redfishtest.Tree) {
			tr.Set(sensedBox+"/Thermal", redfishtest.Object{"Fans": nil, "Temperatures": []any{}})
		}, []string{"Fan", "Temperature"}, ""},
		{"a fan without a name", func(tr *redfishtest.Tree) {
			tr.Set(sensedBox+"/Thermal", list("Fans", redfishtest.Object{"Reading": 1}))
		}, []string{"Fan"}, "The attribute Fans/MemberId is missing from the resource " + sensedBox + "/Thermal"},
		{"a fan that is no object", func(tr *redfishtest.Tree) {
			tr.Set(sensedBox+"/Thermal", redfishtest.Object{"Fans": []any{"first"}})
		}, []string{"Fan"}, "The attribute Fans is malformed"},
		{"fans that are no list", func(tr *redfishtest.Tree) {
			tr.Set(sensedBox+"/Thermal", redfishtest.Object{"Fans": "many"})
		}, []string{"Fan"}, "The attribute Fans is malformed"},
		{"a reading in words", func(tr *redfishtest.Tree) {
			tr.Set(sensedBox+"/Thermal", list("Fans", redfishtest.Object{"MemberId": "0", "Reading": "fast"}))
		}, []string{"Fan"}, "The attribute Fans/Reading is malformed in the resource " + sensedBox + "/Thermal: fast"},
		{"a number that is a list", func(tr *redfishtest.Tree) {
			tr.Set(sensedBox+"/Thermal", list("Temperatures", redfishtest.Object{"MemberId": "0", "SensorNumber": []any{}}))
		}, []string{"Temperature"}, "The attribute Temperatures/SensorNumber is malformed"},
		{"a status in words", func(tr *redfishtest.Tree) {
			tr.Set(sensedBox+"/Thermal", list("Temperatures", redfishtest.Object{"MemberId": "0", "Status": "good"}))
		}, []string{"Temperature"}, "The attribute Temperatures/Status is malformed"},
		{"no storage that is named", func(tr *redfishtest.Tree) {
			tr.Remove(sensedSystem + "/SimpleStorage/2")
		}, []string{"Drive"}, sensedSystem + "/SimpleStorage/2"},
		{"no SimpleStorage", func(tr *redfishtest.Tree) {
			tr.Set(sensedSystem, redfishtest.Object{"SimpleStorage": nil})
		}, []string{"Drive"}, "The attribute SimpleStorage is missing"},
		{"a device without a name", func(tr *redfishtest.Tree) {
			tr.Set(sensedSystem+"/SimpleStorage/1", list("Devices", redfishtest.Object{"CapacityBytes": 1}))
		}, []string{"Drive"}, "The attribute Devices/Name is missing"},
	} {
		tr := redfishtest.Open(t, "testdata/sensors.json", nil)
		c.change(tr)
		data, said, err := sensed(t, tr, redfish.SimpleSensors)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var empty []string
		for _, kind := range slices.Sorted(maps.Keys(data)) {
			if len(data[kind]) == 0 {
				empty = append(empty, kind)
			}
		}
		if len(data) != 4 || !slices.Equal(empty, c.empty) || !strings.Contains(said, c.said) {
			t.Errorf("%s: nothing of %v, want %v; said %s", c.name, empty, c.empty, said)
		}
	}
}

func TestStorageWithoutItsDrives(t *testing.T) {
	for scope, want := range map[redfish.SensorScope]int{redfish.StorageSensors: 0, redfish.MachineSensors: 1} {
		tr := redfishtest.Open(t, "testdata/sensors.json", nil)
		tr.Set(sensedSystem, redfishtest.Object{"SimpleStorage": nil})
		tr.Set(sensedSystem+"/Storage/None", redfishtest.Object{"Drives": []any{redfishtest.Object{"@odata.id": sensedBox + "/Drives/0"}}})
		tr.Remove(sensedBox + "/Drives/1")
		data, said, err := sensed(t, tr, scope)
		if err != nil || len(data["Drive"]) != want || !strings.Contains(said, sensedBox+"/Drives/1") {
			t.Errorf("%d: %v, %v, said %s", scope, data["Drive"], err, said)
		}
	}
}

func TestSensorsWithoutChassis(t *testing.T) {
	for name, change := range map[string]func(tr *redfishtest.Tree){
		"none named":     func(tr *redfishtest.Tree) { tr.Set(sensedSystem, redfishtest.Object{"Links": nil}) },
		"a link to none": func(tr *redfishtest.Tree) { tr.Remove(sensedBox) },
		"none with an id": func(tr *redfishtest.Tree) {
			tr.Remove(sensedBox)
			tr.Set(sensedBox, redfishtest.Object{"Name": "nobody"})
		},
	} {
		tr := redfishtest.Open(t, "testdata/sensors.json", nil)
		change(tr)
		_, _, err := sensed(t, tr, redfish.SimpleSensors)
		redfishtest.WantError(t, err, store.FailedToGetSensorData, "Failed to get sensor data for node node-1. Error: ")
		// Since 35.0 the drives are read all the same.
		data, _, err := sensed(t, tr, redfish.MachineSensors)
		if err != nil || len(data) != 5 || len(data["Fan"]) != 0 || len(data["Drive"]) == 0 {
			t.Errorf("%s: %v, %v", name, data, err)
		}
	}
}

func TestSensorsOfABMCThatIsSilent(t *testing.T) {
	x, _ := task(open(t, quick()), "http://127.0.0.1:1")
	_, err := x.Hardware.Management.(drivers.Sensing).Sensors(t.Context(), x)
	redfishtest.WantError(t, err, store.RedfishConnectionError)

}

func TestSensorsThatNobodyWaitsFor(t *testing.T) {
	b := newBMC(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	chassis := "/redfish/v1/Chassis/1"
	b.system["Links"].(object)["Chassis"] = []any{link(chassis)}
	b.parts = map[string]object{chassis: {"@odata.id": chassis, "Id": "1", "Thermal": link(chassis + "/Thermal")}}
	asked := 0
	b.lose = func() bool {
		// The collection, the system and the chassis come before its Thermal.
		if asked++; asked == 4 {
			cancel()
		}
		return false
	}
	x, _ := task(open(t, quick()), b.url)
	data, err := x.Hardware.Management.(drivers.Sensing).Sensors(ctx, x)
	if !errors.Is(err, context.Canceled) || data != nil {
		t.Errorf("%v, %v", data, err)
	}
}
