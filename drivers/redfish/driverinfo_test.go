package redfish_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

func TestValidateDriverInfo(t *testing.T) {
	badAddress := func(shown string) string {
		return "Invalid Redfish address " + shown + " set in driver_info/redfish_address on node node-1"
	}
	badVerify := func(shown string) string {
		return "Invalid value type set in driver_info/redfish_verify_ca on node node-1. The value should be a Boolean or the " +
			`path to a file/directory, not "` + shown + `"`
	}
	badAuth := func(shown string) string {
		return `Invalid value "` + shown + `" set in driver_info/redfish_auth_type on node node-1. The value should be one of ` +
			`"basic", "session" or "auto".`
	}
	for _, c := range []struct {
		info string
		kind store.Kind
		text string
	}{
		{`{}`, store.MissingParameterValue,
			"Missing the following Redfish properties in node node-1 driver_info: ['redfish_address']"},
		{`{"redfish_address": ""}`, store.MissingParameterValue,
			"Missing the following Redfish properties in node node-1 driver_info: ['redfish_address']"},
		{`{"redfish_address": "bmc.example"}`, "", ""},
		{`{"redfish_address": "bmc.example:8443/redfish/v1"}`, "", ""},
		{`{"redfish_address": "https://[2001:db8::1]:443"}`, "", ""},
		{`{"redfish_address": "2001:db8::1"}`, "", ""},
		{`{"redfish_address": 42}`, store.InvalidParameterValue, badAddress("42")},
		{`{"redfish_address": "/no/host"}`, store.InvalidParameterValue, badAddress("https:///no/host")},
		{`{"redfish_address": "http://bmc example"}`, store.InvalidParameterValue, badAddress("http://bmc example")},
		{`{"redfish_address": "ftp://me:hush@bmc"}`, "", ""},
		{`{"redfish_address": "http://me:hush@bmc:x"}`, store.InvalidParameterValue, badAddress("http://...@bmc:x")},
		{`{"redfish_address": "b", "redfish_system_id": "/redfish/v1/Systems/1"}`, "", ""},
		{`{"redfish_address": "b", "redfish_system_id": null}`, "", ""},
		{`{"redfish_address": "b", "redfish_system_id": 7}`, store.InvalidParameterValue, `Invalid value "7" set in ` +
			"driver_info/redfish_system_id on node node-1. The value should be a path (string) to the resource that the " +
			"driver will interact with. For example: /redfish/v1/Systems/1"},
		{`{"redfish_address": "b", "redfish_verify_ca": true}`, "", ""},
		{`{"redfish_address": "b", "redfish_verify_ca": "Off"}`, "", ""},
		{`{"redfish_address": "b", "redfish_verify_ca": "/no/such/file"}`, store.InvalidParameterValue, badVerify("/no/such/file")},
		{`{"redfish_address": "b", "redfish_verify_ca": 10}`, store.InvalidParameterValue, badVerify("10")},
		{`{"redfish_address": "b", "redfish_verify_ca": null}`, store.InvalidParameterValue, badVerify("None")},
		{`{"redfish_address": "b", "redfish_auth_type": "session"}`, "", ""},
		{`{"redfish_address": "b", "redfish_auth_type": "BasicAuth"}`, store.InvalidParameterValue, badAuth("BasicAuth")},
		{`{"redfish_address": "b", "redfish_auth_type": null}`, store.InvalidParameterValue, badAuth("None")},
	} {
		info, err := store.ParseDict([]byte(c.info))
		if err != nil {
			t.Fatal(err)
		}
		x := &drivers.Task{Node: &store.Node{UUID: "node-1", DriverInfo: info}}
		client := redfish.New(redfish.DefaultConfig(), zerolog.Nop())
		for _, i := range []drivers.Interface{redfish.NewPower(client), redfish.NewManagement(client, "uefi")} {
			err := i.Validate(t.Context(), x)
			if c.kind == "" && err != nil {
				t.Errorf("%s: %v", c.info, err)
			}
			if c.kind != "" && (store.KindOf(err) != c.kind || err.Error() != c.text) {
				t.Errorf("%s: got %v, want %s", c.info, err, c.text)
			}
		}
	}
}

// The texts are those of wire/21.4/get_driver_properties--redfish.json, and what Debian's 39.0 says.
func TestProperties(t *testing.T) {
	for _, c := range []struct {
		file  string
		newer bool
		count int
	}{{"properties.json", false, 6}, {"properties-39.0.json", true, 9}} {
		text, err := os.ReadFile(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]string
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		cfg := redfish.DefaultConfig()
		cfg.ChoosesTLS = c.newer
		client := redfish.New(cfg, zerolog.Nop())
		for _, i := range []drivers.Interface{redfish.NewPower(client), redfish.NewManagement(client, "uefi"),
			redfish.NewBIOS(client, nil), redfish.NewRAID(client)} {
			all := i.Properties()
			for name, description := range all {
				if want[name] != description {
					t.Errorf("%s: %s: %q, want %q", c.file, name, description, want[name])
				}
			}
			if len(all) != c.count {
				t.Errorf("%s: %d properties, want %d", c.file, len(all), c.count)
			}
		}
	}
}

// What nodes say of TLS counts on releases that have it, and goes before the configuration.
func TestDialect(t *testing.T) {
	bad := func(shown string) string {
		return `Invalid value "` + shown + `" set in driver_info/redfish_tls_minimum_version on node node-1. The value should be one of ` +
			`"1.1", "1.2", or "1.3".`
	}
	for _, c := range []struct {
		info, text string
		newer      bool
	}{
		{`{"redfish_tls_minimum_version": "1.3"}`, "", true},
		{`{"redfish_tls_minimum_version": null}`, "", true},
		{`{"redfish_tls_minimum_version": ""}`, "", true},
		{`{"redfish_tls_minimum_version": "1.0"}`, bad("1.0"), true},
		{`{"redfish_tls_minimum_version": 1.2}`, bad("1.2"), true},
		{`{"redfish_tls_minimum_version": ["1.2"]}`, bad("['1.2']"), true},
		{`{"redfish_tls_minimum_version": "1.0"}`, "", false},
		{`{"redfish_tls_ciphers": "nonsense"}`, "", true},
		{`{"redfish_verify_ca": true, "redfish_tls_ciphers": null}`, "", true},
	} {
		info, err := store.ParseDict([]byte(c.info))
		if err != nil {
			t.Fatal(err)
		}
		info["redfish_address"] = "bmc"
		cfg := redfish.DefaultConfig()
		cfg.ChoosesTLS, cfg.TLS = c.newer, redfish.Dialect{Minimum: "1.2"}
		err = redfish.NewPower(redfish.New(cfg, zerolog.Nop())).Validate(t.Context(), &drivers.Task{Node: &store.Node{UUID: "node-1",
			DriverInfo: info}})
		if c.text == "" && err != nil || c.text != "" && (store.KindOf(err) != store.InvalidParameterValue || err.Error() != c.text) {
			t.Errorf("%s: %v, want %q", c.info, err, c.text)
		}
	}
}
