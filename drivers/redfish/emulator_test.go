package redfish_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// emulator answers as the Redfish emulator of OpenStack's developers does in front of a virtual machine: basic authentication
// and no sessions, not even a link to them; systems by UUID, with a redirect from their names; virtual media below the system,
// which the manager points to; a boot device that is always kept; errors whose extended information says nothing.
type emulator struct {
	mu     sync.Mutex
	power  string
	boot   string
	mode   string
	image  string
	secure bool
	log    []string
}

const (
	emulatedUUID = "56f2b878-089e-4d82-a4fd-cb06737033d3"
	emulatedAt   = "/redfish/v1/Systems/" + emulatedUUID
)

func newEmulator(t *testing.T, mode string) (*emulator, string) {
	t.Helper()
	e := &emulator{power: "Off", boot: "Hdd", mode: mode}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return e, server.URL
}

func (e *emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	path := strings.TrimSuffix(r.URL.Path, "/")
	name, secret, _ := r.BasicAuth()
	text, _ := io.ReadAll(r.Body)
	body := object{}
	_ = json.Unmarshal(text, &body)
	switch {
	case path == "/redfish/v1":
		reply(w, 200, object{"@odata.id": "/redfish/v1/", "Id": "service", "RedfishVersion": "1.5.0",
			"Systems": link("/redfish/v1/Systems"), "Managers": link("/redfish/v1/Managers")})
	case name != user || secret != password:
		w.Header().Set("WWW-Authenticate", `Basic realm="Baremetal API"`)
		nameless(w, 401, "Authorization required")
	case r.Method == http.MethodGet:
		e.show(w, r, path)
	default:
		e.log = append(e.log, r.Method+" "+strings.TrimPrefix(path, emulatedAt)+" "+string(text))
		e.change(w, strings.TrimPrefix(path, emulatedAt), body)
	}
}

// nameless is an error whose extended information has the name of a message and no message.
func nameless(w http.ResponseWriter, status int, message string) {
	reply(w, status, object{"error": object{"code": "Base.1.0.GeneralError", "message": message,
		"@Message.ExtendedInfo": []any{object{"MessageId": "Base.1.0.GeneralError"}}}})
}

func (e *emulator) show(w http.ResponseWriter, r *http.Request, path string) {
	switch path {
	case "/redfish/v1/Systems":
		reply(w, 200, object{"Members": []any{link(emulatedAt)}, "Members@odata.count": 1})
	case "/redfish/v1/Systems/machine":
		http.Redirect(w, r, emulatedAt, http.StatusTemporaryRedirect)
	case emulatedAt:
		boot := object{"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": e.boot,
			"BootSourceOverrideTarget@Redfish.AllowableValues": []any{"Pxe", "Cd", "Hdd"}, "BootSourceOverrideMode": e.mode}
		reply(w, 200, object{"@odata.id": emulatedAt, "Id": emulatedUUID, "Name": "machine", "UUID": emulatedUUID,
			"PowerState": e.power, "Boot": boot, "SecureBoot": link(emulatedAt + "/SecureBoot"),
			"VirtualMedia": link(emulatedAt + "/VirtualMedia"),
			"Links":        object{"ManagedBy": []any{link("/redfish/v1/Managers/" + emulatedUUID)}},
			"Actions": object{"#ComputerSystem.Reset": object{"target": emulatedAt + "/Actions/ComputerSystem.Reset",
				"ResetType@Redfish.AllowableValues": []any{"On", "ForceOff", "GracefulShutdown", "ForceRestart"}}}})
	case "/redfish/v1/Managers/" + emulatedUUID:
		reply(w, 200, object{"@odata.id": path, "Id": emulatedUUID, "ManagerType": "BMC",
			"VirtualMedia": link(emulatedAt + "/VirtualMedia")})
	case emulatedAt + "/VirtualMedia":
		reply(w, 200, object{"Members": []any{link(path + "/Cd"), link(path + "/Floppy")}, "Members@odata.count": 2})
	case emulatedAt + "/VirtualMedia/Cd", emulatedAt + "/VirtualMedia/Floppy":
		types, image := []any{"CD", "DVD"}, e.image
		if strings.HasSuffix(path, "Floppy") {
			types, image = []any{"Floppy", "USBStick"}, ""
		}
		reply(w, 200, object{"@odata.id": path, "Id": path[strings.LastIndexByte(path, '/')+1:], "MediaTypes": types,
			"Image": image, "ImageName": "", "Inserted": image != "", "WriteProtected": true, "UserName": "", "Password": "",
			"Actions": object{"#VirtualMedia.InsertMedia": object{"target": path + "/Actions/VirtualMedia.InsertMedia"},
				"#VirtualMedia.EjectMedia": object{"target": path + "/Actions/VirtualMedia.EjectMedia"}, "Oem": object{}}})
	case emulatedAt + "/SecureBoot":
		if e.mode == "Legacy" {
			nameless(w, 501, "Legacy boot mode does not support secure boot")
			return
		}
		reply(w, 200, object{"@odata.id": path, "Id": "SecureBoot", "SecureBootEnable": e.secure, "Actions": object{}})
	default:
		nameless(w, 404, "404 Not Found")
	}
}

func (e *emulator) change(w http.ResponseWriter, path string, body object) {
	boot, _ := body["Boot"].(object)
	switch path {
	case "":
		target, _ := boot["BootSourceOverrideTarget"].(string)
		mode, _ := boot["BootSourceOverrideMode"].(string)
		switch {
		case target == "" && mode == "":
			w.WriteHeader(400)
			_, _ = io.WriteString(w, "Missing the BootSourceOverrideTarget and/or BootSourceOverrideMode element")
			return
		case target == "Cd" && e.image == "":
			nameless(w, 500, "Target device Cd does not exist in the machine")
			return
		case target != "":
			e.boot = target
		}
		if mode != "" {
			e.mode = mode
		}
	case "/Actions/ComputerSystem.Reset":
		e.power = "On"
		if body["ResetType"] == "ForceOff" {
			e.power = "Off"
		}
	case "/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia":
		e.image, _ = body["Image"].(string)
	case "/VirtualMedia/Cd/Actions/VirtualMedia.EjectMedia":
		e.image, e.boot = "", "Hdd"
	case "/SecureBoot":
		e.secure, _ = body["SecureBootEnable"].(bool)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(204)
}

func (e *emulator) sent() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.log
	e.log = nil
	return out
}

// emulated returns a task of a deployment onto an emulated machine.
func emulated(t *testing.T, mode string) (*emulator, *drivers.Task, *publisher) {
	t.Helper()
	e, url := newEmulator(t, mode)
	client, p := open(t, quick()), newPublisher(t)
	x, _ := task(client, url)
	x.Hardware.Boot = redfish.NewVirtualMedia(client, mediaConfig(), isos(t), p)
	x.Node.ProvisionState = store.Deploying
	x.Node.DriverInfo["deploy_kernel"], x.Node.DriverInfo["deploy_ramdisk"] = "kernel", "ramdisk"
	x.Node.DriverInfo["redfish_system_id"] = "/redfish/v1/Systems/machine"
	return e, x, p
}

// What is sent for a deployment from ISO to disk is what upstream sends there too, and all that such an emulator takes.
func TestDeploymentThroughAnEmulator(t *testing.T) {
	e, x, p := emulated(t, "UEFI")
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	if err := x.Hardware.Power.Reboot(t.Context(), x, 0); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`POST /VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia {"Image":"` + p.url + `/node-1/boot.iso"}`,
		`PATCH  {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Cd"}}`,
		`POST /Actions/ComputerSystem.Reset {"ResetType":"On"}`,
	}
	if got := e.sent(); !slices.Equal(got, want) || e.power != "On" {
		t.Errorf("starting the ramdisk sent %q", got)
	}
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	want = []string{
		`POST /VirtualMedia/Cd/Actions/VirtualMedia.EjectMedia {}`,
		`PATCH  {"Boot":{"BootSourceOverrideTarget":"Hdd"}}`,
	}
	if got := e.sent(); !slices.Equal(got, want) || e.image != "" || e.boot != "Hdd" {
		t.Errorf("preparing the instance sent %q, image %q, boot device %s", got, e.image, e.boot)
	}
}

// Nobody says how the machine boots. The ISO has to be made for the way that it does.
func TestRamdiskForAMachineThatTellsItsBootMode(t *testing.T) {
	e, x, p := emulated(t, "Legacy")
	if err := x.Hardware.Boot.PrepareRamdisk(t.Context(), x, nil); err != nil {
		t.Fatal(err)
	}
	if text := p.text(t, "node-1"); !strings.Contains(text, "append initrd=/initrd") {
		t.Error("the ISO is not for BIOS")
	}
	if mode := x.Node.DriverInternalInfo["deploy_boot_mode"]; mode != "bios" || e.mode != "Legacy" {
		t.Errorf("deploy_boot_mode %v, the machine's is %s", mode, e.mode)
	}
}

func TestBootModeOfAnEmulator(t *testing.T) {
	e, x, _ := emulated(t, "UEFI")
	m := x.Hardware.Management
	if err := m.SetSecureBoot(t.Context(), x, true); err != nil || !e.secure {
		t.Errorf("%v, secure boot %v", err, e.secure)
	}
	x.Node.Properties["capabilities"] = "boot_mode:bios"
	if err := drivers.SyncBootMode(t.Context(), x, "uefi"); err != nil {
		t.Fatal(err)
	}
	// In this mode there is no secure boot to be read, which is no reason to doubt the mode.
	if x.Node.BootMode != "bios" || x.Node.SecureBoot != nil {
		t.Errorf("boot mode %q, secure boot %v", x.Node.BootMode, x.Node.SecureBoot)
	}
	_, err := m.SecureBoot(t.Context(), x)
	redfishtest.WantError(t, err, store.UnsupportedDriverExtension)
	redfishtest.WantError(t, m.SetSecureBoot(t.Context(), x, true), store.RedfishError, "requires UEFI")
	redfishtest.WantError(t, m.SetSecureBoot(t.Context(), x, false), store.UnsupportedDriverExtension)
}

// Its extended information would say "Base.1.0.GeneralError" and nothing else.
func TestErrorsOfAnEmulatorSayWhatHappened(t *testing.T) {
	e, x, _ := emulated(t, "UEFI")
	err := x.Hardware.Management.SetBootDevice(t.Context(), x, store.BootDeviceCDROM, false)
	redfishtest.WantError(t, err, store.RedfishError, "HTTP 500", "Target device Cd does not exist in the machine")
	if e.boot != "Hdd" {
		t.Errorf("boot device %s", e.boot)
	}
	x.Node.DriverInfo["redfish_password"] = "wrong-" + password
	_, err = x.Hardware.Power.PowerState(t.Context(), x)
	redfishtest.WantError(t, err, store.RedfishError, "HTTP 401", "Authorization required")
}
