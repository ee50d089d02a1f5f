package redfish_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Whatever stands in driver_info, validation answers with one of the kinds that users are shown.
func FuzzDriverInfo(f *testing.F) {
	for _, seed := range []string{`{"redfish_address": "bmc"}`, `{"redfish_address": "http://[::1]:8000/x", "redfish_verify_ca": 1}`,
		`{"redfish_address": "//", "redfish_system_id": {}}`, `{"redfish_address": ["a"], "redfish_auth_type": []}`,
		`{"redfish_address": "https://u:p@h:0x1/%zz"}`} {
		f.Add([]byte(seed))
	}
	power := redfish.NewPower(redfish.New(quick(), zerolog.Nop()))
	f.Fuzz(func(t *testing.T, text []byte) {
		info, err := store.ParseDict(text)
		if err != nil {
			return
		}
		err = power.Validate(t.Context(), &drivers.Task{Node: &store.Node{UUID: "n", DriverInfo: info}})
		if kind := store.KindOf(err); err != nil && kind != store.MissingParameterValue && kind != store.InvalidParameterValue {
			t.Errorf("%s: %v", text, err)
		}
	})
}

// Whatever a BMC answers, the driver ends with a state or with an error that names the BMC and not the password.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{"PowerState": "On"}`, `{"@odata.id": "/x", "PowerState": 7}`, `null`, `[`, `{"Boot": []}`,
		`{"RedfishVersion": "1.0", "Systems": {"@odata.id": 4}}`,
		`{"RedfishVersion": "1.0", "Systems": {"@odata.id": "/redfish/v1"}, "Members": [{"@odata.id": "::"}]}`,
		`{"error": {"code": "s3cret-pass", "message": ["x"]}}`} {
		f.Add(200, []byte(seed))
		f.Add(400, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, text []byte) {
		if status < 200 || status > 599 || status == 204 || status == 304 {
			return
		}
		b := newBMC(t)
		b.raw = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write(text)
		}
		x, _ := task(open(t, quick()), b.url)
		state, err := x.Hardware.Power.PowerState(t.Context(), x)
		var known *store.Error
		switch {
		case err == nil:
			if state != "" && state != store.PowerOn && state != store.PowerOff {
				t.Errorf("state %q", state)
			}
		case !errors.As(err, &known), !strings.Contains(err.Error(), b.url), strings.Contains(err.Error(), password):
			t.Errorf("%v", err)
		}
	})
}
