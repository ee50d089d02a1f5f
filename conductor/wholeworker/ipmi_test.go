package wholeworker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// ipmiOptions are those of a worker with the hardware type ipmi, which believes BMCs, and soon gives up one that says nothing.
func ipmiOptions(t *testing.T, w *world) options {
	consoles, err := w.lab.ReservePorts(1)
	must(t, err)
	return lab.Merge(w.bootNetwork(t).options(filepath.Join(w.lab.Dir, "boot"), "127.0.0.1"), options{
		"DEFAULT": {"enabled_hardware_types": "ipmi", "enabled_boot_interfaces": "ipxe,pxe", "enabled_power_interfaces": "ipmitool",
			"enabled_management_interfaces": "ipmitool", "enabled_console_interfaces": "ipmitool-socat,no-console",
			"enabled_vendor_interfaces": "ipmitool,no-vendor", "tempdir": w.lab.Dir},
		"ipmi":    {"min_command_interval": "1", "command_retry_timeout": "3"},
		"console": {"port_range": fmt.Sprintf("%d:%d", consoles[0], consoles[0]+1), "terminal_pid_dir": filepath.Join(w.lab.Dir, "consoles")},
		"conductor": {"sync_power_state_interval": "3", "force_power_state_during_sync": "false", "power_state_sync_max_retries": "1",
			"power_failure_recovery_interval": "2", "soft_power_off_timeout": "5"},
		"sensor_data": {"send_sensor_data": "true", "interval": "8", "enable_for_undeployed_nodes": "true"},
	})
}

// TestIPMI has ironic-api ask for all that a node of the hardware type ipmi can do. Each node has a BMC by ipmi_sim.
func TestIPMI(t *testing.T) {
	w := start(t, setup{database: "sqlite", own: func(w *world) options { return ipmiOptions(t, w) }})
	sensors := followSensors(t, w.lab.RabbitMQ.TransportURL)
	t.Run("of", func(t *testing.T) {
		for _, c := range []struct {
			name string
			run  func(*testing.T, *ipmiNode)
		}{
			{"validation", validates}, {"credentials", refusesCredentials}, {"power", switches}, {"boot device", setsBootDevice},
			{"console", opensConsole}, {"vendor", sendsRaw}, {"bmc reset", resetsBMC}, {"interrupt", interrupts},
			{"sensors", func(t *testing.T, n *ipmiNode) { n.sensed(t, sensors) }}, {"silence", fallsSilent},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, enrolIPMI(t, w, strings.ReplaceAll(c.name, " ", "-")))
			})
		}
	})
	w.checkNothingHeld(t)
}

// ipmiNode is a node of the hardware type ipmi, and its BMC.
type ipmiNode struct {
	w    *world
	bmc  *lab.IPMISim
	uuid string
}

// enrolIPMI starts a BMC and creates its node, which has everything that a deployment needs.
func enrolIPMI(t *testing.T, w *world, name string) *ipmiNode {
	t.Helper()
	bmc, err := w.lab.StartIPMISim(name, startSerial(t))
	must(t, err)
	n := &ipmiNode{w: w, bmc: bmc}
	var created node
	must(t, w.api.do(t.Context(), http.MethodPost, "/v1/nodes", map[string]any{
		"name": name, "driver": "ipmi", "boot_interface": "ipxe", "console_interface": "ipmitool-socat", "automated_clean": false,
		"properties": map[string]any{"capabilities": "boot_mode:bios", "cpu_arch": "x86_64"},
		"instance_info": map[string]any{"image_source": "http://127.0.0.1:1/disk.raw", "image_checksum": strings.Repeat("0", 32),
			"image_type": "whole-disk"},
		"driver_info": map[string]any{
			"ipmi_address": bmc.Address, "ipmi_port": bmc.Port, "ipmi_username": bmc.Username, "ipmi_password": bmc.Password,
			// ipmi_sim has no other.
			"ipmi_cipher_suite": 3,
			"deploy_kernel":     w.ramdisk.Kernel, "deploy_ramdisk": w.ramdisk.Initrd,
		}}, &created))
	n.uuid = created.UUID
	var mac [6]byte
	mac[0] = 0x52
	copy(mac[2:], binary.BigEndian.AppendUint32(nil, uint32(bmc.Port)))
	must(t, w.api.do(t.Context(), http.MethodPost, "/v1/ports", map[string]any{"node_uuid": n.uuid,
		"address": net.HardwareAddr(mac[:]).String()}, nil))
	t.Cleanup(func() { n.checkLog(t) })
	return n
}

// checkLog looks for the BMC's password in the conductor's log.
func (n *ipmiNode) checkLog(t *testing.T) {
	log, err := os.ReadFile(n.w.conductor.LogFile())
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(string(log), n.bmc.Password) {
		t.Error("the conductor's log tells the password of the BMC")
	}
}

// ask sends a request about the node.
func (n *ipmiNode) ask(t *testing.T, method, path string, body, result any) error {
	return n.w.api.do(t.Context(), method, "/v1/nodes/"+n.uuid+path, body, result)
}

// refuses expects an answer with an HTTP status and a text.
func (n *ipmiNode) refuses(t *testing.T, method, path string, body any, status int, text string) {
	t.Helper()
	err := n.ask(t, method, path, body, nil)
	if statusOf(err) != status || !strings.Contains(err.Error(), text) {
		t.Errorf("%s %s was answered with %v, not HTTP %d and %q", method, path, err, status, text)
	}
}

// manage takes the node to manageable.
func (n *ipmiNode) manage(t *testing.T) {
	t.Helper()
	must(t, n.w.api.reach(t.Context(), n.uuid, "manage", "manageable"))
}

// state expects what one of the machine's files says.
func (n *ipmiNode) state(t *testing.T, file, want string) {
	t.Helper()
	eventually(t, "the machine's "+file+" is "+want, func() error {
		got, err := n.bmc.State(file)
		if err == nil && got != want {
			err = errors.New("it is " + got)
		}
		return err
	})
}

// validates looks at a node as its operator does before anything is done with it.
func validates(t *testing.T, n *ipmiNode) {
	var shown struct {
		DriverInfo map[string]any `json:"driver_info"`
	}
	must(t, n.ask(t, http.MethodGet, "", nil, &shown))
	if got := shown.DriverInfo; got["ipmi_password"] != "******" || got["ipmi_address"] != n.bmc.Address {
		t.Errorf("driver_info is shown as %v", got)
	}
	validate := func() map[string]string {
		t.Helper()
		var found map[string]struct {
			Result *bool  `json:"result"`
			Reason string `json:"reason"`
		}
		must(t, n.ask(t, http.MethodGet, "/validate", nil, &found))
		said := map[string]string{}
		for typ, v := range found {
			if v.Result != nil {
				said[typ] = strings.TrimSpace(fmt.Sprint(*v.Result, " ", v.Reason))
			}
		}
		return said
	}
	right := validate()
	for _, typ := range []string{"boot", "console", "deploy", "management", "network", "power", "storage"} {
		if right[typ] != "true" {
			t.Errorf("the %s interface is valid: %q", typ, right[typ])
		}
	}
	if want := "false Driver ipmi does not support raid (disabled or not implemented)."; right["raid"] != want {
		t.Errorf("the raid interface is valid: %q, not %q", right["raid"], want)
	}
	for _, c := range []struct {
		change change
		want   string
	}{
		{set("/driver_info/ipmi_priv_level", "ROOT"), "false Invalid privilege level value:ROOT, the valid value can be one of "},
		{set("/driver_info/ipmi_port", "somewhere"), `false ipmi_port "somewhere" is not a valid port.`},
		{change{Op: "remove", Path: "/driver_info/ipmi_address"},
			"false Missing the following IPMI credentials in node's driver_info: ['ipmi_address']."},
	} {
		must(t, n.w.api.patch(t.Context(), n.uuid, c.change))
		wrong := validate()
		for _, typ := range []string{"console", "management", "power"} {
			if !strings.HasPrefix(wrong[typ], c.want) {
				t.Errorf("after %v the %s interface is valid: %q, not %q", c.change, typ, wrong[typ], c.want)
			}
		}
		if c.change.Op == "add" {
			must(t, n.w.api.patch(t.Context(), n.uuid, change{Op: "remove", Path: c.change.Path}))
		}
	}
	fails(t, n.w, n.uuid, "manage", "enroll", `Missing the following IPMI credentials in node's driver_info: \['ipmi_address'\]`)
	var properties map[string]string
	must(t, n.w.api.do(t.Context(), http.MethodGet, "/v1/drivers/ipmi/properties", nil, &properties))
	if got := properties["ipmi_address"]; got != "IP address or hostname of the node. Required." {
		t.Errorf("the property ipmi_address is described as %q, all are %v", got, slices.Sorted(maps.Keys(properties)))
	}
}

// refusesCredentials has a password that the BMC does not take. As with ironic the user reads which command failed; the log and
// explain name the BMC and the reason.
func refusesCredentials(t *testing.T, n *ipmiNode) {
	must(t, n.w.api.patch(t.Context(), n.uuid, set("/driver_info/ipmi_password", "guessed-wrong")))
	fails(t, n.w, n.uuid, "manage", "enroll", "Failed to get power state for node "+n.uuid+
		`\. Error: IPMI call failed: power status\.`)
	n.refuses(t, http.MethodGet, "/management/boot_device", nil, http.StatusInternalServerError, "IPMI call failed: chassis bootparam get 5.")
	why := fmt.Sprintf("the BMC %s:%d refuses ipmi_username or ipmi_password", n.bmc.Address, n.bmc.Port)
	if said := n.awaitHeard(t, "FAILED IPMI power status: "+why); strings.Contains(said, "guessed-wrong") {
		t.Errorf("the password is told in %s", said)
	}
	must(t, n.w.api.patch(t.Context(), n.uuid, set("/driver_info/ipmi_password", n.bmc.Password)))
	n.manage(t)
}

// switches switches the machine on and off, and sees what others do to it.
func switches(t *testing.T, n *ipmiNode) {
	n.manage(t)
	for _, c := range []struct {
		target, want string
		machine      []string
	}{
		{"power on", "power on", []string{"power 1"}},
		{"rebooting", "power on", []string{"power 0", "power 1"}},
		{"soft power off", "power off", []string{"shutdown 1"}},
		{"rebooting", "power on", []string{"power 1"}},
	} {
		before := n.orders(t)
		must(t, n.ask(t, http.MethodPut, "/states/power", map[string]any{"target": c.target}, nil))
		got, err := n.w.api.await(t.Context(), n.uuid, c.want, func(n node) bool { return n.Reservation == "" })
		must(t, err)
		if got.PowerState != c.want || got.LastError != "" {
			t.Errorf("after %s the node is in %q: %s", c.target, got.PowerState, got.LastError)
		}
		if did := n.orders(t)[len(before):]; !slices.Equal(did, c.machine) {
			t.Errorf("with %s the machine got %v, not %v", c.target, did, c.machine)
		}
	}
	// Somebody switches it off by the BMC's other doors.
	must(t, n.ask(t, http.MethodPost, "/vendor_passthru?method=send_raw", map[string]any{"raw_bytes": "0x00 0x02 0x00"}, nil))
	_, err := n.w.api.await(t.Context(), n.uuid, "power off", func(n node) bool { return n.PowerState == "power off" })
	must(t, err)
}

// orders are what the BMC has done to the machine so far.
func (n *ipmiNode) orders(t *testing.T) []string {
	t.Helper()
	calls, err := n.bmc.Calls()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	must(t, err)
	var orders []string
	for _, c := range calls {
		if order, is := strings.CutPrefix(c, "set "); is {
			orders = append(orders, order)
		}
	}
	return orders
}

// setsBootDevice sets and reads what the machine boots from.
func setsBootDevice(t *testing.T, n *ipmiNode) {
	n.manage(t)
	const path = "/management/boot_device"
	var supported struct {
		Devices []string `json:"supported_boot_devices"`
	}
	must(t, n.ask(t, http.MethodGet, path+"/supported", nil, &supported))
	if want := []string{"pxe", "disk", "cdrom", "bios", "safe"}; !slices.Equal(supported.Devices, want) {
		t.Errorf("the devices are %v, not %v", supported.Devices, want)
	}
	type device struct {
		Device     string `json:"boot_device"`
		Persistent bool   `json:"persistent"`
	}
	for _, want := range []device{{"pxe", false}, {"disk", true}, {"bios", false}} {
		must(t, n.ask(t, http.MethodPut, path, want, nil))
		var got device
		must(t, n.ask(t, http.MethodGet, path, nil, &got))
		// Whether a device was set for good ipmi_sim forgets.
		if got.Device != want.Device || got.Persistent {
			t.Errorf("the boot device is %+v, not %s", got, want.Device)
		}
	}
	n.refuses(t, http.MethodPut, path, device{"floppy", false}, http.StatusBadRequest, "Invalid boot device floppy specified.")
}

// sendsRaw lists the vendor's methods and sends raw commands.
func sendsRaw(t *testing.T, n *ipmiNode) {
	n.manage(t)
	const path = "/vendor_passthru"
	var methods map[string]struct {
		HTTPMethods []string `json:"http_methods"`
		Async       bool     `json:"async"`
	}
	must(t, n.ask(t, http.MethodGet, path+"/methods", nil, &methods))
	if got := slices.Sorted(maps.Keys(methods)); !slices.Equal(got, []string{"bmc_reset", "send_raw"}) {
		t.Errorf("the methods are %v", got)
	}
	for name, m := range methods {
		if !m.Async || !slices.Equal(m.HTTPMethods, []string{"POST"}) {
			t.Errorf("%s is described as %+v", name, m)
		}
	}
	raw := path + "?method=send_raw"
	must(t, n.ask(t, http.MethodPost, raw, map[string]any{"raw_bytes": "0x00 0x02 0x01"}, nil))
	n.state(t, "power", "1")
	bad := http.StatusBadRequest
	n.refuses(t, http.MethodPost, raw, map[string]any{}, bad, "Parameter raw_bytes (string of bytes) was not specified.")
	must(t, n.ask(t, http.MethodPost, raw, map[string]any{"raw_bytes": "0x00;id 1"}, nil))
	_, err := n.w.api.await(t.Context(), n.uuid, "what is no byte is not sent", func(n node) bool {
		return strings.Contains(n.LastError, "IPMI call failed: raw 0x00;id 1.") && n.Reservation == ""
	})
	must(t, err)
	n.refuses(t, http.MethodPut, raw, map[string]any{"raw_bytes": "0x06 0x01"}, bad, "The method send_raw does not support HTTP PUT")
	n.refuses(t, http.MethodPost, path+"?method=explode", map[string]any{}, bad, "No handler for method explode")
}

// resetsBMC restarts the BMC, which is spoken to afterwards as before.
func resetsBMC(t *testing.T, n *ipmiNode) {
	n.manage(t)
	must(t, n.ask(t, http.MethodPost, "/vendor_passthru?method=bmc_reset", map[string]any{"warm": false}, nil))
	_, err := n.w.api.settle(t.Context(), n.uuid)
	must(t, err)
	n.awaitHeard(t, "IPMI bmc reset cold: ok")
	must(t, n.ask(t, http.MethodGet, "/management/boot_device", nil, nil))
}

// awaitHeard waits until explain has what the BMC was asked and answered, and returns all that it says.
func (n *ipmiNode) awaitHeard(t *testing.T, want string) (said string) {
	t.Helper()
	eventually(t, want, func() error {
		out, err := exec.CommandContext(t.Context(), program, "explain", n.uuid, "--all", "--config-file", n.w.conf).CombinedOutput()
		if said = string(out); err != nil || !strings.Contains(said, want) {
			return fmt.Errorf("%v: %s", err, said)
		}
		return nil
	})
	return said
}

// interrupts sends a diagnostic interrupt. It reaches ipmi_sim, which knows none.
func interrupts(t *testing.T, n *ipmiNode) {
	n.manage(t)
	n.refuses(t, http.MethodPut, "/management/inject_nmi", map[string]any{}, http.StatusInternalServerError,
		"IPMI call failed: power diag.")
	n.awaitHeard(t, "FAILED IPMI power diag: completion code 0xcc")
}

// fallsSilent takes the BMC away. Its node is told so and goes into maintenance, until the BMC is back; others go on meanwhile.
func fallsSilent(t *testing.T, n *ipmiNode) {
	n.manage(t)
	other := enrolIPMI(t, n.w, "beside-silence")
	must(t, n.bmc.Kill())
	silent := make(chan error, 1)
	go func() { silent <- n.ask(t, http.MethodGet, "/management/boot_device", nil, nil) }()
	other.manage(t)
	must(t, other.ask(t, http.MethodPut, "/states/power", map[string]any{"target": "power on"}, nil))
	_, err := n.w.api.await(t.Context(), other.uuid, "power on", func(n node) bool { return n.PowerState == "power on" })
	must(t, err)
	err = <-silent
	if statusOf(err) != http.StatusInternalServerError || !strings.Contains(err.Error(), "IPMI call failed: chassis bootparam get 5.") {
		t.Errorf("a BMC that is away was answered with %v", err)
	}
	got, err := n.w.api.await(t.Context(), n.uuid, "maintenance", func(n node) bool { return n.Maintenance })
	must(t, err)
	if want := "Error: IPMI call failed: power status."; !strings.Contains(got.LastError, want) {
		t.Errorf("last_error is %q, without %q", got.LastError, want)
	}
	must(t, n.bmc.Start(t.Context()))
	_, err = n.w.api.await(t.Context(), n.uuid, "the end of maintenance", func(n node) bool { return !n.Maintenance })
	must(t, err)
}
