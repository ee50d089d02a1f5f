package irmc_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/irmc"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// report is a report as ironic reads it (ironic/drivers/modules/irmc/management.py).
const report = `<?xml version="1.0" encoding="UTF-8"?><Root Schema="2"><System><SensorDataRecords>
<SDR><Data><Decoded><Sensor><TypeName>Temperature</TypeName><Type>1</Type><BaseUnitName>degree C</BaseUnitName>
<Thresholds><UpperWarning><Normalized>37</Normalized></UpperWarning><UpperCritical><Normalized>42</Normalized></UpperCritical></Thresholds></Sensor>
<Entity><Name>Ambient</Name><ID>55</ID></Entity></Decoded></Data></SDR>
<SDR><Data><Decoded><Sensor><TypeName>Fan</TypeName><Type>4</Type></Sensor><Entity><Name>FAN1</Name><ID>29</ID></Entity></Decoded></Data></SDR>
<SDR><Data><Decoded><Sensor><TypeName>Fan</TypeName></Sensor></Decoded></Data></SDR>
</SensorDataRecords></System></Root>`

// withREST is a node whose iRMC answers as handler does.
func withREST(t *testing.T, handler http.HandlerFunc) *drivers.Task {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	node := &store.Node{UUID: "node-1", Driver: "irmc", DriverInfo: store.Dict{"irmc_address": at.Host, "irmc_username": redfishtest.User,
		"irmc_password": redfishtest.Password, "irmc_verify_ca": false, "irmc_sensor_method": "scci"}, DriverInternalInfo: store.Dict{}}
	return &drivers.Task{Node: node, Worker: redfishtest.NewWorker(), Log: zerolog.Nop(), Hardware: &drivers.Hardware{}}
}

func TestSensorsOfTheReport(t *testing.T) {
	for _, method := range []string{"basic", "digest"} {
		x := withREST(t, func(w http.ResponseWriter, r *http.Request) {
			authorization := r.Header.Get("Authorization")
			if _, password, _ := r.BasicAuth(); password != redfishtest.Password && !strings.HasPrefix(authorization, "Digest ") {
				w.Header().Set("WWW-Authenticate", `Digest realm="iRMC", nonce="abc", qop="auth", algorithm=MD5`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			if r.URL.Path != "/report.xml" || strings.HasPrefix(authorization, "Digest ") != (method == "digest") {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			_, _ = w.Write([]byte(report))
		})
		x.Node.DriverInfo["irmc_auth_method"] = method
		m := irmc.NewManagement(redfishtest.Client(t), config())
		got, err := m.Sensors(t.Context(), x)
		want := drivers.SensorData{
			"Temperature (1)": {"Ambient (55)": store.Dict{"Sensor ID": "Ambient (55)", "Sensor Reading": "37 degree C", "Units": "degree C"}},
			"Fan (4)":         {"FAN1 (29)": store.Dict{"Sensor ID": "FAN1 (29)", "Sensor Reading": "None None", "Units": "None"}}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", method, err, got)
		}
	}
}

func TestSensorsThatCannotBeRead(t *testing.T) {
	for status, text := range map[int]string{http.StatusOK: "<Root", http.StatusNotFound: "", http.StatusUnauthorized: ""} {
		x := withREST(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		})
		_, err := irmc.NewManagement(redfishtest.Client(t), config()).Sensors(t.Context(), x)
		redfishtest.WantError(t, err, store.FailedToGetSensorData, "Failed to get sensor data for node node-1. Error: ")
		if strings.Contains(err.Error(), redfishtest.Password) {
			t.Errorf("the password is in %v", err)
		}
	}
}
