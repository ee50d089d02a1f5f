package redfish_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	user     = "admin"
	password = redfishtest.Password
	systemAt = "/redfish/v1/Systems/1"
)

type object = map[string]any

// bmc is a BMC as small and as odd as a test needs it. The fields before mu are set before it is used.
type bmc struct {
	noSessions bool
	// power answers a reset; nil does at once what is asked.
	power func(b *bmc, kind string)
	// refuse answers a PATCH or POST with an error when it returns a status.
	refuse func(path string, body object) (status int, message string)
	// denied are the statuses that GETs of paths are refused with.
	denied map[string]int
	// lose makes the BMC forget its sessions before a request.
	lose func() bool
	// raw answers every request when set, before anything else.
	raw http.HandlerFunc

	mu        sync.Mutex
	system    object
	media     map[string]object // by path
	parts     map[string]object // further resources, by path
	sessions  map[string]bool
	logins    int
	logouts   int
	inFlight  int
	mostAtOne int
	log       []string // method, path and body of every change
	url       string
}

func newBMC(t *testing.T) *bmc {
	t.Helper()
	b := &bmc{sessions: map[string]bool{}, media: map[string]object{}}
	b.system = object{
		"@odata.id": systemAt, "@odata.type": "#ComputerSystem.v1_10_0.ComputerSystem", "Id": "1", "Name": "one",
		"UUID": "5f0e7cf5-9c0c-4ef7-8d0e-0c2f3b4f6a11", "Manufacturer": "Acme", "PowerState": "Off", "IndicatorLED": "Off",
		"Boot": object{"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None",
			"BootSourceOverrideMode": "UEFI"},
		"SecureBoot": object{"@odata.id": systemAt + "/SecureBoot"},
		"Links":      object{"ManagedBy": []any{object{"@odata.id": "/redfish/v1/Managers/m"}}},
		"Actions": object{"#ComputerSystem.Reset": object{"target": systemAt + "/Actions/ComputerSystem.Reset",
			"ResetType@Redfish.AllowableValues": []any{"On", "ForceOff", "ForceRestart", "GracefulShutdown", "Nmi"}}},
	}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *bmc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.raw != nil {
		b.raw(w, r)
		return
	}
	b.mu.Lock()
	b.inFlight++
	b.mostAtOne = max(b.mostAtOne, b.inFlight)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.inFlight--
		b.mu.Unlock()
	}()
	text, _ := io.ReadAll(r.Body)
	body := object{}
	_ = json.Unmarshal(text, &body)
	b.mu.Lock()
	defer b.mu.Unlock()
	path := strings.TrimSuffix(r.URL.Path, "/")
	if path == "/redfish/v1" || path == "/prefix/redfish/v1" {
		reply(w, 200, object{"@odata.id": path, "RedfishVersion": "1.6.0", "Systems": link("/redfish/v1/Systems"),
			"Managers": link("/redfish/v1/Managers"),
			"Links":    object{"Sessions": link("/redfish/v1/SessionService/Sessions")}})
		return
	}
	if path == "/redfish/v1/SessionService/Sessions" && r.Method == http.MethodPost {
		b.login(w, body)
		return
	}
	if b.lose != nil && b.lose() {
		clear(b.sessions)
	}
	if !b.authorized(r) {
		problem(w, 401, "no session")
		return
	}
	if status := b.denied[path]; status != 0 && r.Method == http.MethodGet {
		problem(w, status, "not for you")
		return
	}
	if r.Method != http.MethodGet {
		b.log = append(b.log, r.Method+" "+path+" "+string(text))
		if b.refuse != nil {
			if status, message := b.refuse(path, body); status != 0 {
				problem(w, status, message)
				return
			}
		}
	}
	b.serve(w, r.Method, path, body)
}

func link(path string) object { return object{"@odata.id": path} }

func reply(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

func problem(w http.ResponseWriter, status int, message string) {
	reply(w, status, object{"error": object{"code": "Base.1.8.GeneralError", "message": message,
		"@Message.ExtendedInfo": []any{object{"MessageId": "Base.1.8.GeneralError", "Message": message}}}})
}

func (b *bmc) login(w http.ResponseWriter, body object) {
	switch {
	case b.noSessions:
		problem(w, 404, "no session service")
	case body["UserName"] != user || body["Password"] != password:
		problem(w, 401, "wrong user name or password "+body["Password"].(string))
	default:
		b.logins++
		token := "token-" + string(rune('a'+b.logins))
		b.sessions[token] = true
		w.Header().Set("X-Auth-Token", token)
		w.Header().Set("Location", "https://elsewhere.example/redfish/v1/SessionService/Sessions/"+token)
		reply(w, 201, object{"Id": token})
	}
}

func (b *bmc) authorized(r *http.Request) bool {
	name, secret, basic := r.BasicAuth()
	return b.sessions[r.Header.Get("X-Auth-Token")] || basic && name == user && secret == password
}

func (b *bmc) serve(w http.ResponseWriter, method, path string, body object) {
	token, isSession := strings.CutPrefix(path, "/redfish/v1/SessionService/Sessions/")
	medium, action, _ := strings.Cut(path, "/Actions/")
	switch {
	case isSession && method == http.MethodDelete:
		delete(b.sessions, token)
		b.logouts++
		reply(w, 204, nil)
	case path == "/redfish/v1/Systems":
		reply(w, 200, object{"Members": []any{link(systemAt)}, "Members@odata.count": 1})
	case path == systemAt && method == http.MethodGet:
		reply(w, 200, b.system)
	case path == systemAt && method == http.MethodPatch:
		if boot, ok := body["Boot"].(object); ok {
			maps.Copy(b.system["Boot"].(object), boot)
			delete(body, "Boot")
		}
		maps.Copy(b.system, body)
		reply(w, 204, nil)
	case path == systemAt+"/Actions/ComputerSystem.Reset":
		b.reset(body["ResetType"].(string))
		reply(w, 204, nil)
	case path == "/redfish/v1/Managers/m":
		reply(w, 200, object{"@odata.id": path, "Id": "m", "ManagerType": "BMC", "FirmwareVersion": "5.10.00.00",
			"VirtualMedia": link("/redfish/v1/Managers/m/VirtualMedia")})
	case path == "/redfish/v1/Managers/m/VirtualMedia":
		members := []any{}
		for at := range b.media {
			members = append(members, link(at))
		}
		reply(w, 200, object{"Members": members, "Members@odata.count": len(members)})
	case b.parts[path] != nil:
		reply(w, 200, b.parts[path])
	case b.media[medium] != nil:
		b.changeMedium(w, method, b.media[medium], action, body)
	default:
		problem(w, 404, "nothing at "+path)
	}
}

func (b *bmc) reset(kind string) {
	if b.power != nil {
		b.power(b, kind)
		return
	}
	b.system["PowerState"] = "On"
	if kind == "ForceOff" || kind == "GracefulShutdown" {
		b.system["PowerState"] = "Off"
	}
}

func (b *bmc) changeMedium(w http.ResponseWriter, method string, medium object, action string, body object) {
	switch {
	case method == http.MethodGet:
		reply(w, 200, medium)
		return
	case action == "VirtualMedia.InsertMedia":
		medium["Image"], medium["Inserted"] = body["Image"], true
	case action == "VirtualMedia.EjectMedia":
		medium["Image"], medium["Inserted"] = nil, false
	default:
		maps.Copy(medium, body)
	}
	reply(w, 204, nil)
}

// changes returns what was sent since the last call.
func (b *bmc) changes() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.log
	b.log = nil
	return out
}

func (b *bmc) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func (b *bmc) boot(name string) any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.system["Boot"].(object)["BootSourceOverride"+name]
}

// worker does for a driver what a conductor would.
type worker struct {
	drivers.Worker
	saved   int
	power   []string
	journal map[string][]byte
	ports   []*store.Port
}

func (w *worker) Ports(context.Context, *drivers.Task) ([]*store.Port, error) { return w.ports, nil }

func (w *worker) Save(context.Context, *drivers.Task) error { w.saved++; return nil }

func (w *worker) SetPower(_ context.Context, _ *drivers.Task, target string) error {
	w.power = append(w.power, target)
	return nil
}

func (*worker) Report(*drivers.Task, drivers.Progress) {}

func (w *worker) Journal(*drivers.Task) drivers.Journal { return w }

func (w *worker) Put(_ context.Context, key string, value any) (err error) {
	w.journal[key], err = json.Marshal(value)
	return err
}

func (w *worker) Get(_ context.Context, key string, into any) (bool, error) {
	text, found := w.journal[key]
	if !found {
		return false, nil
	}
	return true, json.Unmarshal(text, into)
}

func quick() redfish.Config {
	cfg := redfish.DefaultConfig()
	cfg.ConnectionAttempts, cfg.RetryInterval = 2, time.Millisecond
	cfg.ConnectTimeout, cfg.ReadTimeout = 5*time.Second, 5*time.Second
	cfg.PowerPoll, cfg.InsertInterval = time.Millisecond, time.Millisecond
	return cfg
}

// open returns a client that is closed with the test.
func open(t *testing.T, cfg redfish.Config) *redfish.Client {
	t.Helper()
	c := redfish.New(cfg, zerolog.Nop())
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// task returns a task on a node behind the BMC at address, whose drivers are those of client.
func task(client *redfish.Client, address string) (*drivers.Task, *worker) {
	w := &worker{journal: map[string][]byte{}}
	node := &store.Node{UUID: "node-1", Driver: "redfish", DriverInfo: store.Dict{"redfish_address": address,
		"redfish_username": user, "redfish_password": password}, Properties: store.Dict{}, InstanceInfo: store.Dict{},
		DriverInternalInfo: store.Dict{}}
	return &drivers.Task{Node: node, Worker: w, Log: zerolog.Nop(), Hardware: &drivers.Hardware{Network: noop.NewNetwork(),
		Power: redfish.NewPower(client), Management: redfish.NewManagement(client, "uefi")}}, w
}
