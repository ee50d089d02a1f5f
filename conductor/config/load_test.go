package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// load reads the settings with the text as /etc/ironic/ironic.conf.
func load(t *testing.T, text string, change func(*Inputs)) (*Settings, []string, error) {
	t.Helper()
	in := Inputs{
		Root:     fstest.MapFS{"etc/ironic/ironic.conf": {Data: []byte(text)}},
		Hostname: func() (string, error) { return "c1.example.org", nil },
		Address:  func() string { return "192.0.2.7" },
	}
	if change != nil {
		change(&in)
	}
	return Load(in)
}

func mustLoad(t *testing.T, text string, change func(*Inputs)) *Settings {
	t.Helper()
	s, _, err := load(t, text, change)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func release(r Release) func(*Inputs) { return func(in *Inputs) { in.Release = r } }

func environ(variables ...string) func(*Inputs) {
	return func(in *Inputs) { in.Environ = variables }
}

func TestDefaults(t *testing.T) {
	s := mustLoad(t, "", nil)
	for _, c := range []struct {
		option    string
		got, want any
	}{
		{"host", s.Default.Host, "c1.example.org"},
		{"my_ip", s.Default.MyIP, "192.0.2.7"},
		{"enabled_hardware_types", s.Default.EnabledHardwareTypes, []string{"ipmi", "redfish"}},
		{"enabled_power_interfaces", s.Default.EnabledPower, []string(nil)},
		{"deploy_kernel_by_arch", s.Conductor.DeployKernelByArch, map[string]string{}},
		{"heartbeat_timeout", s.Conductor.HeartbeatTimeout, time.Minute},
		{"image_cache_ttl", s.PXE.ImageCacheTTL, 7 * 24 * time.Hour},
		{"erase_devices_priority", s.Deploy.EraseDevicesPriority, (*int)(nil)},
		{"webserver_verify_ca", s.Default.WebserverVerifyCA, Verification{Enabled: true}},
		{"redfish verify_ca", s.Redfish.VerifyCA, (*Verification)(nil)},
		{"connection", s.Database.Connection, "sqlite:////var/lib/ironic/ironic.sqlite"},
		{"state_file", s.Ironmaster.StateFile, "/var/lib/ironic/ironmaster.db"},
		{"image_server_url", s.Ironmaster.ImageServerURL, "http://192.0.2.7:8182"},
		{"driver", s.Notifications.Drivers, []string(nil)},
		{"valid_interfaces", s.Glance.ValidInterfaces, []string{"internal", "public"}},
		{"service_type", s.Glance.ServiceType + " " + s.Catalog.ServiceType, "image baremetal"},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s = %#v, want %#v", c.option, c.got, c.want)
		}
	}
}

func TestDefaultsDependOnTheRelease(t *testing.T) {
	for _, c := range []struct {
		release      Release
		workers      int
		powerSync    time.Duration
		requireTLS   bool
		kernelParams string
		fileURLs     int
		deploy       string
	}{
		{R2023_1, 100, time.Minute, false, "nofb nomodeset vga=normal", 5, "direct,ramdisk"},
		{R2025_1, 300, time.Minute, true, "nofb vga=normal", 5, "direct,ramdisk"},
		{Newest, 300, 2 * time.Minute, true, "nofb vga=normal", 1, "autodetect,direct,ramdisk,bootc"},
	} {
		s := mustLoad(t, "", release(c.release))
		if s.Conductor.WorkersPoolSize != c.workers || s.Conductor.SyncPowerStateInterval != c.powerSync ||
			s.Agent.RequireTLS != c.requireTLS || s.Redfish.KernelAppendParams != c.kernelParams ||
			len(s.Conductor.FileURLAllowedPaths) != c.fileURLs || strings.Join(s.Default.EnabledDeploy, ",") != c.deploy {
			t.Errorf("%s: got %+v %+v", c.release, s.Conductor, s.Default.EnabledDeploy)
		}
	}
}

func TestSetValues(t *testing.T) {
	s := mustLoad(t, `
[conductor]
workers_pool_size = 7
clean_step_priority_override = deploy.erase_devices:0,deploy.erase_devices_metadata:5
clean_step_priority_override = raid.create_configuration:3
deploy_kernel_by_arch = x86_64:file:///k,aarch64:glance://a
[deploy]
erase_devices_priority = 0
erase_devices_metadata_priority =
[Deploy]
fast_track = ON
[DEFAULT]
enabled_power_interfaces =
enabled_hardware_types = redfish,
    fake-hardware
webserver_verify_ca = /etc/ssl/ca.pem
[redfish]
verify_ca = no
[oslo_messaging_rabbit]
kombu_reconnect_delay = 0.5
[oslo_messaging_notifications]
driver = messagingv2
driver = log
`, nil)
	zero := 0
	for _, c := range []struct {
		option    string
		got, want any
	}{
		{"workers_pool_size", s.Conductor.WorkersPoolSize, 7},
		{"clean_step_priority_override", s.Conductor.CleanStepPriorityOverride, []map[string]string{
			{"deploy.erase_devices": "0", "deploy.erase_devices_metadata": "5"}, {"raid.create_configuration": "3"},
		}},
		{"deploy_kernel_by_arch", s.Conductor.DeployKernelByArch, map[string]string{"x86_64": "file:///k", "aarch64": "glance://a"}},
		{"erase_devices_priority", s.Deploy.EraseDevicesPriority, &zero},
		{"erase_devices_metadata_priority", s.Deploy.EraseDevicesMetadataPriority, (*int)(nil)},
		{"fast_track", s.Deploy.FastTrack, true},
		{"enabled_power_interfaces", s.Default.EnabledPower, []string{}},
		{"enabled_hardware_types", s.Default.EnabledHardwareTypes, []string{"redfish", "fake-hardware"}},
		{"webserver_verify_ca", s.Default.WebserverVerifyCA, Verification{true, "/etc/ssl/ca.pem"}},
		{"verify_ca", s.Redfish.VerifyCA, &Verification{}},
		{"kombu_reconnect_delay", s.Rabbit.KombuReconnectDelay, 500 * time.Millisecond},
		{"driver", s.Notifications.Drivers, []string{"messagingv2", "log"}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s = %#v, want %#v", c.option, c.got, c.want)
		}
	}
}

func TestErrorsNameTheOptionAndTheLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[conductor]\n\nworkers_pool_size = many", `[conductor]workers_pool_size = "many" (/etc/ironic/ironic.conf:3): must be an integer`},
		{"[conductor]\nworkers_pool_size = 2", `[conductor]workers_pool_size = "2" (/etc/ironic/ironic.conf:2): must be at least 3`},
		{"[deploy]\nfast_track_timeout = 301", `must be at most 300`},
		{"[deploy]\nfast_track =", `[deploy]fast_track = "" (/etc/ironic/ironic.conf:2): must be one of true`},
		{"[deploy]\ndefault_boot_mode = UEFI", `must be one of uefi, bios`},
		{"[conductor]\nheartbeat_interval = 1.5", `must be an integer`},
		{"[conductor]\nheartbeat_interval = 99999999999999", `less than 292 years`},
		{"[conductor]\nheartbeat_interval = 99999999999999999999", `out of the range`},
		{"[conductor]\nheartbeat_timeout = 10", `must be longer than heartbeat_interval`},
		{"[conductor]\nclean_step_priority_override = deploy", `NAME:VALUE`},
		{"[conductor]\nfile_url_allowed_paths = /var/../etc", `must be an absolute path`},
		{"[conductor]\nconductor_group = $conductor_group", `refers to itself`},
		{"[conductor]\nconductor_group = $nothing", `refers to an option that does not exist`},
		{"[DEFAULT]\nhost = " + strings.Repeat("x", 256), `[DEFAULT]host must have 1 to 255 characters`},
		{"[DEFAULT]\nmy_ip = ${conductor.workers_pool_size}\n[conductor]\nworkers_pool_size = x", `must be an integer`},
		{"[ironmaster]\nwhole_disk_rootonly = no", `[ironmaster]whole_disk_rootonly (/etc/ironic/ironic.conf:2): there is no such option`},
		{"[ironmaster]\nmax_image_size = 9000000", `must be at most`},
		{"[ironmaster]\nadmin_listen = 8990", `must be host:port`},
		{"[oslo_messaging_rabbit]\nrabbit_ha_queues = 1\nrabbit_quorum_queue = 1", `exclude each other`},
		{"[DEFAULT]\ntransport_url = rabbit://?nothing=1", `sets "nothing"`},
		{"[DEFAULT]\ntransport_url = rabbit://?ssl=maybe", `[oslo_messaging_rabbit]ssl = "maybe" (query of transport_url): must be`},
		{"debug = 1", `/etc/ironic/ironic.conf:1: section must be started`},
		{"[DEFAULT]\nkey = \xff", `not UTF-8`},
	} {
		_, _, err := load(t, c.text, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.text, err, c.want)
		}
	}
}

func TestEveryProblemIsReported(t *testing.T) {
	_, _, err := load(t, "[conductor]\nworkers_pool_size = x\nheartbeat_interval = y", environ("OS_DEPLOY__FAST_TRACK=z"))
	for _, want := range []string{"workers_pool_size", "heartbeat_interval", "(environment OS_DEPLOY__FAST_TRACK)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v misses %s", err, want)
		}
	}
}

func TestErrorsKeepSecrets(t *testing.T) {
	for _, text := range []string{
		"[DEFAULT]\ntransport_url = rabbit://u:hush$hush@h",
		"[DEFAULT]\ntransport_url = rabbit://u:hush@h?ssl=%zz",
		"[database]\nconnection = mysql://u:$hush@h",
		"[glance]\npassword = $hush",
		"[DEFAULT]\n  hush",
		"[DEFAULT]\nhush",
	} {
		_, _, err := load(t, text, nil)
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: error %v, want one without the secret", text, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	_, warnings, err := load(t, `
[neutron]
split_loggers = yes
split_loggers = no
[DEFAULT]
pybasedir = /opt
my_own_thing = 1
debug = yes
[deploy]
iso_cache_size = 90
[api]
port = 6385
`, environ("OS_DEFAULT__USE_SYSLOG=1", "PATH=/bin"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"option [neutron]split_loggers is set but not honoured by ironmaster",
		"option [deploy]iso_cache_size is set but not honoured by ironmaster",
		"option [DEFAULT]use_syslog is set but not honoured by ironmaster",
	}
	if !reflect.DeepEqual(warnings, want) {
		t.Errorf("warnings %q, want %q", warnings, want)
	}
}

func TestKnownOptionsAreNotHonouredOnes(t *testing.T) {
	options, err := describe(reflect.TypeFor[Settings](), Newest)
	if err != nil {
		t.Fatal(err)
	}
	foreign := foreignOptions()
	for _, o := range options {
		for _, k := range append([]key{o.key}, o.older...) {
			if _, both := foreign[k]; both {
				t.Errorf("%s is honoured and listed in known.txt", k)
			}
		}
	}
}

func TestKnownOptionsCanBeReferredTo(t *testing.T) {
	s := mustLoad(t, "[conductor]\ndeploy_kernel = file://$pybasedir/${pxe.tftp_server}", nil)
	want := "file:///usr/lib/python3/dist-packages/ironic/192.0.2.7"
	if s.Conductor.DeployKernel != want {
		t.Errorf("deploy_kernel = %q, want %q", s.Conductor.DeployKernel, want)
	}
}

func TestAuthSection(t *testing.T) {
	s := mustLoad(t, `
[glance]
auth_section = Keystone
username = not-me
region_name = here
[keystone]
auth_plugin = password
username = ironic
password = a$$b
region_name = not-here
[service_catalog]
auth_type = none
endpoint_override = http://192.0.2.1:6385
`, nil)
	got := []string{s.Glance.Type, s.Glance.Username, s.Glance.Password, s.Glance.RegionName, s.Catalog.Type, s.Catalog.Username}
	want := []string{"password", "ironic", "a$b", "here", "none", ""}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestQueryOfTransportURLOverrides(t *testing.T) {
	s := mustLoad(t, `
[DEFAULT]
transport_url = rabbit://u:p@h/v?ssl=1&ssl_ca_file=/x&rabbit_quorum_queue=true
[oslo_messaging_rabbit]
ssl = false
rabbit_retry_interval = 3
`, nil)
	if !s.Rabbit.SSL || s.Rabbit.SSLCAFile != "/x" || !s.Rabbit.QuorumQueue || s.Rabbit.RetryInterval != 3*time.Second {
		t.Errorf("got %+v", s.Rabbit)
	}
}

func TestDebiansOwnFileNeedsNoChange(t *testing.T) {
	text, err := os.ReadFile("testdata/debian/ironic.conf")
	if err != nil {
		t.Fatal(err)
	}
	if _, warnings, err := load(t, string(text), nil); err != nil || len(warnings) != 0 {
		t.Errorf("warnings %q, error %v", warnings, err)
	}
}
