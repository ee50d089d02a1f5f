package redfish

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// The outcomes are those of Python's int and str on what its json reads.
func TestValuesOfSensors(t *testing.T) {
	for value, want := range map[string]string{"7": "7", "-7.9": "-7", "0.4": "0", "1e3": "1000", "true": "1", "false": "0", `" +12 "`: "12",
		`"-3"`: "-3", "98765432109876543210": "98765432109876543210", `"7.5"`: "", `""`: "", `"+-3"`: "", `"0x10"`: "", "[]": "", "{}": "",
		"1e999": "", `"` + strings.Repeat("9", 4301) + `"`: ""} {
		got, ok := whole(decoded(t, value))
		if ok != (want != "") || ok && fmt.Sprint(got) != want {
			t.Errorf("%.20s: %v, %v, want %s", value, got, ok, want)
		}
	}
	for value, want := range map[string]string{"null": "None", "true": "True", "false": "False", `"a"`: "a", "1": "1", "1.0": "1.0"} {
		if got := text(decoded(t, value)); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}

func decoded(t *testing.T, value string) any {
	t.Helper()
	one, err := asResource("", []byte(`{"it": `+value+`}`))
	if err != nil {
		t.Fatal(err)
	}
	return one.properties["it"]
}

// Whatever a BMC tells of its sensors, it is left out or can be sent.
func FuzzSensors(f *testing.F) {
	for _, seed := range []string{`{"Fans": [{"MemberId": "0", "Reading": 47.9, "ReadingUnits": "RPM", "Status": {"State": "Enabled"}}]}`,
		`{"Temperatures": [{"MemberId": 1e400, "SensorNumber": "1e5", "Status": []}]}`, `{"PowerSupplies": [null, {"LineInputVoltage": -0.0}]}`,
		`{"Devices": [{"Name": {}, "CapacityBytes": 1e308}]}`, `null`, `{"Fans": {}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		one, err := asResource("/thermal", text)
		if err != nil {
			return
		}
		for _, which := range []sensorList{thermalSensors[fanSensors], thermalSensors[temperatureSensors], powerSupplies, simpleDevices,
			modelledDevices} {
			sensors, err := one.sensors(which, func(name any) string { return fmt.Sprint(name) })
			if err != nil {
				continue
			}
			for _, sensor := range sensors {
				for _, a := range which.attributes {
					if _, there := sensor.(store.Dict)[a.name]; !there {
						t.Errorf("%s: %s of a sensor is not there", text, a.name)
					}
				}
			}
			if _, err := json.Marshal(sensors); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
}
