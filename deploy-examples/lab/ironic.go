package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	ironicAPI       = "/usr/bin/ironic-api"
	ironicDBSync    = "/usr/bin/ironic-dbsync"
	pythonConductor = "/usr/bin/ironic-conductor"
)

const jsonRPC = "json-rpc"

// createSchema runs ironic-dbsync against an empty database.
func (s system) createSchema(ctx context.Context, dir, url string) error {
	file := filepath.Join(dir, "dbsync.conf")
	if err := (ini{"database": {"connection": url}}).write(file); err != nil {
		return err
	}
	return runOnce(ctx, dir, s.run(Command{
		Name: "ironic-dbsync", Path: ironicDBSync, Env: cleanEnv(dir),
		Args: []string{"--config-file", file, "create_schema"},
	}))
}

// prepareIronic chooses the API's address and writes the configuration.
func (l *Lab) prepareIronic() error {
	if err := l.system.need("ironic", ironicAPI); err != nil {
		return err
	}
	numbers, err := l.ports.reserve(2)
	if err != nil {
		return err
	}
	if l.Host = "lab-conductor"; l.options.Transport == jsonRPC {
		l.Host, l.RPCPort = "127.0.0.1", numbers[1]
	}
	for _, sub := range []string{"httpboot", "images", "state"} {
		if _, err := l.folder(sub); err != nil {
			return err
		}
	}
	l.IronicURL = "http://" + l.reachable(numbers[0])
	l.ConfFile = filepath.Join(l.Dir, "ironic.conf")
	l.APIConfFile = filepath.Join(l.Dir, "ironic-api.conf")
	if err := l.WriteConf(l.ConfFile, l.Host, nil); err != nil {
		return err
	}
	return l.baseConf().with(ini{
		"database": {"connection": l.Database.URL},
		"api":      {"host_ip": l.options.Address, "port": strconv.Itoa(numbers[0]), "api_workers": "1"},
	}).with(l.options.Extra).with(l.options.API).write(l.APIConfFile)
}

// WriteConf writes an ironic.conf for one conductor: its host name, addresses and files of its own, and options that
// replace those of Options.Extra.
func (l *Lab) WriteConf(file, host string, extra map[string]map[string]string) error {
	numbers, err := l.ports.reserve(2)
	if err != nil {
		return err
	}
	admin, images := loopback(numbers[0]), l.reachable(numbers[1])
	conf := l.baseConf()
	if l.options.Transport == jsonRPC {
		conf["json_rpc"]["host_ip"] = host
	}
	return conf.with(ini{
		"DEFAULT":  {"host": host},
		"database": {"connection": l.Database.ConductorURL},
		"deploy":   {"http_url": "http://" + images, "http_root": filepath.Join(l.Dir, "httpboot")},
		"ironmaster": {
			"admin_listen":        admin,
			"image_server_listen": images,
			"state_file":          filepath.Join(l.Dir, "state", host+".db"),
		},
	}).with(l.options.Extra).with(extra).write(file)
}

// baseConf holds what the API and the conductors agree on.
func (l *Lab) baseConf() ini {
	none := func(endpoint string) map[string]string {
		return map[string]string{"auth_type": "none", "endpoint_override": endpoint}
	}
	images := filepath.Join(l.Dir, "images")
	conf := ini{
		"DEFAULT": {
			"auth_strategy": "noauth",
			"debug":         "true",
			"my_ip":         l.options.Address,
			"state_path":    filepath.Join(l.Dir, "state"),
			// The API caches the hash ring this long; the default of 15 s would make tests wait for new conductors.
			"hash_ring_reset_interval":      "1",
			"notification_level":            "debug",
			"enabled_hardware_types":        "fake-hardware,manual-management,redfish",
			"enabled_bios_interfaces":       "fake,no-bios",
			"enabled_boot_interfaces":       "fake,redfish-virtual-media",
			"enabled_console_interfaces":    "fake,no-console",
			"enabled_deploy_interfaces":     "direct,fake",
			"enabled_firmware_interfaces":   "fake,no-firmware",
			"enabled_inspect_interfaces":    "fake,no-inspect",
			"enabled_management_interfaces": "fake,noop,redfish",
			"enabled_network_interfaces":    "noop",
			"enabled_power_interfaces":      "fake,redfish",
			"enabled_raid_interfaces":       "fake,no-raid",
			"enabled_rescue_interfaces":     "agent,fake,no-rescue",
			"enabled_storage_interfaces":    "fake,noop",
			"enabled_vendor_interfaces":     "fake,no-vendor",
		},
		"oslo_messaging_notifications": {"driver": "messagingv2"},
		"service_catalog":              none(l.IronicURL),
		"conductor":                    {"file_url_allowed_paths": l.Dir},
		"agent": {
			"image_download_source":  "http",
			"certificates_path":      filepath.Join(l.Dir, "state", "certificates"),
			"deploy_logs_local_path": filepath.Join(l.Dir, "agent-logs"),
		},
		"deploy": {"iso_master_path": filepath.Join(images, "iso"), "http_root": filepath.Join(l.Dir, "httpboot")},
		"pxe": {"images_path": images, "instance_master_path": filepath.Join(images, "master"),
			"tftp_root": filepath.Join(l.Dir, "tftpboot"), "tftp_master_path": filepath.Join(l.Dir, "tftpboot", "master")},
	}
	if l.options.Transport == jsonRPC {
		conf["DEFAULT"]["rpc_transport"] = jsonRPC
		conf["json_rpc"] = map[string]string{"port": strconv.Itoa(l.RPCPort)}
		delete(conf, "oslo_messaging_notifications")
	} else {
		conf["DEFAULT"]["transport_url"] = l.RabbitMQ.TransportURL
	}
	if l.KeystoneURL != "" {
		conf = conf.with(l.keystoneLogin())
	}
	if l.GlanceURL != "" {
		conf["glance"] = none(l.GlanceURL)
	}
	if l.NeutronURL != "" {
		conf = conf.with(l.neutronLogin())
	}
	if l.options.Conductor == "python" {
		// Upstream's manual-management has no other boot interfaces than ipxe and pxe, and these make their folders
		// when they are loaded.
		conf["DEFAULT"]["enabled_boot_interfaces"] += ",ipxe,pxe"
		conf["redfish"] = map[string]string{"use_swift": "false"}
	}
	return conf
}

func (l *Lab) launchIronicAPI() error {
	var err error
	l.API, err = l.StartService(l.system.run(Command{
		Name: "ironic-api", Path: ironicAPI, Env: cleanEnv(l.Dir),
		Args:  []string{"--config-file", l.APIConfFile},
		Ready: answers(l.IronicURL+"/v1", nil),
	}))
	return err
}

// StartConductor runs a conductor and returns once the API counts host, which must be the host name in confFile, among the
// live ones, maybe with a port.
func (l *Lab) StartConductor(host, confFile, program string, args ...string) (*Service, error) {
	return l.StartService(l.ConductorCommand(host, confFile, program, args...))
}

// ConductorCommand is how a conductor is run: program with args and --config-file confFile. Its log is named after the host.
// The program /usr/bin/ironic-conductor is the one of the lab's release.
func (l *Lab) ConductorCommand(host, confFile, program string, args ...string) Command {
	command := Command{
		Name: host, Path: program, Args: append(slices.Clone(args), "--config-file", confFile),
		Ready: answers(l.IronicURL+"/v1/drivers", func(body string) bool {
			return strings.Contains(body, `"`+host+`"`) || strings.Contains(body, `"`+host+`:`)
		}),
	}
	if program == pythonConductor {
		// Among what would reach it is REQUESTS_CA_BUNDLE, which wins over the CA that a node names for its BMC.
		command.Env = cleanEnv(l.Dir)
		command = l.system.run(command)
	}
	return command
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
