package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	ironicAPI       = "/usr/bin/ironic-api"
	ironicConductor = "/usr/bin/ironic-conductor"
	ironicDBSync    = "/usr/bin/ironic-dbsync"
)

// ConductorHost is the host name in ConfFile.
const ConductorHost = "lab-conductor"

// createSchema runs ironic-dbsync against an empty database.
func createSchema(ctx context.Context, dir, url string) error {
	file := filepath.Join(dir, "dbsync.conf")
	if err := (ini{"database": {"connection": url}}).write(file); err != nil {
		return err
	}
	return runOnce(ctx, dir, Command{
		Name: "ironic-dbsync", Path: ironicDBSync, Env: cleanEnv(dir),
		Args: []string{"--config-file", file, "create_schema"},
	})
}

// StartIronicAPI writes the configuration files and starts ironic-api. The broker and the database must have been
// started; when Glance is wanted, it too. The API answers GET /v1 from then on, and everything that needs a conductor
// with 503 or "no valid host" until a conductor has registered.
func (l *Lab) StartIronicAPI() error {
	if err := l.prepareIronic(); err != nil {
		return err
	}
	return l.launchIronicAPI()
}

// prepareIronic chooses the API's address and writes the configuration.
func (l *Lab) prepareIronic() error {
	if err := need("ironic", ironicAPI); err != nil {
		return err
	}
	numbers, err := l.ports.reserve(2)
	if err != nil {
		return err
	}
	for _, sub := range []string{"httpboot", "images", "state"} {
		if _, err := l.folder(sub); err != nil {
			return err
		}
	}
	l.apiPort = numbers[0]
	l.IronicURL = "http://" + loopback(l.apiPort)
	l.DeployURL = "http://" + loopback(numbers[1])
	l.ConfFile = filepath.Join(l.Dir, "ironic.conf")
	l.APIConfFile = filepath.Join(l.Dir, "ironic-api.conf")
	if err := l.WriteConf(l.ConfFile, ConductorHost, nil); err != nil {
		return err
	}
	api := l.baseConf(ConductorHost)
	api["database"]["connection"] = l.Database.URL
	api["api"] = map[string]string{"host_ip": "127.0.0.1", "port": strconv.Itoa(l.apiPort), "api_workers": "1"}
	return api.with(l.options.Extra).write(l.APIConfFile)
}

// WriteConf writes an ironic.conf like ConfFile for one more conductor, with its own host name and with options that
// replace those of Options.Extra.
func (l *Lab) WriteConf(file, host string, extra map[string]map[string]string) error {
	return l.baseConf(host).with(l.options.Extra).with(extra).write(file)
}

func (l *Lab) baseConf(host string) ini {
	boot := "fake,redfish-virtual-media"
	if l.options.Conductor == "python" {
		// Upstream's manual-management has no other boot interfaces than these.
		boot += ",ipxe,pxe"
	}
	none := func(endpoint string) map[string]string {
		return map[string]string{"auth_type": "none", "endpoint_override": endpoint}
	}
	conf := ini{
		"DEFAULT": {
			"auth_strategy": "noauth",
			"debug":         "true",
			"host":          host,
			"my_ip":         "127.0.0.1",
			"transport_url": l.RabbitMQ.TransportURL,
			"state_path":    filepath.Join(l.Dir, "state"),
			// The API caches the hash ring this long; the default of 15 s would make tests wait for new conductors.
			"hash_ring_reset_interval":      "1",
			"notification_level":            "debug",
			"enabled_hardware_types":        "fake-hardware,manual-management,redfish",
			"enabled_bios_interfaces":       "fake,no-bios",
			"enabled_boot_interfaces":       boot,
			"enabled_console_interfaces":    "fake,no-console",
			"enabled_deploy_interfaces":     "direct,fake",
			"enabled_firmware_interfaces":   "fake,no-firmware",
			"enabled_inspect_interfaces":    "fake,no-inspect",
			"enabled_management_interfaces": "fake,noop,redfish",
			"enabled_network_interfaces":    "noop",
			"enabled_power_interfaces":      "fake,redfish",
			"enabled_raid_interfaces":       "fake,no-raid",
			"enabled_rescue_interfaces":     "fake,no-rescue",
			"enabled_storage_interfaces":    "fake,noop",
			"enabled_vendor_interfaces":     "fake,no-vendor",
		},
		"database":                     {"connection": l.Database.ConductorURL},
		"oslo_messaging_notifications": {"driver": "messagingv2"},
		"service_catalog":              none(l.IronicURL),
		"conductor": {
			"file_url_allowed_paths": l.Dir,
		},
		"deploy": {
			"http_url":        l.DeployURL,
			"http_root":       filepath.Join(l.Dir, "httpboot"),
			"iso_master_path": filepath.Join(l.Dir, "images", "iso"),
		},
		"agent":   {"image_download_source": "http"},
		"pxe":     {"images_path": filepath.Join(l.Dir, "images"), "instance_master_path": filepath.Join(l.Dir, "images", "master")},
		"redfish": {"use_swift": "false"},
	}
	if l.GlanceURL != "" {
		conf["glance"] = none(l.GlanceURL)
	}
	return conf
}

func (l *Lab) launchIronicAPI() error {
	var err error
	l.API, err = l.StartService(Command{
		Name: "ironic-api", Path: ironicAPI, Env: cleanEnv(l.Dir),
		Args:  []string{"--config-file", l.APIConfFile},
		Ready: answers(l.IronicURL+"/v1", nil),
	})
	return err
}

// startPythonConductor starts Debian's ironic-conductor and waits until the API knows its hardware types.
func (l *Lab) startPythonConductor() error {
	if err := need("conductor", ironicConductor); err != nil {
		return err
	}
	var err error
	l.Conductor, err = l.StartService(Command{
		Name: "ironic-conductor", Path: ironicConductor, Env: cleanEnv(l.Dir),
		Args: []string{"--config-file", l.ConfFile},
		Ready: answers(l.IronicURL+"/v1/drivers", func(body string) bool {
			return strings.Contains(body, ConductorHost)
		}),
	})
	return err
}

// answers is a readiness check: a GET of the URL succeeds, with a body that accept takes when it is given.
func answers(url string, accept func(body string) bool) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		// Glance answers 300 Multiple Choices at its root.
		if response.StatusCode > http.StatusMultipleChoices {
			return fmt.Errorf("GET %s: %s", url, response.Status)
		}
		if accept == nil {
			return nil
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		if err != nil {
			return fmt.Errorf("GET %s: %w", url, err)
		}
		if !accept(string(body)) {
			return fmt.Errorf("GET %s: not yet", url)
		}
		return nil
	}
}
