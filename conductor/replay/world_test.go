package replay

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
)

// hostname is that of the conductor in the recordings.
const hostname = "ref-conductor"

// world is a lab with one conductor, and everything that the cases meet around it.
type world struct {
	lab       *lab.Lab
	python    bool
	conductor *lab.Service
	// program is the conductor of this build.
	program string
	db      database
	tap     *tap
	agent   *agent
	neutron *neutrontest.Server
	files   *httptest.Server
	// root is the folder that files serves.
	root   string
	serial int
	// release is the place in releases, changes what each release before it and itself changed, by case.
	release int
	changes []map[string]any
	// uses counts the cases of each method.
	uses map[string]uses
}

func selected(name string) bool {
	pattern := os.Getenv("REPLAY_CASES")
	return pattern == "" || regexp.MustCompile(pattern).MatchString(name)
}

type options = map[string]map[string]string

// start starts a lab and the conductor; shared are options for ironic-api, too, and api those for it alone.
func start(t *testing.T, shared, api options) *world {
	t.Helper()
	w := &world{python: os.Getenv("REPLAY_CONDUCTOR") == "python", agent: startAgent(), neutron: neutrontest.New(t),
		uses: map[string]uses{}}
	t.Cleanup(w.agent.server.Close)
	w.serveFiles(t)
	w.lab = lab.ForTest(t, lab.Options{Database: "mariadb", Extra: lay(w.configuration(), shared), API: api})
	if _, err := w.lab.RabbitMQ.Ctl(t.Context(), "trace_on"); err != nil {
		t.Fatal(err)
	}
	w.findRelease(t)
	var err error
	if w.tap, err = openTap(w.lab.RabbitMQ.TransportURL, "reply_0123456789abcdef0123456789abcdef"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.tap.close() })
	if w.db, err = openDatabase(w.lab.Database.URL, releases[w.release]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	w.startConductor(t, w.own(nil))
	return w
}

// lay puts options over others.
func lay(all, over options) options {
	for group, values := range over {
		if all[group] == nil {
			all[group] = map[string]string{}
		}
		maps.Copy(all[group], values)
	}
	return all
}

// restart ends the conductor in order and starts it with further options.
func (w *world) restart(t *testing.T, extra options) {
	t.Helper()
	if err := w.conductor.Stop(); err != nil {
		t.Fatal(err)
	}
	w.startConductor(t, w.own(extra))
}

func (w *world) startConductor(t *testing.T, extra options) {
	t.Helper()
	file := filepath.Join(w.lab.Dir, "conductor.conf")
	if err := w.lab.WriteConf(file, hostname, extra); err != nil {
		t.Fatal(err)
	}
	program, arguments := "/usr/bin/ironic-conductor", []string(nil)
	if !w.python {
		if w.program == "" {
			// The first start is that of the whole test, which later subtests go on with.
			w.program = build(t)
		}
		program, arguments = w.program, []string{"conductor"}
	}
	var err error
	if w.conductor, err = w.lab.StartConductor(hostname, file, program, arguments...); err != nil {
		t.Fatal(err)
	}
	if w.python {
		w.awaitAnswer(t)
	}
}

// awaitAnswer waits until the conductor answers: upstream's is online before it takes what is sent straight to the broker.
func (w *world) awaitAnswer(t *testing.T) {
	t.Helper()
	var status int
	for deadline := time.Now().Add(endless); time.Now().Before(deadline); {
		status, _ = w.request(t, httpRequest{Method: http.MethodGet, Path: "/v1/drivers/fake-hardware/properties"})
		if status == http.StatusOK {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the conductor does not answer: HTTP %d", status)
}

// build makes the program from the tree that the test belongs to, unless REPLAY_PROGRAM names one.
func build(t *testing.T) string {
	t.Helper()
	if program := os.Getenv("REPLAY_PROGRAM"); program != "" {
		return program
	}
	program := filepath.Join(t.TempDir(), "ironmaster")
	command := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/ironmaster")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, output)
	}
	return program
}

// serveFiles puts the images of the recordings on a web server.
func (w *world) serveFiles(t *testing.T) {
	t.Helper()
	// Not t.TempDir: the conductor must be let in when it does not run as root.
	root, err := os.MkdirTemp("", "replay-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	w.root = root
	images := filepath.Join(root, "http", "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		// The recorded sums are those of 64 KiB of zeros.
		"disk.raw": make([]byte, 65536),
		"part.raw": bytes.Repeat([]byte{1}, 65536),
		"kernel":   []byte("kernel"),
		"ramdisk":  []byte("ramdisk"),
	} {
		if err := os.WriteFile(filepath.Join(images, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w.root = filepath.Join(root, "http")
	w.files = httptest.NewServer(http.FileServer(http.Dir(w.root)))
	t.Cleanup(w.files.Close)
}

// configuration is what the API and the conductor share, as far as it differs from a lab's.
func (w *world) configuration() options {
	return options{
		"conductor": {
			// Work of its own accord would change nodes in the middle of a case.
			"sync_local_state_interval":         "0",
			"sync_power_state_interval":         "0",
			"allow_provisioning_in_maintenance": "false",
			"automated_clean":                   "true",
			"file_url_allowed_paths":            w.root,
		},
		"redfish": {"connection_attempts": "1", "connection_retry_interval": "1"},
		"ipmi":    {"command_retry_timeout": "2", "min_command_interval": "1"},
		"deploy":  {"erase_devices_priority": "0", "erase_devices_metadata_priority": "0"},
		"agent": {"post_deploy_get_power_state_retries": "1", "post_deploy_get_power_state_retry_interval": "1",
			// The recorded agents are those of 21.4, which did not have to.
			"require_tls": "false"},
	}
}

// own is what belongs to the conductor alone.
func (w *world) own(extra options) options {
	return lay(w.recordedInterfaces(), extra)
}

// recordedInterfaces is the configuration of the conductor that was recorded.
func (w *world) recordedInterfaces() options {
	all := w.pythonPlaces()
	all["DEFAULT"] = map[string]string{
		"enabled_hardware_types":        "fake-hardware,ipmi,manual-management,redfish",
		"enabled_bios_interfaces":       "fake,no-bios,redfish",
		"enabled_boot_interfaces":       "fake,ipxe,pxe,redfish-virtual-media",
		"enabled_console_interfaces":    "fake,ipmitool-socat,ipmitool-shellinabox,no-console",
		"enabled_deploy_interfaces":     "direct,fake,ramdisk,anaconda,custom-agent",
		"enabled_inspect_interfaces":    "fake,no-inspect,redfish",
		"enabled_management_interfaces": "fake,noop,ipmitool,redfish",
		"enabled_network_interfaces":    "noop",
		"enabled_power_interfaces":      "agent,fake,ipmitool,redfish",
		"enabled_raid_interfaces":       "agent,fake,no-raid,redfish",
		"enabled_rescue_interfaces":     "agent,fake,no-rescue",
		"enabled_storage_interfaces":    "fake,noop,external",
		"enabled_vendor_interfaces":     "fake,no-vendor,ipmitool,redfish",
	}
	// At once, the end of an inspection overtakes its start, and upstream announces either or both.
	all["fake"] = map[string]string{"inspect_delay": "1"}
	all["vnc"] = map[string]string{"public_url": "http://127.0.0.1:6090/vnc_auto.html"}
	switch releases[w.release].name {
	case "29.0":
		all["DEFAULT"]["enabled_console_interfaces"] += ",fake-graphical,redfish-graphical"
	case "39.0":
		// Shell In A Box is gone.
		all["DEFAULT"]["enabled_console_interfaces"] = "fake,ipmitool-socat,no-console,fake-graphical,redfish-graphical"
	}
	return all
}

// pythonPlaces are the folders and servers that upstream's conductor wants.
func (w *world) pythonPlaces() options {
	state := filepath.Join(w.lab.Dir, "state")
	return options{
		"dhcp":   {"dhcp_provider": "none"},
		"deploy": {"http_url": w.files.URL, "http_root": w.root},
		"pxe": {
			"tftp_root": filepath.Join(state, "tftpboot"), "tftp_master_path": filepath.Join(state, "tftp_master"),
			"images_path": filepath.Join(state, "images"), "instance_master_path": filepath.Join(state, "master"),
		},
	}
}

// differences are the deliberate ones: those on every release, and those on the one at hand.
func (w *world) differences(t *testing.T) map[string]difference {
	t.Helper()
	var all map[string]map[string]difference
	w.read(t, "differences.json", &all)
	who := "ironmaster"
	if w.python {
		who = "python"
	}
	merged := maps.Clone(all[who])
	for name, here := range all[who+" "+releases[w.release].name] {
		everywhere := merged[name]
		here.Paths = slices.Concat(everywhere.Paths, here.Paths)
		if here.Notifications == nil {
			here.Notifications = everywhere.Notifications
		}
		merged[name] = here
	}
	return merged
}
